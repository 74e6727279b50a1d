"""A duplicate is the same bytes and the same resolved request, and its answer must still be there."""

import json
from pathlib import Path
from typing import Any

import pytest

from segdrop.spool.layout import RootLayout
from segdrop.spool.results import Results, fingerprint

_REQUEST: dict[str, Any] = {"level": 1, "image_size": 64, "priority": 0, "force": False}


@pytest.fixture
def layout(tmp_path: Path) -> RootLayout:
    layout = RootLayout(tmp_path)
    for folder in layout.folders:
        folder.mkdir()
    return layout


def _publish(layout: RootLayout, job: str, *, status: str = "succeeded", sha256: str = "ab") -> None:
    layout.published_zip(job).write_bytes(b"zip")
    result = {"job": job, "status": status, "request": _REQUEST, "input": {"sha256": sha256}}
    layout.published_json(job).write_text(json.dumps(result))


def test_results_from_before_the_start_are_found(layout: RootLayout) -> None:
    _publish(layout, "a")
    assert Results(layout).find(fingerprint("ab", _REQUEST)) == "a"


def test_results_delivered_since_are_found(layout: RootLayout) -> None:
    results = Results(layout)
    assert results.find(fingerprint("ab", _REQUEST)) is None
    _publish(layout, "a")
    results.add("a")
    assert results.find(fingerprint("ab", _REQUEST)) == "a"


def test_priority_and_force_do_not_make_another_question() -> None:
    assert fingerprint("ab", _REQUEST) == fingerprint("ab", _REQUEST | {"priority": 5, "force": True})


@pytest.mark.parametrize("change", [{"level": 2}, {"image_size": 65}])
def test_any_other_key_makes_another_question(change: dict[str, int]) -> None:
    assert fingerprint("ab", _REQUEST) != fingerprint("ab", _REQUEST | change)


def test_other_bytes_make_another_question() -> None:
    assert fingerprint("ab", _REQUEST) != fingerprint("ac", _REQUEST)


@pytest.mark.parametrize("status", ["failed", "rejected", "cancelled", "duplicate"])
def test_only_success_answers(layout: RootLayout, status: str) -> None:
    _publish(layout, "a", status=status)
    assert Results(layout).find(fingerprint("ab", _REQUEST)) is None


@pytest.mark.parametrize("gone", ["published_zip", "published_json"])
def test_a_result_that_somebody_took_away_answers_nothing(layout: RootLayout, gone: str) -> None:
    _publish(layout, "a")
    results = Results(layout)
    assert results.find(fingerprint("ab", _REQUEST)) == "a"
    getattr(layout, gone)("a").unlink()
    assert results.find(fingerprint("ab", _REQUEST)) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '"x"', '{"status": "succeeded"}', "\x00"])
def test_foreign_files_in_the_outbox_do_not_matter(layout: RootLayout, content: str) -> None:
    (layout.outbox / "foreign.json").write_text(content)
    _publish(layout, "a")
    assert Results(layout).find(fingerprint("ab", _REQUEST)) == "a"
