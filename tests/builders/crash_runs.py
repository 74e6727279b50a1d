"""``python -m builders.crash_runs ORDER``: one small scenario, again and again, with an accident at another moment.

Good with its sidecar, plainly bad, duplicate of the good one, one that is cancelled while it trains; and the bad one is
asked for again. ORDER is a JSON file: folder, and what to do: ``note`` (run undisturbed, and list every moment at which
the disk is in another state), or ``kill`` or ``fill`` at each of ``moments``. Prints a JSON line for each run.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builders import forked, write_dataset
from builders.daemons import Root
from builders.outbox_reader import OutboxReader

SETTINGS = {
    "intake__scan_seconds": 0.03,
    "intake__settle_seconds": 0.0,
    "intake__incomplete_seconds": 0.0,
    "intake__watch": False,
    "queue__reserve_bytes": 0,
}
POLL_SECONDS = 0.004
RUN_SECONDS = 60.0
#: how long a disk stays full
FULL_SECONDS = 0.25
EXPECTED = {
    ("good.zip", False): "succeeded",
    ("bad.zip", False): "rejected",
    ("bad.zip", True): "rejected",
    ("same.zip", False): "duplicate",
    ("victim.zip", False): "cancelled",
}
_SIDECAR = json.dumps({"level": 1, "seed": 7}).encode()


class Sources:
    """What is dropped, made once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        good = write_dataset(folder / "good.zip", count=2).read_bytes()
        bad = write_dataset(folder / "bad.zip", count=2, extra={"images/alone.png": b"no image"}).read_bytes()
        victim = write_dataset(folder / "victim.zip", count=3).read_bytes()
        self.inputs = {"good.zip": good, "bad.zip": bad, "same.zip": good, "victim.zip": victim}
        # the level makes the bad one plainly bad: the cheap check finds it
        self.sidecars = {"good.json": _SIDECAR, "same.json": _SIDECAR, "bad.json": b'{"level": 9}'}


class Run:
    """One root, the people at it, and the daemons of one run."""

    def __init__(self, folder: Path, sources: Sources, **settings: Any) -> None:
        self.root = Root(folder, **(SETTINGS | settings))
        self.sources = sources
        self.reader = OutboxReader(self.root.layout)
        self.asked: set[str] = set()
        self.root.plan(good={"epochs": 2}, victim={"epochs": 2, "hold": 1})
        for name, content in (sources.sidecars | sources.inputs).items():  # the requests first
            (self.root.layout.inbox / name).write_bytes(content)

    def people(self) -> None:
        """What they do as they see it: cancel the victim while it trains, ask for the bad one again."""
        layout = self.root.layout
        for job, manifest in self.reader.manifests().items():
            if manifest["input_name"] == "victim.zip" and manifest["state"] == "started" and self._trains(job):
                self._ask(job, "cancel")
        for job, answer in self.reader.answers.items():
            if answer["input"]["name"] == "bad.zip" and "retry_of" not in answer and not (layout.work / job).exists():
                self._ask(job, "retry")

    def _trains(self, job: str) -> bool:
        return (self.root.layout.job(job).checkpoint).exists()

    def _ask(self, job: str, what: str) -> None:
        if job not in self.asked:
            self.asked.add(job)
            (self.root.layout.inbox / f"{job}.{what}").touch()

    def done(self, daemon: int) -> bool:
        """Everything is answered and put away, and this daemon has made a turn."""
        layout = self.root.layout
        return (
            len(self.reader.answers) >= len(EXPECTED)
            and not [*layout.work.glob("[!.]*"), *layout.work.glob(".*.removed"), *layout.inbox.iterdir()]
            and self.root.status()["daemon"].get("pid") == daemon
        )

    def live(self, daemon: int) -> int | None:
        """Until the daemon ends, or there is nothing left to do: its status, or None while it runs."""
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            pid, status = os.waitpid(daemon, os.WNOHANG)
            self.reader.look()
            if pid:
                return os.waitstatus_to_exitcode(status)
            self.people()
            if self.done(daemon):
                return None
            time.sleep(POLL_SECONDS)
        os.kill(daemon, signal.SIGKILL)
        os.waitpid(daemon, 0)
        raise TimeoutError(f"not done after {RUN_SECONDS:.0f} s: work {self.reader.manifests()}")

    def stop(self, daemon: int) -> list[str]:
        os.kill(daemon, signal.SIGTERM)
        _, status = os.waitpid(daemon, 0)
        return [] if status == 0 else [f"the daemon ended with {os.waitstatus_to_exitcode(status)}"]

    def expect(self, most_attempts: int) -> list[str]:
        """What is wrong at the end."""
        wrong = self.reader.audit(self.sources.inputs, self.sources.sidecars)
        found = {
            (answer["input"]["name"], "retry_of" in answer): answer["status"] for answer in self.reader.answers.values()
        }
        if found != EXPECTED:
            wrong.append(f"the answers are {found}")
        starts = [name for name, _, _ in self.root.starts()]
        for answer in self.reader.answers.values():
            name, attempts = answer["input"]["name"], answer["attempts"]
            if attempts > most_attempts or attempts < starts.count(name) or (attempts == 0) != (not starts.count(name)):
                wrong.append(f"{name}: {attempts} attempts on record, {starts.count(name)} starts")
            if answer["status"] == "duplicate" and answer["duplicate_of"] not in self.reader.answers:
                wrong.append(f"{name} points to {answer['duplicate_of']}")
        return wrong


