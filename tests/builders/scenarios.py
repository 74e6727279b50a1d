"""What happens on a root while ``builders.crash_runs`` has its accidents: small stories, the same in every run.

Each part of a story is one sequence: what people do waits for what they see, and what happens to a file happens at a
certain change (``builders.changes``), never at a certain time.
"""

from __future__ import annotations

import contextlib
import errno
import json
from typing import TYPE_CHECKING, Any

from builders import changes, write_dataset, write_zip
from builders.mishaps import SetAside

if TYPE_CHECKING:
    from pathlib import Path

    from builders.crash_runs import Run
    from builders.daemons import Root
    from builders.outbox_reader import OutboxReader

_SIDECAR = json.dumps({"level": 1, "seed": 7}).encode()
_BAD_SIDECAR = b'{"level": 9}'  #: plainly bad: the cheap check finds it


class Scenario:
    """``inputs``: what every name holds in the end. ``expected``: by name, and whether it is a retry."""

    expected: dict[tuple[str, bool], str]
    refusals: tuple[changes.Act, ...] = ()  #: of certain changes, to every daemon

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.inputs: dict[str, bytes] = {}
        self.sidecars: dict[str, bytes] = {}
        self.plan: dict[str, dict[str, Any]] = {}
        self.make()

    def make(self) -> None:
        """The contents, once."""
        raise NotImplementedError

    def dataset(self, name: str, **parameters: Any) -> bytes:
        return write_dataset(self.folder / name, **parameters).read_bytes()

    @property
    def dropped(self) -> dict[str, bytes]:
        """The inputs, as they lie in the inbox at first."""
        return self.inputs

    def prepare(self, root: Root, reader: OutboxReader) -> list[SetAside]:
        """Before the first daemon; the folders that are expected to be set aside."""
        return []

    def happens(self, root: Root) -> list[changes.Act]:
        """To files, at certain changes; to every daemon."""
        return []

    def act_as_people(self, run: Run) -> None:
        """At every look."""

    def is_over(self, run: Run) -> bool:
        """Whether the daemon has done all that it does after the last answer."""
        return True

    def is_expected(self, found: dict[tuple[str, bool], str]) -> bool:
        return found == self.expected

    def wrong(self, answers: list[dict[str, Any]]) -> list[str]:
        """In the answers, besides what is ``expected``."""
        return []


class Everyday(Scenario):
    """Good with its sidecar, plainly bad, duplicate of the good one, one that is cancelled while it trains; and the bad
    one is asked for again.
    """

    expected = {  # noqa: RUF012
        ("good.zip", False): "succeeded",
        ("bad.zip", False): "rejected",
        ("bad.zip", True): "rejected",
        ("same.zip", False): "duplicate",
        ("victim.zip", False): "cancelled",
    }

    def make(self) -> None:
        good = self.dataset("good.zip", count=2)
        bad = self.dataset("bad.zip", count=2, extra={"images/alone.png": b"no image"})
        victim = self.dataset("victim.zip", count=3)
        self.inputs = {"good.zip": good, "bad.zip": bad, "same.zip": good, "victim.zip": victim}
        self.sidecars = {"good.json": _SIDECAR, "same.json": _SIDECAR, "bad.json": _BAD_SIDECAR}
        self.plan = {"good": {"epochs": 2}, "victim": {"epochs": 2, "hold": 1}}

    def act_as_people(self, run: Run) -> None:
        """They cancel the victim while it trains, and ask for the bad one again."""
        for job, manifest in run.reader.manifests().items():
            if manifest["input_name"] == "victim.zip" and manifest["state"] == "running" and run.is_training(job):
                run.ask(job, "cancel")
        if bad := run.answer_to("bad.zip"):
            run.ask(bad["job"], "retry")

    def is_expected(self, found: dict[tuple[str, bool], str]) -> bool:
        """Of two that ask the same, the second is trained where the first had to wait."""
        good, same = ("good.zip", False), ("same.zip", False)
        exchanged = found | {good: found.get(same, ""), same: found.get(good, "")}
        return self.expected in (found, exchanged)


class WithoutHardLinks(Everyday):
    """Where link(2) is not offered, as on vfat and some shares: names are reserved, a retry copies its input."""

    refusals = (changes.refusing(lambda operation, _name: operation == "link", errno.EPERM),)

    def make(self) -> None:
        super().make()
        for name in ("same", "victim"):
            del self.inputs[f"{name}.zip"]
        del self.sidecars["same.json"]
        self.expected = {key: status for key, status in self.expected.items() if key[0] in self.inputs}

    def prepare(self, root: Root, reader: OutboxReader) -> list[SetAside]:
        reader.reserved = True
        return super().prepare(root, reader)


