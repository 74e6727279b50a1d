"""What a JSON file in the inbox is, by the keys at its top; and how often such files are read."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.intake import json_files, json_top
from segdrop.intake.json_files import JsonFiles
from segdrop.intake.json_top import JsonReading, JsonRole
from segdrop.intake.settle import Stamp, stamp_of


def read(content: bytes | str | dict[str, object]) -> JsonReading:
    text = json.dumps(content) if isinstance(content, dict) else content
    data = text if isinstance(text, bytes) else text.encode()
    return json_top.read(data[: json_top.HEAD_BYTES], len(data))


LARGE = "x" * json_top.HEAD_BYTES
TABLE = {
    JsonRole.REQUEST: [
        {},
        {"task": "predict"},
        {"classes": ["shapes", "images"], "class_map": {"images": None, "shapes": None, "annotations": "task"}},
        {"seed": 1, "outputs": ["originals"]},
        {"images": "all of them"},
        '{"task": "predict"',
        "{",
        "\ufeff {}",
    ],
    JsonRole.IMAGES: [
        {"images": []},
        {"images": ["QUJD"]},
        {"image_names": ["a"], "images": ["QUJD"]},
        {"images": [None, 1]},
        {"comment": [{"annotations": 1}], "images": ["QUJD"]},
        {"images": ["A" * 100_000, "B"], "image_names": ["a", "b"]},
        '{"images": ["QUJ',
        '{"images": [',
        '{"\\u0069mages": ["QUJD"]}',
    ],
    JsonRole.ANNOTATIONS: [
        {"version": "5.0", "flags": {}, "shapes": []},
        {"task": "predict", "shapes": []},
        {"imagePath": "a.jpg"},
        {"shapes": [LARGE]},
        {"images": [{"id": 1}]},
        {"info": {}, "licenses": [], "images": [{"id": 1}], "annotations": []},
        {"_via_settings": {}},
        {"imgHeight": 1, "objects": []},
    ],
    JsonRole.LARGE: [{"some": LARGE}, {"some": {"images": ["QUJD"]}, "other": LARGE}, {"task": "predict", "x": LARGE}],
    JsonRole.NO_OBJECT: ["", "[]", '"{"', "null", b"\xff\xfe{\0}\0", bytes(100), '[{"images": ["QUJD"]}]', "hello {}"],
}


@pytest.mark.parametrize(
    ("role", "content"), [(role, content) for role, contents in TABLE.items() for content in contents]
)
def test_the_keys_at_its_top_say_what_a_file_is(role: JsonRole, content: bytes | str | dict[str, object]) -> None:
    assert read(content).role is role


@pytest.mark.parametrize(
    ("content", "predicts"),
    [
        ('{"task": "predict"}', True),
        (' {"model" : "a" ,\n"task"\t:\r\n"predict" }', True),
        ('{"t\\u0061sk": "pr\\u0065dict"}', True),
        ('{"task": "train", "task": "predict"}', True),
        ('{"outputs": ["masks"], "task": "predict"}', True),
        ('{"task": "Predict"}', False),
        ('{"task": ["predict"]}', False),
        ('{"task": 1, "x": "predict"}', False),
        ('{"x": {"task": "predict"}}', False),
        ('{"x": ["task", "predict"]}', False),
        ('{"x": "\\"task\\": \\"predict\\""}', False),
        ('{"model": "task"}', False),
        ('{"task": "predict', False),
        ('{} {"task": "predict"}', False),
    ],
)
def test_a_request_for_a_prediction_says_so_at_its_top(content: str, predicts: bool) -> None:
    assert read(content).predicts is predicts


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('ab"\\{}[]:, é\n'), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["task", "model", "images", "image_names", "shapes", 'a"b', "\\", "{", ""])


@given(st.dictionaries(KEYS, VALUES | st.just("predict"), max_size=5), st.sampled_from([None, 1]), st.booleans())
def test_it_says_of_every_object_what_a_parser_says(value: dict[str, object], indent: int | None, ascii_: bool) -> None:
    found = read(json.dumps(value, indent=indent, ensure_ascii=ascii_))
    lists = [value[key] for key in ("images", "image_names") if isinstance(value.get(key), list)]
    if "shapes" in value or any(some and isinstance(some[0], dict) for some in lists):
        assert found.role is JsonRole.ANNOTATIONS
    elif lists:
        assert found.role is JsonRole.IMAGES
    else:
        assert found.role is JsonRole.REQUEST
        assert found.predicts is (value.get("task") == "predict")


@given(st.binary(max_size=200) | st.text('{}[]":,\\ task"predict"images', max_size=200).map(str.encode))
def test_every_content_has_an_answer(content: bytes) -> None:
    assert isinstance(read(content), JsonReading)


@pytest.mark.parametrize(
    "unit",
    [b'\\"', b'"', b"[", b'["', b'{"a":', b'"\\\\', b'"a":"b",', b"1,", b' "', b'":"'],
)
def test_no_content_takes_longer_than_its_length(unit: bytes) -> None:
    head = (b'{"a": "' + unit * json_top.HEAD_BYTES)[: json_top.HEAD_BYTES]
    started = time.process_time()
    json_top.read(head, 1 << 20)
    assert time.process_time() - started < 0.25, "0.05 is usual; the square of the length would be minutes"


# how often they are read


def stamps(folder: Path) -> "dict[str, Stamp]":
    return {path.name: stamp_of(path.lstat()) for path in folder.iterdir()}


def looked(files: JsonFiles, folder: Path, urgent: tuple[str, ...] = ()) -> list[str]:
    """Returns the names that one scan has looked at."""
    there, seen = stamps(folder), []
    files.look(sorted(there), urgent, lambda name: seen.append(name) or there.get(name))
    return seen


def test_a_file_is_read_again_exactly_where_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    files = JsonFiles(tmp_path)
    looked(files, tmp_path)
    assert files.readings["a.json"].role is JsonRole.REQUEST
    path.write_text('{"shapes": []}')
    looked(files, tmp_path)
    assert files.readings["a.json"].role is JsonRole.ANNOTATIONS
    path.unlink()
    looked(files, tmp_path)
    assert files.readings == {}


def test_a_file_that_is_exchanged_between_the_look_and_the_reading_is_read_in_the_next_scan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    before = stamps(tmp_path)
    path.write_text('{"shapes": []}')
    files = JsonFiles(tmp_path)
    files.look(["a.json"], (), before.get)
    assert files.readings == {}
    looked(files, tmp_path)
    assert files.readings["a.json"].role is JsonRole.ANNOTATIONS


@pytest.mark.parametrize("key", ["task", "images", "shapes"])
def test_a_key_far_down_in_a_file_is_found(tmp_path: Path, key: str) -> None:
    value = {"comment": "x" * 20_000, key: "predict" if key == "task" else []}
    (tmp_path / "a.json").write_text(json.dumps(value))
    files = JsonFiles(tmp_path)
    looked(files, tmp_path)
    assert files.readings["a.json"] == read(value)
    assert files.readings["a.json"] != read({"comment": ""})


def test_what_an_input_depends_on_is_looked_at_in_every_scan_and_the_others_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_files, "LOOKS_IN_A_SCAN", 2)
    for number in range(5):
        (tmp_path / f"{number}.json").write_text("{}")
    files = JsonFiles(tmp_path)
    assert sorted(looked(files, tmp_path)) == [f"{number}.json" for number in range(5)], "what is new, at once"
    seen = [looked(files, tmp_path, urgent=("4.json",)) for _ in range(3)]
    assert all("4.json" in names and len(names) <= 3 for names in seen)
    assert {name for names in seen for name in names} == set(files.readings)


def test_a_scan_reads_no_more_than_it_may_and_says_that_it_is_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_files, "READS_IN_A_SCAN", 2)
    for number in range(5):
        (tmp_path / f"{number}.json").write_text("{}")
    files = JsonFiles(tmp_path)
    read_so_far = []
    for _ in range(3):
        looked(files, tmp_path)
        read_so_far.append((len(files.readings), files.is_behind))
    assert read_so_far == [(2, True), (4, True), (5, False)]


def test_a_file_that_cannot_be_read_says_why_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text("{}")
    opened = json_files.regular_files.open_binary

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    files = JsonFiles(tmp_path)
    monkeypatch.setattr(json_files.regular_files, "open_binary", refused)
    looked(files, tmp_path)
    assert files.readings["a.json"] == JsonReading(JsonRole.UNREADABLE, detail="Permission denied")
    monkeypatch.setattr(json_files.regular_files, "open_binary", opened)
    looked(files, tmp_path)
    assert files.readings["a.json"].role is JsonRole.REQUEST


def test_a_link_that_takes_the_place_of_a_file_is_never_followed(tmp_path: Path) -> None:
    inside = tmp_path / "inbox"
    inside.mkdir()
    (tmp_path / "secret.json").write_text('{"task": "predict"}')
    (inside / "a.json").write_text("{}")
    there = stamps(inside)
    (inside / "a.json").unlink()
    (inside / "a.json").symlink_to(tmp_path / "secret.json")
    files = JsonFiles(inside)
    files.look(["a.json"], (), there.get)
    assert files.readings["a.json"].role is JsonRole.UNREADABLE
