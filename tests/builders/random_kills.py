"""``python -m builders.random_kills ORDER``: many tiny jobs, while daemon and children get SIGKILL at random moments.

Among them, what is nobody's fault here (``builders.mishaps``): a ZIP and a request that cannot be renamed before half
of the kills are done, folders of another user in ``work/``, a job folder that is damaged, and one that has lost its
dataset. It wants a mount namespace of its own, and to be bound by permissions.

ORDER is a JSON file: folder, seed, jobs, kills. Prints one JSON object: what happened, and what is wrong. How long a
daemon lives is counted in children that are started, so that a slow machine gets as far as a fast one.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import forked, write_dataset
from builders.crash_runs import SETTINGS
from builders.daemons import Root, children_of, commented, is_alive, wait_until
from builders.mishaps import FOREIGN, Busy, Foreign, SetAside, lose_dataset
from builders.outbox_reader import OutboxReader
from segdrop.spool.store import Store
from segdrop.stages import attempts

POLL_SECONDS = 0.005
#: no child for so long: it hangs
STILL_SECONDS = 120.0
MOST_CHILDREN = 9  #: a daemon, or the peace between two kills, lasts for at most so many
MOST_DELAY_SECONDS = 0.04  #: after the last of them: the kill falls anywhere
FILES_IN_INBOX = 24
MAX_ATTEMPTS = 3
MODEL_BYTES = 100_000
#: by the first letters of the input's name: what the stand-in does, and of a hundred inputs, how many
KINDS: dict[str, tuple[dict[str, Any] | None, int]] = {
    "short": ({"epochs": 1}, 30),
    "long": ({"epochs": 6}, 30),
    "slip": ({"ending": "die", "ending_at": 0, "times": 1}, 8),  # dies once
    "step": ({"epochs": 3, "ending": "die", "further": True}, 6),  # dies after each epoch
    "dead": ({"ending": "die", "ending_at": 0}, 6),  # dies every time
    "twin": ({"epochs": 1}, 10),  # the same bytes as a long one
    "text": (None, 10),  # no ZIP
}
#: Beside those: names of the files that cannot be renamed for a while, and the request of the one whose ZIP can be.
BUSY_ZIP, BOXED_ZIP, BOXED_REQUEST = "busy.zip", "boxed.zip", "boxed.json"
BOXED_SEED = 7
#: of a queued job whose folder loses its dataset
LOST_ZIP = "lost.zip"


@dataclass(frozen=True, slots=True)
class Child:
    pid: int
    role: str
    job: str


class Children:
    """Every child that noted its own start, in order."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self.seen: list[Child] = []

    def look(self) -> list[Child]:
        self.seen += [Child(*child) for child in forked.children(self._root, first=len(self.seen))]
        return self.seen

    def alive(self, daemon: int) -> list[Child]:
        own = set(children_of(daemon))
        return [child for child in self.look()[-20:] if child.pid in own and is_alive(child.pid)]