def note(folder: Path, sources: Sources) -> list[list[str]]:
    """The moments of an undisturbed run."""
    run = Run(folder, sources)
    log = folder / "moments.log"
    daemon = forked.start_daemon(run.root, forked.Tracer(run.root.layout.root, forked.noting(log)))
    assert run.live(daemon) is None, "the daemon ended by itself"
    wrong = run.stop(daemon) + run.expect(most_attempts=1)
    assert not wrong, wrong
    moments = [json.loads(line) for line in log.read_text().splitlines()]
    return [moment for moment in moments if forked.distinct_in_time(moment[0])]


def kill(folder: Path, sources: Sources, moment: tuple[str, str]) -> dict[str, Any]:
    """Everything is killed at the moment; another daemon brings it to its end."""
    run = Run(folder, sources)
    tracer = forked.Tracer(run.root.layout.root, forked.killing(moment))
    status = run.live(daemon := forked.start_daemon(run.root, tracer))
    if status is None:  # the moment may be at the very end
        os.kill(daemon, signal.SIGTERM)
        status = os.waitstatus_to_exitcode(os.waitpid(daemon, 0)[1])
    daemon = forked.start_daemon(run.root)
    wrong = [] if run.live(daemon) is None else ["the second daemon ended by itself"]
    wrong += run.stop(daemon) + run.expect(most_attempts=2)
    return {"reached": status == -signal.SIGKILL, "wrong": wrong, "looks": run.reader.looks}


def fill(folder: Path, sources: Sources, moment: tuple[str, str]) -> dict[str, Any]:
    """The disk is full from the moment on, for a while. One attempt only: whoever is charged for it fails."""
    run = Run(folder, sources, training__max_attempts=1)
    flag = run.root.control / "full-until"
    tracer = forked.Tracer(run.root.layout.root, forked.filling(moment, FULL_SECONDS, flag))
    daemon = forked.start_daemon(run.root, tracer)
    wrong = [] if (status := run.live(daemon)) is None else [f"the daemon ended by itself with {status}"]
    if status is None:
        wrong += run.stop(daemon)
    wrong += run.expect(most_attempts=10)
    return {"reached": flag.exists(), "wrong": wrong, "looks": run.reader.looks}


@contextlib.contextmanager
def _kept_if_wrong(folder: Path, answer: dict[str, Any]) -> Iterator[None]:
    try:
        yield
    except (TimeoutError, AssertionError, OSError, KeyError) as error:
        answer |= {"reached": True, "wrong": [repr(error)], "looks": 0}
    if answer["wrong"]:
        answer["folder"] = str(folder)
        answer["log"] = (folder / "daemon.log").read_text()[-6000:]
    else:
        shutil.rmtree(folder)


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_bytes())
    folder = Path(order["folder"])
    forked.preload()
    sources = Sources(folder / "sources")
    if order["what"] == "note":
        print(json.dumps(note(folder / "run", sources)))
        return
    accident = {"kill": kill, "fill": fill}[order["what"]]
    for number, moment in enumerate(order["moments"]):
        answer: dict[str, Any] = {"moment": moment}
        with _kept_if_wrong(folder / f"run{number:04}", answer):
            answer |= accident(folder / f"run{number:04}", sources, tuple(moment))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
