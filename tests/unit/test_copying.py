"""A retry where there are no hard links: its input is copied beside the loop, which goes on."""

import errno
import io
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.daemons import wait_until
from builders.spool import WALL, fresh_root, listing
from segdrop.intake import claim
from segdrop.intake.copying import Copies
from segdrop.intake.watch import Wakeup
from segdrop.service.loop import Service
from segdrop.settings import QueueSettings, Settings
from segdrop.spool import recovery
from segdrop.spool.job import JobState
from segdrop.spool.layout import RootLayout
from segdrop.spool.store import Store

#: proc(5): whether the kernel refuses links to files of others
PROTECTION = Path("/proc/sys/fs/protected_hardlinks")
NOBODY = 65534
OLD = "a-20261121T061500Z-0001"
OTHER = "b-20261121T061500Z-0002"
CONTENT = os.urandom(3 << 20)


def no_hard_links(_source: object, _target: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


class Slow(io.BytesIO):
    """An input on a share that does not answer before ``go``; or answers with an error then."""

    def __init__(self, go: threading.Event, error: OSError | None = None) -> None:
        super().__init__(CONTENT)
        self._go = go
        self._error = error

    def read(self, size: int | None = -1) -> bytes:
        self._go.wait(60)
        if self._error is not None:
            raise self._error
        return super().read(size)


@pytest.fixture
def linkless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_hard_links)


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """What every slow input waits for; they are let go at the end, whatever happens."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def store(tmp_path: Path, linkless: None) -> Store:
    store = Store(fresh_root(tmp_path))
    for old in (OLD, OTHER):
        keep(store.layout, old)
    return store


def keep(layout: RootLayout, job_id: str) -> None:
    folder = layout.failed / job_id
    folder.mkdir()
    (folder / "data.zip").write_bytes(CONTENT)
    (folder / "data.json").write_bytes(b"{}")
    (folder / "error.json").write_bytes(b"{}")


def slow_copies(store: Store, go: threading.Event, **changes: Any) -> Copies:
    return Copies(store.layout, opened=lambda _path: Slow(go), **changes)


def wait_for_thread() -> None:
    """Until no copy is under way: it is there, or has failed."""
    wait_until(lambda: not any(thread.name in (OLD, OTHER) for thread in threading.enumerate()), "the end of the copy")


def test_retry_waits_for_its_copy_and_then_stands_whole(store: Store, go: threading.Event) -> None:
    copies = slow_copies(store, go)
    assert claim.retry(store, OLD, WALL, copies) is None
    assert "being copied" in (copies.reason(OLD) or "")
    assert copies.busy
    assert store.list().jobs == [], "no job before its input is there"
    go.set()
    wait_for_thread()
    job = claim.retry(store, OLD, WALL, copies)
    assert job is not None
    assert (job.retry_of, job.state, job.input_name) == (OLD, JobState.CLAIMED, "data.zip")
    assert store.files(job).input.read_bytes() == CONTENT
    assert store.files(job).sidecar.read_bytes() == b"{}"
    assert claim.identity_of(store.files(job).input) == job.identity, "it has not changed since"
    assert listing(store.layout.copies) == []
    assert not copies.busy
    assert listing(store.layout.failed / OLD) == ["data.json", "data.zip", "error.json"]


def test_one_copy_at_a_time_and_the_other_says_that_it_waits(store: Store, go: threading.Event) -> None:
    copies = slow_copies(store, go)
    claim.retry(store, OLD, WALL, copies)
    assert claim.retry(store, OTHER, WALL, copies) is None
    assert copies.reason(OTHER)
    go.set()
    wait_for_thread()
    assert claim.retry(store, OTHER, WALL, copies) is None
    assert claim.retry(store, OLD, WALL, copies)
    assert claim.retry(store, OTHER, WALL, copies) is None
    wait_until(lambda: claim.retry(store, OTHER, WALL, copies), "the other")


def test_copy_that_fails_is_told_once_and_begun_anew(store: Store, go: threading.Event) -> None:
    errors = iter([OSError(errno.ENOSPC, "No space left on device"), None])
    copies = Copies(store.layout, opened=lambda _path: Slow(go, next(errors)))
    go.set()
    claim.retry(store, OLD, WALL, copies)
    wait_for_thread()
    with pytest.raises(OSError, match="No space"):
        claim.retry(store, OLD, WALL, copies)
    assert listing(store.layout.copies) == []
    wait_until(lambda: claim.retry(store, OLD, WALL, copies), "the second copy")


def test_copy_that_would_take_the_reserve_waits_and_says_so(store: Store, go: threading.Event) -> None:
    copies = slow_copies(store, go, reserve_bytes=1 << 60)
    assert claim.retry(store, OLD, WALL, copies) is None
    assert "disk space" in (copies.reason(OLD) or "")
    assert not copies.busy


def test_copy_for_a_retry_that_was_withdrawn_is_ended_and_leaves_nothing(store: Store, go: threading.Event) -> None:
    copies = slow_copies(store, go)
    claim.retry(store, OLD, WALL, copies)
    go.set()
    copies.keep([OTHER])
    assert not copies.busy
    wait_for_thread()
    assert listing(store.layout.copies) == []


def test_share_that_does_not_answer_does_not_hold_the_end(
    store: Store, go: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdrop.intake.copying._END_SECONDS", 0.01)
    copies = slow_copies(store, go)
    claim.retry(store, OLD, WALL, copies)
    copies.end()
    assert not copies.busy
    assert claim.retry(store, OLD, WALL, copies) is None, "not beside one that has not ended yet"
    go.set()
    wait_until(lambda: claim.retry(store, OLD, WALL, copies), "a copy after it")


def test_input_that_can_be_linked_does_not_wait_for_the_copy_of_another(
    store: Store, go: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = slow_copies(store, go)
    claim.retry(store, OLD, WALL, copies)
    monkeypatch.undo()
    assert claim.retry(store, OTHER, WALL, copies)


def test_half_a_copy_that_a_crash_leaves_is_dropped_by_recovery(store: Store) -> None:
    store.layout.copies.mkdir()
    (store.layout.copies / f"{OLD}.zip.tmp").write_bytes(b"half")
    assert recovery.recover(store).jobs == []
    assert not store.layout.copies.exists()
    copies = Copies(store.layout)
    wait_until(lambda: claim.retry(store, OLD, WALL, copies), "a whole copy")


@pytest.fixture
def store_of_nobody() -> Iterator[Store]:
    """A root of a user that is not ours, in a folder that everybody may pass; and we are this user."""
    if os.geteuid() != 0 or not PROTECTION.exists() or PROTECTION.read_text().strip() != "1":
        pytest.skip("needs root, and a kernel that protects hard links")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        store = Store(fresh_root(Path(folder)))
        keep(store.layout, OLD)
        for owned in store.layout.folders:
            os.chown(owned, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield store
        finally:
            os.seteuid(0)


def test_input_that_belongs_to_whoever_dropped_it_is_copied_too(store_of_nobody: Store, go: threading.Event) -> None:
    copies = slow_copies(store_of_nobody, go)
    assert claim.retry(store_of_nobody, OLD, WALL, copies) is None
    assert copies.busy
    go.set()
    job = wait_until(lambda: claim.retry(store_of_nobody, OLD, WALL, copies), "the copy")
    assert store_of_nobody.files(job).input.read_bytes() == CONTENT


# with the loop


@pytest.fixture
def service(store: Store, go: threading.Event) -> Service:
    settings = Settings(root=store.layout.root, queue=QueueSettings(reserve_bytes=0))
    service = Service(settings, Wakeup())
    service._admission.copies = slow_copies(store, go)
    return service


def turn(service: Service) -> Service:
    """One turn that looks at the inbox."""
    service._next_scan = 0.0
    service.turn()
    return service


def asks(service: Service) -> Path:
    control = service.layout.inbox / f"{OLD}.retry"
    control.touch()
    return control


def test_loop_turns_while_an_input_is_copied_and_the_order_stays_until_the_job_stands(
    service: Service, go: threading.Event
) -> None:
    control = asks(service)
    for _turn in range(3):
        turn(service)
    assert control.exists()
    assert service.jobs == {}
    assert not service.drained(), "`once` waits for it"
    assert "being copied" in service._inbox.bystanders[control.name]
    go.set()
    (job,) = wait_until(lambda: list(turn(service).jobs.values()), "the new job")
    service.slots.check.kill()
    assert job.retry_of == OLD
    assert not control.exists()


def test_crash_during_the_copy_loses_nothing(service: Service, store: Store, go: threading.Event) -> None:
    control = asks(service)
    turn(service)
    # the process ends here; the next one starts
    recovery.recover(store)
    next_one = Service(Settings(root=store.layout.root, queue=QueueSettings(reserve_bytes=0)), Wakeup())
    next_one.recover()
    assert control.exists()
    wait_until(lambda: turn(next_one).jobs, "the new job")
    next_one.slots.check.kill()
    assert not control.exists()
    assert len(store.list().jobs) == 1


def test_pause_does_not_cost_the_copy(service: Service, go: threading.Event) -> None:
    asks(service)
    turn(service)
    service._reload(WALL)
    go.set()
    wait_until(lambda: turn(service).jobs, "the new job")
    service.slots.check.kill()


def test_order_that_is_withdrawn_ends_the_copy(service: Service, go: threading.Event) -> None:
    control = asks(service)
    turn(service)
    go.set()
    control.unlink()
    turn(service)
    assert service.jobs == {}
    assert service.drained()
    wait_for_thread()
    assert listing(service.layout.copies) == []


def test_stop_ends_the_copy_and_keeps_the_order(service: Service, go: threading.Event) -> None:
    control = asks(service)
    turn(service)
    go.set()
    service.stop()
    assert control.exists()
    assert service.jobs == {}
    assert listing(service.layout.copies) == []
