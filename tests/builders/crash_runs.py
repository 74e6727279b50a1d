"""``python -m builders.crash_runs ORDER``: one small scenario, again and again, with an accident at another moment.

ORDER is a JSON file: folder, ``scenario`` (of ``builders.scenarios``), and what to do: ``note`` (run undisturbed, and
tell every moment before and after a change), or ``kill`` or ``fill`` at each of ``moments``. Prints a JSON line for
each run.
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

from builders import changes, forked
from builders.daemons import Root
from builders.outbox_reader import OutboxReader
from builders.scenarios import SCENARIOS, Scenario

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
#: runs for one moment: on a busy machine a daemon may make a turn fewer than elsewhere
MOST_RUNS = 3
#: after so many wrong runs the others would tell nothing new
MOST_WRONG = 5


class Run:
    """One root, the people at it, and the daemons of one run."""

    def __init__(self, folder: Path, scenario: Scenario, **settings: Any) -> None:
        self.root = Root(folder, **(SETTINGS | settings))
        self.scenario = scenario
        self.reader = OutboxReader(self.root.layout)
        self.asked: set[str] = set()
        self.root.plan(**scenario.plan)
        self.damaged = scenario.prepare(self.root, self.reader)
        for name, content in (scenario.sidecars | scenario.dropped).items():  # the requests first
            (self.root.layout.inbox / name).write_bytes(content)

    def start(self, accident: changes.Act | None = None) -> int:
        """A daemon, to which the scenario happens in any case, and the accident if there is one."""
        acts = [*self.scenario.happens(self.root), *([accident] if accident else []), *self.scenario.refusals]
        tracer = changes.Tracer(self.root.layout.root, changes.in_turn(acts)) if acts else None
        return forked.start_daemon(self.root, tracer)

    def live(self, daemon: int) -> int | None:
        """Until the daemon ends, or there is nothing left to do: its status, or None while it runs."""
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            status = _status(daemon)
            self.reader.look()
            if status is not None:
                return status
            self.scenario.act_as_people(self)
            if self._is_done(daemon):
                return None
            time.sleep(POLL_SECONDS)
        _end(daemon, signal.SIGKILL)
        raise TimeoutError(f"not done after {RUN_SECONDS:.0f} s: work {self.reader.manifests()}")

    # for the scenario's people

    def is_training(self, job: str) -> bool:
        """By its log: from then on the stand-in waits, and changes no file."""
        with contextlib.suppress(FileNotFoundError):
            return b"standin.waiting" in self.root.layout.job(job).log.read_bytes()
        return False

    def answer_to(self, name: str, *, is_retry: bool = False) -> dict[str, Any] | None:
        """Once its job has been put away."""
        for job, answer in self.reader.answers.items():
            if (answer["input"]["name"], "retry_of" in answer) == (name, is_retry):
                return None if (self.root.layout.work / job).exists() else answer
        return None

    def ask(self, job: str, what: str) -> None:
        """By a control file, once."""
        if job not in self.asked:
            self.asked.add(job)
            (self.root.layout.inbox / f"{job}.{what}").touch()

    def _is_done(self, daemon: int) -> bool:
        """Everything is answered and put away, and this daemon has made a turn."""
        layout = self.root.layout
        return (
            len(self.reader.answers) >= len(self.scenario.expected)
            and not [*layout.work.glob("[!.]*"), *layout.work.glob(".*.removed"), *layout.inbox.iterdir()]
            and self.scenario.is_over(self)
            and self.root.status()["daemon"].get("pid") == daemon
        )

    def expect(self, *, most_attempts: int, may_not_begin: bool = False) -> list[str]:
        """What is wrong at the end. ``may_not_begin``: a child may have ended before it could say that it had begun."""
        wrong = self.reader.audit(self.scenario.inputs, self.scenario.sidecars)
        wrong += [found for damaged in self.damaged for found in damaged.wrong()]
        found = {
            (answer["input"]["name"], "retry_of" in answer): answer["status"] for answer in self.reader.answers.values()
        }
        if not self.scenario.is_expected(found):
            wrong.append(f"the answers are {found}")
        wrong += self.scenario.wrong(list(self.reader.answers.values()))
        begun = Counter(job for _, what, job in forked.children(self.root) if what == "train")
        for job, answer in self.reader.answers.items():
            needed = 0 if answer["status"] == "cancelled" else min(1, begun[job])
            least = needed if may_not_begin else begun[job]
            if not least <= answer["attempts"] <= min(begun[job], most_attempts):
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


def note(folder: Path, scenario: Scenario) -> list[list[Any]]:
    """The moments of an undisturbed run, as :func:`changes.noting` writes them."""
    run = Run(folder, scenario)
    log = folder / "moments.log"
    daemon = run.start(changes.noting(log))
    wrong = [] if run.live(daemon) is None else ["the daemon ended by itself"]
    wrong += _stop(daemon) + run.expect(most_attempts=1)
    assert not wrong, wrong
    return [json.loads(line) for line in log.read_text().splitlines()]


def kill(folder: Path, scenario: Scenario, moment: tuple[str, str]) -> dict[str, Any]:
    """Everything is killed at the moment; another daemon brings it to its end."""
    run = Run(folder, scenario)
    status = run.live(daemon := run.start(changes.killing(moment)))
    if status is None:  # the moment may be after the last thing to do
        status = _end(daemon)
    daemon = run.start()
    wrong = _stop(daemon) if run.live(daemon) is None else ["the second daemon ended by itself"]
    wrong += run.expect(most_attempts=2, may_not_begin=True)
    return {"reached": status == -signal.SIGKILL, "wrong": wrong, "looks": run.reader.looks}


def fill(folder: Path, scenario: Scenario, moment: tuple[str, str]) -> dict[str, Any]:
    """The disk is full from the moment on, for a while. One attempt only: whoever is charged for it fails."""
    run = Run(folder, scenario, training__max_attempts=1)
    flag = run.root.control / "full-until"
    daemon = run.start(changes.filling(moment, FULL_SECONDS, flag))
    wrong = _stop(daemon) if run.live(daemon) is None else ["the daemon ended by itself"]
    wrong += run.expect(most_attempts=10, may_not_begin=True)
    return {"reached": flag.exists(), "wrong": wrong, "looks": run.reader.looks}


def _answer(folder: Path, scenario: Scenario, what: str, moment: tuple[str, str]) -> dict[str, Any]:
    """How a run went. Its folder stays if something is wrong."""
    answer: dict[str, Any] = {"moment": moment}
    try:
        answer |= {"kill": kill, "fill": fill}[what](folder, scenario, moment)
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
    scenario = SCENARIOS[order["scenario"]](folder / "sources")
    if order["what"] == "note":
        print(json.dumps(note(folder / "run", scenario)))
        return
    wrong = 0
    for number, moment in enumerate(order["moments"]):
        for attempt in range(MOST_RUNS):
            answer = _answer(folder / f"run{number:04}-{attempt}", scenario, order["what"], tuple(moment))
            if answer["reached"] or answer["wrong"]:
                break
        print(json.dumps(answer), flush=True)
        wrong += bool(answer["wrong"])
        if wrong >= MOST_WRONG:
            break


if __name__ == "__main__":
    main()
