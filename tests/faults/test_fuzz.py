"""Thousands of damaged ZIPs: each gets a clean answer from the limited child, which never grows and never breaks.

The mutants are made from their numbers (``builders.mutants``): a failure names the number, and the file is kept.
``FUZZ_SEED`` makes others.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.daemons import BUILDERS
from builders.mutants import mutant
from builders.specs import check_spec, inspect_spec
from segdrop.codes import CODES
from segdrop.errors import Issue

pytestmark = pytest.mark.faults

SEED = os.environ.get("FUZZ_SEED", "segdrop")
NUM_INSPECTED = 10_000
NUM_CHECKED = 1_500
BATCH = 1_000
#: address space, as in the settings but far less: what needs more than this for a ZIP of a few kilobytes dies of it
INSPECT_MEMORY_BYTES = 256 << 20
CHECK_MEMORY_BYTES = 1 << 30
CHECK_RSS_BYTES = 200_000_000
CHECK_LIMITS = {"max_image_pixels": 1_000_000, "check_memory_bytes": CHECK_MEMORY_BYTES}
#: answers that tell of a defect of ours, not of one of the data
UNCLEAN = {"internal.error", "archive.reader_died", "spool.corrupt"}


def write_mutants(folder: Path, numbers: range) -> list[Path]:
    paths = []
    for number in numbers:
        path = folder / f"{number:05}.zip"
        path.write_bytes(mutant(number, SEED))
        paths.append(path)
    return paths


def in_batches(total: int) -> Iterator[range]:
    for start in range(0, total, BATCH):
        yield range(start, min(total, start + BATCH))


class Findings:
    """What is wrong with the answers, if anything; the files that it is wrong with are kept."""

    def __init__(self, folder: Path) -> None:
        self.kept = folder / "kept"
        self.kept.mkdir()
        self.wrong: list[str] = []
        self.codes: Counter[str] = Counter()

    def judge(self, path: Path, issues: list[dict[str, Any]]) -> None:
        for value in issues:
            issue = Issue.from_json(value)
            self.codes[issue.code] += 1
            if issue.code not in CODES or issue.code in UNCLEAN or not issue.message:
                self.keep(path, f"{issue.code}: {issue.message}")
        self.codes["good"] += not issues

    def keep(self, path: Path, what: str) -> None:
        (self.kept / path.name).write_bytes(path.read_bytes())
        self.wrong.append(f"{path.name} (seed {SEED!r}, kept in {self.kept}): {what}")

    def expect_none(self, least_kinds: int) -> None:
        print(f"{self.codes.total()} issues of {len(self.codes)} kinds: {dict(self.codes.most_common())}")
        assert self.wrong == []
        assert len(self.codes) >= least_kinds, "the mutants are not what they were"


def answered(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_child(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(BUILDERS)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def inspect_all(folder: Path, archives: list[Path], findings: Findings) -> None:
    """The cheap check of all of them, as the daemon does it: who kills the child is the first without an answer."""
    while archives:
        spec = inspect_spec(folder, archives, check_memory_bytes=INSPECT_MEMORY_BYTES)
        spec_path = folder / "spec.json"
        spec_path.write_text(spec.model_dump_json())
        spec.answer_path.unlink(missing_ok=True)
        done = run_child(["-m", "segdrop.dataset", "inspect", str(spec_path)])
        answers = answered(spec.answer_path)
        for path, answer in zip(archives, answers, strict=False):
            assert answer["key"] == path.stem
            if answer["error"] is not None:
                findings.keep(path, answer["error"])
            findings.judge(path, answer["issues"])
        said = done.stdout + done.stderr
        if done.returncode != 0 or said:
            culprit = archives[min(len(answers), len(archives) - 1)]
            findings.keep(culprit, f"exit status {done.returncode}: {said[-2000:]}")
        archives = archives[len(answers) + 1 :]


def test_ten_thousand_damaged_zips_get_a_clean_answer_from_the_cheap_check(tmp_path: Path) -> None:
    findings = Findings(tmp_path)
    for numbers in in_batches(NUM_INSPECTED):
        archives = write_mutants(tmp_path, numbers)
        inspect_all(tmp_path, archives, findings)
        for path in archives:
            path.unlink()
    findings.expect_none(least_kinds=15)


def test_damaged_zips_get_a_clean_answer_from_the_full_check_in_bounded_memory(tmp_path: Path) -> None:
    findings = Findings(tmp_path)
    peak_bytes = 0
    for numbers in in_batches(NUM_CHECKED):
        archives = write_mutants(tmp_path, numbers)
        remaining = archives
        while remaining:
            spec = check_spec(remaining[0], **CHECK_LIMITS)
            answers_path = tmp_path / "answers.jsonl"
            answers_path.unlink(missing_ok=True)
            order = {
                "spec": spec.model_dump(mode="json"),
                "archives": [str(path) for path in remaining],
                "answers": str(answers_path),
            }
            (tmp_path / "spec.json").write_text(json.dumps(order))
            done = run_child(["-m", "many_checks", str(tmp_path / "spec.json")])
            answers = answered(answers_path)
            for path, answer in zip(remaining, answers, strict=False):
                assert answer["archive"] == str(path)
                if answer["defect"] is not None:
                    findings.keep(path, answer["defect"])
                findings.judge(path, answer["issues"])
                peak_bytes = max(peak_bytes, answer["peak"])
            if done.returncode != 0 or "Traceback" in done.stderr:  # Pillow's own warnings are no defect
                culprit = remaining[min(len(answers), len(remaining) - 1)]
                findings.keep(culprit, f"exit status {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
            remaining = remaining[len(answers) + 1 :]
        for path in archives:
            path.unlink()
    print(f"peak RSS {peak_bytes / 1e6:.0f} MB")
    findings.expect_none(least_kinds=25)
    assert 0 < peak_bytes < CHECK_RSS_BYTES
