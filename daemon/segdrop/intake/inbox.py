"""The inbox as the scans see it: what is there, what has settled, what waits and why.

All of this is memory that a restart rebuilds by looking again; nothing here is needed for a file not to be lost.
"""

import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from segdrop import logs
from segdrop.errors import Issue
from segdrop.intake import ending as ending_of_file
from segdrop.intake import names, settle
from segdrop.intake.listing import Listing
from segdrop.settings import IntakeSettings

_MAX_REPORTED_BYSTANDERS = 200


@dataclass(frozen=True, slots=True)
class Inspection:
    """The cheap check's answer about one arrival."""

    issues: list[Issue]
    accepted: bool
    priority: int = 0
    cache_bytes: int = 0  #: disk space for the decoded images


@dataclass(slots=True)
class Arrival:
    """A ZIP in the inbox, with its sidecar."""

    name: str
    sidecar_name: str | None
    observation: settle.Observation
    ending: settle.Ending | None = None
    settled: bool = False
    inspection: Inspection | None = None
    reason: str = ""  #: why it waits
    reader_kills: int = 0  #: how often the cheap check was ended from outside at this ZIP

    @property
    def order(self) -> tuple[int, int, str]:
        priority = self.inspection.priority if self.inspection else 0
        return (-priority, self.observation.archive.ctime_ns, self.name)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    stamp: settle.Stamp


