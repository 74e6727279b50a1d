"""Every way in which masks mean classes, from the bytes of a mask file to the class ids in the cache."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import check, encoded, write_zip
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.report import CheckReport

SIDE = 64
RED, GREEN, BLUE = (200, 30, 30), (30, 180, 40), (20, 40, 220)


def areas(number: int) -> np.ndarray:
    """Class ids (SIDE, SIDE): a background, a square and a disc whose places depend on the number."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    ids = np.zeros((SIDE, SIDE), np.uint8)
    left = 4 + 3 * number
    ids[8:30, left : left + 20] = 1
    ids[(rows - 44) ** 2 + (columns - 20 - 2 * number) ** 2 < 150] = 2
    return ids


def coloured(ids: np.ndarray, colours: list[tuple[int, int, int]]) -> np.ndarray:
    return np.asarray(colours, np.uint8)[ids]


def grey(ids: np.ndarray, levels: list[int]) -> np.ndarray:
    return np.asarray(levels, np.uint8)[ids]


def smoothed(pixels: np.ndarray) -> np.ndarray:
    """With edges as anti-aliasing leaves them."""
    image = Image.fromarray(pixels)
    size = (SIDE, SIDE)
    return np.asarray(
        image.resize((3 * SIDE, 3 * SIDE), Image.Resampling.BICUBIC).resize(size, Image.Resampling.BILINEAR)
    )


def jpeg(pixels: np.ndarray, quality: int = 92) -> bytes:
    return encoded(pixels, "JPEG", quality=quality)


def palette_of(ids: np.ndarray, colours: list[tuple[int, int, int]]) -> bytes:
    image = Image.fromarray(ids).convert("P")
    image.putdata(ids.ravel().tolist())
    image.putpalette([channel for colour in colours for channel in colour])
    return encoded(image)


def dataset(
    path: Path, masks: Callable[[np.ndarray], bytes], extension: str = "png", extra: dict[str, bytes] | None = None
) -> list[np.ndarray]:
    """A ZIP of twelve pairs; the class ids that the masks were made from."""
    truth = [areas(number) for number in range(12)]
    content = dict(extra or {})
    for number, ids in enumerate(truth):
        noise = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3))
        content[f"images/{number:02}.png"] = encoded(noise.astype(np.uint8))
        content[f"masks/{number:02}.{extension}"] = masks(ids)
    write_zip(path, content)
    return truth


@dataclass(frozen=True)
class Case:
    masks: Callable[[np.ndarray], bytes]
    classes: list[str]
    encoding: str
    class_of: tuple[int, ...] = (0, 1, 2)  #: the class id that ids 0, 1 and 2 come to
    extension: str = "png"
    extra: dict[str, bytes] = field(default_factory=dict)
    codes: frozenset[str] = frozenset()
    certain: float = 1.0  #: least share of pixels that are as they were meant; the others are ignored


def legend(*lines: str, name: str = "labels.txt") -> dict[str, bytes]:
    return {name: "\n".join(lines).encode()}


CLASSES = ["background", "square", "disc"]
LABELS = legend(*CLASSES)
COLOURS = [(0, 0, 0), RED, GREEN]
VOC = [(0, 0, 0), (128, 0, 0), (0, 128, 0)]
BLACK_LEGEND = legend("square 200 30 30", "disc 30 180 40")
GREYS = [(0, 0, 0), (127, 127, 127), (254, 254, 254)]

