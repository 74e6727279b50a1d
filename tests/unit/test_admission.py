"""What is claimed: by the queue's room, and by the disk's."""

import json
from pathlib import Path
from typing import Any

import pytest

from builders import check, limits, write_dataset
from builders.spool import WALL, fresh_root, listing, small_zip
from segdrop.codes import Code
from segdrop.dataset import quick_check
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.quick_check import RequestSources
from segdrop.dataset.report import QuickReport
from segdrop.errors import Issue
from segdrop.execution.local import LocalRunner
from segdrop.intake.inbox import Inbox, QuickCheckAnswer
from segdrop.request import TrainRequest
from segdrop.service import admission as admission_module
from segdrop.service.admission import Admission
from segdrop.settings import IntakeSettings, Settings
from segdrop.spool.job import Job
from segdrop.spool.results import Results
from segdrop.spool.store import Store
from segdrop.stages.stage import Context, Modules

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
        inbox.arrivals[name].quick_check = QuickCheckAnswer(
            [], accepted=True, priority=priority, cache_bytes=cache_bytes
        )
    settings = Settings(root=store.layout.root)
    return Admission(Context(settings, store, Results(store.layout), LocalRunner(), Modules()), inbox)


def foretold(path: Path, values: dict[str, Any]) -> int:
    sidecar = path.with_name("order.json")
    sidecar.write_text(json.dumps(values))
    with Archive(path, limits()) as archive:
        return quick_check.check(archive, RequestSources(sidecar, sidecar.name, {}, path.parent)).cache_bytes


def names_of(jobs: list[Job]) -> list[str]:
    return [job.input_name for job in jobs]


def test_everything_is_claimed_that_fits_into_the_queue_and_onto_the_disk(admission: Admission, store: Store) -> None:
    jobs = list(admission.admit(8, 350, 0.0, WALL))
    assert names_of(jobs) == NAMES
    assert [store.load(job.id).cache_bytes for job in jobs] == [100, 200, 50]
    assert admission.lacking_bytes == 0


def test_the_first_that_does_not_fit_onto_the_disk_waits_and_nobody_overtakes_it(
    admission: Admission, store: Store
) -> None:
    assert names_of(list(admission.admit(8, 260, 0.0, WALL))) == ["a.zip"]
    assert admission.lacking_bytes == 40
    assert admission.inbox.arrivals["b.zip"].reason == "waits for disk space"
    assert listing(store.layout.inbox) == ["b.zip", "c.zip"]
    assert names_of(list(admission.admit(8, 250, 0.0, WALL))) == ["b.zip", "c.zip"]
    assert admission.lacking_bytes == 0


def test_room_in_the_queue_counts_whatever_the_disk_has(admission: Admission) -> None:
    assert names_of(list(admission.admit(2, 10**9, 0.0, WALL))) == ["a.zip", "b.zip"]
    assert list(admission.admit(0, 0, 0.0, WALL)) == []
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


def test_answers_of_the_quick_check_are_read_whatever_they_hold_up_to_the_first_that_is_not_whole() -> None:
    issue = Issue.of(Code.PAIR_MISSING_MASK, "\udc80.png has no mask", files=["\udc80.png"])
    request = TrainRequest(priority=3, image_size=[32, 64], learning_rate=1.0).resolved()
    reports = [QuickReport(key="0", issues=[issue]), QuickReport(key="1", request=request, cache_bytes=7)]
    lines = [json.dumps(report.model_dump(mode="json")).encode() for report in reports]
    found = list(admission_module._lines(b"\n".join([*lines, lines[0][:20], lines[1]])))
    assert found == reports
    assert admission_module._answered(found[1]) == QuickCheckAnswer([], accepted=True, priority=3, cache_bytes=7)
