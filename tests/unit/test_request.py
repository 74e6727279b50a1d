import json
import re
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from segdrop import architectures, request
from segdrop.errors import DataError, Issue
from segdrop.request import EvaluateRequest, ImageSize, LayoutName, PredictRequest, StoredRequest, Task, TrainRequest

NAME = "a.json"


def resolve(sidecar: dict[str, Any] | None = None, **other: Any) -> tuple[TrainRequest | None, list[Issue]]:
    embedded = other.pop("embedded", None)
    return request.resolve(
        other.pop("defaults", {}),
        ("segdrop.json", embedded) if embedded is not None else None,
        (NAME, sidecar) if sidecar is not None else None,
    )


def good(sidecar: dict[str, Any] | None = None, **other: Any) -> TrainRequest:
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
    assert (found.task, found.level, found.image_size, found.pretrained) == ("train", 3, (256, 256), "auto")
    assert (found.epochs, found.batch_size) == (10, 8)


@pytest.mark.parametrize(("level", "epochs", "batch_size"), [(1, 2, 8), (2, 5, 8), (3, 10, 8), (4, 20, 4), (5, 30, 4)])
def test_a_level_stands_for_epochs_and_batch_size(level: int, epochs: int, batch_size: int) -> None:
    found = good({"level": level})
    assert (found.epochs, found.batch_size) == (epochs, batch_size)
    assert level in architectures.LEVELS


def test_explicit_values_win_over_the_level() -> None:
    found = good({"level": 5, "epochs": 1})
    assert (found.epochs, found.batch_size) == (1, 4)


def test_the_sidecar_wins_over_the_zip_and_both_over_the_defaults_key_by_key() -> None:
    found = good(
        {"seed": 3},
        embedded={"seed": 2, "level": 2},
        defaults={"seed": 1, "level": 1, "image_size": 64},
    )
    assert (found.seed, found.level, found.image_size) == (3, 2, (64, 64))


def test_a_size_is_one_number_or_height_and_width() -> None:
    assert good({"image_size": 96}).image_size == (96, 96)
    assert good({"image_size": [64, 128]}).image_size == (64, 128)


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
        ("task", None),
        ("image_size", True),
        ("image_size", 64.5),
        ("image_size", {"height": 64}),
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
        ("architecture", "unet"),
        ("format", "vok"),
        ("task", "dream"),
        ("task", ["train"]),
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


def test_half_a_character_is_refused_in_words() -> None:
    (issue,) = bad({"pretrained": "\ud800"})
    assert (issue.code, issue.files) == ("request.invalid_value", (NAME,))
    assert "invalid JSON" in issue.message


def test_a_long_value_is_not_repeated_in_full() -> None:
    (issue,) = bad({"level": "x" * 10_000})
    assert len(issue.message) < 300


# the union by task, and values that are listed elsewhere


def test_task_that_does_not_exist_is_refused_with_those_that_do_and_all_else_is_said_too() -> None:
    issues = {issue.message.split("`")[1]: issue for issue in bad({"task": "dream", "levl": 1, "epochs": 0})}
    assert set(issues) == {"task", "levl", "epochs"}
    assert issues["task"].message == f"{NAME}: `task` is \"dream\": input should be 'train' or 'predict' or 'evaluate'"


@pytest.mark.parametrize(
    ("key", "valid"), [("architecture", set(architectures.ARCHITECTURES)), ("format", {"auto", *get_args(LayoutName)})]
)
def test_value_out_of_a_list_is_refused_with_all_that_are_in_it(key: str, valid: set[str]) -> None:
    (issue,) = bad({key: "none"})
    assert set(re.findall(r"'([^']+)'", issue.message)) == valid
    for value in valid:
        assert getattr(good({key: value}), key) == value


@pytest.mark.parametrize(("key", "value"), [("export", ["onnx"]), ("model", "x"), ("outputs", ["masks"])])
def test_key_of_something_that_is_not_built_is_an_unknown_one(key: str, value: object) -> None:
    assert [issue.code for issue in bad({key: value})] == ["request.unknown_key"]


@pytest.mark.parametrize("value", ["256", [64], [64, 64, 64], [31, 64], [64, "64"], True])
def test_message_about_a_size_says_both_of_its_forms_in_our_own_words(value: object) -> None:
    (issue,) = bad({"image_size": value})
    assert issue.message.endswith("input should be one number, or [height, width], each from 32 to 2048")


def test_size_has_one_form_whatever_was_asked_and_is_written_as_one_number_where_it_is_square() -> None:
    square, pair = good({"image_size": 64}), good({"image_size": [64, 64]})
    assert square == pair
    assert isinstance(square.image_size, ImageSize)
    assert square.model_dump(mode="json")["image_size"] == 64
    assert good({"image_size": [64, 96]}).model_dump(mode="json")["image_size"] == [64, 96]


def test_every_key_is_written_also_where_only_given_keys_are() -> None:
    found = good({"level": 1})
    assert found.model_dump(exclude_unset=True).keys() == TrainRequest.model_fields.keys()


def test_stored_request_of_version_0_1_is_read_without_the_keys_that_it_could_not_do() -> None:
    now = good({"level": 1})
    stored = now.model_dump(mode="json") | {"export": [], "model": None, "outputs": []}
    assert TypeAdapter(StoredRequest).validate_json(json.dumps(stored)) == now


