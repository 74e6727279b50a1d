"""Images in a JSON: read as a stream, in the forms that programs write; a bad image costs itself alone."""

import base64
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import encoded, limits
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.dataset.unlabelled.json_images import JsonImages, from_base64
from segdrop.dataset.unlabelled.json_reader import JsonReader, JsonStreamError
from segdrop.dataset.unlabelled.survey import survey
from segdrop.input_kinds import InputKind
from segdrop.spec import Limits

PICTURE = np.random.default_rng(0).integers(0, 256, (8, 9, 3)).astype(np.uint8)
PNG = encoded(PICTURE)
TEXT = base64.b64encode(PNG).decode()


def written(folder: Path, content: object) -> Path:
    path = folder / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def read(path: Path, caps: Limits | None = None, start: int = 0) -> list[Item | SkippedItem]:
    with JsonImages(path, path.name, caps or limits()) as source:
        return list(source.items(start))


def outcomes(path: Path) -> list[str]:
    return [item.stem if isinstance(item, Item) else item.issue.code for item in read(path)]


def test_names_and_images_belong_together_whichever_key_comes_first(tmp_path: Path) -> None:
    for keys in (("image_names", "images"), ("images", "image_names")):
        values: dict[str, Any] = {"image_names": ["x.png", "y.jpg"], "images": [TEXT, TEXT]}
        found = read(written(tmp_path, {key: values[key] for key in keys}))
        assert [(item.index, item.name, item.stem) for item in found] == [(0, "x.png", "x"), (1, "y.jpg", "y")]
        assert all(np.array_equal(item.image, PICTURE) for item in found)


@pytest.mark.parametrize(
    "text",
    [
        "data:image/png;base64," + TEXT,
        "DATA:;BASE64," + TEXT,
        "\n".join(TEXT[place : place + 76] for place in range(0, len(TEXT), 76)),
        "\r\n  " + TEXT + " \t",
        TEXT.replace("+", "-").replace("/", "_"),
        TEXT.rstrip("="),
    ],
    ids=["data", "DATA", "lines", "blanks", "url-safe", "unpadded"],
)
def test_base64_in_the_forms_that_programs_write(tmp_path: Path, text: str) -> None:
    (item,) = read(written(tmp_path, {"images": [text]}))
    assert np.array_equal(item.image, PICTURE)


@pytest.mark.parametrize("escape", [("/", "\\/"), ("+", "\\u002b"), ("A", "\\u0041")])
def test_escapes_of_other_writers_are_undone(tmp_path: Path, escape: tuple[str, str]) -> None:
    content = json.dumps({"images": [TEXT] * 2}).replace(*escape).encode()
    assert outcomes(written(tmp_path, content.replace(b"images", b"images"))) == ["image_0001", "image_0002"]


def test_raw_line_ends_within_base64_are_taken_as_they_are_meant(tmp_path: Path) -> None:
    assert outcomes(
        written(tmp_path, b'{"images": ["' + TEXT[:40].encode() + b"\r\n" + TEXT[40:].encode() + b'"]}')
    ) == ["image_0001"]


