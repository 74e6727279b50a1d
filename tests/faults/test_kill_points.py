"""A power cut, or a full disk, at every single change that daemon and children make to files: nothing is lost, nothing
is delivered twice, nothing half-written is ever seen.

The moments are found by running a scenario (``builders.scenarios``) once with everything in ``segdrop.durable``, and
every call below it, instrumented (``builders.changes``); each then gets a run of its own (``builders.crash_runs``).
"""

import functools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders.changes import GROWING, SHRINKING
from builders.daemons import BUILDERS

pytestmark = pytest.mark.faults

WORKERS = 2
#: for one worker's share, whose runs all have a deadline of their own: reached only by what hangs
DEADLINE_SECONDS = 3600
#: fewer moments mean that the instruments see no more what they should
LEAST_KILLS = {"everyday": 300, "without-hard-links": 10, "mishaps": 120, "cancelled": 80}
LEAST_FILLS = 300
_LOCK = "daemon open work/.daemon.lock #1"


@dataclass(frozen=True, slots=True)
class Moment:
    """Before or after one change."""

    name: str
    operation: str
    when: str
    is_another: bool  #: whether a kill leaves the files otherwise than at the moment before it in the same process

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.when


def start(folder: Path, order: dict[str, Any]) -> "subprocess.Popen[bytes]":
    """A worker, without the test's own threads and open files: it forks."""
    folder.mkdir()
    path = folder / "order.json"
    path.write_text(json.dumps(order | {"folder": str(folder / "runs")}))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SEGDROP_", "JOURNAL_"))}
    with (folder / "answers").open("w") as output, (folder / "errors").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "builders.crash_runs", str(path)],
            cwd=BUILDERS.parent,
            env=environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )


def answers(folder: Path, worker: "subprocess.Popen[bytes]") -> list[Any]:
    try:
        status = worker.wait(DEADLINE_SECONDS)
    finally:
        worker.kill()
        worker.wait()
    assert status == 0, (folder / "errors").read_text()[-4000:]
    return [json.loads(line) for line in (folder / "answers").read_text().splitlines()]


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Moment]]:
    """The moments of a scenario."""

    @functools.cache
    def note(scenario: str) -> list[Moment]:
        folder = tmp_path_factory.mktemp("moments") / "note"
        (found,) = answers(folder, start(folder, {"what": "note", "scenario": scenario}))
        return [Moment(*values) for values in found]

    return note


def run_all(folder: Path, scenario: str, what: str, moments: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """The accident at each moment, by workers side by side."""
    folders = [folder / f"{what}{number}" for number in range(WORKERS)]
    shares = [moments[number::WORKERS] for number in range(WORKERS)]
    orders = [{"what": what, "scenario": scenario, "moments": share} for share in shares]
    workers = [start(f, order) for f, order in zip(folders, orders, strict=True)]
    try:
        return [answer for f, worker in zip(folders, workers, strict=True) for answer in answers(f, worker)]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def expect_all_right(found: list[dict[str, Any]], count: int) -> None:
    wrong = [answer for answer in found if answer["wrong"]]
    print(f"{len(found)} runs, {sum(answer['looks'] for answer in found)} looks at the outbox")
    for answer in wrong:
        print(answer["moment"], answer["wrong"], answer["folder"], answer["log"], sep="\n")
    assert [(answer["moment"], answer["wrong"]) for answer in wrong] == []
    missed = [answer["moment"] for answer in found if not answer["reached"]]
    assert missed == [], "the scenario is not the same in every run"
    assert len(found) == count


#: one of each kind that the guarantees rest on; without them the tests below would prove nothing
GUARANTEED = {
    "everyday": (
        "daemon move/rename work/good/input.zip #1",
        "daemon move/fsync_dir inbox #1",
        "daemon write_json/replace work/good/job.json #1",
        "daemon publish/link outbox/good.zip #1",
        "daemon publish/link outbox/good.json #1",
        "daemon publish/unlink work/good/outcome.json #1",
        "daemon move/rename done/good/model.json #1",
        "daemon move/rename done/good/good.zip #1",
        "daemon remove_tree/rename work/.good.removed #1",
        "daemon link/link work/bad/input.zip #1",
        "daemon move/rename work/victim/cancel #1",
        "check write_json/replace work/good/dataset.json #1",
        "train write_json/fsync work/good/checkpoint.pth.tmp #1",
        "package write/replace work/good/result.zip #1",
        "package write_json/replace work/good/package.json #1",
    ),
    "without-hard-links": (
        "daemon publish/replace outbox/good.zip #1",
        "daemon publish/replace outbox/good.json #1",
    ),
    "mishaps": (
        "daemon move/rename failed/broken #1",
        "daemon move/rename work/busy/input.zip #3",
        "daemon move/rename work/changing/input.zip #1",
        "daemon move/rename work/late/input.zip #1",
    ),
    "cancelled": (
        "daemon move/rename work/checking/cancel #1",
        "daemon move/rename work/queued/cancel #1",
        "daemon move/rename work/packing/cancel #1",
    ),
}


@pytest.mark.parametrize("scenario", GUARANTEED)
def test_every_change_is_seen_by_the_instruments(noted: Callable[[str], list[Moment]], scenario: str) -> None:
    moments = noted(scenario)
    names = {moment.name for moment in moments}
    assert [expected for expected in GUARANTEED[scenario] if expected not in names] == []
    kinds = Counter(name.split()[0] for name in names)
    print(f"{scenario}: {len(moments)} moments, {len(names)} changes: {dict(kinds)}")


@pytest.mark.parametrize("scenario", GUARANTEED)
def test_a_kill_at_any_moment_loses_nothing_and_repeats_nothing(
    tmp_path: Path, noted: Callable[[str], list[Moment]], scenario: str
) -> None:
    """Before and after each change: after one is before the next, and a kill cannot tell what was synced.

    What the daemon does every day is not tried again in the other scenarios, nor are the children's changes.
    """
    killed = [moment.key for moment in noted(scenario) if moment.is_another]
    if scenario != "everyday":
        known = {moment.name for moment in noted("everyday")}
        killed = [key for key in killed if key[0].startswith("daemon ") and key[0] not in known]
    assert len(killed) > LEAST_KILLS[scenario]
    expect_all_right(run_all(tmp_path, scenario, "kill", killed), len(killed))


def test_a_disk_that_is_full_from_any_moment_on_delays_and_is_held_against_nobody(
    tmp_path: Path, noted: Callable[[str], list[Moment]]
) -> None:
    """From the start on; before it, a daemon that cannot even try the root says so and leaves.

    What needs space is refused, and what frees some is reported as failed although it was done. (The rest is renames:
    those are done, and fail, where the sync of their folder is refused.)
    """
    moments = noted("everyday")
    started = [moment.key for moment in moments].index((_LOCK, "after")) + 1
    done = [moment for moment in moments[started:] if moment.when == "after"]
    full = [(m.name, "before") for m in done if m.operation in GROWING]
    full += [(m.name, "after") for m in done if m.operation in SHRINKING]
    assert len(full) > LEAST_FILLS
    expect_all_right(run_all(tmp_path, "everyday", "fill", full), len(full))