class Mishaps(Scenario):
    """A good one, and beside it: a job folder that cannot be understood; a ZIP whose rename is refused twice; one that
    its writer makes good after it was claimed as plainly bad; a request that comes when its ZIP has been claimed.
    """

    expected = {  # noqa: RUF012
        ("good.zip", False): "succeeded",
        ("busy.zip", False): "succeeded",
        ("changing.zip", False): "succeeded",
        ("late.zip", False): "succeeded",
    }
    refusals = (
        changes.refusing(
            lambda _operation, name: name in {f"daemon move/rename work/busy/input.zip #{n}" for n in (1, 2)},
            errno.EBUSY,
        ),
    )
    _CLAIM = ("daemon move/rename work/changing/input.zip #1", "after")
    _LATE_SEED = 9

    def make(self) -> None:
        for number, (name, _) in enumerate(self.expected):
            self.inputs[name] = self.dataset(name, count=number + 2)
        self.bad = write_zip(self.folder / "bad.zip", {"a.txt": b"no dataset"}).read_bytes()
        self.sidecars = {"good.json": _SIDECAR}

    @property
    def dropped(self) -> dict[str, bytes]:
        return self.inputs | {"changing.zip": self.bad}

    def prepare(self, root: Root, reader: OutboxReader) -> list[SetAside]:
        damaged = SetAside.broken(root.layout)
        reader.set_aside.add(damaged.job)
        return [damaged]

    def happens(self, root: Root) -> list[changes.Act]:
        """The writer had the file open all the while."""

        def act(_tracer: changes.Tracer, _operation: str, name: str, moment: str) -> None:
            if (name, moment) == self._CLAIM:
                for path in root.layout.work.glob("changing-*/input.zip"):
                    with path.open("r+b") as stream:
                        stream.write(self.inputs["changing.zip"])

        return [act]

    def act_as_people(self, run: Run) -> None:
        """The late request is put in once, whole at once, and taken away in the end, when the daemon has it on record:
        so it is written down equally often in every run.
        """
        layout = run.root.layout
        request = layout.inbox / "late.json"
        for job, manifest in run.reader.manifests().items():
            if manifest["input_name"] == "late.zip" and layout.job(job).input.exists() and job not in run.asked:
                run.asked.add(job)
                prepared = run.root.control / request.name
                prepared.write_text(json.dumps({"seed": self._LATE_SEED}))
                prepared.rename(request)
        if run.answer_to("late.zip") and _is_on_record(layout.late_requests, request.name):
            request.unlink(missing_ok=True)

    def is_over(self, run: Run) -> bool:
        """The request that was taken away has been forgotten: the last thing that is written down in every run."""
        return not _is_known(run.root.layout.late_requests, "late.json")

    def wrong(self, answers: list[dict[str, Any]]) -> list[str]:
        late = [answer for answer in answers if answer["input"]["name"] == "late.zip"]
        return [
            "the late request was taken" for answer in late if (answer["request"] or {}).get("seed") == self._LATE_SEED
        ]


def _is_known(records: Path, name: str) -> bool:
    """Whether a late request stands on record."""
    with contextlib.suppress(FileNotFoundError):
        return name in json.loads(records.read_bytes())
    return False


def _is_on_record(records: Path, name: str) -> bool:
    """Whether a late request is known to have come whole."""
    return _is_known(records, name) and bool(json.loads(records.read_bytes())[name]["whole"])


class Cancelled(Scenario):
    """One job in its check, one queued, one being packed; each is cancelled there, one after the other."""

    expected = {  # noqa: RUF012
        ("packing.zip", False): "cancelled",
        ("queued.zip", False): "cancelled",
        ("checking.zip", False): "cancelled",
    }

    def make(self) -> None:
        for number, (name, _) in enumerate(self.expected):
            self.inputs[name] = self.dataset(name, count=number + 2)
        self.plan = {"others": {"size": 1000}}

    def prepare(self, root: Root, reader: OutboxReader) -> list[SetAside]:
        for point in ("package-packing", "check-checking"):
            root.flag(f"hold-{point}")
        return super().prepare(root, reader)

    def act_as_people(self, run: Run) -> None:
        """The first that came is the last to be cancelled: as long as it is packed, no other is trained."""
        control = run.root.control
        if not (control / "held-package-packing").exists() or not (control / "held-check-checking").exists():
            return
        jobs = {manifest["input_name"]: job for job, manifest in run.reader.manifests().items()}
        for name in ("checking.zip", "queued.zip", "packing.zip"):
            if run.answer_to(name) is None:
                with contextlib.suppress(KeyError):
                    run.ask(jobs[name], "cancel")
                return


SCENARIOS: dict[str, type[Scenario]] = {
    "everyday": Everyday,
    "without-hard-links": WithoutHardLinks,
    "mishaps": Mishaps,
    "cancelled": Cancelled,
}
