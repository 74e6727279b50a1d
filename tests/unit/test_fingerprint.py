"""Two jobs ask the same question only if all that makes the result is the same."""

import json
from typing import Any

import pytest

from segdrop import fingerprint
from segdrop.request import TrainRequest, resolve

_REQUEST: dict[str, Any] = TrainRequest().resolved().model_dump(mode="json")


def of(sha256: str = "ab", start: str | None = None, **changes: Any) -> str:
    return fingerprint.of(sha256, _REQUEST | changes, start)


def test_priority_and_force_do_not_make_another_question() -> None:
    assert of() == of(priority=5, force=True)


@pytest.mark.parametrize("change", [{"level": 2}, {"image_size": 65}, {"epochs": 11}, {"batch_size": 4}, {"seed": 1}])
def test_any_other_key_makes_another_question(change: dict[str, int]) -> None:
    assert of() != of(**change)


def test_other_bytes_make_another_question() -> None:
    assert of("ab") != of("ac")


def test_weights_are_compared_by_what_they_are_and_not_by_what_was_asked_for() -> None:
    assert of(pretrained="auto", start="12") != of(pretrained="auto", start=None)
    assert of(pretrained="auto", start="12") != of(pretrained="auto", start="13")
    assert of(pretrained="auto", start="12") == of(pretrained="mine.pth", start="12")
    assert of(pretrained="auto", start=None) == of(pretrained="none", start=None)


def test_another_version_of_the_recipe_makes_another_question(monkeypatch: pytest.MonkeyPatch) -> None:
    before = of()
    monkeypatch.setattr(fingerprint, "RECIPE_VERSION", fingerprint.RECIPE_VERSION + 1)
    assert of() != before


def test_request_is_the_same_question_after_it_went_through_files() -> None:
    """The check has it from people's files, the training from its spec."""
    asked = {"image_size": [64, 96], "learning_rate": 1, "classes": {"1": "sun"}, "class_map": {"a": None, "b": 1}}
    request, issues = resolve({}, None, ("a.json", asked))
    assert request is not None, issues
    again = TrainRequest.model_validate_json(json.dumps(request.model_dump(mode="json")), strict=True)
    first, second = (fingerprint.of("ab", one.model_dump(mode="json"), None) for one in (request, again))
    assert first == second
