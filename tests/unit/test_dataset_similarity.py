"""Frames of a video stay on one side of the split, and copies across it are told."""

from pathlib import Path

import numpy as np
from PIL import Image

from builders import check, encoded, write_zip
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.report import CheckReport
from segdrop.dataset.samples import LabelledSample, MaskFile, Split
from segdrop.dataset.split import division, similarity

SIDE = 32


def scene(number: int) -> np.ndarray:
    """A picture that has nothing to do with those of other numbers."""
    blocks = np.random.default_rng(number).integers(0, 255, (4, 4, 3)).astype(np.uint8)
    return blocks.repeat(SIDE // 4, axis=0).repeat(SIDE // 4, axis=1)


def video(number: int, frames: int) -> list[np.ndarray]:
    """A scene that slowly becomes another."""
    first, last = scene(number).astype(float), scene(number + 1).astype(float)
    return [(first + (last - first) * frame / frames).astype(np.uint8) for frame in range(frames)]


def thumbnails(pictures: list[np.ndarray]) -> similarity.Thumbnails:
    return similarity.centred(b"".join(similarity.thumbnail(Image.fromarray(picture)) for picture in pictures))


def test_pictures_that_have_nothing_in_common_are_no_video() -> None:
    assert similarity.groups(thumbnails([scene(number) for number in range(40)])) == list(range(40))


def test_a_few_images_are_no_video() -> None:
    assert similarity.groups(thumbnails(video(0, 10))) == list(range(10))


def test_videos_are_cut_where_the_scene_changes_and_where_they_get_long() -> None:
    pictures = [frame for number in range(0, 40, 10) for frame in video(number, 30)]
    numbers = similarity.groups(thumbnails(pictures))
    assert numbers == sorted(numbers)
    for first in range(0, 120, 30):
        assert numbers[first] != numbers[first - 1]
    _, lengths = np.unique(numbers, return_counts=True)
    assert lengths.max() <= 6
    assert len(lengths) >= 20


def test_a_copy_under_another_name_and_exposure_is_alike_and_a_neighbour_scene_is_not() -> None:
    pictures = [scene(number) for number in range(6)]
    brighter = np.clip(pictures[2] // 2 + 40, 0, 255)
    pictures[2] = pictures[2] // 2
    images = thumbnails([*pictures, brighter.astype(np.uint8)])
    assert similarity.alike(images, [6, 5], [0, 1, 2, 3]) == [6]
    assert similarity.alike(images, [5], []) == []


def test_images_of_hardly_any_contrast_are_not_all_alike() -> None:
    images = thumbnails([100 + scene(number) // 64 for number in range(8)])
    assert similarity.alike(images, [0, 1, 2, 3], [4, 5, 6, 7]) == []


def test_every_piece_is_on_one_side_of_a_split_that_we_make() -> None:
    samples = [LabelledSample(f"{i:03}", i, None, MaskFile(i)) for i in range(100)]
    pieces = [i // 5 for i in range(100)]
    sides = division.divide(samples, [1] * 100, 0.2, 0, pieces)
    assert not {pieces[i] for i in sides.train} & {pieces[i] for i in sides.val}
    assert 10 <= len(sides.val) <= 30
    assert any("20 groups" in said for said in sides.assumptions)


def test_a_split_that_the_zip_gives_stays_as_it_is() -> None:
    samples = [LabelledSample(f"{i:03}", i, Split.VAL if i % 2 else Split.TRAIN, MaskFile(i)) for i in range(40)]
    assert division.divide(samples, [1] * 40, 0.2, 0, [i // 5 for i in range(40)]).val == list(range(1, 40, 2))


def checked(path: Path, sides: dict[str, list[np.ndarray]]) -> CheckReport:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:20] = 1
    members = {}
    for side, pictures in sides.items():
        for number, picture in enumerate(pictures):
            members[f"{side}images/{number:03}.png"] = encoded(picture)
            members[f"{side}masks/{number:03}.png"] = encoded(mask)
    write_zip(path, members)
    return check(path)


def test_copies_on_both_sides_of_a_given_split_are_named(tmp_path: Path) -> None:
    train = [scene(number) for number in range(8)]
    report = checked(tmp_path / "data.zip", {"train/": train, "val/": [scene(50), train[3]]})
    leaks = [issue for issue in report.issues if issue.code == "split.leak"]
    assert [(issue.files, issue.severity) for issue in leaks] == [(("val/images/001.png",), "warning")]


def test_a_video_without_a_split_is_divided_by_pieces(tmp_path: Path) -> None:
    report = checked(tmp_path / "data.zip", {"": [frame for n in range(0, 40, 10) for frame in video(n, 12)]})
    assert report.dataset is not None
    assert any("one video" in said for said in report.dataset.assumptions)


def test_a_split_that_we_make_has_no_copies_on_both_sides(tmp_path: Path) -> None:
    """Five pictures twice under other names: the second of each goes where the first is."""
    report = checked(tmp_path / "data.zip", {"": [scene(number % 5) for number in range(10)]})
    assert report.dataset is not None
    assert "split.leak" not in {issue.code for issue in report.issues}
    with CacheReader(tmp_path / "cache") as reader:
        assert not {i % 5 for i in reader.index.val} & {i % 5 for i in reader.index.train}
