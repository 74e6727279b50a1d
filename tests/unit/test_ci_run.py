"""``.ci/run``: with a stand-in for ``make``, which notes its target and ends as it is told."""

import os
import re
import subprocess
from pathlib import Path

import pytest

CI_RUN = Path(__file__).parents[2] / ".ci" / "run"
TARGETS = ["lint", "test", "test-exchange", "test-slow", "test-faults"]
_MAKE = """#!/bin/sh
echo "$1" >> "$0.log"
echo "3 passed in 0.10s"
case " $FAILING " in *" $1 "*) exit 2;; esac
"""


@pytest.fixture
def make(tmp_path: Path) -> Path:
    path = tmp_path / "make"
    path.write_text(_MAKE)
    path.chmod(0o755)
    return path


def run(make: Path, failing: str = "") -> tuple[int, list[str], list[str]]:
    """Exit status, targets that were made, lines printed."""
    path = f"{make.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [CI_RUN],
        env=os.environ | {"PATH": path, "FAILING": failing},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, make.with_name("make.log").read_text().split(), done.stdout.splitlines()


def parts(last_line: str) -> list[str]:
    """The names in the line of minutes; every number has one digit behind the point."""
    assert last_line.startswith("minutes: ")
    found = [re.fullmatch(r"([a-z-]+) \d+\.\d", part) for part in last_line.removeprefix("minutes: ").split(", ")]
    return [match[1] for match in found if match]


def test_last_line_tells_how_many_minutes_each_suite_took(make: Path) -> None:
    status, made, lines = run(make)
    assert (status, made) == (0, TARGETS)
    assert parts(lines[-1]) == [*TARGETS, "all"]


@pytest.mark.parametrize("failing", ["test", "test-exchange", "test-faults"])
def test_suite_that_fails_fails_the_run_and_hides_no_other(make: Path, failing: str) -> None:
    status, made, lines = run(make, failing)
    assert (status, made) == (2, TARGETS)
    assert parts(lines[-1]) == [*TARGETS, "all"]


def test_lint_that_fails_ends_the_run(make: Path) -> None:
    status, made, lines = run(make, "lint")
    assert (status, made) == (2, ["lint"])
    assert parts(lines[-1]) == ["lint", "all"]