class Inputs:
    """What is dropped, in random order; ``kinds`` by name."""

    def __init__(self, folder: Path, count: int, dice: random.Random) -> None:
        base = write_dataset(folder / "base.zip", count=2)
        self.contents: dict[str, bytes] = {}
        self.sidecars: dict[str, bytes] = {}
        for kind, (_, share) in KINDS.items():
            for number in range(count * share // 100):
                name = f"{kind}{number:03}.zip"
                comment = name.replace("twin", "long")
                self.contents[name] = b"no ZIP" if kind == "text" else commented(base, comment)
                if dice.random() < 1 / 3:
                    self.sidecars[f"{kind}{number:03}.json"] = json.dumps({"priority": dice.randint(-3, 3)}).encode()
        for name in (BUSY_ZIP, BOXED_ZIP):
            self.contents[name] = commented(base, name)
        self.sidecars[BOXED_REQUEST] = json.dumps({"seed": BOXED_SEED}).encode()
        self.lost = commented(base, LOST_ZIP)
        behaviours = {Path(name).stem: KINDS.get(kind_of(name), ({}, 0))[0] for name in self.contents}
        self.plan = {
            stem: behaviour | {"size": MODEL_BYTES} for stem, behaviour in behaviours.items() if behaviour is not None
        }
        self.order = sorted(self.contents.keys() - {BUSY_ZIP, BOXED_ZIP})
        dice.shuffle(self.order)


def kind_of(name: str) -> str:
    return name[:4] if name[:5] != "short" else "short"


class RandomKills:
    """One root, its people, the killer; daemons come and go."""

    def __init__(self, folder: Path, seed: int, jobs: int, kills: int) -> None:
        self.dice = random.Random(seed)
        self.root = Root(folder / "run", **SETTINGS, training__max_attempts=MAX_ATTEMPTS)
        self.reader = OutboxReader(self.root.layout)
        self.children = Children(self.root)
        self.inputs = Inputs(folder, jobs, self.dice)
        self.root.plan(**self.inputs.plan)
        self.wanted_kills = kills
        self.kills: Counter[str] = Counter()  #: of daemons, and of children by role
        self.hits: Counter[str] = Counter()  #: kills that a job in training or packing could have been charged for
        self.check_hits: Counter[str] = Counter()  #: kills of its check
        self.inspect_hits = [0]  #: kills of cheap checks, by daemon
        self.wrong: list[str] = []
        self._waiting = list(self.inputs.order)
        self._attempts: dict[str, int] = {}
        self._foreign = Foreign(self.root.layout)
        self.reader.foreign |= set(FOREIGN)
        self._damaged = [self._lose_a_dataset(), SetAside.broken(self.root.layout)]
        self.reader.set_aside |= {damaged.job for damaged in self._damaged}
        self._busy = self._drop_busy()
        self._daemon = forked.start_daemon(self.root)

    def run(self) -> None:
        while self.kills.total() < self.wanted_kills and not self._done():
            self._kill_sometime()
        self._until(self._done)
        os.kill(self._daemon, signal.SIGTERM)
        _, status = os.waitpid(self._daemon, 0)
        if status != 0:
            self.wrong.append(f"the last daemon ended with {os.waitstatus_to_exitcode(status)}")

    # mishaps

    def _lose_a_dataset(self) -> SetAside:
        """Of the first job of all, while nothing is started and no daemon runs."""
        layout = self.root.layout
        pause = layout.inbox / "PAUSE"
        pause.touch()
        self._move_in(LOST_ZIP, self.inputs.lost)
        daemon = forked.start_daemon(self.root)
        wait_until(lambda: self.root.states().get(LOST_ZIP) == "checked", "a queued job")
        os.kill(daemon, signal.SIGTERM)
        os.waitpid(daemon, 0)
        pause.unlink()
        (job,) = self.reader.manifests()
        return lose_dataset(layout, job)

    def _drop_busy(self) -> list[Busy]:
        inbox = self.root.layout.inbox
        self._move_in(BOXED_REQUEST, self.inputs.sidecars[BOXED_REQUEST])
        self._move_in(BUSY_ZIP, self.inputs.contents[BUSY_ZIP])
        held = [Busy(inbox / BOXED_REQUEST), Busy(inbox / BUSY_ZIP)]
        self._move_in(BOXED_ZIP, self.inputs.contents[BOXED_ZIP])
        return held

    def _release(self) -> None:
        """Half of the kills are done, or nothing else is left to do."""
        if self.kills.total() < self.wanted_kills / 2 and self._num_answered() < len(self.inputs.order):
            return
        if self._busy[0].held and self._answered_names() & {BUSY_ZIP, BOXED_ZIP}:
            self.wrong.append("what could not be renamed was answered")
        for busy in self._busy:
            busy.release()

    def _answered_names(self) -> set[str]:
        return {answer["input"]["name"] for answer in self.reader.answers.values()}

    def _num_answered(self) -> int:
        return len(self.reader.answers.keys() - self.reader.set_aside)

    # people

    def _drop(self) -> None:
        """Keep some files in the inbox, each moved there in one step, its request first."""
        there = len(list(self.root.layout.inbox.glob("*.zip")))
        for _ in range(min(FILES_IN_INBOX - there, len(self._waiting))):
            name = self._waiting.pop()
            sidecar = Path(name).with_suffix(".json").name
            self._move_in(sidecar, self.inputs.sidecars.get(sidecar))
            self._move_in(name, self.inputs.contents[name])

    def _move_in(self, name: str, content: bytes | None) -> None:
        if content is not None:
            (self.root.control / name).write_bytes(content)
            (self.root.control / name).rename(self.root.layout.inbox / name)

    def _done(self) -> bool:
        if self._num_answered() < len(self.inputs.contents):
            return False
        layout = self.root.layout
        left = {path.name for path in (*layout.work.glob("[!.]*"), *layout.work.glob(".*.removed"))}
        return not left - self.reader.foreign and not [*layout.inbox.iterdir()]

    def _until(self, condition: Callable[[], bool]) -> None:
        """Look at the outbox all the while."""
        last, since = 0, time.monotonic()
        while not condition():
            self._drop()
            self.reader.look()
            self._release()
            if os.waitpid(self._daemon, os.WNOHANG)[0]:
                raise AssertionError("a daemon ended by itself")
            if (number := len(self.children.look())) != last:
                last, since = number, time.monotonic()
            elif time.monotonic() > since + STILL_SECONDS:
                raise TimeoutError(f"nothing was started for {STILL_SECONDS:.0f} s: {self.reader.manifests()}")
            time.sleep(POLL_SECONDS)

    # the killer

    def _kill_sometime(self) -> None:
        target = self.dice.choice(("daemon", "child", "both"))
        enough = len(self.children.look()) + self.dice.randrange(MOST_CHILDREN)
        delay, choice = self.dice.uniform(0, MOST_DELAY_SECONDS), self.dice.random()
        self._until(lambda: len(self.children.look()) >= enough or self._done())
        time.sleep(delay)
        if target != "daemon":
            self._kill_child(choice)
        if target != "child":
            self._kill_daemon()

    def _kill_child(self, choice: float) -> None:
        self._until(lambda: bool(self.children.alive(self._daemon)) or self._done())
        if alive := self.children.alive(self._daemon):
            victim = alive[int(choice * len(alive))]
            os.kill(victim.pid, signal.SIGKILL)  # ended meanwhile: then it waits to be collected, and takes no harm
            self.kills[victim.role] += 1
            match victim.role:
                case "inspect":
                    self.inspect_hits[-1] += 1
                case "check":
                    self.check_hits[victim.job] += 1
                case _:
                    self.hits[victim.job] += 1

    def _kill_daemon(self) -> None:
        os.kill(self._daemon, signal.SIGKILL)
        os.waitpid(self._daemon, 0)
        self.kills["daemon"] += 1
        orphans = self.children.look()[-20:]
        wait_until(lambda: not any(is_alive(child.pid) for child in orphans), "the children die with the daemon")
        self._read_books()
        self.inspect_hits.append(0)
        self._daemon = forked.start_daemon(self.root)

    def _read_books(self) -> None:
        """Nobody is at work: what is on disk is all there is. Every start has left a mark, and is counted for good."""
        starts = Counter(name for name, _, _ in self.root.starts())
        for job, manifest in self.reader.manifests().items():
            name, store = manifest["input_name"], Store(self.root.layout)
            made = attempts.number(store.load(job), store.files(job))
            least = max(starts[name], self._attempts.get(job, 0))
            if made < least:
                self.wrong.append(f"{job}: {made} attempts on record after {least}")
            self._attempts[job] = made
            if manifest["state"] in ("running", "computed"):
                self.hits[job] += 1

    # at the end

    def audit(self) -> list[str]:
        wrong = self.reader.audit(self.inputs.contents, self.inputs.sidecars)
        wrong += [found for damaged in self._damaged for found in damaged.wrong()]
        return wrong + self._foreign.wrong()

    def told(self) -> dict[str, Any]:
        return {
            "jobs": len(self.inputs.contents),
            "looks": self.reader.looks,
            "wrong": self.wrong,
            "kills": self.kills,
            "hits": self.hits,
            "check_hits": self.check_hits,
            "inspect_hits": self.inspect_hits,
            "starts": self.root.starts(),
            "answers": [answer for job, answer in self.reader.answers.items() if job not in self.reader.set_aside],
        }


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_bytes())
    forked.preload()
    run = RandomKills(Path(order["folder"]), order["seed"], order["jobs"], order["kills"])
    try:
        run.run()
        run.wrong += run.audit()
    except (AssertionError, TimeoutError) as error:
        run.wrong.append(repr(error))
    print(json.dumps(run.told()))


if __name__ == "__main__":
    main()