@pytest.mark.parametrize(
    "bad",
    [
        "!!!",
        TEXT[:-7],
        TEXT[: len(TEXT) // 2],
        TEXT[:100] + "=" + TEXT[101:],
        TEXT + "AAAA",
        "",
        "é" * 8,
        "data:image/png," + TEXT,
        "data:,",
    ],
)
def test_broken_base64_costs_that_image_only(tmp_path: Path, bad: str) -> None:
    found = read(written(tmp_path, {"images": [TEXT, bad, TEXT], "image_names": ["a", "b", "c"]}))
    assert [type(item) for item in found] == [Item, SkippedItem, Item]
    assert found[1].issue.severity == "warning"
    assert found[1].issue.code in ("input.json_image_broken", "image.unreadable")
    assert found[1].issue.files == ("b",)


@pytest.mark.parametrize("bad", [None, 3.5e7, {"a": [1, {"b": '\\"'}]}, [], True])
def test_what_is_no_text_costs_that_image_only(tmp_path: Path, bad: object) -> None:
    assert outcomes(written(tmp_path, {"images": [bad, TEXT]})) == ["input.json_image_broken", "image_0002"]


def test_what_is_no_image_costs_that_image_only(tmp_path: Path) -> None:
    content = base64.b64encode(b"no image").decode()
    assert outcomes(written(tmp_path, {"images": [content, TEXT]})) == ["image.unreadable", "image_0002"]


def test_names_are_labels_and_never_paths(tmp_path: Path) -> None:
    names = ["../../etc/passwd", "/root.png", "C:\\a.png", "..", "\ud83d\ude00.png", "\ud800", "x.png", "x.png"]
    path = written(tmp_path, {"image_names": names, "images": [TEXT] * len(names)})
    found = read(path)
    assert all("/" not in item.stem and "\\" not in item.stem and not item.stem.startswith(".") for item in found)
    assert len({item.stem for item in found}) == len(names)
    assert [item.name for item in found][4:] == ["\N{GRINNING FACE}.png", "?", "x.png", "x.png"]


@pytest.mark.parametrize("names", [["a.png"], ["a.png", None, 3], ["a.png", "b.png", "c.png", "d.png"], []])
def test_names_that_are_missing_become_numbers_and_that_is_told(tmp_path: Path, names: list[Any]) -> None:
    path = written(tmp_path, {"image_names": names, "images": [TEXT] * 3})
    with JsonImages(path, "a.json", limits()) as source:
        assert [issue.code for issue in source.form_issues] == ["input.json_names"]
        found = [item.name for item in source.items()]
    given = [name for name in names[:3] if isinstance(name, str)]
    assert found == given + [f"image_{number:04}" for number in range(len(given) + 1, 4)]


def test_other_keys_are_passed_over_and_named(tmp_path: Path) -> None:
    path = written(tmp_path, {"model": {"deep": [[1, "]}"]]}, "images": [TEXT], "x": -1.5e-3, "y": False})
    assert outcomes(path) == ["image_0001"]
    (issue,) = survey(path, "a.json", InputKind.JSON, limits()).issues
    assert (issue.code, issue.severity) == ("input.json_other_keys", "note")
    assert "model, x, y" in issue.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "too early"),
        (b"[]", "{ should be"),
        (b"{}", "no key `images`"),
        (b'{"files": ["a"]}', "but files"),
        (b'{"images": []}', "empty list"),
        (b'{"images": "abc"}', "no list"),
        (b'{"images": ["QUJD"], "images": []}', "second time"),
        (b'{"images": ["QUJD"', "too early"),
        (b'{"images": ["QUJ', "too early"),
        (b'{"images": ["QUJD",]}', "stands where"),
        (b'{"images" ["QUJD"]}', "a colon"),
        (b'{"images": ["QUJD"]} x', "behind the end"),
        (b'{"images": ["QU\\x"]}', "the end of a text"),
        (b'{"images": ["QUJD"], "a": nul}', "a value"),
        (b'{"images": ["QUJD"], "image_names": ["\xe9"]}', "UTF-8"),
        (b'{"images": ["QUJD"], "a": ' + b"[" * 100 + b"]" * 100 + b"}", "nested too deeply"),
        ('{"images": ["QUJD"]}'.encode("utf-16"), "UTF-16"),
        ('{"images": ["QUJD"]}'.encode("utf-16-le"), "UTF-16"),
        (b"PK\3\4", "ZIP"),
    ],
)
def test_a_broken_json_is_a_fault_that_says_where(tmp_path: Path, content: bytes, words: str) -> None:
    (issue,) = survey(written(tmp_path, content), "a.json", InputKind.JSON, limits()).issues
    assert (issue.code, issue.severity) == ("input.json_broken", "fault")
    assert words in issue.message


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    content = (
        b"\xef\xbb\xbf" + json.dumps({"image_names": ["Straße.png"], "images": [TEXT]}, ensure_ascii=False).encode()
    )
    assert outcomes(written(tmp_path, content)) == ["Straße"]


def test_limits_of_bytes_and_images_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path, {"images": [TEXT] * 3})
    for caps, code in (
        ({"max_json_images": 2}, "input.too_many_images"),
        ({"max_json_bytes": 100}, "input.too_large"),
    ):
        assert [issue.code for issue in survey(path, "a.json", InputKind.JSON, limits(**caps)).issues] == [code]
    assert len(read(path, limits(max_json_images=3))) == 3
    found = survey(path, "a.json", InputKind.JSON, limits())
    assert (found.count, found.decoded_bytes, found.largest_pixels) == (3, 3 * 8 * 9 * 3, 72)


def test_reading_goes_on_at_any_image(tmp_path: Path) -> None:
    path = written(tmp_path, {"images": ["!!!", TEXT, TEXT], "image_names": ["a", "b", "b"]})
    assert [(item.index, item.stem) for item in read(path, start=2)] == [(2, "b_2")]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    noise = encoded(np.random.default_rng(1).integers(0, 256, (300, 400, 3)).astype(np.uint8))
    path = written(tmp_path, {"images": [base64.b64encode(noise).decode()] * 40})
    assert path.stat().st_size > 18_000_000
    with JsonImages(path, path.name, limits()) as source:
        next(iter(source.items()))  # all that is imported late is there before it is counted
        tracemalloc.start()
        try:
            assert sum(item.image.shape == (300, 400, 3) for item in source.items()) == 40
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 5_000_000


class _Dripping(io.BytesIO):
    """Gives a few bytes at a time, so that every place of the text is once the end of a piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(3)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.dictionaries(st.text(max_size=20), _VALUES, max_size=4), st.booleans(), st.sampled_from([None, 2]))
def test_any_json_is_passed_over_to_its_end_in_pieces_of_any_size(
    value: dict[str, Any], is_ascii: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode("utf-8", "surrogatepass")
    reader = JsonReader(_Dripping(text))
    keys = []
    for key in reader.keys():  # noqa: SIM118
        keys.append(key)
        reader.skip()
    reader.finish()
    assert keys == list(value)


@settings(max_examples=60)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_with_a_reason(content: bytes) -> None:
    try:
        reader = JsonReader(io.BytesIO(content))
        for _ in reader.keys():  # noqa: SIM118
            reader.skip()
        reader.finish()
    except JsonStreamError as error:
        reason = str(error)
    else:
        reason = str(json.loads(content))
    assert reason


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=40), st.integers(1, 7))
def test_base64_comes_back_from_pieces_of_any_size(content: bytes, size: int) -> None:
    text = base64.b64encode(content)
    assert from_base64(text[place : place + size] for place in range(0, len(text), size)) == content
