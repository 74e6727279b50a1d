"""The inbox against a model: people drop, grow, rename and withdraw, the daemon scans, claims, crashes, restarts.

Whatever the order, each ZIP is in exactly one place, whole, and nothing is claimed that has not settled, or without a
request that is there for it: in any case of its name, not too late, and no link.
"""

import contextlib
import io
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from builders.spool import WALL, fresh_root, listing, small_zip
from segdrop import durable
from segdrop.intake.claim import claim, fetch_sidecar
from segdrop.intake.inbox import Arrival, Inbox, QuickCheckAnswer
from segdrop.settings import IntakeSettings
from segdrop.spool import recovery
from segdrop.spool.job import Job
from segdrop.spool.store import Store

SETTLE_SECONDS, INCOMPLETE_SECONDS = 5, 30
STEMS = st.sampled_from(["a", "A", "Zoë.b"])
MEMORY = Path("/dev/shm")  #: thousands of syncs: a filesystem in memory answers them at once


class CrashError(BaseException):
    """The end of the daemon: nothing after it runs."""


@dataclass(slots=True)
class Late:
    """A request that came too late, as it was last seen; what changes it is a touch once it is ``whole``."""

    content: bytes
    since: float
    whole: bool = False
    touched: bool = False


class InboxMachine(RuleBasedStateMachine):
    """The model: what each ZIP and sidecar in the inbox holds, how it was seen, and what has been claimed."""

    zips = Bundle("zips")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(
            tempfile.mkdtemp(prefix="segdrop-machine-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        )
        self.store = Store(fresh_root(self.folder))
        self.now = 0.0
        self.contents = 0  #: no two of equal size: the clock of a filesystem is coarse
        self.waiting: dict[str, bytes] = {}  #: ZIPs in the inbox, by name
        self.sidecars: dict[str, bytes | None] = {}  #: by stem; None: a link, which is never followed
        self.late: dict[str, Late] = {}  #: by stem: those that came after their ZIP
        self.ever_late: set[str] = set()  #: keys of which that may be so
        self.renamed: set[str] = set()  #: ZIPs since the last scan: there and back is a change
        self.just_claimed: set[str] = set()  #: stems of ZIPs without a request, since the last scan
        self.seen: dict[str, tuple[bytes, str | None, bytes | None]] = {}  #: ZIP and request at the last scan
        self.unchanged_since: dict[str, float] = {}  #: since which scan each is like that
        self.claimed: dict[str, tuple[bytes, bytes | None]] = {}  #: by job at work
        self.inputs: dict[str, str] = {}  #: the stem of each job's ZIP
        self.restart()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize()
    def restart(self) -> None:
        """The daemon comes up: recovery first, then an empty memory."""
        for job in recovery.recover(self.store).jobs:
            fetch_sidecar(self.store, job)
        self.inbox = Inbox(
            self.store.layout.inbox,
            IntakeSettings(settle_seconds=SETTLE_SECONDS, incomplete_seconds=INCOMPLETE_SECONDS),
            late_path=self.store.layout.late_requests,
        )
        self.seen = {}  # memory is gone: everything has to settle again
        self.just_claimed = set()
        for late in self.late.values():
            late.since = float("inf")

    def path(self, name: str) -> Path:
        return self.store.layout.inbox / name

    # people

    @rule(target=zips, stem=STEMS, whole=st.booleans())
    def drop(self, stem: str, whole: bool) -> object:
        name = f"{stem}.zip"
        if name in self.waiting:
            return multiple()
        self.contents += 1
        content = small_zip(self.folder / "made", "x" * 1000 * self.contents).read_bytes()
        content = content if whole else content[:-7]
        self.path(name).write_bytes(content)
        self.waiting[name] = content
        return name

    @rule(name=zips)
    def grow(self, name: str) -> None:
        if name in self.waiting:
            with self.path(name).open("ab") as stream:
                stream.write(b"more")
            self.waiting[name] += b"more"

    @rule(target=zips, name=consumes(zips), stem=STEMS)
    def rename(self, name: str, stem: str) -> object:
        new = f"{stem}.zip"
        if name not in self.waiting or new in self.waiting:
            return name
        self.path(name).rename(self.path(new))
        self.waiting[new] = self.waiting.pop(name)
        self.renamed.add(new)
        return new

    @rule(name=consumes(zips))
    def withdraw(self, name: str) -> None:
        if self.waiting.pop(name, None) is not None:
            self.path(name).unlink()

    @rule(stem=STEMS, is_link=st.sampled_from([False, False, False, True]))
    def write_sidecar(self, stem: str, is_link: bool) -> None:
        self.contents += 1
        self.remove_sidecar(stem)
        self.sidecars[stem] = None if is_link else b'{"seed": %d}' % self.contents + b" " * self.contents
        path = self.path(f"{stem}.json")
        path.symlink_to("/etc/hostname") if is_link else path.write_bytes(self.sidecars[stem] or b"")

    @rule(stem=STEMS)
    def withdraw_sidecar(self, stem: str) -> None:
        self.remove_sidecar(stem)
        self.sidecars.pop(stem, None)

    def remove_sidecar(self, stem: str) -> None:
        if stem in self.sidecars:
            self.path(f"{stem}.json").unlink()

    # whose a request is

    def pairing(self) -> tuple[dict[str, str | None], set[str]]:
        """By ZIP, the stem of its request; and the ZIPs of which that is not certain."""
        exact = {name: name[:-4] for name in self.waiting if name[:-4] in self.sidecars}
        found: dict[str, str | None] = dict(exact)
        uncertain = set()
        others = [name for name in self.waiting if name not in exact]
        for name in others:
            fitting = [s for s in self.sidecars if s not in exact.values() and s.lower() == name[:-4].lower()]
            rivals = [other for other in others if other.lower() == name.lower()]
            found[name] = fitting[0] if fitting else None
            if fitting and (len(fitting) > 1 or len(rivals) > 1):
                uncertain.add(name)
        return found, uncertain

    def look_for_late_ones(self) -> None:
        without = self.just_claimed | {
            self.inputs[job] for job, (_content, sidecar) in self.claimed.items() if sidecar is None
        }
        self.late = {stem: late for stem, late in self.late.items() if stem in self.sidecars}
        for stem, content in self.sidecars.items():
            late = self.late.get(stem)
            if content is None:
                continue
            if late is None:
                if stem in without:
                    self.late[stem] = Late(content, self.now)
            elif content != late.content and late.whole:
                late.touched = True
            elif content != late.content:
                late.content, late.since = content, self.now
            else:
                late.since = min(late.since, self.now)
                late.whole = late.whole or self.now - late.since >= SETTLE_SECONDS
        self.just_claimed = set()

    # the daemon

    @rule(seconds=st.sampled_from([0.5, 2, SETTLE_SECONDS, INCOMPLETE_SECONDS]))
    def wait_and_scan(self, seconds: float) -> None:
        self.now += seconds
        self.inbox.scan(self.now, self.store.list().jobs)
        self.renamed = set()
        self.look_for_late_ones()
        requests, self.uncertain = self.pairing()
        there = {
            name: (content, stem, self.sidecars[stem] if stem else None)
            for name, content in self.waiting.items()
            for stem in [requests[name]]
        }
        for name, found in there.items():
            if self.seen.get(name) != found:
                self.unchanged_since[name] = self.now
        self.seen = there
        for arrival in self.inbox.to_check():
            arrival.quick_check = QuickCheckAnswer([], accepted=True)

    @rule()
    def a_long_quiet_settles_everything_that_need_not_wait_for_people(self) -> None:
        for seconds in (1, SETTLE_SECONDS, INCOMPLETE_SECONDS):
            self.wait_and_scan(seconds)
        candidates = {arrival.name for arrival in self.candidates()}
        free = {name for name in self.waiting if not self.obstacle(name)}
        assert candidates <= free
        assert {
            name for name in free if name[:-4].lower() not in self.ever_late or not self.seen[name][1]
        } <= candidates

    def obstacle(self, name: str) -> str:
        """Why a ZIP has to wait for people, as it was at the last scan."""
        _content, stem, sidecar = self.seen[name]
        if name in self.uncertain:
            return "uncertain"
        if stem is not None and sidecar is None:
            return "a link"
        late = self.late.get(stem) if stem else None
        return "late" if late and not late.touched else ""

    def candidates(self) -> list[Arrival]:
        return [*self.inbox.rejected(), *self.inbox.ready()]

    @precondition(lambda self: self.candidates())
    @rule(data=st.data())
    def claim_one(self, data: st.DataObject) -> None:
        arrival = data.draw(st.sampled_from(self.candidates()))
        job = claim(self.store, arrival, 0, WALL)
        self.inbox.forget(arrival)
        content, stem, sidecar = self.seen[arrival.name]
        is_same = self.waiting.get(arrival.name) == content and arrival.name not in self.renamed
        if is_same and (stem is None or self.sidecars.get(stem) == sidecar):
            assert job is not None
            self.take(job, self.seen)
            if job.sidecar_name is None:
                self.just_claimed.add(job.input_name[:-4])
        else:
            assert job is None, "what was withdrawn or has changed makes no job"

    @rule(stem=STEMS)
    def claim_one_that_has_no_request(self, stem: str) -> None:
        """What makes those late that come after it; by single steps it would seldom come about."""
        if any(other.removesuffix(".zip").lower() == stem.lower() for other in (*self.waiting, *self.sidecars)):
            return
        self.drop(stem, whole=True)
        self.wait_and_scan(1)
        self.wait_and_scan(SETTLE_SECONDS)
        arrival = self.inbox.arrivals[f"{stem}.zip"]
        job = claim(self.store, arrival, 0, WALL)
        self.inbox.forget(arrival)
        assert job is not None
        self.take(job, self.seen)
        self.just_claimed.add(stem)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def end_a_job(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.claimed)))
        self.store.remove(self.store.load(job))
        del self.claimed[job]

    @precondition(lambda self: self.candidates())
    @rule(data=st.data(), steps=st.integers(0, 1), after=st.booleans())
    def crash_while_claiming(self, data: st.DataObject, steps: int, after: bool) -> None:
        """The process ends before or after one of the renames, and comes up again."""
        arrival = data.draw(st.sampled_from(self.candidates()))
        move, left = durable.move, steps

        def crashing(source: Path, target: Path) -> None:
            nonlocal left
            if left == 0 and not after:
                raise CrashError
            move(source, target)
            if left == 0:
                raise CrashError
            left -= 1

        before, seen = set(listing(self.store.layout.work)), self.seen
        durable.move = crashing
        try:
            with contextlib.suppress(CrashError):
                claim(self.store, arrival, 0, WALL)
        finally:
            durable.move = move
        self.restart()
        for job in self.store.list().jobs:
            if job.id not in before:
                self.take(job, seen)

    @rule()
    def stop_and_start(self) -> None:
        self.restart()

    def take(self, job: Job, seen: dict[str, tuple[bytes, str | None, bytes | None]]) -> None:
        """The model's side of a claim: it had settled, as it was seen."""
        stem = job.sidecar_name[:-5] if job.sidecar_name else None
        assert stem == seen[job.input_name][1]
        content = self.waiting.pop(job.input_name)
        sidecar = self.sidecars.pop(stem) if stem else None
        self.claimed[job.id] = (content, sidecar)
        self.inputs[job.id] = job.input_name[:-4]
        self.ever_late.add(job.input_name[:-4].lower())

    # what always holds

    @invariant()
    def nothing_settles_before_it_was_seen_unchanged_for_the_settle_time(self) -> None:
        for arrival in self.candidates():
            assert not self.obstacle(arrival.name)
            assert self.now - self.unchanged_since[arrival.name] >= SETTLE_SECONDS
            is_cut_off = not zipfile.is_zipfile(io.BytesIO(self.seen[arrival.name][0]))
            if is_cut_off:
                assert self.now - self.unchanged_since[arrival.name] >= INCOMPLETE_SECONDS

    @invariant()
    def every_zip_is_in_exactly_one_place_and_whole(self) -> None:
        in_inbox = {path.name: path.read_bytes() for path in self.store.layout.inbox.glob("*.zip")}
        in_work = {path.parent.name: path.read_bytes() for path in self.store.layout.work.glob("*/input.zip")}
        assert in_inbox == self.waiting
        assert in_work == {job: content for job, (content, _sidecar) in self.claimed.items()}

    @invariant()
    def every_sidecar_is_with_its_zip_or_where_it_was_put(self) -> None:
        in_inbox = {
            path.name[:-5]: None if path.is_symlink() else path.read_bytes()
            for path in self.store.layout.inbox.glob("*.json")
        }
        in_work = {path.parent.name: path.read_bytes() for path in self.store.layout.work.glob("*/sidecar.json")}
        assert in_inbox == self.sidecars
        assert in_work == {job: sidecar for job, (_content, sidecar) in self.claimed.items() if sidecar is not None}

    @invariant()
    def work_holds_the_claimed_jobs_and_nothing_else(self) -> None:
        assert set(listing(self.store.layout.work)) - {self.store.layout.late_requests.name} == set(self.claimed)


InboxMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestInboxMachine = InboxMachine.TestCase