CASES = {
    "index": Case(encoded, CLASSES, "index", extra=LABELS),
    "palette": Case(lambda ids: palette_of(ids, [RED, GREEN, BLUE]), CLASSES, "index", extra=LABELS),
    "sixteen bits": Case(lambda ids: encoded(ids.astype(np.uint16)), CLASSES, "index", extra=LABELS),
    "sixteen bits, large values": Case(
        lambda ids: encoded(np.asarray([0, 1000, 2000], np.uint16)[ids]),
        ["class_0", "class_1", "class_2"],
        "levels",
        codes=frozenset({"classes.assumed"}),
    ),
    "grey levels": Case(lambda ids: encoded(grey(ids, [0, 127, 254])), CLASSES, "levels", extra=LABELS),
    "grey levels as RGB": Case(
        lambda ids: encoded(coloured(ids, GREYS)), CLASSES, "levels", extra=LABELS
    ),
    "RGB, labels.txt with colours": Case(
        lambda ids: encoded(coloured(ids, COLOURS)),
        CLASSES,
        "colour",
        extra=legend("background 0 0 0", "square 200 30 30", "disc 30,180,40"),
    ),
    "RGBA, label_colors.txt": Case(
        lambda ids: encoded(Image.fromarray(coloured(ids, COLOURS)).convert("RGBA")),
        CLASSES,
        "colour",
        extra=legend("0 0 0\tbackground", "200 30 30\t\tsquare", "30 180 40 disc", name="label_colors.txt"),
    ),
    "RGB, class_dict.csv": Case(
        lambda ids: encoded(coloured(ids, COLOURS)),
        CLASSES,
        "colour",
        extra=legend("name,r,g,b", "background,0,0,0", "square,200,30,30", "disc,30,180,40", name="class_dict.csv"),
    ),
    "RGB, labelmap.txt": Case(
        lambda ids: encoded(coloured(ids, COLOURS)),
        CLASSES,
        "colour",
        extra=legend(
            "# label:color_rgb:parts:actions", "background:0,0,0::", "square:200,30,30::", "disc:30,180,40::",
            name="labelmap.txt",
        ),
    ),
    "palette whose colours are the legend's": Case(
        lambda ids: palette_of((2 - ids).astype(np.uint8), COLOURS[::-1]),
        CLASSES,
        "colour",
        extra=legend("background 0 0 0", "square 200 30 30", "disc 30 180 40"),
    ),
    "RGB, a little off the legend": Case(
        lambda ids: encoded(coloured(ids, [(2, 0, 1), (203, 28, 30), (29, 184, 38)])),
        CLASSES,
        "colour",
        extra=legend("background 0 0 0", "square 200 30 30", "disc 30 180 40"),
    ),
    "RGB, legend without the background": Case(
        lambda ids: encoded(coloured(ids, COLOURS)), CLASSES, "colour", extra=BLACK_LEGEND
    ),
    "RGB, palette of VOC": Case(lambda ids: encoded(coloured(ids, VOC)), CLASSES, "colour", extra=LABELS),
    "RGB without a legend": Case(
        lambda ids: encoded(coloured(ids, [BLUE, RED, GREEN])),
        ["colour_#1428dc", "colour_#1eb428", "colour_#c81e1e"],
        "colour",
        class_of=(0, 2, 1),  # the disc is larger than the square

        codes=frozenset({"classes.colours_assumed"}),
    ),
    "0 and 255": Case(
        lambda ids: encoded(grey(ids, [0, 255, 255])), ["background", "foreground"], "binary", class_of=(0, 1, 1)
    ),
    "one bit": Case(
        lambda ids: encoded(Image.fromarray(ids > 0)), ["background", "foreground"], "binary", class_of=(0, 1, 1)
    ),
    "inverted": Case(
        lambda ids: encoded(grey(ids, [255, 0, 0])),
        ["background", "foreground"],
        "binary",
        class_of=(1, 0, 0),
        codes=frozenset({"mask.inverted"}),
    ),
    "255 beside small ids": Case(
        lambda ids: encoded(grey(ids, [0, 1, 255])),
        CLASSES[:2],
        "binary",
        class_of=(0, 1, 255),
        extra=legend(*CLASSES[:2]),
    ),
    "JPEG, black and white": Case(
        lambda ids: jpeg(grey(ids, [0, 255, 255])),
        ["background", "foreground"],
        "binary",
        class_of=(0, 1, 1),
        extension="jpg",
        codes=frozenset({"mask.snapped"}),
        certain=0.96,
    ),
    "JPEG, grey levels": Case(
        lambda ids: jpeg(grey(ids, [0, 127, 254])),
        CLASSES,
        "levels",
        extension="jpg",
        extra=LABELS,
        codes=frozenset({"mask.snapped"}),
        certain=0.9,
    ),
    "JPEG, colours with a legend": Case(
        lambda ids: encoded(coloured(ids, COLOURS), "JPEG", quality=95, subsampling=0),
        CLASSES,
        "colour",
        extension="jpg",
        extra=legend("background 0 0 0", "square 200 30 30", "disc 30 180 40"),
        codes=frozenset({"mask.snapped"}),
        certain=0.94,
    ),
    "smoothed, black and white": Case(
        lambda ids: encoded(smoothed(grey(ids, [0, 255, 255]))),
        ["background", "foreground"],
        "binary",
        class_of=(0, 1, 1),
        codes=frozenset({"mask.snapped"}),
        certain=0.96,
    ),
    "smoothed colours": Case(
        lambda ids: encoded(smoothed(coloured(ids, COLOURS))),
        CLASSES,
        "colour",
        extra=legend("background 0 0 0", "square 200 30 30", "disc 30 180 40"),
        codes=frozenset({"mask.snapped"}),
        certain=0.94,
    ),
    "PNG bytes under a .jpg name": Case(encoded, CLASSES, "index", extension="jpg", extra=LABELS),
    "GIF": Case(lambda ids: encoded(ids, "GIF"), CLASSES, "index", extension="gif", extra=LABELS),
    "BMP": Case(lambda ids: encoded(ids, "BMP"), CLASSES, "index", extension="bmp", extra=LABELS),
    "TIFF": Case(lambda ids: encoded(ids, "TIFF"), CLASSES, "index", extension="tif", extra=LABELS),
    "WebP without loss": Case(
        lambda ids: encoded(coloured(ids, VOC), "WEBP", lossless=True),
        CLASSES,
        "colour",
        extension="webp",
        extra=LABELS,
    ),
}  # fmt: skip


