"""``python -m builders.random_kills ORDER``: many tiny jobs, while daemon and children get SIGKILL at random moments.

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
from builders.outbox_reader import OutboxReader

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
        behaviours = {Path(name).stem: KINDS[kind_of(name)][0] for name in self.contents}
        self.plan = {stem: behaviour | {"size": MODEL_BYTES} for stem, behaviour in behaviours.items() if behaviour}
        self.order = sorted(self.contents)
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
        self._daemon = forked.start_daemon(self.root)

    def run(self) -> None:
        while self.kills.total() < self.wanted_kills and not self._done():
            self._kill_sometime()
        self._until(self._done)
        os.kill(self._daemon, signal.SIGTERM)
        _, status = os.waitpid(self._daemon, 0)
        if status != 0:
            self.wrong.append(f"the last daemon ended with {os.waitstatus_to_exitcode(status)}")

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
        if len(self.reader.answers) < len(self.inputs.contents):
            return False
        layout = self.root.layout
        return not [*layout.work.glob("[!.]*"), *layout.work.glob(".*.removed"), *layout.inbox.iterdir()]

    def _until(self, condition: Callable[[], bool]) -> None:
        """Look at the outbox all the while."""
        last, since = 0, time.monotonic()
        while not condition():
            self._drop()
            self.reader.look()
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
        """Nobody is at work: what is on disk is all there is. Every start was on record before, and stays there."""
        starts = Counter(name for name, _, _ in self.root.starts())
        for job, manifest in self.reader.manifests().items():
            attempts, name = manifest["attempts"], manifest["input_name"]
            least = max(starts[name], self._attempts.get(job, 0))
            if attempts < least:
                self.wrong.append(f"{job}: {attempts} attempts on record after {least}")
            self._attempts[job] = attempts
            if manifest["state"] in ("started", "trained"):
                self.hits[job] += 1

    # at the end

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
            "answers": list(self.reader.answers.values()),
        }


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_bytes())
    forked.preload()
    run = RandomKills(Path(order["folder"]), order["seed"], order["jobs"], order["kills"])
    try:
        run.run()
        run.wrong += run.reader.audit(run.inputs.contents, run.inputs.sidecars)
    except (AssertionError, TimeoutError) as error:
        run.wrong.append(repr(error))
    print(json.dumps(run.told()))


if __name__ == "__main__":
    main()
