import pytest

from segdrop.codes import Severity
from segdrop.dataset import layouts
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.samples import Split, pairing_key
from segdrop.errors import DataError


def pairs(names: list[str], wanted: str = "auto") -> list[tuple[str, str, Split | None]]:
    reading = layouts.read(Tree(names), wanted)
    return [(names[sample.image], names[sample.truth.member], sample.split) for sample in reading.samples]


@pytest.mark.parametrize(
    ("image", "mask", "split"),
    [
        ("images/a.jpg", "masks/a.png", None),
        ("Images/A.JPG", "MASKS/a.PNG", None),
        ("img/a.png", "gt/a.png", None),
        ("image/a.png", "annotations/a.png", None),
        ("images/deep/er/a.png", "masks/deep/er/a.png", None),
        ("train/images/a.png", "train/masks/a.png", Split.TRAIN),
        ("images/valid/a.png", "labels/valid/a.png", Split.VAL),
        ("Test/images/a.png", "test/masks/a.png", Split.TEST),
        ("images/validation/x/a.png", "masks/val/x/a.png", Split.VAL),
        ("wrapper/images/a.png", "wrapper/masks/a.png", None),
        ("w/v/train/images/a.png", "w/v/train/masks/a.png", Split.TRAIN),
        ("images/images/a.png", "images/masks/a.png", None),
        ("images/caf\u00e9.png", "masks/cafe\u0301.png", None),
        ("images/a.b.c.png", "masks/a.b.c.tif", None),
    ],
)
def test_pair_is_found_wherever_the_layout_allows(image: str, mask: str, split: Split | None) -> None:
    assert pairs([image, mask]) == [(image, mask, split)]


def test_same_name_in_two_folders_is_never_confused() -> None:
    names = ["images/a/x.png", "images/b/x.png", "masks/b/x.png", "masks/a/x.png"]
    assert pairs(names) == [(names[0], names[3], None), (names[1], names[2], None)]


def test_prefix_of_a_name_is_no_match() -> None:
    names = ["images/1.png", "images/10.png", "masks/10.png", "masks/1.png"]
    assert pairs(names) == [(names[0], names[3], None), (names[1], names[2], None)]


def test_same_name_on_two_sides_of_the_split_makes_two_pairs() -> None:
    names = ["train/images/1.png", "val/images/1.png", "train/masks/1.png", "val/masks/1.png"]
    assert [split for *_, split in pairs(names)] == [Split.TRAIN, Split.VAL]


def test_masks_folder_wins_over_another_candidate() -> None:
    names = ["images/a.png", "labels/a.png", "masks/a.png", "images/b.png", "masks/b.png"]
    reading = layouts.read(Tree(names))
    assert [names[sample.truth.member] for sample in reading.samples] == ["masks/a.png", "masks/b.png"]
    assert [(issue.code, issue.files) for issue in reading.issues] == [("layout.stray_file", ("labels/a.png",))]


def test_files_that_are_no_images_are_strays_not_pairs() -> None:
    names = ["images/a.png", "images/a.txt", "masks/a.png", "README.md", "labels.txt", "segdrop.json"]
    reading = layouts.read(Tree(names, read=lambda _: b"cat\ndog\n"))
    assert reading.names is not None
    assert (reading.names.source, reading.names.ordered) == (names[4], ("cat", "dog"))
    assert [issue.files for issue in reading.issues] == [("README.md", "images/a.txt")]


@pytest.mark.parametrize(("num_paired", "severity"), [(2, Severity.WARNING), (1, Severity.FAULT)])
def test_half_of_the_files_is_where_warning_turns_fault(num_paired: int, severity: Severity) -> None:
    names = [f"images/{i}.png" for i in range(4)] + [f"masks/{i}.png" for i in range(num_paired)]
    names += [f"masks/other{i}.png" for i in range(4 - num_paired)]
    issues = layouts.read(Tree(names)).issues
    assert {(issue.code, issue.severity) for issue in issues} == {
        ("pair.missing_mask", severity),
        ("pair.missing_image", severity),
    }


@pytest.mark.parametrize(
    ("names", "codes"),
    [
        (["images/a.png"], ["layout.no_masks"]),
        (["images/a.png", "masks/a.json"], ["layout.no_masks"]),
        (["w/masks/a.png"], ["layout.no_images"]),
        (["images/a.txt", "masks/a.txt"], ["layout.no_images", "layout.no_masks"]),
        (["photos/a.png", "x.csv"], ["layout.no_masks"]),
        (["images/a.png", "masks/a.npy"], ["layout.unsupported"]),
        (["stuff/a.png", "x.csv"], ["layout.unknown"]),
        (["a.png", "b.png"], ["layout.unknown"]),
    ],
)
def test_what_is_missing_is_said(names: list[str], codes: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        layouts.read(Tree(names, read=lambda _: b"x"))
    assert [issue.code for issue in caught.value.issues] == codes


def test_unknown_layout_says_what_was_seen() -> None:
    with pytest.raises(DataError, match=r"stuff/.*2 png, 1 csv"):
        layouts.read(Tree(["stuff/a.png", "stuff/b.png", "more/x.csv"], read=lambda _: b"x"))


def test_key_ignores_extension_case_and_accents_form_but_no_folder() -> None:
    assert pairing_key("A/Ü.PNG") == pairing_key("a/u\u0308.jpg")
    assert pairing_key("a/x.png") != pairing_key("b/x.png")
    assert pairing_key("a.b/x") == "a.b/x"