def codes_of(report: CheckReport) -> set[str]:
    """Of the issues that concern masks and classes."""
    return {code for code in (issue.code for issue in report.issues) if code.startswith(("mask", "classes", "pair"))}


@pytest.mark.parametrize("name", CASES)
def test_masks_come_to_the_classes_they_were_made_from(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    truth = dataset(tmp_path / "data.zip", case.masks, case.extension, case.extra)
    report = check(tmp_path / "data.zip", {"image_size": SIDE})
    assert report.dataset is not None, report.issues
    assert report.dataset.classes == case.classes
    assert report.dataset.mask_encoding == case.encoding
    assert codes_of(report) - {"classes.background_assumed"} == case.codes
    with CacheReader(tmp_path / "cache") as reader:
        masks = reader.masks(range(len(truth)))
    expected = np.asarray([*case.class_of, *[255] * 253], np.uint8)[np.stack(truth)]
    certain = (masks == expected) | (expected == 255)
    assert certain.mean() >= case.certain
    # what is not certain is left out, never taken for another class
    assert np.isin(masks[~certain], 255).all()


def test_masks_that_are_photographs_are_refused_and_not_snapped(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    dataset(tmp_path / "data.zip", lambda _: jpeg(random.integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)), "jpg")
    report = check(tmp_path / "data.zip", {"image_size": SIDE})
    assert report.dataset is None
    assert "mask.lossy" in codes_of(report)


def test_strongly_compressed_classes_close_to_each_other_are_refused(tmp_path: Path) -> None:
    dataset(tmp_path / "data.zip", lambda ids: jpeg(ids, 30), "jpg", LABELS)
    report = check(tmp_path / "data.zip", {"image_size": SIDE})
    assert report.dataset is None
    assert codes_of(report) == {"mask.lossy"}


def test_smoothed_classes_of_close_values_are_not_taken_for_black_and_white(tmp_path: Path) -> None:
    dataset(tmp_path / "data.zip", lambda ids: encoded(smoothed(grey(ids, [0, 20, 40]))))
    report = check(tmp_path / "data.zip", {"image_size": SIDE})
    assert "mask.snapped" not in codes_of(report)


def test_many_classes_of_consecutive_values_are_never_snapped(tmp_path: Path) -> None:
    stripes = np.tile((np.arange(SIDE) * 150 // SIDE).astype(np.uint8), (SIDE, 1))
    dataset(
        tmp_path / "data.zip", lambda ids: encoded(np.where(ids > 0, 255 * ids.clip(0, 1), stripes).astype(np.uint8))
    )
    report = check(tmp_path / "data.zip", {"image_size": SIDE})
    assert report.dataset is not None
    assert "mask.snapped" not in codes_of(report)
    assert report.dataset.num_classes >= len(np.unique(stripes))


def test_folders_with_exchanged_names_are_noticed(tmp_path: Path) -> None:
    content = {}
    for number in range(4):
        photo = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
        content[f"images/{number}.png"] = encoded(areas(number))
        content[f"masks/{number}.jpg"] = jpeg(photo)
    write_zip(tmp_path / "data.zip", content)
    assert codes_of(check(tmp_path / "data.zip", {"image_size": SIDE})) == {"pair.swapped"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "image.not_fetched"),
        (encoded(areas(0)).replace(b"\r\n", b"\n"), "image.text_mangled"),
        (encoded(areas(0)).replace(b"\n", b"\r\n"), "image.text_mangled"),
    ],
)
def test_what_only_stands_for_an_image_is_named(content: bytes, code: str, tmp_path: Path) -> None:
    write_zip(tmp_path / "data.zip", {**_members(), "images/00.png": content})
    report = check(tmp_path / "data.zip")
    assert [issue.files for issue in report.issues if issue.code == code] == [("images/00.png",)]


def _members() -> dict[str, bytes]:
    content = dict(LABELS)
    for number in range(4):
        content[f"images/{number:02}.png"] = encoded(np.full((SIDE, SIDE, 3), 40 * number, np.uint8))
        content[f"masks/{number:02}.png"] = encoded(areas(number))
    return content


@pytest.mark.parametrize(("size", "code"), [((32, 32), "mask.resized"), ((32, 40), "pair.size_mismatch")])
def test_mask_of_another_size_is_resized_only_if_of_the_same_shape(
    size: tuple[int, int], code: str, tmp_path: Path
) -> None:
    small = np.asarray(Image.fromarray(areas(0)).resize(size, Image.Resampling.NEAREST))
    write_zip(tmp_path / "data.zip", {**_members(), "masks/00.png": encoded(small)})
    report = check(tmp_path / "data.zip", {"image_size": SIDE})
    assert code in codes_of(report)
    assert (report.dataset is not None) == (code == "mask.resized")
