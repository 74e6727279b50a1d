"""The inbox as the scans see it: what is there, what has settled, what waits and why.

All of this is memory that a restart rebuilds by looking again; nothing here is needed for a file not to be lost.
"""

import stat
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path

from segdrop import durable, logs, regular_files
from segdrop.codes import Code
from segdrop.errors import Issue
from segdrop.input_kinds import InputKind
from segdrop.intake import ending as ending_of_file
from segdrop.intake import names, near_misses, settle
from segdrop.intake.inputs import Inputs, assign
from segdrop.intake.json_files import JsonFiles
from segdrop.intake.json_top import JsonRole
from segdrop.intake.late import LateRequests
from segdrop.intake.listing import FolderListing, ListedNames
from segdrop.intake.names import FileType, Order, Verb
from segdrop.intake.settle import Stamp
from segdrop.settings import IntakeSettings
from segdrop.spool.job import Job, JobState

_MAX_REPORTED_BYSTANDERS = 200
_MAX_NEAR_MISSES = 10
_TOO_LATE = "came after its input was claimed: touch it if it is for the next one, or remove it"
_SOON_SECONDS = 0.05


class WaitsFor(StrEnum):
    """Who has to do something before an input can be taken."""

    COPIER = "copier"  #: it is still arriving, or may be
    US = "us"  #: the checks, a slot, disk space
    PEOPLE = "people"  #: nothing will change by itself


@dataclass(frozen=True, slots=True)
class QuickCheckAnswer:
    """The quick check's answer about one arrival."""

    issues: list[Issue]
    accepted: bool
    priority: int = 0
    cache_bytes: int = 0  #: disk space for the decoded images
    is_slow: bool = False  #: it took too long to say any of this: the full check has to


