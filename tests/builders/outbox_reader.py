"""Somebody who polls ``outbox/`` all the while, and believes what the contract says; and the books at the end."""

import contextlib
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from segdrop.spool.layout import SENTINEL_NAME, RootLayout

_RESULT_NAME = re.compile(r"[a-z0-9_-]+-\d{8}T\d{6}Z-[0-9a-f]{4}\.(zip|json)")
#: a daemon that starts tries whether files can be renamed: an empty one, hidden, for a moment
_PROBE_NAME = ".segdrop-probe"
#: below the root, what may be there while no daemon runs: its lock, the last cheap check (replaced by the next)
_OURS = (".copies", ".daemon.lock", ".inspection", ".late-requests.json", ".measurements.json")
_KEPT = frozenset({SENTINEL_NAME, "metrics.prom", *(f"work/{name}" for name in _OURS)})


class OutboxReader:
    """Whatever is seen there is final: a ZIP is whole, an answer parses and has its ZIP beside it, and both stay so."""

    def __init__(self, layout: RootLayout) -> None:
        self.layout = layout
        self.foreign: set[str] = set()  #: names in ``work/`` that belong to others, and stay
        self.set_aside: set[str] = set()  #: jobs whose folders could not be understood: their books are not kept here
        self.reserved = False  #: whether names may be empty for a moment, as where there are no hard links
        self.answers: dict[str, dict[str, Any]] = {}  #: by job
        self.wrong: list[str] = []
        self.looks = 0
        self._seen: dict[str, tuple[int, str]] = {}  #: size and SHA-256 of each file at first sight

    def look(self) -> None:
        self.looks += 1
        try:
            names = {path.name for path in self.layout.outbox.iterdir()}
        except FileNotFoundError:  # the first daemon has not made it yet
            return
        self.wrong += [f"{name} disappeared" for name in sorted(self._seen.keys() - names)]
        for name in sorted(names - self._seen.keys()):
            if name == self.layout.status.name:
                self._parse(name, (self.layout.outbox / name).read_bytes())
            elif _RESULT_NAME.fullmatch(name):
                self._take(name)
            elif name != _PROBE_NAME:
                self.wrong.append(f"{name} is in the outbox")

    def _take(self, name: str) -> None:
        if name in self._seen:  # with its answer
            return
        content = (self.layout.outbox / name).read_bytes()
        if self.reserved and not content:
            return
        self._seen[name] = _digest(content)
        if name.endswith(".json"):
            answer = self.answers[name.removesuffix(".json")] = self._parse(name, content)
            self._expect_result(name, answer.get("result"))

    def _expect_result(self, name: str, result: dict[str, Any] | None) -> None:
        if result is None:
            return
        try:
            self._take(result["name"])
        except FileNotFoundError:
            self.wrong.append(f"{name} is there without its ZIP")
            return
        seen = self._seen[result["name"]]
        if seen != (result["bytes"], result["sha256"]):
            self.wrong.append(f"{name} tells of another ZIP than the one beside it, of {seen[0]} bytes when first seen")

    def _parse(self, name: str, content: bytes) -> Any:
        try:
            return json.loads(content)
        except ValueError:
            self.wrong.append(f"{name} does not parse: {content[-80:]!r}")
            return {}

    # at the end

    def audit(self, inputs: dict[str, bytes], sidecars: dict[str, bytes]) -> list[str]:
        """What is wrong with the root once everything is answered and no daemon runs; and what was wrong before.

        ``inputs``: by name, everything that was ever dropped. Each has one answer, and each retry one of its own;
        each answer's input lies in one place, whole.
        """
        self.look()
        wrong = list(dict.fromkeys(self.wrong))
        changed = (n for n, seen in self._seen.items() if _digest((self.layout.outbox / n).read_bytes()) != seen)
        wrong += [f"{name} has changed since it was first seen" for name in changed]
        answers = {job: answer for job, answer in self.answers.items() if job not in self.set_aside}
        originals = [answer for answer in answers.values() if "retry_of" not in answer]
        counted = Counter(answer["input"]["name"] for answer in originals)
        wrong += [f"{name} has {counted[name]} answers" for name in inputs if counted[name] != 1]
        wrong += [f"{name} was never dropped" for name in counted if name not in inputs]
        wrong += [found for job, answer in answers.items() for found in self._archive_of(job, answer, inputs)]
        wrong += self._sidecars(sidecars)
        wrong += self._strangers()
        return wrong

    def _archive_of(self, job: str, answer: dict[str, Any], inputs: dict[str, bytes]) -> list[str]:
        name = answer["input"]["name"]
        places = [folder / job / name for folder in (self.layout.done, self.layout.failed)]
        there = [path for path in places if path.exists()]
        expected = self.layout.done if answer["status"] in ("succeeded", "duplicate") else self.layout.failed
        if [path.parent.parent for path in there] != [expected]:
            return [f"the input of {job} ({answer['status']}) is in {[str(path) for path in there]}"]
        if there[0].read_bytes() != inputs[name]:
            return [f"the input of {job} is not what was dropped"]
        result = self.layout.published_zip(job)
        if result.exists() != (answer["status"] == "succeeded"):
            return [f"{job} is {answer['status']}, and its ZIP is {'' if result.exists() else 'not '}there"]
        return []

    def _sidecars(self, sidecars: dict[str, bytes]) -> list[str]:
        wrong = []
        for name, content in sidecars.items():
            archive = Path(name).with_suffix(".zip").name
            jobs = [job for job, answer in self.answers.items() if answer["input"]["name"] == archive]
            for job in jobs:
                found = [folder / job / name for folder in (self.layout.done, self.layout.failed)]
                there = [path.read_bytes() for path in found if path.exists()]
                if there != [content]:
                    wrong.append(f"the sidecar of {job} lies there {len(there)} times, or is another")
        return wrong

    def _strangers(self) -> list[str]:
        """Files that belong to nothing: temporary ones, above all."""
        root = self.layout.root
        foreign = tuple(self.layout.work / name for name in self.foreign)
        wrong = [f"{path.name} is left in work/" for path in self.layout.work.glob("[!.]*") if path not in foreign]
        wrong += [f"{path.name} is left in the inbox" for path in self.layout.inbox.iterdir()]
        for path in root.rglob("*"):
            if any(path.is_relative_to(theirs) for theirs in foreign):
                continue
            relative = path.relative_to(root).as_posix()
            if path.name.endswith(".tmp") or (path.name.startswith(".") and relative not in _KEPT):
                wrong.append(f"{relative} is left")
        archived = {path.name for folder in (self.layout.done, self.layout.failed) for path in folder.iterdir()}
        wrong += [
            f"{name} was put away without an answer" for name in sorted(archived - set(self.answers) - self.set_aside)
        ]
        published = {path.stem for path in self.layout.outbox.glob("*.zip")}
        wrong += [f"{name}.zip is in the outbox without its JSON" for name in sorted(published - set(self.answers))]
        return wrong

    def manifests(self) -> dict[str, dict[str, Any]]:
        """The jobs in ``work/``, by id, as their manifests say."""
        found = {}
        for manifest in self.layout.work.glob("[!.]*/job.json"):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
                found[manifest.parent.name] = json.loads(manifest.read_bytes())
        return found


def _digest(content: bytes) -> tuple[int, str]:
    return len(content), hashlib.sha256(content).hexdigest()
