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
#: below the root, what may be there while no daemon runs: its lock, the last cheap check (replaced by the next)
_KEPT = frozenset({SENTINEL_NAME, "metrics.prom", "work/.daemon.lock", "work/.inspection"})


class OutboxReader:
    """Whatever is seen of an answer is final: it parses, its ZIP is there and whole, and it stays as it is."""

    def __init__(self, layout: RootLayout) -> None:
        self.layout = layout
        self.answers: dict[str, dict[str, Any]] = {}  #: by job
        self.wrong: list[str] = []
        self.looks = 0
        self._contents: dict[str, bytes] = {}

    def look(self) -> None:
        self.looks += 1
        try:
            names = {path.name for path in self.layout.outbox.iterdir()}
        except FileNotFoundError:  # the first daemon has not made it yet
            return
        self.wrong += [f"{job}.json disappeared" for job in self.answers if f"{job}.json" not in names]
        for name in sorted(names):
            if name == self.layout.status.name:
                self._read(self.layout.status)
            elif not _RESULT_NAME.fullmatch(name):
                self._expect_probe(name)
            elif name.endswith(".json") and name.removesuffix(".json") not in self.answers:
                self._take(name)

    def _expect_probe(self, name: str) -> None:
        """A daemon that starts tries whether files can be renamed: an empty one, hidden, for a moment."""
        if name != ".segdrop-probe":
            self.wrong.append(f"{name} is in the outbox")

    def _read(self, path: Path) -> tuple[bytes, Any]:
        content = path.read_bytes()
        try:
            return content, json.loads(content)
        except ValueError:
            self.wrong.append(f"{path.name} does not parse: {content[-80:]!r}")
            return content, {}

    def _take(self, name: str) -> None:
        job = name.removesuffix(".json")
        content, answer = self._read(self.layout.outbox / name)
        self.answers[job], self._contents[job] = answer, content
        if result := answer.get("result"):
            try:
                archive = (self.layout.outbox / result["name"]).read_bytes()
            except FileNotFoundError:
                self.wrong.append(f"{name} is there without its ZIP")
                return
            if (len(archive), hashlib.sha256(archive).hexdigest()) != (result["bytes"], result["sha256"]):
                self.wrong.append(f"{name} tells of another ZIP than the one beside it, of {len(archive)} bytes")

    # at the end

    def audit(self, inputs: dict[str, bytes], sidecars: dict[str, bytes]) -> list[str]:
        """What is wrong with the root once everything is answered and no daemon runs; and what was wrong before.

        ``inputs``: by name, everything that was ever dropped. Each has one answer, and each retry one of its own;
        each answer's input lies in one place, whole.
        """
        self.look()
        wrong = list(dict.fromkeys(self.wrong))
        for job, content in self._contents.items():
            if self.layout.published_json(job).read_bytes() != content:
                wrong.append(f"{job}.json has changed since it was first seen")
        originals = [answer for answer in self.answers.values() if "retry_of" not in answer]
        counted = Counter(answer["input"]["name"] for answer in originals)
        wrong += [f"{name} has {counted[name]} answers" for name in inputs if counted[name] != 1]
        wrong += [f"{name} was never dropped" for name in counted if name not in inputs]
        wrong += [found for job, answer in self.answers.items() for found in self._archive_of(job, answer, inputs)]
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
        wrong = [f"{path.name} is left in work/" for path in self.layout.work.glob("[!.]*")]
        wrong += [f"{path.name} is left in the inbox" for path in self.layout.inbox.iterdir()]
        for path in root.rglob("*"):
            relative = path.relative_to(root).as_posix()
            if path.name.endswith(".tmp") or (path.name.startswith(".") and relative not in _KEPT):
                wrong.append(f"{relative} is left")
        archived = {path.name for folder in (self.layout.done, self.layout.failed) for path in folder.iterdir()}
        wrong += [f"{name} was put away without an answer" for name in sorted(archived - set(self.answers))]
        published = {path.stem for path in self.layout.outbox.glob("*.zip")}
        wrong += [f"{name}.zip is in the outbox without its JSON" for name in sorted(published - set(self.answers))]
        return wrong

    def manifests(self) -> dict[str, dict[str, Any]]:
        """The jobs in ``work/``, by id, as their manifests say."""
        found = {}
        for manifest in self.layout.work.glob("[!.]*/job.json"):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found[manifest.parent.name] = json.loads(manifest.read_bytes())
        return found
