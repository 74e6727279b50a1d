"""A power cut, or a full disk, at every single change that daemon and children make to files: nothing is lost, nothing
is delivered twice, nothing half-written is ever seen.

The moments are found by running the scenario once with everything in ``segdrop.durable``, and every system call below
it, instrumented (``builders.forked``, ``builders.crash_runs``): 900 and more. Each then gets a run of its own.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builders.daemons import BUILDERS

pytestmark = pytest.mark.faults

WORKERS = 2
#: for one worker's share; it is reached only by what hangs
DEADLINE_SECONDS = 900
#: fewer mean that the instruments see no more what they should
LEAST_MOMENTS = 600
#: what fails on a full disk; the others are reported as failed although they were made, as network filesystems do
REFUSED = frozenset({"open", "mkdir", "link", "fsync"})
MADE = frozenset({"rename", "replace", "unlink", "rmdir"})
_LOCK = "open work/.daemon.lock"


def start(folder: Path, order: dict[str, Any]) -> "subprocess.Popen[str]":
    """A worker, without the test's own threads and open files: it forks."""
    folder.mkdir()
    path = folder / "order.json"
    path.write_text(json.dumps(order | {"folder": str(folder / "runs")}))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SEGDROP_", "JOURNAL_"))}
    with (folder / "answers").open("w") as answered, (folder / "errors").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "builders.crash_runs", str(path)],
            cwd=BUILDERS.parent,
            env=environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdout=answered,
            stderr=errors,
            text=True,
        )


def answers(folder: Path, worker: "subprocess.Popen[str]") -> list[Any]:
    try:
        status = worker.wait(DEADLINE_SECONDS)
    finally:
        worker.kill()
    assert status == 0, (folder / "errors").read_text()[-4000:]
    return [json.loads(line) for line in (folder / "answers").read_text().splitlines()]


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("moments") / "note"
    (found,) = answers(folder, start(folder, {"what": "note"}))
    return [(name, moment) for name, moment in found]


def run_all(folder: Path, what: str, moments: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """The accident at each moment, by workers side by side."""
    folders = [folder / f"{what}{number}" for number in range(WORKERS)]
    shares = [moments[number::WORKERS] for number in range(WORKERS)]
    workers = [start(f, {"what": what, "moments": share}) for f, share in zip(folders, shares, strict=True)]
    try:
        found = [answer for f, worker in zip(folders, workers, strict=True) for answer in answers(f, worker)]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert len(found) == len(moments)
    return found


def expect_all_right(found: list[dict[str, Any]]) -> None:
    missed = [answer["moment"] for answer in found if not answer["reached"]]
    wrong = [answer for answer in found if answer["wrong"]]
    print(f"{len(found)} runs, {sum(answer['looks'] for answer in found)} looks at the outbox")
    for answer in wrong[:20]:
        print(answer["moment"], answer["wrong"], answer["folder"])
    if wrong:
        print(wrong[0]["log"])
    assert [(answer["moment"], answer["wrong"]) for answer in wrong] == []
    assert missed == [], "the scenario is not the same in every run"


def test_every_change_is_seen_by_the_instruments(moments: list[tuple[str, str]]) -> None:
    """One of each kind that the guarantees rest on; without them the tests below would prove nothing."""
    names = {name for name, _ in moments}
    for expected in (
        "daemon move/rename work/good/input.zip #1",
        "daemon move/fsync inbox #1",
        "daemon write_json/replace work/good/job.json #1",
        "daemon publish/link outbox/good.zip #1",
        "daemon publish/link outbox/good.json #1",
        "daemon publish/unlink work/good/outcome.json #1",
        "daemon move/rename done/good/good.zip #1",
        "daemon remove_tree/rename work/.good.removed #1",
        "daemon link/link work/bad/input.zip #1",
        "daemon move/rename work/victim/cancel #1",
        "check write_json/replace work/good/dataset.json #1",
        "train write_json/fsync work/good/checkpoint.pth.tmp #1",
        "package write/replace work/good/result.zip #1",
        "package write_json/replace work/good/package.json #1",
    ):
        assert expected in names
    kinds = Counter(name.split()[0] for name in names)
    print(f"{len(moments)} moments, {len(names)} changes: {dict(kinds)}")
    assert len(moments) > LEAST_MOMENTS


def test_a_kill_at_any_moment_loses_nothing_and_repeats_nothing(tmp_path: Path, moments: list[tuple[str, str]]) -> None:
    expect_all_right(run_all(tmp_path, "kill", moments))


def test_a_disk_that_is_full_from_any_moment_on_delays_and_is_held_against_nobody(
    tmp_path: Path, moments: list[tuple[str, str]]
) -> None:
    """From the start on; before it, a daemon that cannot even try the root says so and leaves."""
    started = next(position for position, (name, _) in enumerate(moments) if _LOCK in name)
    changes = {name: name.split()[1].rpartition("/")[2] for name, moment in moments[started:] if _LOCK not in name}
    full = [
        (name, "before" if operation in REFUSED else "after")
        for name, operation in changes.items()
        if operation in REFUSED | MADE
    ]
    expect_all_right(run_all(tmp_path, "fill", full))
