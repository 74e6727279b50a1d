"""Sides of the split by lists of names, by folders on one side only, and by other words for the sides."""

from pathlib import Path

import pytest

from builders import check, write_zip
from builders.exports.scenes import areas, grey, photo
from segdrop.codes import Severity
from segdrop.dataset import layouts
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.samples import Reading, Split

TRAIN, VAL, TEST = Split.TRAIN, Split.VAL, Split.TEST
PAIRS = [f"{folder}/p{n}.{kind}" for n in range(6) for folder, kind in (("photos", "jpg"), ("gt", "png"))]


def read(names: list[str], texts: dict[str, str] | None = None) -> Reading:
    texts = texts or {}
    every = [*names, *texts]
    return layouts.read(Tree(every, read=lambda member: texts[every[member]].encode()))


def sides(reading: Reading) -> list[Split | None]:
    return [sample.split for sample in reading.samples]


def codes(reading: Reading) -> list[str]:
    return [issue.code for issue in reading.issues]


@pytest.mark.parametrize("folder", ["", "splits/", "ImageSets/Segmentation/", "lists/"])
@pytest.mark.parametrize(
    "line", ["p{}", "p{}.jpg", "photos/p{}.jpg gt/p{}.png", "./photos/p{}.jpg,gt/p{}.png", '"p{}"']
)
def test_lists_divide_whatever_they_call_an_image(folder: str, line: str) -> None:
    lines = [line.replace("{}", str(n)) + "\n" for n in range(6)]
    texts = {"train.txt": "".join(lines[:3]), "val.txt": "".join(lines[3:5]), "test.txt": lines[5]}
    found = read(PAIRS, {folder + name: text for name, text in texts.items()})
    assert sides(found) == [TRAIN] * 3 + [VAL] * 2 + [TEST]
    assert codes(found) == []
    assert any("val.txt" in said for said in found.assumptions)


@pytest.mark.parametrize(
    ("train", "val"), [("train_list.txt", "val_list.txt"), ("trn.txt", "dev.txt"), ("training.txt", "valid_ids.txt")]
)
def test_lists_have_any_usual_name(train: str, val: str) -> None:
    assert sides(read(PAIRS, {train: "p0\np1\np2\np3\n", val: "p4\np5\n"})) == [TRAIN] * 4 + [VAL] * 2


def test_names_with_spaces_and_dots_are_whole_lines() -> None:
    names = [f"{folder}/a {n}.v1.{kind}" for n in range(4) for folder, kind in (("images", "jpg"), ("masks", "png"))]
    found = read(names, {"train.txt": "a 0.v1\na 1.v1.jpg\n", "val.txt": "a 2.v1\na 3.v1\n"})
    assert sides(found) == [TRAIN, TRAIN, VAL, VAL]


def test_names_that_are_not_there_and_pairs_in_no_list_are_said() -> None:
    found = read(PAIRS, {"train.txt": "p0\np1\np2\nq9\n", "val.txt": "p3\n"})
    assert sides(found) == [TRAIN, TRAIN, TRAIN, VAL]
    assert [(issue.code, issue.severity, issue.count) for issue in found.issues] == [
        ("split.list", Severity.WARNING, 1),
        ("split.list", Severity.WARNING, 2),
    ]
    assert "q9" in found.issues[0].message


def test_a_list_to_validate_with_leaves_the_rest_for_training() -> None:
    assert sides(read(PAIRS, {"val.txt": "p1\np4\n"})) == [TRAIN, VAL, TRAIN, TRAIN, VAL, TRAIN]


def test_a_list_for_training_alone_divides_nothing_and_that_is_said() -> None:
    found = read(PAIRS, {"train.txt": "p0\np1\np2\np3\n"})
    assert sides(found) == [None] * 6
    assert any("train.txt" in said for said in found.assumptions)