@dataclass(slots=True)
class Arrival:
    """An input in the inbox, with its sidecar."""

    name: str
    sidecar_name: str | None
    observation: settle.Observation
    ending: settle.FileEnding | None = None
    settled: bool = False
    quick_check: QuickCheckAnswer | None = None
    reason: str = ""  #: why it waits
    waits_for: WaitsFor = WaitsFor.COPIER
    obstacle: str = ""  #: why it can go neither with its request nor without it
    remarks: tuple[Issue, ...] = ()  #: further issues of its answer, about requests that missed its name
    reader_kills: int = 0  #: how often the quick check was ended from outside at this input
    kind: InputKind = InputKind.ARCHIVE
    job_id: str | None = None  #: once it is claimed

    @property
    def order(self) -> tuple[int, int, str]:
        """The place among arrivals: the higher priority first, then first come, then by name."""
        priority = self.quick_check.priority if self.quick_check else 0
        return (-priority, self.observation.archive.ctime_ns, self.name)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look at a name found, with a stamp where it is a regular file."""

    type: FileType
    stamp: Stamp | None = None

    @property
    def is_regular(self) -> bool:
        """Whether it is a file whose content may be read."""
        return self.type is FileType.REGULAR


class Inbox:
    """Scans one folder, and remembers between scans since when each file has been unchanged."""

    def __init__(
        self,
        folder: Path,
        settings: IntakeSettings,
        read_ending: Callable[[Path], settle.FileEnding] = ending_of_file.read,
        late_path: Path | None = None,
        *,
        has_default_model: bool = False,
    ) -> None:
        """``late_path`` is the file that keeps which requests came too late. ``has_default_model`` says that images,
        videos and JSON files of images are taken without a request, too.
        """
        self.folder = folder
        self.arrivals: dict[str, Arrival] = {}
        self.bystanders: dict[str, str] = {}  #: name → why it is left alone
        self.orders: list[Order] = []  #: the jobs that people ask to cancel or to run again
        self.late: list[tuple[str, Issue]] = []  #: job → what its answer has to say about a request that came too late
        self._pauses: list[str] = []
        self._settings = settings
        self._read_ending = read_ending
        self._listing = FolderListing(folder)
        self._listed = ListedNames()
        self._json = JsonFiles(folder)
        self._has_default_model = has_default_model
        self._inputs = Inputs()
        self._paired: frozenset[str] = frozenset()  #: requests that an input has
        self._late = LateRequests(late_path, settings.settle_seconds)
        # since the last scan:
        self._claimed_without: list[str] = []  #: ZIPs that were claimed without a request
        self._passed_over: set[str] = set()  #: requests that lay there when a ZIP of their name was claimed
        self._reserved: dict[str, str] = {}  #: request → the job that it has yet to follow
        self._looked: dict[str, _Seen | None] = {}  #: each name is looked at once a scan
        self._said: dict[str, str] = {}
        self._refused: dict[str, str] = {}  #: orders

    @property
    def paused(self) -> bool:
        """Whether there is a PAUSE in the inbox."""
        return bool(self._pauses)

    def scan(self, now: float, at_work: Collection[Job] = ()) -> None:
        """Look at every input and every request. Raises OSError if the folder itself cannot be read.

        ``at_work`` are the jobs that have been claimed and not yet answered.
        """
        listed = self._listing.names()
        self._looked = {}
        self.bystanders = dict(listed.bystanders)
        self._assign(listed)
        self._reserved = self._requests_to_follow(at_work)
        self.bystanders |= {name: f"the request of {job}, to be moved there" for name, job in self._reserved.items()}
        self._look_for_late_ones(at_work, now)
        arrivals = {}
        for name, kind in self._inputs.kinds.items():
            if (seen := self._look(name)) and seen.stamp:
                arrivals[name] = self._update(name, kind, seen.stamp, now)
        for name in self.arrivals.keys() - arrivals.keys():
            logs.get().debug("file.gone", file=name)
        self.arrivals = arrivals
        self._pauses = [order.name for order in listed.orders if order.verb is Verb.PAUSE]
        self.orders = [order for order in listed.orders if order.verb is not Verb.PAUSE]
        self._say_what_is_left_alone()
        logs.get().debug("inbox.scanned", archives=len(arrivals), others=len(self.bystanders))

    def _assign(self, listed: ListedNames) -> None:
        """Find out which files are inputs, where names or JSON files have changed since the last scan."""
        regular = [name for name in listed.requests if name not in listed.irregular]
        changed = self._json.look(regular, self._urgent(), self._stamp)
        if changed or listed is not self._listed:
            self._listed = listed
            self._inputs = assign(listed, self._json.readings, has_default_model=self._has_default_model)
            self._paired = frozenset(self._inputs.pairing.requests.values())
        inputs = self._inputs
        self.bystanders |= inputs.pairing.left | inputs.left | inputs.addressed
        self.bystanders |= {name: names.irregular_request(kind) for name, kind in listed.irregular.items()}

    def _urgent(self) -> list[str]:
        """Returns the JSON files on which the arrivals of the last scan depend, or which are arrivals themselves."""
        beside = [arrival.sidecar_name for arrival in self.arrivals.values() if arrival.sidecar_name]
        return [*beside, *(name for name, arrival in self.arrivals.items() if arrival.kind is InputKind.JSON)]

    def next_due(self, now: float) -> float:
        """Returns the seconds until the next scan is worth while.

        What is overdue cannot be read: a scan like any other will do.
        """
        if self._json.is_behind:
            return _SOON_SECONDS
        waits = [self._remaining(arrival, now) for arrival in self.arrivals.values() if not arrival.settled]
        return max(_SOON_SECONDS, min([self._settings.scan_seconds, *(wait for wait in waits if wait > 0)]))

    def forget(self, arrival: Arrival) -> None:
        """Forget an arrival that was claimed, or is gone."""
        self.arrivals.pop(arrival.name, None)
        if arrival.job_id is None:
            return
        if arrival.sidecar_name is None:
            self._claimed_without.append(arrival.name)
        key = names.input_key(arrival.name)
        self._passed_over |= {name for name in self._inputs.pairing.left if names.key(name) == key}

    def postpone(self, arrival: Arrival, reason: str) -> None:
        """Let an arrival that cannot be read or taken start anew at the next scan. It need not ever succeed."""
        arrival.settled = False
        arrival.ending = None
        arrival.quick_check = None
        self._wait(arrival, reason, WaitsFor.PEOPLE)

    def hold(self, arrival: Arrival, reason: str) -> None:
        """Let an arrival wait for a while."""
        self._wait(arrival, reason, WaitsFor.US)

    def to_check(self) -> list[Arrival]:
        """Returns the settled arrivals that the quick check has not seen, in their order."""
        return sorted((a for a in self.arrivals.values() if a.settled and a.quick_check is None), key=lambda a: a.order)

    def rejected(self) -> list[Arrival]:
        """Returns the arrivals in which the quick check found a fault."""
        return [a for a in self.arrivals.values() if a.quick_check and not a.quick_check.accepted]

    def ready(self) -> list[Arrival]:
        """Returns the arrivals that passed the quick check, in the order in which they are served."""
        return sorted(
            (a for a in self.arrivals.values() if a.quick_check and a.quick_check.accepted),
            key=lambda a: a.order,
        )

    def unsettled(self) -> bool:
        """Whether anything may still become a job by itself."""
        return self._json.is_behind or any(
            a.quick_check is not None or a.waits_for is not WaitsFor.PEOPLE for a in self.arrivals.values()
        )

    def settling(self) -> bool:
        """Whether anything is yet to be looked at, by itself."""
        return self._json.is_behind or any(
            a.quick_check is None and a.waits_for is not WaitsFor.PEOPLE for a in self.arrivals.values()
        )

    def reported_bystanders(self) -> Iterable[tuple[str, str]]:
        """Returns files that are left alone, with the reasons, as many as a status shows."""
        return islice(self.bystanders.items(), _MAX_REPORTED_BYSTANDERS)

    def left_behind(self) -> dict[str, str]:
        """Returns all files of people's that lie there without an answer, with the reasons."""
        waiting = {name: arrival.reason for name, arrival in self.arrivals.items()}
        others = {name: why for name, why in self.bystanders.items() if name not in self._listed.of_no_concern}
        return waiting | others | dict.fromkeys(self._pauses, "no job is started while it is there")

    # orders

    def refuse(self, order: Order, reason: str) -> None:
        """Let an order that cannot be obeyed stay, and keep the reason for the status."""
        self.bystanders = {order.name: reason} | self.bystanders
        if self._refused.get(order.name) != reason:
            self._refused[order.name] = reason
            logs.get().warning("file.ignored", file=order.name, reason=reason)

    def take(self, order: Order) -> bool:
        """Give an order the name under which it is taken away, whatever the case it was typed in.

        Returns False if it is gone, or cannot be renamed.
        """
        if order.name == order.canonical_name:
            return True
        try:
            durable.move(self.folder / order.name, self.folder / order.canonical_name)
        except FileNotFoundError:
            return False
        except OSError as error:  # of this one file: all others are taken
            self.refuse(order, f"cannot be renamed: {error.strerror}")
            return False
        return True

    # requests

    def _requests_to_follow(self, at_work: Collection[Job]) -> dict[str, str]:
        """Returns requests that could not follow their input yet, each with its job: they are open on a share, or the
        claim was cut off.
        """
        there = self._inputs.pairing.by_key
        found = {}
        for job in at_work:
            name = job.sidecar_name
            if name is None or job.state is not JobState.CLAIMED or name not in there.get(names.key(name), ()):
                continue
            if (stamp := self._stamp(name)) and stamp.identity == job.sidecar_identity:
                found[name] = job.id
        return found

    def _look_for_late_ones(self, at_work: Collection[Job], now: float) -> None:
        """Find requests of jobs that had none, see :mod:`segdrop.intake.late`.

        What an annotation tool keeps beside an image is no request, however late it comes.
        """
        pairing, readings = self._inputs.pairing, self._json.readings
        jobs = [job for job in at_work if job.sidecar_name is None and not job.retry_of]
        without = [*self._claimed_without, *(job.input_name for job in jobs)]
        too_late = {
            name
            for name in self._passed_over | pairing.meant_for_earlier(without)
            if not (reading := readings.get(name)) or reading.role is not JsonRole.ANNOTATIONS
        }
        known = [name for name in (*self._late.names, *too_late) if name in pairing.by_key.get(names.key(name), ())]
        stamps = {name: self._stamp(name) for name in known}
        self._late.look(stamps, too_late, now)
        self._claimed_without, self._passed_over = [], set()
        late = [name for name, stamp in stamps.items() if stamp and (name, stamp) in self._late]
        self.bystanders |= dict.fromkeys(late, _TOO_LATE)
        self.late = [
            (job.id, Issue.of(Code.REQUEST_LATE, _late_message(name, job), files=[name]))
            for job in jobs
            for name in late
            if names.key(name) == names.input_key(job.input_name)
        ]

    def _obstacle(self, name: str, sidecar: str | None, seen: _Seen | None) -> str:
        """Returns why an input cannot go with its request, nor without it, or "" where it can."""
        if sidecar is None:
            return self._inputs.pairing.uncertain.get(name, "")
        if seen is None:
            return ""
        if not seen.is_regular:
            return f"its request {sidecar} cannot be taken: {names.irregular_request(seen.type)}"
        if job := self._reserved.get(sidecar):
            return f"{sidecar} is the request of {job}, and could not be moved there yet"
        if (sidecar, seen.stamp) in self._late:
            return f"{sidecar} came too late for an earlier input: touch it if it is for this one, or remove it"
        return ""

    def _near_misses(self, name: str, sidecar: str | None) -> tuple[Issue, ...]:
        """Returns issues for files that look like a request of this input and are none, where it has none."""
        if sidecar is not None:
            return ()
        like, pairing = self._listed.like_requests, self._inputs.pairing
        key, proper = names.input_key(name), names.request_name(name)
        told = {other for other in pairing.by_key.get(key, ()) if other in pairing.left}  # they have the name itself
        near = [*like.get(near_misses.core(names.stem(name)), []), *like.get("", [])]
        missed = [
            other
            for other in near
            if other not in told and other not in self._inputs.kinds and other not in self._paired
        ]
        for other in missed:
            self.bystanders[other] = f"{other} is not read: if it is the request of {name}, call it {proper}"
        return tuple(
            Issue.of(Code.REQUEST_NEAR_MISS, f"{other} lay beside {name} and was not read", files=[other])
            for other in missed[:_MAX_NEAR_MISSES]
        )

    # arrivals

    def _update(self, name: str, kind: InputKind, stamp: Stamp, now: float) -> Arrival:
        """Returns the arrival of an input after one more look at it."""
        sidecar = self._inputs.pairing.requests.get(name)
        seen = self._look(sidecar) if sidecar else None
        known = self.arrivals.get(name)
        progress = self._progress(name)
        said = known.obstacle if known else ""
        observation = settle.observe(
            known.observation if known else None,
            stamp,
            seen.stamp if seen else None,
            now,
            progress.stamp if progress else None,
        )
        if known is not None and known.obstacle:
            observation = replace(observation, since=now)  # once that is gone, people may still be at it
        if known is None or observation is not known.observation:
            if known is None:
                logs.get().info("file.seen", file=name, bytes=stamp.size)
            known = Arrival(name, sidecar if seen else None, observation, reason="arriving", kind=kind)
        known.remarks = self._near_misses(name, sidecar if seen else None)
        if obstacle := self._obstacle(name, sidecar, seen):
            known.obstacle = obstacle
            known.reason = said
            self.postpone(known, obstacle)
        elif not known.settled:
            self._settle(known, now)
        return known

    def _progress(self, name: str) -> _Seen | None:
        """Returns the file that a downloader keeps beside an input or its request while it is at work."""
        for whole in (name, names.request_name(name)):
            if (beside := self._listed.in_progress.get(names.caseless(whole))) and (seen := self._look(beside)):
                return seen
        return None

    def _settle(self, arrival: Arrival, now: float) -> None:
        """Let an arrival settle if it has been unchanged for long enough."""
        if self._remaining(arrival, now) > 0:
            return
        if arrival.ending is None:
            try:
                if arrival.sidecar_name is not None:  # before any child is started that could not read it either
                    regular_files.open_binary(self.folder / arrival.sidecar_name).close()
                arrival.ending = self._read_ending(self.folder / arrival.name)
            except FileNotFoundError:
                return
            except OSError as error:
                self._wait(arrival, f"unreadable: {error.strerror}", WaitsFor.PEOPLE)
                return
        if self._remaining(arrival, now) > 0:
            self._wait(arrival, _why_it_may_be_arriving(arrival), WaitsFor.COPIER)
            return
        arrival.settled = True
        if arrival.waits_for is not WaitsFor.PEOPLE:  # that stays until a check has read it
            arrival.waits_for, arrival.reason = WaitsFor.US, "to be checked"

    def _remaining(self, arrival: Arrival, now: float) -> float:
        return settle.remaining_seconds(
            arrival.observation,
            arrival.ending,
            now,
            settle_seconds=self._settings.settle_seconds,
            incomplete_seconds=self._settings.incomplete_seconds,
        )

    def _look(self, name: str) -> _Seen | None:
        """Returns what lies under a name, or None for what is gone since it was listed: withdrawn."""
        if name not in self._looked:
            self._looked[name] = self._look_again(name)
        return self._looked[name]

    def _stamp(self, name: str) -> Stamp | None:
        """Returns the stamp of a regular file, or None for anything else."""
        seen = self._look(name)
        return seen.stamp if seen else None

    def _look_again(self, name: str) -> _Seen | None:
        try:
            status = (self.folder / name).lstat()
        except FileNotFoundError:
            return None
        except OSError as error:  # of this one file: the folder has just been listed
            self.bystanders[name] = f"unreadable: {error.strerror}"
            return _Seen(FileType.UNKNOWN)
        if not stat.S_ISREG(status.st_mode):
            return _Seen(names.file_type(status.st_mode))
        return _Seen(FileType.REGULAR, settle.stamp_of(status))

    # what is said

    def _say_what_is_left_alone(self) -> None:
        """Log each file that was meant for us once, and again where the reason is another.

        These files come first on the board, which does not show all of ten thousand.
        """
        inputs = self._inputs
        meant = {*self._listed.addressed, *inputs.addressed, *(inputs.pairing.left.keys() - inputs.left.keys())}
        usual = self._listed.bystanders | inputs.left
        said = {}
        for name, reason in self.bystanders.items():
            if name in meant or reason != usual.get(name):
                said[name] = reason
                if self._said.get(name) != reason:
                    logs.get().warning("file.ignored", file=name, reason=reason)
        self._said = said
        self.bystanders = said | self.bystanders
        there = {order.name for order in self.orders}
        self._refused = {name: reason for name, reason in self._refused.items() if name in there}

    @staticmethod
    def _wait(arrival: Arrival, reason: str, waits_for: WaitsFor) -> None:
        arrival.waits_for = waits_for
        if arrival.reason != reason:
            arrival.reason = reason
            logs.get().warning("file.waiting", file=arrival.name, reason=reason)


def _late_message(name: str, job: Job) -> str:
    return f"{name} came after {job.input_name} had been claimed, and was not used"


def _why_it_may_be_arriving(arrival: Arrival) -> str:
    """Returns the reason why an arrival has to be unchanged for longer."""
    match arrival.ending:
        case settle.FileEnding.INCOMPLETE:
            return "looks incomplete: still arriving, or cut off"
        case settle.FileEnding.GAPS:
            return "looks incomplete: parts in the middle are missing, still arriving"
        case settle.FileEnding.COMPLETE | settle.FileEnding.NOT_A_ZIP | None:
            return "a download beside it is not finished: still arriving"