def test_operator_defaults_are_checked_like_any_request() -> None:
    assert request.validated_defaults({"level": 1}) == {"level": 1}
    with pytest.raises(DataError) as raised:
        request.validated_defaults({"levl": 1, "seed": -1})
    assert {issue.code for issue in raised.value.issues} == {"request.unknown_key", "request.invalid_value"}
    with pytest.raises(DataError, match="invalid_value"):
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
        (b"", "it is empty: write at least {}"),
        (b" \r\n", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b"level: 1", 'JSON looks like {"level": 1}, and not like level: 1'),
        (b"<html>", "HTML or XML"),
        (b'// mine\n{"level": 1}', "begins with a comment"),
        (b'{"level": 1,}', "line 1, column 1"),
        (b'{"level": 1,}', "a comma too many"),
        (b'{"classes": ["a",\n]}', "a comma too many"),
        (b'{"level": 1} {}', "something more behind the end"),
        (b"{'level': 1}", "line 1, column 2: a quote that JSON does not have ('): use double ones"),
        ("{“level”: 1}".encode(), "typographic quote (“)"),
        ("{„level“: 1}".encode(), "typographic quote („)"),
        ('{"level”: 1}'.encode(), "typographic quotes in it"),
        (b'{"level": 1 // fast\n}', "a comment, which JSON does not have"),
        (b'{\n# fast\n"level": 1}', "line 2, column 1: a comment"),
        (b'{"level": /* fast */ 1}', "a comment"),
        (b'{"ema": True}', "True is no JSON: write true, false or null"),
        (b'{"classes": None}', "None is no JSON"),
        (b"{level: 1}", 'a key without double quotes: write "level"'),
        (b'{"loss": dice}', "dice is no value: text stands in double quotes"),
        (b'{"level": 1 "seed": 2}', "a comma is missing before this"),
        (b'{"level" 1}', "a colon is missing"),
        (b'{"level": 1', "ends too early"),
        (b'{"level": ', "ends too early"),
        (b'{"loss": "dice}', 'a double quote (") is missing'),
        (b'{"model": "C:\\data"}', "a backslash in a text is written twice"),
        (b'{"model": "a\nb"}', "a line end or tab within a text"),
        (b"[1]", "list instead of an object"),
        (b"null", "null instead of an object"),
        (b"1", "number instead of an object"),
        (b"true", "true or false instead of an object"),
        (b'"level"', "text instead of an object"),
        (b'{"level": 1, "level": 2}', "same key appears twice"),
        (b'{"classes": {"0": "a", "0": "b"}}', "same key appears twice"),
        *(('{"level": 1}'.encode(name), f"it is {name.upper()[:6]}") for name in ("utf-16", "utf-32")),
        *(('{"level": 1}'.encode(name), "it is UTF-16") for name in ("utf-16-le", "utf-16-be")),
        *(('{"level": 1}'.encode(name), "it is UTF-32") for name in ("utf-32-le", "utf-32-be")),
        ("\ufeff{}".encode("utf-16-be"), "it is UTF-16: save it as UTF-8"),
        (
            '{"classes":\n["Größe"]}'.encode("latin-1"),
            "perhaps Latin-1 or Windows-1252 (line 2 has the byte 0xF6, there 'ö')",
        ),
        ('{"classes": ["“a”"]}'.encode("cp1252"), "Windows-1252"),
        (b'{"level": 1}\0\0', "zero bytes (the first at byte 12)"),
        (b"\0" * 30, "nothing but zero bytes"),
        (b"PK\3\4\0\0", "a ZIP archive or an office document"),
        (b"{\\rtf1 {}}", "RTF"),
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
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["discriminator"]["mapping"]) == set(Task)
    for kind in (TrainRequest, PredictRequest, EvaluateRequest):
        of_task = schema["$defs"][kind.__name__]
        assert of_task["additionalProperties"] is False
        assert set(of_task["properties"]) == set(kind.model_fields)
        assert "required" not in of_task
        for name, described in of_task["properties"].items():
            assert described["description"].endswith("."), name
            assert described["default"] == kind().model_dump(mode="json")[name]
    json.dumps(schema)


def test_key_of_another_task_is_refused_by_name_with_its_task() -> None:
    (issue,) = bad({"task": "predict", "level": 2})
    assert issue.code == "request.unknown_key"
    assert issue.message == f"{NAME} has the key `level`, which task `predict` does not have: it is one of `train`"
    (issue,) = bad({"overlay_alpha": 0.2})
    assert "which task `train` does not have: it is one of `predict` and `evaluate`" in issue.message
    assert issue.fix == 'Leave it out, or ask for "task": "predict".'


def test_operators_defaults_of_other_tasks_do_not_count() -> None:
    defaults = request.validated_defaults({"level": 2, "overlay_alpha": 0.25, "precision": "fp32"})
    found, issues = request.resolve(defaults, None, (NAME, {"task": "predict"}))
    assert (found, issues) == (PredictRequest(overlay_alpha=0.25, precision="fp32"), [])
    found, _ = request.resolve(defaults, None, None)
    assert found == TrainRequest(level=2, precision="fp32").resolved()
