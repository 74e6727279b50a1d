import json
from typing import Any

import pytest

from segdrop import catalog, request
from segdrop.codes import Severity
from segdrop.errors import DataError, Issue
from segdrop.request import Request

NAME = "a.json"


def resolve(sidecar: dict[str, Any] | None = None, **other: Any) -> tuple[Request | None, list[Issue]]:
    embedded = other.pop("embedded", None)
    return request.resolve(
        other.pop("defaults", {}),
        ("segdrop.json", embedded) if embedded is not None else None,
        (NAME, sidecar) if sidecar is not None else None,
    )


def good(sidecar: dict[str, Any] | None = None, **other: Any) -> Request:
    found, issues = resolve(sidecar, **other)
    assert issues == []
    assert found is not None
    return found


def bad(sidecar: dict[str, Any], **other: Any) -> list[Issue]:
    found, issues = resolve(sidecar, **other)
    assert found is None
    assert issues
    return issues


# completing


def test_without_any_request_everything_has_its_default() -> None:
    found = good()
    assert (found.task, found.level, found.size, found.pretrained) == ("train", 3, (256, 256), "auto")
    assert (found.epochs, found.batch_size) == (10, 8)


@pytest.mark.parametrize(("level", "epochs", "batch_size"), [(1, 2, 8), (2, 5, 8), (3, 10, 8), (4, 20, 4), (5, 30, 4)])
def test_a_level_stands_for_epochs_and_batch_size(level: int, epochs: int, batch_size: int) -> None:
    found = good({"level": level})
    assert (found.epochs, found.batch_size) == (epochs, batch_size)
    assert level in catalog.LEVELS


def test_explicit_values_win_over_the_level() -> None:
    found = good({"level": 5, "epochs": 1})
    assert (found.epochs, found.batch_size) == (1, 4)


def test_the_sidecar_wins_over_the_zip_and_both_over_the_defaults_key_by_key() -> None:
    found = good(
        {"seed": 3},
        embedded={"seed": 2, "level": 2},
        defaults={"seed": 1, "level": 1, "image_size": 64},
    )
    assert (found.seed, found.level, found.size) == (3, 2, (64, 64))


def test_a_size_is_one_number_or_height_and_width() -> None:
    assert good({"image_size": 96}).size == (96, 96)
    assert good({"image_size": [64, 128]}).size == (64, 128)


@pytest.mark.parametrize("changes", [{}, {"classes": {"0": "sky"}}, {"image_size": [64, 96]}, {"learning_rate": 0.1}])
def test_a_resolved_request_is_a_valid_request_again(changes: dict[str, Any]) -> None:
    found = good(changes)
    assert good(found.model_dump(mode="json")) == found


# refusing


@pytest.mark.parametrize(
    ("key", "meant"), [("levl", "level"), ("Epochs", "epochs"), ("image-size", "image_size"), ("lr", None)]
)
def test_an_unknown_key_is_refused_with_the_nearest(key: str, meant: str | None) -> None:
    (issue,) = bad({key: 1})
    assert issue.code == "request.unknown_key"
    assert f"`{key}`" in issue.message
    assert issue.files == (NAME,)
    if meant:
        assert f"did you mean `{meant}`?" in issue.message
        assert issue.fix == f"Rename it to `{meant}`."
    else:
        assert "no similar key" in issue.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("level", 9),
        ("level", 0),
        ("level", "3"),
        ("level", True),
        ("level", 3.0),
        ("level", None),
        ("image_size", 31),
        ("image_size", 2049),
        ("image_size", [64]),
        ("image_size", [64, 64, 64]),
        ("image_size", "256"),
        ("epochs", 0),
        ("batch_size", 257),
        ("task", "tran"),
        ("learning_rate", 0),
        ("learning_rate", "fast"),
        ("weight_decay", -1),
        ("val_fraction", 1),
        ("val_fraction", 0),
        ("seed", -1),
        ("seed", 2**32),
        ("classes", "cat"),
        ("classes", [1]),
        ("classes", {"0": 1}),
        ("ignore_index", 70_000),
        ("export", ["tensorflow"]),
        ("priority", 11),
        ("force", "yes"),
        ("schema_version", 2),
        ("pretrained", None),
    ],
)
def test_a_value_of_the_wrong_type_or_out_of_range_is_refused_once(key: str, value: object) -> None:
    (issue,) = bad({key: value})
    assert issue.code == "request.invalid_value"
    assert f"`{key}` is {json.dumps(value)}" in issue.message
    assert issue.message.startswith(NAME)


def test_everything_that_is_wrong_is_said_at_once_with_where_it_stands() -> None:
    issues = bad(
        {"levl": 1, "epochs": 0, "image_size": "big"},
        embedded={"seed": -1, "xyz": 1},
    )
    assert sorted((issue.code, issue.files[0]) for issue in issues) == [
        ("request.invalid_value", NAME),
        ("request.invalid_value", NAME),
        ("request.invalid_value", "segdrop.json"),
        ("request.unknown_key", NAME),
        ("request.unknown_key", "segdrop.json"),
    ]


