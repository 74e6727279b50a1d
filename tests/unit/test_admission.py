"""What is claimed: by the queue's room, and by the disk's."""

import json
from pathlib import Path
from typing import Any

import pytest

from builders import check, limits, write_dataset
from builders.spool import WALL, fresh_root, listing, small_zip
from segdrop.admission import Admission
from segdrop.dataset.inspection import Order, inspect
from segdrop.dataset.source import Archive
from segdrop.intake.inbox import Inbox, Inspection
from segdrop.settings import IntakeSettings, Settings
from segdrop.spool.job import Job
from segdrop.spool.store import Store

NAMES = ["a.zip", "b.zip", "c.zip"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(fresh_root(tmp_path))


@pytest.fixture
def admission(store: Store) -> Admission:
    """Three accepted ZIPs, whose caches will take 100 bytes, 200 and 50."""
    for name in NAMES:
        small_zip(store.layout.inbox / name)
    inbox = Inbox(store.layout.inbox, IntakeSettings(settle_seconds=0))
    inbox.scan(0)
    for name, cache_bytes in zip(NAMES, [100, 200, 50], strict=True):
        priority = -NAMES.index(name)  # the clock of a filesystem is too coarse for the order of arrival
        inbox.arrivals[name].inspection = Inspection([], accepted=True, priority=priority, cache_bytes=cache_bytes)
    return Admission(Settings(root=store.layout.root), store, inbox, "segdrop.dataset")


def foretold(path: Path, values: dict[str, Any]) -> int:
    sidecar = path.with_name("order.json")
    sidecar.write_text(json.dumps(values))
    with Archive(path, limits()) as archive:
        return inspect(archive, Order(sidecar, sidecar.name, {}, path.parent)).cache_bytes


def names_of(jobs: list[Job]) -> list[str]:
    return [job.input_name for job in jobs]


def test_everything_is_claimed_that_fits_into_the_queue_and_onto_the_disk(admission: Admission, store: Store) -> None:
    jobs = admission.admit(8, 350, WALL)
    assert names_of(jobs) == NAMES
    assert [store.load(job.id).cache_bytes for job in jobs] == [100, 200, 50]
    assert admission.lacking_bytes == 0


def test_the_first_that_does_not_fit_onto_the_disk_waits_and_nobody_overtakes_it(
    admission: Admission, store: Store
) -> None:
    assert names_of(admission.admit(8, 260, WALL)) == ["a.zip"]
    assert admission.lacking_bytes == 40
    assert admission.inbox.arrivals["b.zip"].reason == "waits for disk space"
    assert listing(store.layout.inbox) == ["b.zip", "c.zip"]
    assert names_of(admission.admit(8, 250, WALL)) == ["b.zip", "c.zip"]
    assert admission.lacking_bytes == 0


def test_room_in_the_queue_counts_whatever_the_disk_has(admission: Admission) -> None:
    assert names_of(admission.admit(2, 10**9, WALL)) == ["a.zip", "b.zip"]
    assert admission.admit(0, 0, WALL) == []
    assert admission.lacking_bytes == 0


@pytest.mark.parametrize("values", [{"image_size": 64}, {"image_size": [32, 64], "max_images": 4}])
def test_the_cheap_check_foretells_the_size_of_the_cache(tmp_path: Path, values: dict[str, Any]) -> None:
    path = write_dataset(tmp_path / "data.zip", count=6)
    assert check(path, values).dataset is not None
    written = sum(part.stat().st_size for part in (tmp_path / "cache").glob("*.u8"))
    assert foretold(path, values) == written > 0


def test_what_cannot_be_trained_on_takes_no_space(tmp_path: Path) -> None:
    assert foretold(write_dataset(tmp_path / "data.zip"), {"image_size": 1}) == 0
    assert foretold(small_zip(tmp_path / "no-images.zip"), {}) == 0
