"""``python -m builders.crash_runs ORDER``: one small scenario, again and again, with an accident at another moment.

Good with its sidecar, plainly bad, duplicate of the good one, one that is cancelled while it trains; and the bad one is
asked for again. ORDER is a JSON file: folder, and what to do: ``note`` (run undisturbed, and tell every moment before
and after a change), or ``kill`` or ``fill`` at each of ``moments``. Prints a JSON line for each run.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from builders import changes, forked, write_dataset
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
#: a third of a second is enough on a quiet machine: reached only by what hangs
RUN_SECONDS = 120.0
#: how long a disk stays full
FULL_SECONDS = 0.12
#: after so many wrong runs the others would tell nothing new
MOST_WRONG = 5
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
        folder.mkdir(parents=True)
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

    def live(self, daemon: int) -> int | None:
        """Until the daemon ends, or there is nothing left to do: its status, or None while it runs."""
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            status = _status(daemon)
            self.reader.look()
            if status is not None:
                return status
            self._act_as_people()
            if self._is_done(daemon):
                return None
            time.sleep(POLL_SECONDS)
        _end(daemon, signal.SIGKILL)
        raise TimeoutError(f"not done after {RUN_SECONDS:.0f} s: work {self.reader.manifests()}")

    def _act_as_people(self) -> None:
        """They cancel the victim while it trains, and ask for the bad one again."""
        layout = self.root.layout
        for job, manifest in self.reader.manifests().items():
            if manifest["input_name"] == "victim.zip" and manifest["state"] == "started" and self._is_training(job):
                self._ask(job, "cancel")
        for job, answer in self.reader.answers.items():
            if answer["input"]["name"] == "bad.zip" and "retry_of" not in answer and not (layout.work / job).exists():
                self._ask(job, "retry")

    def _is_training(self, job: str) -> bool:
        """By its log: from then on it waits, and changes no file."""
        with contextlib.suppress(FileNotFoundError):
            return b"standin.waiting" in self.root.layout.job(job).log.read_bytes()
        return False

    def _ask(self, job: str, what: str) -> None:
        if job not in self.asked:
            self.asked.add(job)
            (self.root.layout.inbox / f"{job}.{what}").touch()

    def _is_done(self, daemon: int) -> bool:
        """Everything is answered and put away, and this daemon has made a turn."""
        layout = self.root.layout
        return (
            len(self.reader.answers) >= len(EXPECTED)
            and not [*layout.work.glob("[!.]*"), *layout.work.glob(".*.removed"), *layout.inbox.iterdir()]
            and self.root.status()["daemon"].get("pid") == daemon
        )

    def expect(self, *, most_attempts: int, may_not_begin: bool = False) -> list[str]:
        """What is wrong at the end. ``may_not_begin``: an attempt may be on record whose child never was."""
        wrong = self.reader.audit(self.sources.inputs, self.sources.sidecars)
        found = {
            (answer["input"]["name"], "retry_of" in answer): answer["status"] for answer in self.reader.answers.values()
        }
        if found != EXPECTED:
            wrong.append(f"the answers are {found}")
        begun = Counter(job for _, what, job in forked.children(self.root) if what == "train")
        for job, answer in self.reader.answers.items():
            most = begun[job] + 1 if may_not_begin and begun[job] else begun[job]
            if not begun[job] <= answer["attempts"] <= min(most, most_attempts):
                wrong.append(f"{job}: {answer['attempts']} attempts on record, {begun[job]} begun")
            if answer["status"] == "duplicate" and answer["duplicate_of"] not in self.reader.answers:
                wrong.append(f"{job} points to {answer['duplicate_of']}")
        return wrong


def _status(daemon: int) -> int | None:
    """The exit status, negative for a signal; None while it runs."""
    pid, status = os.waitpid(daemon, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def _end(daemon: int, number: signal.Signals = signal.SIGTERM) -> int:
    """Its status after a signal; after SIGKILL if it does not heed another."""
    os.kill(daemon, number)
    deadline = time.monotonic() + RUN_SECONDS
    while (status := _status(daemon)) is None:
        if time.monotonic() > deadline:
            os.kill(daemon, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    return status


def _stop(daemon: int) -> list[str]:
    status = _end(daemon)
    return [f"the daemon ended with {status}"] if status else []


def note(folder: Path, sources: Sources) -> list[list[Any]]:
    """The moments of an undisturbed run, as :func:`changes.noting` writes them."""
    run = Run(folder, sources)
    log = folder / "moments.log"
    daemon = forked.start_daemon(run.root, changes.Tracer(run.root.layout.root, changes.noting(log)))
    wrong = [] if run.live(daemon) is None else ["the daemon ended by itself"]
    wrong += _stop(daemon) + run.expect(most_attempts=1)
    assert not wrong, wrong
    return [json.loads(line) for line in log.read_text().splitlines()]


def kill(folder: Path, sources: Sources, moment: tuple[str, str]) -> dict[str, Any]:
    """Everything is killed at the moment; another daemon brings it to its end."""
    run = Run(folder, sources)
    tracer = changes.Tracer(run.root.layout.root, changes.killing(moment))
    status = run.live(daemon := forked.start_daemon(run.root, tracer))
    if status is None:  # the moment may be after the last thing to do
        status = _end(daemon)
    daemon = forked.start_daemon(run.root)
    wrong = _stop(daemon) if run.live(daemon) is None else ["the second daemon ended by itself"]
    wrong += run.expect(most_attempts=2, may_not_begin=True)
    return {"reached": status == -signal.SIGKILL, "wrong": wrong, "looks": run.reader.looks}


def fill(folder: Path, sources: Sources, moment: tuple[str, str]) -> dict[str, Any]:
    """The disk is full from the moment on, for a while. One attempt only: whoever is charged for it fails."""
    run = Run(folder, sources, training__max_attempts=1)
    flag = run.root.control / "full-until"
    tracer = changes.Tracer(run.root.layout.root, changes.filling(moment, FULL_SECONDS, flag))
    daemon = forked.start_daemon(run.root, tracer)
    wrong = _stop(daemon) if run.live(daemon) is None else ["the daemon ended by itself"]
    wrong += run.expect(most_attempts=10)
    return {"reached": flag.exists(), "wrong": wrong, "looks": run.reader.looks}


def _answer(folder: Path, sources: Sources, what: str, moment: tuple[str, str]) -> dict[str, Any]:
    """How a run went. Its folder stays if something is wrong."""
    answer: dict[str, Any] = {"moment": moment}
    try:
        answer |= {"kill": kill, "fill": fill}[what](folder, sources, moment)
    except (TimeoutError, OSError, KeyError) as error:
        answer |= {"reached": True, "wrong": [repr(error)], "looks": 0}
    if answer["wrong"]:
        answer["folder"] = str(folder)
        answer["log"] = (folder / "daemon.log").read_text()[-6000:]
    else:
        shutil.rmtree(folder)
    return answer


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_bytes())
    folder = Path(order["folder"])
    forked.preload()
    sources = Sources(folder / "sources")
    if order["what"] == "note":
        print(json.dumps(note(folder / "run", sources)))
        return
    wrong = 0
    for number, moment in enumerate(order["moments"]):
        answer = _answer(folder / f"run{number:04}", sources, order["what"], tuple(moment))
        print(json.dumps(answer), flush=True)
        wrong += bool(answer["wrong"])
        if wrong >= MOST_WRONG:
            break


if __name__ == "__main__":
    main()
