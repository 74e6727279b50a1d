"""The inbox against a model: people drop, grow, rename and withdraw, the daemon scans, claims, crashes, restarts.

Whatever the order, each ZIP is in exactly one place, whole, and nothing is claimed that has not settled.
"""

import contextlib
import io
import os
import shutil
import tempfile
import zipfile
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
from segdrop.intake.inbox import Arrival, Inbox, Inspection
from segdrop.settings import IntakeSettings
from segdrop.spool import recovery
from segdrop.spool.job import Job
from segdrop.spool.store import Store

SETTLE_SECONDS, INCOMPLETE_SECONDS = 5, 30
STEMS = st.sampled_from(["a", "Zoë.b"])
MEMORY = Path("/dev/shm")  #: thousands of syncs: a filesystem in memory answers them at once


class CrashError(BaseException):
    """The end of the daemon: nothing after it runs."""


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
        self.sidecars: dict[str, bytes] = {}  #: by stem
        self.seen: dict[str, tuple[bytes, bytes | None]] = {}  #: ZIP and sidecar at the last scan
        self.unchanged_since: dict[str, float] = {}  #: since which scan each is like that
        self.claimed: dict[str, tuple[bytes, bytes | None]] = {}  #: by job
        self.restart()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize()
    def restart(self) -> None:
        """The daemon comes up: recovery first, then an empty memory."""
        for job in recovery.recover(self.store):
            fetch_sidecar(self.store, job)
        self.inbox = Inbox(
            self.store.layout.inbox,
            IntakeSettings(settle_seconds=SETTLE_SECONDS, incomplete_seconds=INCOMPLETE_SECONDS),
        )
        self.seen = {}  # memory is gone: everything has to settle again

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
        return new

    @rule(name=consumes(zips))
    def withdraw(self, name: str) -> None:
        if self.waiting.pop(name, None) is not None:
            self.path(name).unlink()

    @rule(stem=STEMS)
    def write_sidecar(self, stem: str) -> None:
        self.contents += 1
        self.sidecars[stem] = b'{"seed": %d}' % self.contents + b" " * self.contents
        self.path(f"{stem}.json").write_bytes(self.sidecars[stem])

    @rule(stem=STEMS)
    def withdraw_sidecar(self, stem: str) -> None:
        if self.sidecars.pop(stem, None) is not None:
            self.path(f"{stem}.json").unlink()

    # the daemon

    @rule(seconds=st.sampled_from([0.5, 2, SETTLE_SECONDS, INCOMPLETE_SECONDS]))
    def wait_and_scan(self, seconds: float) -> None:
        self.now += seconds
        self.inbox.scan(self.now)
        there = {name: (content, self.sidecars.get(name[:-4])) for name, content in self.waiting.items()}
        for name, found in there.items():
            if self.seen.get(name) != found:
                self.unchanged_since[name] = self.now
        self.seen = there
        for arrival in self.inbox.to_inspect():
            arrival.inspection = Inspection([], accepted=True)

    @rule()
    def a_long_quiet_settles_everything(self) -> None:
        for seconds in (1, SETTLE_SECONDS, INCOMPLETE_SECONDS):
            self.wait_and_scan(seconds)
        assert {arrival.name for arrival in self.candidates()} == set(self.waiting)

    def candidates(self) -> list[Arrival]:
        return [*self.inbox.rejected(), *self.inbox.ready()]

    @precondition(lambda self: self.candidates())
    @rule(data=st.data())
    def claim_one(self, data: st.DataObject) -> None:
        arrival = data.draw(st.sampled_from(self.candidates()))
        job = claim(self.store, arrival, 0, WALL)
        self.inbox.forget(arrival)
        if arrival.name in self.waiting:
            assert job is not None
            self.take(job)
        else:
            assert job is None, "what was withdrawn makes no job"

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

        before = set(listing(self.store.layout.work))
        durable.move = crashing
        try:
            with contextlib.suppress(CrashError):
                claim(self.store, arrival, 0, WALL)
        finally:
            durable.move = move
        self.restart()
        for job in self.store.list().jobs:
            if job.id not in before:
                self.take(job)

    @rule()
    def stop_and_start(self) -> None:
        self.restart()

    def take(self, job: Job) -> None:
        """The model's side of a claim: it had settled, as it was seen."""
        stem = job.input_name[:-4]
        content = self.waiting.pop(job.input_name)
        sidecar = self.sidecars.pop(stem, None) if job.sidecar_name else None
        self.claimed[job.id] = (content, sidecar)

    # what always holds

    @invariant()
    def nothing_settles_before_it_was_seen_unchanged_for_the_settle_time(self) -> None:
        for arrival in self.candidates():
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
        in_inbox = {path.name[:-5]: path.read_bytes() for path in self.store.layout.inbox.glob("*.json")}
        in_work = {path.parent.name: path.read_bytes() for path in self.store.layout.work.glob("*/sidecar.json")}
        assert in_inbox == self.sidecars
        assert in_work == {job: sidecar for job, (_content, sidecar) in self.claimed.items() if sidecar is not None}

    @invariant()
    def work_holds_the_claimed_jobs_and_nothing_else(self) -> None:
        assert set(listing(self.store.layout.work)) == set(self.claimed)


InboxMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestInboxMachine = InboxMachine.TestCase
