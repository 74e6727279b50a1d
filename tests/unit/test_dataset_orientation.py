"""EXIF orientation: images that it turns, with truth that lies on them as displayed, or as stored."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from builders import encoded, write_zip
from builders.conversion import converted
from builders.exports.reading import read_back
from segdrop.codes import Code, Severity
from segdrop.dataset.masks.deep_values import turned
from segdrop.dataset.orientation import Measured, preferred

_INVERSE = {6: 8, 8: 6}
PORTRAIT, LANDSCAPE, SQUARE = (56, 40), (40, 56), (48, 48)  #: height, width


def scene(number: int, size: tuple[int, int], *, is_blank: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """An image (height, width, 3) with an object, and its mask, both as displayed."""
    height, width = size
    left, top = 4 + 3 * number % 9, 5 + 2 * number % 7
    mask = np.zeros(size, np.uint8)
    mask[top : top + 14, left : left + 12] = 1
    mask[top + 4 : top + 22, left + 3 : left + 8] = 1
    noise = np.random.default_rng(number).integers(0, 25, (height, width, 3))
    image = noise + 60 + number * 5
    if not is_blank:
        image = image + 110 * mask[..., None]
    return image.clip(0, 255).astype(np.uint8), mask


def photo(displayed: np.ndarray, orientation: int) -> bytes:
    """A photograph that is displayed like this, and stored before it is turned."""
    image = Image.fromarray(np.ascontiguousarray(turned(displayed, _INVERSE.get(orientation, orientation))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, "JPEG", quality=95, exif=exif)


def stored(mask: np.ndarray, orientation: int) -> np.ndarray:
    return np.ascontiguousarray(turned(mask, _INVERSE.get(orientation, orientation)))


def pairs(
    orientation: int, size: tuple[int, int], *, as_stored: bool, count: int = 8, **options: Any
) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    content: dict[str, bytes] = {"labels.txt": b"thing\n"}
    expected: dict[str, np.ndarray] = {}
    for number in range(count):
        image, mask = scene(number, size, **options)
        content[f"images/p{number}.jpg"] = photo(image, orientation)
        content[f"masks/p{number}.png"] = encoded(stored(mask, orientation) if as_stored else mask)
        expected[f"images/p{number}.jpg"] = mask
    return content, expected


def orientation_issues(report: Any) -> list[Any]:
    return [issue for issue in report.issues if issue.code == Code.IMAGE_ORIENTATION]


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_masks_of_the_pixels_as_stored_are_turned_with_their_images(orientation: int, tmp_path: Path) -> None:
    content, expected = pairs(orientation, LANDSCAPE, as_stored=True)
    report, found, _ = read_back(content, tmp_path, LANDSCAPE)
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    (issue,) = orientation_issues(report)
    assert issue.severity is Severity.WARNING
    assert "8 images are turned by their EXIF orientation" in issue.message


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [LANDSCAPE, PORTRAIT, SQUARE])
def test_masks_of_images_as_displayed_are_read_without_a_word(
    orientation: int, size: tuple[int, int], tmp_path: Path
) -> None:
    content, expected = pairs(orientation, size, as_stored=False)
    report, found, _ = read_back(content, tmp_path, size)
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    assert not orientation_issues(report)
    assert report.dataset is not None
    assert not any("EXIF" in text for text in report.dataset.assumptions)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_size_alone_tells_of_quarter_turns(orientation: int, tmp_path: Path) -> None:
    content, expected = pairs(orientation, PORTRAIT, as_stored=True, is_blank=True)
    report, found, _ = read_back(content, tmp_path, PORTRAIT)
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    assert not orientation_issues(report)
    assert report.dataset is not None
    assert any("8 masks have the shape of their images as stored" in text for text in report.dataset.assumptions)


@pytest.mark.parametrize("orientation", [6, 8])
def test_square_images_need_their_pixels(orientation: int, tmp_path: Path) -> None:
    content, expected = pairs(orientation, SQUARE, as_stored=True)
    report, found, _ = read_back(content, tmp_path, SQUARE)
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    assert orientation_issues(report)


def test_what_the_pixels_do_not_tell_is_said(tmp_path: Path) -> None:
    content, expected = pairs(3, LANDSCAPE, as_stored=False, is_blank=True)
    report, found, _ = read_back(content, tmp_path, LANDSCAPE)
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    (issue,) = orientation_issues(report)
    assert "is not clear" in issue.message
    assert issue.severity is Severity.WARNING


def test_a_mask_with_a_tag_of_its_own_is_turned_by_it(tmp_path: Path) -> None:
    content, expected = pairs(3, LANDSCAPE, as_stored=False)
    for name, mask in expected.items():
        exif = Image.Exif()
        exif[0x0112] = 3
        content[name.replace("images", "masks").replace("jpg", "png")] = encoded(stored(mask, 3), exif=exif)
    report, found, _ = read_back(content, tmp_path, LANDSCAPE)
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    assert not orientation_issues(report)


def test_images_that_are_not_turned_never_matter(tmp_path: Path) -> None:
    content, expected = pairs(1, LANDSCAPE, as_stored=False, is_blank=True)
    turned_ones, more = pairs(3, LANDSCAPE, as_stored=True)
    content |= {name.replace("/p", "/q"): data for name, data in turned_ones.items()}
    expected |= {name.replace("/p", "/q"): mask for name, mask in more.items()}
    _, found, _ = read_back(content, tmp_path, LANDSCAPE)
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())


def annotated(
    orientation: int, size: tuple[int, int], *, sides: str, drawn: str, far: bool = False, is_blank: bool = False
) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    """A COCO file: the ``sides`` of images as stored or as displayed, areas ``drawn`` on one of the two."""
    height, width = size
    content: dict[str, bytes] = {}
    expected: dict[str, np.ndarray] = {}
    images, areas = [], []
    for number in range(6):
        left, top = 4 + 3 * number % 9, 5 + 2 * number % 7
        right, bottom = left + 12, height - 3 if far else top + 20
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).rectangle((left, top, right, bottom), fill=1)
        expected[f"images/p{number}.jpg"] = values = np.asarray(mask)
        noise = np.random.default_rng(number).integers(0, 25, (height, width, 3))
        light = noise + 60 + (0 if is_blank else 110) * values[..., None]
        content[f"images/p{number}.jpg"] = photo(light.astype(np.uint8), orientation)
        on = stored(values, orientation) if drawn == "stored" else values
        rows, columns = np.nonzero(on)
        x0, y0, x1, y1 = (int(n) for n in (columns.min(), rows.min(), columns.max(), rows.max()))
        shape = stored(values, orientation).shape if sides == "stored" else size
        images.append({"id": number, "file_name": f"images/p{number}.jpg", "width": shape[1], "height": shape[0]})
        ring = [x0, y0, x1, y0, x1, y1, x0, y1]
        areas.append({"id": number + 1, "image_id": number, "category_id": 1, "segmentation": [ring], "iscrowd": 0})
    categories = [{"id": 1, "name": "thing"}]
    document = {"images": images, "annotations": areas, "categories": categories}
    return content | {"result.json": json.dumps(document).encode()}, expected


@pytest.mark.parametrize(
    ("sides", "drawn"), [("stored", "stored"), ("stored", "displayed"), ("displayed", "displayed")]
)
@pytest.mark.parametrize("orientation", [6, 8])
def test_areas_lie_where_they_were_drawn(sides: str, drawn: str, orientation: int, tmp_path: Path) -> None:
    content, expected = annotated(orientation, PORTRAIT, sides=sides, drawn=drawn)
    report, found, _ = read_back(content, tmp_path, PORTRAIT)
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    assert bool(orientation_issues(report)) is (sides == "stored")


def test_areas_outside_the_stated_sides_tell_by_themselves(tmp_path: Path) -> None:
    content, expected = annotated(6, PORTRAIT, sides="stored", drawn="displayed", far=True, is_blank=True)
    report, found, _ = read_back(content, tmp_path, PORTRAIT)
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    assert "lie outside" in orientation_issues(report)[0].message


def test_areas_that_may_lie_in_two_ways_are_a_fault(tmp_path: Path) -> None:
    content, _ = annotated(6, PORTRAIT, sides="stored", drawn="displayed", is_blank=True)
    report, _, _ = read_back(content, tmp_path, PORTRAIT)
    (issue,) = orientation_issues(report)
    assert issue.severity is Severity.FAULT
    assert report.dataset is None


@pytest.mark.parametrize(("orientation", "size"), [(3, LANDSCAPE), (6, PORTRAIT)])
def test_a_conversion_is_certain(orientation: int, size: tuple[int, int], tmp_path: Path) -> None:
    content, expected = pairs(orientation, size, as_stored=True)
    _, output = converted(write_zip(tmp_path / "original.zip", content))
    with zipfile.ZipFile(output) as archive:
        again = {name: archive.read(name) for name in archive.namelist()}
    report, found, _ = read_back(again, tmp_path, size)
    assert sorted(map(bytes, found.values())) == sorted(map(bytes, expected.values()))
    assert not orientation_issues(report)


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("way", ["displayed", "stored"])
def test_fractions_of_an_image_lie_where_its_edges_are(way: str, orientation: int, tmp_path: Path) -> None:
    size = (64, 32)
    content, expected = {"classes.txt": b"thing\n"}, {}
    for number in range(8):
        left, top = 4 + 3 * number % 9, 5 + 2 * number % 7
        mask = np.zeros(size, np.uint8)
        mask[top : top + 33, left : left + 13] = 1
        content[f"images/p{number}.jpg"] = photo(
            (50 + 120 * mask)[..., None].repeat(3, -1).astype(np.uint8), orientation
        )
        on = stored(mask, orientation) if way == "stored" else mask
        rows, columns = np.nonzero(on)
        x0, x1 = columns.min() / on.shape[1], columns.max() / on.shape[1]
        y0, y1 = rows.min() / on.shape[0], rows.max() / on.shape[0]
        content[f"labels/p{number}.txt"] = f"0 {x0} {y0} {x1} {y0} {x1} {y1} {x0} {y1}\n".encode()
        expected[f"images/p{number}.jpg"] = mask
    report, found, _ = read_back(content, tmp_path, size)
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    assert bool(orientation_issues(report)) is (way == "stored")


@pytest.mark.parametrize("way", ["displayed", "stored"])
def test_the_request_decides_what_is_not_clear(way: str, tmp_path: Path) -> None:
    content, expected = pairs(3, LANDSCAPE, as_stored=way == "stored", is_blank=True)
    report, found, _ = read_back(content, tmp_path, LANDSCAPE, {"mask_orientation": way})
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    assert not orientation_issues(report)


@pytest.mark.parametrize("way", ["displayed", "stored"])
def test_the_request_decides_where_areas_lie(way: str, tmp_path: Path) -> None:
    content, expected = annotated(6, PORTRAIT, sides="stored", drawn=way, is_blank=True)
    report, found, _ = read_back(content, tmp_path, PORTRAIT, {"mask_orientation": way})
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())
    assert not orientation_issues(report)


@pytest.mark.parametrize(
    ("leads", "expected"),
    [
        ([0.3] * 8, "stored"),
        ([-0.3] * 8, "displayed"),
        ([0.02] * 8, None),
        ([0.2], None),
        ([0.5], "stored"),
        ([], None),
    ],
)
def test_a_lead_must_be_the_larger_the_fewer_pairs_there_are(leads: list[float], expected: str | None) -> None:
    assert preferred([Measured(1 - lead, 1 + lead) for lead in leads]) == expected