class Inbox:
    """Scans one folder; remembers, between scans, since when each file has been unchanged."""

    def __init__(
        self,
        folder: Path,
        settings: IntakeSettings,
        read_ending: Callable[[Path], settle.Ending] = ending_of_file.read,
    ) -> None:
        self.folder = folder
        self.arrivals: dict[str, Arrival] = {}
        self.bystanders: dict[str, str] = {}  #: name → why it is left alone
        self.paused = False  #: somebody put PAUSE into the inbox
        self.cancels: list[str] = []  #: jobs that somebody asked to end
        self.retries: list[str] = []  #: jobs that somebody asked to run again
        self._settings = settings
        self._read_ending = read_ending
        self._listing = Listing(folder)

    def scan(self, now: float) -> None:
        """Look at every ZIP and every request. OSError if the folder itself cannot be read."""
        listed = self._listing.names()
        bystanders: dict[str, str] = {}
        sidecars = self._sidecars(listed.sidecars, bystanders)
        arrivals = {}
        for name in listed.archives:
            if stamp := _regular(self.folder / name):
                sidecar = sidecars.pop(names.stem(name), None)
                arrivals[name] = self._update(_Entry(name, stamp), sidecar, now)
        for name in self.arrivals.keys() - arrivals.keys():
            logs.get().debug("file.gone", file=name)
        self.arrivals = arrivals
        self.paused = names.PAUSE_NAME in listed.controls
        self.cancels = names.targets(listed.controls, names.CANCEL_SUFFIX)
        self.retries = names.targets(listed.controls, names.RETRY_SUFFIX)
        bystanders |= dict.fromkeys((entry.name for entry in sidecars.values()), "a request without its ZIP")
        self.bystanders = listed.bystanders | bystanders
        logs.get().debug("inbox.scanned", archives=len(arrivals), others=len(self.bystanders))

    def next_due(self, now: float) -> float:
        """Seconds until the next scan is worth while. What is overdue cannot be read: a scan like any other will do."""
        waits = [self._remaining(arrival, now) for arrival in self.arrivals.values() if not arrival.settled]
        return max(0.05, min([self._settings.scan_seconds, *(wait for wait in waits if wait > 0)]))

    def forget(self, arrival: Arrival) -> None:
        """It was claimed, or is gone."""
        self.arrivals.pop(arrival.name, None)

    def postpone(self, arrival: Arrival, reason: str) -> None:
        """It cannot be read at the moment: it starts anew at the next scan."""
        arrival.settled = False
        arrival.ending = None
        arrival.inspection = None
        self._wait(arrival, reason)

    def hold(self, arrival: Arrival, reason: str) -> None:
        """It has to wait for a while."""
        self._wait(arrival, reason)

    def to_inspect(self) -> list[Arrival]:
        return sorted((a for a in self.arrivals.values() if a.settled and a.inspection is None), key=lambda a: a.order)

    def rejected(self) -> list[Arrival]:
        return [a for a in self.arrivals.values() if a.inspection and not a.inspection.accepted]

    def ready(self) -> list[Arrival]:
        """What passed the cheap check, first to be served first."""
        return sorted(
            (a for a in self.arrivals.values() if a.inspection and a.inspection.accepted),
            key=lambda a: a.order,
        )

    def unsettled(self) -> bool:
        """Whether anything may still become a job by itself."""
        return any(not a.reason.startswith("unreadable") for a in self.arrivals.values())

    def reported_bystanders(self) -> Iterable[tuple[str, str]]:
        return list(self.bystanders.items())[:_MAX_REPORTED_BYSTANDERS]

    def _sidecars(self, listed: list[str], bystanders: dict[str, str]) -> dict[str, _Entry]:
        """By stem; a second one for the same stem is a bystander."""
        sidecars: dict[str, _Entry] = {}
        for name in listed:
            if stamp := _regular(self.folder / name):
                entry = sidecars.setdefault(names.stem(name), _Entry(name, stamp))
                if entry.name != name:
                    bystanders[name] = f"a second request beside {entry.name}"
        return sidecars

    def _update(self, entry: _Entry, sidecar: _Entry | None, now: float) -> Arrival:
        known = self.arrivals.get(entry.name)
        observation = settle.observe(
            known.observation if known else None, entry.stamp, sidecar.stamp if sidecar else None, now
        )
        if known is None or observation is not known.observation:
            if known is None:
                logs.get().info("file.seen", file=entry.name, bytes=entry.stamp.size)
            known = Arrival(entry.name, sidecar.name if sidecar else None, observation, reason="arriving")
        if not known.settled:
            self._settle(known, now)
        return known

    def _settle(self, arrival: Arrival, now: float) -> None:
        if self._remaining(arrival, now) > 0:
            return
        if arrival.ending is None:
            try:
                if arrival.sidecar_name is not None:  # before any child is started that could not read it either
                    (self.folder / arrival.sidecar_name).open("rb").close()
                arrival.ending = self._read_ending(self.folder / arrival.name)
            except FileNotFoundError:
                return
            except OSError as error:
                self._wait(arrival, f"unreadable: {error.strerror}")
                return
        if self._remaining(arrival, now) > 0:
            self._wait(arrival, "looks incomplete: still arriving, or cut off")
            return
        arrival.settled = True
        if not arrival.reason.startswith("unreadable"):  # that stays until a check has read it
            arrival.reason = "to be checked"
        if arrival.ending is settle.Ending.NOT_A_ZIP:
            message = f"{arrival.name} does not begin like a ZIP"
            arrival.inspection = Inspection(
                [Issue.of("archive.not_a_zip", message, files=[arrival.name])], accepted=False
            )
        elif arrival.ending is settle.Ending.INCOMPLETE:
            size = arrival.observation.archive.size
            message = f"{arrival.name} ({size} bytes) has no complete directory, and has not changed for a while"
            arrival.inspection = Inspection(
                [Issue.of("archive.truncated", message, files=[arrival.name])], accepted=False
            )

    def _remaining(self, arrival: Arrival, now: float) -> float:
        return settle.remaining_seconds(
            arrival.observation,
            arrival.ending,
            now,
            settle_seconds=self._settings.settle_seconds,
            incomplete_seconds=self._settings.incomplete_seconds,
        )

    @staticmethod
    def _wait(arrival: Arrival, reason: str) -> None:
        if arrival.reason != reason:
            arrival.reason = reason
            logs.get().warning("file.waiting", file=arrival.name, reason=reason)


def _regular(path: Path) -> settle.Stamp | None:
    """The stamp of a regular file; None for anything else, and for what is gone since it was listed: withdrawn."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return settle.Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
