"""Lists of classes one line short or long, from 0 or from 1: what the values exclude is read, the rest is said."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from builders import check, encoded, write_zip
from segdrop.dataset.report import CheckReport

# ruff: noqa: E501  (rows of tables)
SIDE = 40
CODES = {
    "classes.shifted",
    "classes.background_assumed",
    "mask.unknown_value",
    "classes.contradicted",
    "classes.invalid",
}
#: shares in percent of values, in every mask unless a value is negative: then in every third mask
GROUND = 60


def dataset(
    folder: Path, shares: dict[int, int], lists: dict[str, str], rare: Sequence[int] = (), count: int = 12
) -> Path:
    """A ZIP whose masks hold values in columns of so many percent; the rare ones are in every third mask only."""
    content: dict[str, bytes] = {name: text.encode() for name, text in lists.items()}
    fallback = max(shares, key=shares.__getitem__)
    for number in range(count):
        values = np.full((SIDE, SIDE), fallback, np.uint8)
        left = 0
        for value, share in shares.items():
            width = SIDE * share // 100
            values[:, left : left + width] = fallback if value in rare and number % 3 else value
            left += width
        noise = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3))
        content[f"images/{number:02}.png"] = encoded(noise.astype(np.uint8))
        content[f"masks/{number:02}.png"] = encoded(np.roll(values, number, axis=1))
    return write_zip(folder / "data.zip", content)


def codes(report: CheckReport) -> set[str]:
    return {str(issue.code) for issue in report.issues} & CODES


def lines(*names: str) -> dict[str, str]:
    return {"labels.txt": "\n".join(names)}


#: shares by value, the list, and the class of each value, "-" for ignored ones
CERTAIN = {
    "background first": ({0: 60, 1: 20, 2: 20}, lines("background", "crane", "truck"), "background crane truck"),
    "no background, one line for each but 0": ({0: 60, 1: 20, 2: 20}, lines("crane", "truck"), "background crane truck"),
    "one line per value, the first no background": ({0: 20, 1: 50, 2: 30}, lines("kerb", "road", "verge"), "kerb road verge"),
    "one line per value and a void one": ({0: 20, 1: 50, 2: 30}, lines("kerb", "road", "unlabelled"), "kerb road -"),
    "void first": ({0: 20, 1: 50, 2: 30}, lines("Unlabeled", "road", "verge"), "- road verge"),
    "few of many classes, without background": ({0: 70, 3: 20, 5: 10}, lines(*"abcdefghij"), "background c e"),
    "few of many classes, with background": ({0: 70, 3: 20, 5: 10}, lines("bg", *"abcdefghij"), "bg c e"),
    "labelme": ({0: 60, 1: 20, 2: 20}, lines("__ignore__", "_background_", "cat", "dog"), "_background_ cat dog"),
    "labelme with ignored pixels": ({0: 60, 1: 20, 255: 20}, lines("__ignore__", "_background_", "cat"), "_background_ cat -"),
    "grey levels, two names": ({0: 45, 255: 55}, lines("wall", "cell"), "wall cell"),
    "grey levels, one name": ({0: 70, 255: 30}, lines("cell"), "background cell"),
    "values from 1, background first": ({1: 50, 2: 30, 3: 20}, lines("background", "road", "roof"), "background road roof"),
    "values from 1": ({1: 50, 2: 30, 3: 20}, lines("field", "road", "roof"), "field road roof"),
    "numbered from 1 without 0": ({0: 60, 1: 20, 2: 20}, lines("2: truck", "1: crane"), "background crane truck"),
    "numbered with gaps": ({0: 60, 7: 20, 11: 20}, lines("7 road", "0 none", "11 roof"), "none road roof"),
    "many classes that all occur": ({0: 55, **dict.fromkeys(range(1, 11), 4)}, lines(*"abcdefghijk"), " ".join("abcdefghijk")),
    "grey levels, numbered from 1": ({0: 70, 255: 30}, lines("1: cell"), "background cell"),
    "grey levels, numbered from 0": ({0: 40, 127: 30, 254: 30}, lines("1: a", "0: wall", "2: b"), "wall a b"),
    "grey levels by their values": ({0: 70, 255: 30}, lines("0: wall", "255: cell"), "wall cell"),
    "void by number": ({0: 30, 1: 40, 255: 30}, lines("255: void", "0: kerb", "1: verge"), "kerb verge -"),
    "void at the end is 255": ({0: 30, 1: 40, 255: 30}, lines("kerb", "verge", "void"), "kerb verge -"),
    "codes": ({0: 70, 1: 30}, {"codes.txt": "Animal\nArchway\nBridge"}, "Animal Archway"),
    "codes, few of many": ({1: 70, 4: 30}, {"codes.txt": "a\nb\nc\nd\ne\nf\ng"}, "b e"),
}  # fmt: skip


@pytest.mark.parametrize("case", CERTAIN)
def test_what_fits_in_one_way_is_read_so_without_a_warning(case: str, tmp_path: Path) -> None:
    shares, lists, expected = CERTAIN[case]
    report = check(dataset(tmp_path, shares, lists))
    assert codes(report) == set()
    assert by_value(report, shares) == expected.split()


def by_value(report: CheckReport, shares: dict[int, int]) -> list[str]:
    """The class of each value, in their order, or "-"."""
    assert report.dataset is not None
    found = dict(zip(report.dataset.mask_values, report.dataset.classes, strict=True))
    return [found.get(value, "-") for value in shares]


DOUBTFUL = {
    "last class perhaps absent": ({0: 60, 1: 20, 2: 20}, lines("crane", "truck", "mast"), (), "crane truck mast"),
    "one line short": ({0: 10, 1: 50, 2: 30, 3: 10}, lines("sky", "road", "roof"), (), "background sky road roof"),
    "one line short, first value rare": ({0: 30, 1: 40, 2: 30}, lines("sky", "road"), (0,), "background sky road"),
    "the last ones do not occur": ({0: 10, 1: 50, 2: 40}, lines(*"abcdefg"), (), "a b c"),
    "a surface that covers most": ({0: 60, 2: 20, 5: 20}, lines("road", *"bcdefgh"), (), "background b e"),
    "value 0 does not occur, nor the last": ({1: 60, 2: 20, 3: 20}, lines(*"abcdefg"), (), "a b c"),
    "no data, background first": ({0: 10, 1: 60, 2: 20, 3: 10}, lines("background", "road", "roof"), (), "- background road roof"),
    "no data, background by number": ({0: 10, 1: 60, 2: 20, 3: 10}, lines("1 background", "2 road", "3 roof"), (), "- background road roof"),
    "background first at value 1, last class absent": ({1: 60, 2: 20, 3: 20}, lines("background", *"abcd"), (), "a b c"),
    "numbered from 1, values from 0": ({0: 30, 1: 50, 2: 20}, lines("1 kerb", "2 road", "3 roof"), (), "background kerb road"),
    "void first is 255": ({0: 40, 1: 50, 255: 10}, lines("void", "kerb", "verge"), (), "kerb verge -"),
    "numbered from 1, the background too, values from 0": ({0: 60, 1: 20, 2: 20}, lines("1 background", "2 road", "3 roof"), (), "background road roof"),
    "cropland": ({0: 60, 2: 20, 5: 20}, lines("cropland", *"bcdefgh"), (), "background b e"),
    "numbered from 0, values less one": ({0: 50, 1: 20, 2: 20, 255: 10}, lines("0: void", "1: a", "2: b", "3: c"), (), "- a b -"),
}  # fmt: skip


@pytest.mark.parametrize("case", DOUBTFUL)
def test_a_shift_that_is_possible_is_a_warning_with_both_readings(case: str, tmp_path: Path) -> None:
    shares, lists, rare, expected = DOUBTFUL[case]
    report = check(dataset(tmp_path, shares, lists, rare))
    assert by_value(report, shares) == expected.split()
    (issue,) = [issue for issue in report.issues if issue.code in CODES]
    assert issue.severity == "warning"
    assert "% of the pixels" in issue.message
    assert '"labels_include_background": ' in issue.fix or '"classes": {' in issue.fix or '"ignore_index"' in issue.fix


def test_a_shift_that_nothing_decides_is_a_fault_with_the_lines_for_the_request(tmp_path: Path) -> None:
    path = dataset(tmp_path, {0: 50, 1: 20, 2: 20, 3: 10}, lines("background", "road", "roof"))
    report = check(path)
    assert report.dataset is None
    (issue,) = [issue for issue in report.issues if issue.code == "classes.shifted"]
    assert issue.severity == "fault"
    assert '"labels_include_background": true' in issue.fix
    assert '"labels_include_background": false' in issue.fix


def test_numbers_from_0_for_values_from_1_are_a_fault_with_both_readings(tmp_path: Path) -> None:
    lists = {"id2label.json": '{"0": "roof", "1": "road", "2": "path"}'}
    shares = {0: 10, 1: 50, 2: 30, 3: 10}
    report = check(dataset(tmp_path, shares, lists))
    (issue,) = [issue for issue in report.issues if issue.code == "classes.shifted"]
    assert issue.severity == "fault"
    settled = check(dataset(tmp_path, shares, lists), {"labels_include_background": False})
    assert by_value(settled, shares) == ["background", "roof", "road", "path"]


@pytest.mark.parametrize(("is_included", "expected"), [(True, "sky road roof"), (False, "background sky road")])
@pytest.mark.parametrize("lists", [lines("sky", "road", "roof"), lines("1 sky", "2 road", "3 roof"),
                                   {"id2label.json": '{"0": "sky", "1": "road", "2": "roof"}'}])  # fmt: skip
def test_the_request_settles_a_shift_of_any_list(
    lists: dict[str, str], is_included: bool, expected: str, tmp_path: Path
) -> None:
    shares = {0: 50, 1: 30, 2: 20}
    report = check(dataset(tmp_path, shares, lists), {"labels_include_background": is_included})
    assert codes(report) == set()
    assert by_value(report, shares) == expected.split()


def test_the_request_says_that_value_0_is_no_data(tmp_path: Path) -> None:
    shares = {0: 50, 1: 20, 2: 20, 3: 10}
    report = check(dataset(tmp_path, shares, lines("background", "road", "roof")), {"labels_include_background": False})
    assert by_value(report, shares) == ["-", "background", "road", "roof"]
    assert codes(report) == set()


def test_a_class_ignored_by_its_name_that_covers_most_is_a_warning(tmp_path: Path) -> None:
    report = check(dataset(tmp_path, {0: 70, 1: 20, 2: 10}, lines("unlabeled", "road", "roof")))
    (issue,) = [issue for issue in report.issues if issue.code == "mask.mostly_ignored"]
    assert "70%" in issue.message
    report = check(dataset(tmp_path, {0: 30, 1: 40, 2: 30}, lines("unlabeled", "road", "roof")))
    assert not [issue for issue in report.issues if issue.code == "mask.mostly_ignored"]
