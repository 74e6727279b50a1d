"""A duplicate is a job with the fingerprint of a result that is still there."""

import json
from pathlib import Path

import pytest

from segdrop.spool.layout import RootLayout
from segdrop.spool.results import Results


@pytest.fixture
def layout(tmp_path: Path) -> RootLayout:
    layout = RootLayout(tmp_path)
    for folder in layout.folders:
        folder.mkdir()
    return layout


def _publish(layout: RootLayout, job: str, fingerprint: object = "f", *, status: str = "succeeded") -> None:
    layout.published_zip(job).write_bytes(b"zip")
    result = {"job": job, "status": status, "fingerprint": fingerprint, "input": {"sha256": "ab"}}
    layout.published_json(job).write_text(json.dumps(result))


def test_results_from_before_the_start_are_found(layout: RootLayout) -> None:
    _publish(layout, "a")
    assert Results(layout).find("f") == "a"
    assert Results(layout).find("g") is None


def test_results_delivered_since_are_found(layout: RootLayout) -> None:
    results = Results(layout)
    assert results.find("f") is None
    _publish(layout, "a")
    results.add("a")
    assert results.find("f") == "a"


@pytest.mark.parametrize("fingerprint", [None, 1, ["f"]])
def test_a_result_that_does_not_say_what_it_answers_answers_nothing(layout: RootLayout, fingerprint: object) -> None:
    _publish(layout, "a", fingerprint)
    results = Results(layout)
    assert results.of_input("ab") == {}
    assert not results.holds("a")


@pytest.mark.parametrize("status", ["failed", "rejected", "cancelled", "duplicate"])
def test_only_success_answers(layout: RootLayout, status: str) -> None:
    _publish(layout, "a", status=status)
    assert Results(layout).find("f") is None


@pytest.mark.parametrize("gone", ["published_zip", "published_json"])
def test_a_result_that_somebody_took_away_answers_nothing(layout: RootLayout, gone: str) -> None:
    _publish(layout, "a")
    results = Results(layout)
    assert results.find("f") == "a"
    getattr(layout, gone)("a").unlink()
    assert results.find("f") is None
    assert not results.holds("a")


def test_of_two_results_the_one_that_is_left_answers(layout: RootLayout) -> None:
    for job in ("a", "b"):
        _publish(layout, job)
    results = Results(layout)
    assert results.find("f") in ("a", "b")
    layout.published_zip("b").unlink()
    assert results.find("f") == "a"


def test_results_on_an_input_are_known_by_their_fingerprints(layout: RootLayout) -> None:
    _publish(layout, "a", "f")
    _publish(layout, "b", "g")
    assert Results(layout).of_input("ab") == {"f": "a", "g": "b"}
    assert Results(layout).of_input("ac") == {}


@pytest.mark.parametrize("content", ["", "[]", "{}", '"x"', '{"status": "succeeded"}', "\x00"])
def test_foreign_files_in_the_outbox_do_not_matter(layout: RootLayout, content: str) -> None:
    (layout.outbox / "foreign.json").write_text(content)
    _publish(layout, "a")
    assert Results(layout).find("f") == "a"
