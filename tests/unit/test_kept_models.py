"""The models of earlier trainings: found by job or as the previous one, and believed by the daemon's own record."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.kept import OWNER, job_id, keep, models_of, put_result
from builders.spool import fresh_root
from segdrop.errors import DataError, Issue
from segdrop.intake import names
from segdrop.spool.kept_models import KeptModels, input_key, is_record
from segdrop.spool.layout import RootLayout


@pytest.fixture
def layout(tmp_path: Path) -> RootLayout:
    return fresh_root(tmp_path)


@pytest.fixture
def models(layout: RootLayout) -> KeptModels:
    return models_of(layout)


def refused(action: Callable[[], object]) -> Issue:
    with pytest.raises(DataError) as caught:
        action()
    (issue,) = caught.value.issues
    return issue


def content(models: KeptModels, number: int = 1) -> bytes:
    with models.opened(models.find(job_id(number))) as stream:
        return stream.read()


def test_model_is_read_in_place_as_a_file_of_its_own(layout: RootLayout, models: KeptModels) -> None:
    written = os.urandom(3_000_000)
    record = keep(layout, model=written)
    assert models.find(record.job) == record
    with models.opened(record) as stream:
        assert stream.seek(-5, os.SEEK_END) == len(written) - 5
        assert stream.read(100) == written[-5:]
        stream.seek(1_000_000)
        assert stream.read(7) == written[1_000_000:1_000_007]
        stream.seek(0)
        assert stream.read() == written


def test_previous_is_the_newest_of_the_same_name_and_owner(layout: RootLayout, models: KeptModels) -> None:
    keep(layout, 1)
    newest = keep(layout, 2)
    keep(layout, 3, owner_uid=OWNER + 1)
    keep(layout, 4, input_name="other.zip")
    keep(layout, 5, is_sanity=True)
    assert models.newest("camvid.zip", OWNER) == (newest, [])


def test_previous_goes_by_when_a_training_finished_and_not_by_its_id(layout: RootLayout, models: KeptModels) -> None:
    late = keep(layout, 1, finished_at=9.0)
    keep(layout, 2)
    assert models.newest("camvid.zip", OWNER)[0] == late


def test_names_are_compared_without_case_and_in_one_unicode_form(layout: RootLayout, models: KeptModels) -> None:
    kept = keep(layout, 1, input_name="Stra\u00dfe Caf\u00e9.zip")
    assert models.newest("STRASSE CAFE\u0301.ZIP", OWNER)[0] == kept


@pytest.mark.parametrize(
    "name", ["A.zip", "Stra\u00dfe.ZIP", "cafe\u0301.zip", "\u03a3\u03c2.zip", "a.b.zip", "\u1e9e\u0323.zip"]
)
def test_name_of_a_series_is_compared_as_that_of_a_request_is(name: str) -> None:
    assert input_key(name) == names.key(name)


def test_jobs_without_a_model_are_no_previous_ones(layout: RootLayout, models: KeptModels) -> None:
    kept = keep(layout, 1)
    (layout.done / job_id(2)).mkdir()  # a duplicate, or a result of a version that kept no record
    (layout.failed / job_id(3)).mkdir()
    (layout.done / "notes").mkdir()
    (layout.done / job_id(4)).write_text("no folder")
    (layout.done / job_id(5)).mkdir()
    layout.kept_model(job_id(5)).write_text('{"level": 1}')
    assert models.newest("camvid.zip", OWNER) == (kept, [])


def test_result_that_was_removed_is_withdrawn_and_the_one_before_is_the_previous(
    layout: RootLayout, models: KeptModels
) -> None:
    kept = keep(layout, 1)
    keep(layout, 2)
    layout.published_zip(job_id(2)).unlink()
    assert models.newest("camvid.zip", OWNER) == (kept, [job_id(2)])


def test_input_of_an_unknown_owner_has_no_previous_training(layout: RootLayout, models: KeptModels) -> None:
    keep(layout, 1, owner_uid=None)
    assert models.newest("camvid.zip", None) == (None, [])


def exchanged(layout: RootLayout) -> None:
    put_result(layout.published_zip(job_id(1)), b"WEIGHTS")


def longer(layout: RootLayout) -> None:
    put_result(layout.published_zip(job_id(1)), b"weights and more")


def compressed(layout: RootLayout) -> None:
    put_result(layout.published_zip(job_id(1)), b"weights", compression=zipfile.ZIP_DEFLATED)


def without_model(layout: RootLayout) -> None:
    with zipfile.ZipFile(layout.published_zip(job_id(1)), "w") as archive:
        archive.writestr("README.txt", "nothing")


def no_zip(layout: RootLayout) -> None:
    layout.published_zip(job_id(1)).write_bytes(b"nothing")


def linked(layout: RootLayout) -> None:
    path = layout.published_zip(job_id(1))
    path.rename(layout.root / "elsewhere.zip")
    path.symlink_to(layout.root / "elsewhere.zip")


def cut(layout: RootLayout) -> None:
    """The directory is whole, and the bytes that it tells of are others."""
    path = layout.published_zip(job_id(1))
    path.write_bytes(path.read_bytes().replace(b"weights", b"weighty"))


@pytest.mark.parametrize("change", [exchanged, longer, compressed, without_model, no_zip, linked, cut])
def test_model_that_is_not_the_one_on_record_is_refused(
    layout: RootLayout, models: KeptModels, change: Callable[[RootLayout], None]
) -> None:
    keep(layout, model=b"weights")
    change(layout)
    issue = refused(lambda: content(models))
    assert (issue.code, issue.files) == ("model.changed", (f"{job_id(1)}.zip",))


def test_other_contents_of_the_result_do_not_matter(layout: RootLayout, models: KeptModels) -> None:
    keep(layout, model=b"weights")
    put_result(layout.published_zip(job_id(1)), b"weights", train=("other.png",))
    assert content(models) == b"weights"


def test_job_that_does_not_exist_is_answered_with_the_nearest(layout: RootLayout, models: KeptModels) -> None:
    keep(layout, 1)
    keep(layout, 0xFFFF)
    issue = refused(lambda: models.find("camvid-20261121T061500Z-0002"))
    assert issue.code == "model.not_found"
    assert job_id(1) in issue.message
    assert job_id(1) in issue.fix


def test_job_whose_result_was_removed_is_not_found(layout: RootLayout, models: KeptModels) -> None:
    record = keep(layout)
    layout.published_zip(record.job).unlink()
    layout.published_json(record.job).unlink()
    for action in (lambda: models.find(record.job), lambda: models.opened(record).__enter__()):
        issue = refused(action)
        assert issue.code == "model.not_found"
        assert "not in outbox/ any more" in issue.message


def test_result_of_a_version_that_kept_no_record_is_told_from_one_whose_record_has_expired(
    layout: RootLayout, models: KeptModels
) -> None:
    keep(layout)
    layout.kept_model(job_id(1)).unlink()
    older = refused(lambda: models.find(job_id(1)))
    layout.kept_model(job_id(1)).parent.rmdir()
    expired = refused(lambda: models.find(job_id(1)))
    assert "a version that kept no record" in older.message
    assert "retention.done_days" in expired.message
    assert {older.code, expired.code} == {"model.not_found"}
    assert "models/" in older.fix


@pytest.mark.parametrize("status", ["rejected", "failed", "cancelled"])
def test_job_that_made_no_model_says_how_it_ended(layout: RootLayout, models: KeptModels, status: str) -> None:
    layout.published_json(job_id(1)).write_text(json.dumps({"job": job_id(1), "status": status}))
    assert status in refused(lambda: models.find(job_id(1))).message


def test_duplicate_points_to_the_job_that_has_the_model(layout: RootLayout, models: KeptModels) -> None:
    answer = {"job": job_id(1), "status": "duplicate", "duplicate_of": job_id(7)}
    layout.published_json(job_id(1)).write_text(json.dumps(answer))
    assert refused(lambda: models.find(job_id(1))).fix == f"Name {job_id(7)}."


@pytest.mark.parametrize("text", ["", "[1]", '{"job": "other"}', '{"job": 1}', "x" * 100])
def test_anything_may_lie_in_the_outbox(layout: RootLayout, models: KeptModels, text: str) -> None:
    layout.published_json(job_id(1)).write_text(text)
    (layout.outbox / "holiday.zip").mkdir()
    assert refused(lambda: models.find(job_id(1))).code == "model.not_found"


def test_record_is_told_from_a_request_of_the_same_name(layout: RootLayout) -> None:
    keep(layout)
    record = layout.kept_model(job_id(1))
    request = layout.done / job_id(2) / "model.json"
    request.parent.mkdir()
    request.write_text('{"level": 1}')
    moved = layout.done / job_id(2) / "a.json"
    moved.write_bytes(record.read_bytes())
    assert [is_record(path) for path in (record, request, moved)] == [True, False, False]


def test_images_that_a_model_was_trained_on_are_what_its_result_says(layout: RootLayout, models: KeptModels) -> None:
    record = keep(layout, train=("images/a.png", "images/b.png"))
    assert models.trained_on(record) == {"images/a.png", "images/b.png"}
    without_model(layout)
    assert models.trained_on(record) == frozenset()
    layout.published_zip(record.job).unlink()
    assert models.trained_on(record) == frozenset()