def test_a_name_in_two_lists_is_not_trained_on_and_that_is_said() -> None:
    found = read(PAIRS, {"train.txt": "p0\np1\np2\np3\n", "val.txt": "p3\np4\np5\n"})
    assert sides(found) == [TRAIN] * 3 + [VAL] * 3
    assert codes(found) == ["split.list"]


def test_lists_about_other_files_are_not_followed_and_that_is_said() -> None:
    found = read(PAIRS, {"train.txt": "p0\nz1\nz2\n", "val.txt": "z3\n"})
    assert sides(found) == [None] * 6
    assert codes(found) == ["split.list", "split.list"]


def test_folders_of_sides_say_more_than_lists() -> None:
    names = [f"{side}/{folder}/a{n}.png" for n, side in enumerate(("train", "val")) for folder in ("images", "masks")]
    assert codes(read(names, {"train.txt": "a0\n", "val.txt": "a1\n"})) == []
    found = read(names, {"train.txt": "a1\n", "val.txt": "a0\n"})
    assert (sides(found), codes(found)) == ([TRAIN, VAL], ["split.list"])


def test_other_texts_divide_nothing() -> None:
    assert sides(read(PAIRS, {"trainval.txt": "p0\n", "readme.txt": "p1\n", "train_log.txt": "p2\n"})) == [None] * 6


@pytest.mark.parametrize(
    ("words", "found"),
    [(("train", "dev", "holdout"), (TRAIN, VAL, TEST)), (("trn", "eval", "tst"), (TRAIN, VAL, TEST))],
)
@pytest.mark.parametrize("form", ["{side}/images/{n}.png {side}/masks/{n}.png", "img/{side}/{n}.png gt/{side}/{n}.png"])
def test_sides_have_other_names(words: tuple[str, ...], found: tuple[Split, ...], form: str) -> None:
    names = [name for n, side in enumerate(words) for name in form.format(side=side, n=n).split()]
    assert set(sides(read(names))) == set(found)


@pytest.mark.parametrize("form", ["images/{n}.jpg masks/{side}/{n}.png", "images/{side}/{n}.jpg masks/{n}.png"])
def test_folders_of_sides_around_images_or_masks_alone_divide_both(form: str) -> None:
    names = [n for k, s in enumerate(("train", "train", "dev", "test")) for n in form.format(n=k, side=s).split()]
    found = read(names)
    assert (sides(found), codes(found)) == ([TRAIN, TRAIN, VAL, TEST], [])
    assert any("folders of sides" in said for said in found.assumptions)


def test_one_image_with_a_mask_on_two_sides_is_a_fault_that_names_both() -> None:
    names = ["images/a.jpg", "images/b.jpg", "masks/train/a.png", "masks/val/a.png", "masks/val/b.png"]
    issue = next(issue for issue in read(names).issues if issue.code == "pair.ambiguous")
    assert issue.severity is Severity.FAULT
    assert set(issue.files) == {"masks/train/a.png", "masks/val/a.png"}


def test_copies_of_one_photo_with_different_masks_are_named(tmp_path: Path) -> None:
    content = {f"images/p{n}.png": photo(n) for n in range(4)}
    content |= {f"masks/p{n}.png": grey(areas(n, (0, 1, 2))) for n in range(4)}
    ordinary = check(write_zip(tmp_path / "ordinary.zip", content))
    copied = content | {"images/copy.png": photo(2), "masks/copy.png": content["masks/p2.png"]}
    same = check(write_zip(tmp_path / "same.zip", copied))
    other = check(write_zip(tmp_path / "other.zip", copied | {"masks/copy.png": grey(areas(9, (0, 1, 2)))}))
    found = [[i for i in report.issues if i.code == "pair.contradiction"] for report in (ordinary, same, other)]
    assert found[:2] == [[], []]
    (issue,) = found[2]
    assert issue.severity is Severity.WARNING
    assert set(issue.files) == {"masks/p2.png", "masks/copy.png"}
