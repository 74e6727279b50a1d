"""Doubts about masks that can be read: background and object exchanged, a class in one mask alone."""

from pathlib import Path

import numpy as np
import pytest

from builders import check, encoded, write_zip
from segdrop.codes import Code, Severity
from segdrop.dataset.report import CheckReport
from segdrop.errors import Issue

SIDE, COUNT = 48, 12


def blob(number: int) -> np.ndarray:
    """An object amid the picture, in a place of its own."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (rows - 18 - number) ** 2 + (columns - 30 + number) ** 2 < 90


def cells(number: int) -> np.ndarray:
    """White cells between thin black membranes, which run to the edge."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return ((rows + number) % 12 > 1) & ((columns + 2 * number + rows // 4) % 12 > 1)


def dataset(folder: Path, masks: list[np.ndarray], labels: bytes | None = None) -> Path:
    content = {} if labels is None else {"labels.txt": labels}
    for number, mask in enumerate(masks):
        image = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
        content[f"images/{number:02}.png"] = encoded(image)
        content[f"masks/{number:02}.png"] = encoded(mask.astype(np.uint8))
    return write_zip(folder / "data.zip", content)


def found(report: CheckReport, code: Code) -> list[Issue]:
    assert report.dataset is not None, report.issues
    return [issue for issue in report.issues if issue.code is code]


@pytest.mark.parametrize("white", [1, 255])
def test_white_around_the_objects_is_doubted(tmp_path: Path, white: int) -> None:
    report = check(dataset(tmp_path, [~blob(number) * white for number in range(COUNT)]))
    (issue,) = found(report, Code.MASK_INVERTED)
    assert issue.severity is Severity.WARNING
    assert f"value {white}, read as foreground" in issue.message
    assert "along the edge of 12 of 12 masks" in issue.message


@pytest.mark.parametrize("white", [1, 255])
def test_the_request_that_is_advised_says_it_and_ends_the_doubt(tmp_path: Path, white: int) -> None:
    archive = dataset(tmp_path, [~blob(number) * white for number in range(COUNT)])
    (issue,) = found(check(archive), Code.MASK_INVERTED)
    names = {"0": "object", str(white): "background"}
    assert f'"classes": {{"0": "object", "{white}": "background"}}' in issue.fix
    report = check(archive, {"classes": names})
    assert not found(report, Code.MASK_INVERTED)
    assert report.dataset is not None
    assert report.dataset.classes == ["object", "background"]
    assert report.dataset.class_pixels[0] < report.dataset.class_pixels[1]


def test_objects_on_black_are_not_doubted(tmp_path: Path) -> None:
    assert not found(check(dataset(tmp_path, [blob(number) * 255 for number in range(COUNT)])), Code.MASK_INVERTED)


def test_cells_between_membranes_are_not_doubted(tmp_path: Path) -> None:
    masks = [cells(number) * 255 for number in range(COUNT)]
    assert np.mean(masks) > 0.6 * 255
    assert not found(check(dataset(tmp_path, masks)), Code.MASK_INVERTED)


def test_a_field_of_view_is_not_doubted(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    view = (rows - SIDE / 2) ** 2 + (columns - SIDE / 2) ** 2 < (SIDE / 2 - 1) ** 2
    assert view.mean() > 0.6
    assert not found(check(dataset(tmp_path, [view * (200 + 5) for _ in range(COUNT)])), Code.MASK_INVERTED)


def test_classes_that_people_named_are_not_doubted(tmp_path: Path) -> None:
    archive = dataset(tmp_path, [~blob(number) * 255 for number in range(COUNT)], b"background\nmeadow\n")
    assert not found(check(archive), Code.MASK_INVERTED)


def test_class_in_one_mask_alone_is_noted_with_its_file(tmp_path: Path) -> None:
    masks = [blob(number).astype(np.uint8) for number in range(COUNT)]
    masks[7][3:5, 3:5] = 2
    (issue,) = found(check(dataset(tmp_path, masks, b"cat\ndog\n")), Code.CLASSES_IN_ONE_FILE)
    assert issue.severity is Severity.NOTE
    assert issue.files == ("masks/07.png",)
    assert "'dog' in masks/07.png" in issue.message


def test_class_in_two_masks_is_not_noted(tmp_path: Path) -> None:
    masks = [blob(number).astype(np.uint8) for number in range(COUNT)]
    masks[7][3:5, 3:5] = masks[8][3:5, 3:5] = 2
    assert not found(check(dataset(tmp_path, masks, b"cat\ndog\n")), Code.CLASSES_IN_ONE_FILE)


def test_class_in_one_of_few_masks_is_not_noted(tmp_path: Path) -> None:
    masks = [blob(number).astype(np.uint8) for number in range(9)]
    masks[7][3:5, 3:5] = 2
    assert not found(check(dataset(tmp_path, masks, b"cat\ndog\n")), Code.CLASSES_IN_ONE_FILE)