def test_a_fault_in_the_zip_is_not_hidden_by_a_sidecar_that_overrides_the_key() -> None:
    (issue,) = bad({"level": 1}, embedded={"level": 9})
    assert issue.files == ("segdrop.json",)


def test_a_long_value_is_not_repeated_in_full() -> None:
    (issue,) = bad({"level": "x" * 10_000})
    assert len(issue.message) < 300


# what is not built


def unavailable() -> list[tuple[str, object]]:
    """One value for each key that is valid and not among those that can be done."""
    wanted: dict[str, list[object]] = {
        "task": ["evaluate", "predict"],
        "architecture": ["unet"],
        "export": [["onnx"]],
        "model": ["x"],
        "outputs": [["masks"]],
    }
    return [
        (key, value)
        for key, available in request.AVAILABLE.items()
        for value in wanted.get(key, [])
        if value not in available
    ]


@pytest.mark.parametrize(("key", "value"), unavailable())
def test_what_cannot_be_done_yet_is_refused_and_never_ignored(key: str, value: object) -> None:
    (issue,) = bad({key: value})
    assert (issue.code, issue.severity) == ("request.not_available", Severity.FAULT)
    assert issue.message.startswith(f"`{key}` is {json.dumps(value)}")
    assert f"Leave `{key}` out, or use:" in issue.fix
    assert issue.files == (NAME,)


def test_all_that_cannot_be_done_is_named_at_once() -> None:
    wanted = dict(unavailable())
    assert {issue.message.split("`")[1] for issue in bad(wanted)} == set(wanted)


@pytest.mark.parametrize("key", list(request.AVAILABLE))
def test_what_is_said_to_be_available_is_valid_and_holds_the_default(key: str) -> None:
    assert key in Request.model_fields
    assert getattr(Request(), key) in request.AVAILABLE[key]
    for value in request.AVAILABLE[key]:
        assert good({key: value}).model_dump(mode="json")[key] == value


def test_operator_defaults_are_checked_like_any_request() -> None:
    assert request.validated_defaults({"level": 1}) == {"level": 1}
    with pytest.raises(DataError) as raised:
        request.validated_defaults({"levl": 1, "seed": -1})
    assert {issue.code for issue in raised.value.issues} == {"request.unknown_key", "request.invalid_value"}
    with pytest.raises(DataError, match="not_available"):
        request.validated_defaults({"task": "predict"})


# bytes


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{}", {}),
        (b'{"level": 1}', {"level": 1}),
        (b'\xef\xbb\xbf{"level": 1}\r\n', {"level": 1}),
        ('{"classes": ["Größe"]}'.encode(), {"classes": ["Größe"]}),
        (b'{"level": ' + b"[" * 6 + b"]" * 6 + b"}", {"level": [[[[[[]]]]]]}),
        (b" " * (request.MAX_REQUEST_BYTES - 2) + b"{}", {}),
    ],
)
def test_a_json_object_is_read(content: bytes, expected: dict[str, Any]) -> None:
    assert request.parse_file(content, NAME) == (expected, [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b"level: 1", "Expecting value"),
        (b'{"level": 1,}', ""),
        (b'{"level": 1} {}', "Extra data"),
        (b"{'level': 1}", ""),
        (b"[1]", "list instead of an object"),
        (b"null", "NoneType instead of an object"),
        (b'"level"', "str instead of an object"),
        (b'{"level": 1, "level": 2}', "same key appears twice"),
        (b'{"classes": {"0": "a", "0": "b"}}', "same key appears twice"),
        ('{"level": 1}'.encode("utf-16"), "decode"),
        (b'{"level": "\xff"}', "decode"),
        (b'{"level": ' + b"[" * 8 + b"]" * 8 + b"}", "nested too deeply"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a":' * 12_000, "nested too deeply"),
        (b'{"seed": ' + b"9" * 5_000 + b"}", "digits"),
    ],
)
def test_what_is_not_a_json_object_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    values, (issue,) = request.parse_file(content, NAME)
    assert values == {}
    assert issue.code == "request.not_json"
    assert issue.files == (NAME,)
    assert reason in issue.message


def test_a_request_of_more_than_64_kib_is_not_even_parsed() -> None:
    _, (issue,) = request.parse_file(b"[" * (request.MAX_REQUEST_BYTES + 1), NAME)
    assert issue.code == "request.too_large"


# the schema


def test_the_json_schema_has_every_key_with_its_description_and_nothing_else() -> None:
    schema = request.json_schema()
    assert schema["additionalProperties"] is False
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["properties"]) == set(Request.model_fields)
    assert "required" not in schema
    for name, described in schema["properties"].items():
        assert described["description"].endswith("."), name
        assert described["default"] == Request().model_dump(mode="json")[name]
    json.dumps(schema)


def test_no_request_can_change_another_through_a_shared_default() -> None:
    Request().export.append("onnx")
    assert Request().export == []
