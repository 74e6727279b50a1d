"""Images as files and in ZIPs, as an input of a prediction: decoded as for training, nothing lost, nothing invented."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import encoded, limits, write_zip
from builders.tiffs import tiff
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.masks import image_reading
from segdrop.dataset.unlabelled.image_files import ImageArchive, ImageFile
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.dataset.unlabelled.names import named_images
from segdrop.dataset.unlabelled.survey import survey
from segdrop.errors import DataError
from segdrop.input_kinds import InputKind

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (20, 30, 3)).astype(np.uint8)
GREY = COLOUR[..., 0]


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(COLOUR, "JPEG", exif=exif.tobytes())


def _pages(image_format: str) -> bytes:
    others = [Image.fromarray(255 - COLOUR), Image.fromarray(COLOUR // 2)]
    return encoded(COLOUR, image_format, save_all=True, append_images=others)


CONTENTS = {
    **{f"rgb.{suffix}": encoded(COLOUR, suffix.upper()) for suffix in ("png", "jpeg", "bmp", "tiff", "webp", "ppm")},
    **{f"{mode}.png": encoded(Image.fromarray(COLOUR).convert(mode)) for mode in ("L", "1", "P", "RGBA", "LA")},
    "grey16.png": encoded(GREY.astype(np.uint16) * 257),
    "cmyk.jpg": encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"),
    "turned.jpg": _turned(),
    "animated.gif": _pages("GIF"),
    "pages.tif": _pages("TIFF"),
    "bands.tif": tiff(RANDOM.integers(0, 256, (20, 30, 5)).astype(np.uint8), extra=[0, 0]),
    "rgb.avif": encoded(COLOUR, "AVIF", quality=90),
    "rgb.jp2": encoded(COLOUR, "JPEG2000"),
    "rgb.qoi": encoded(COLOUR, "QOI"),
    "rgb.sgi": encoded(COLOUR, "SGI"),
    "rgb.pcx": encoded(COLOUR, "PCX"),
    "rgb.tga": encoded(COLOUR, "TGA"),
    "rgb16.tif": tiff(RANDOM.integers(0, 60_000, (20, 30, 3)).astype(np.uint16)),
}


#: what training does not read
FURTHER = ("rgb.avif", "rgb.jp2", "rgb.qoi", "rgb.sgi", "rgb.pcx", "rgb.tga")


@pytest.mark.parametrize("name", CONTENTS)
def test_an_image_is_what_training_would_see(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENTS[name])
    before = path.read_bytes(), path.stat().st_mtime_ns
    with ImageFile(path, name, limits()) as source:
        (item,) = source.items()
    assert (item.index, item.name, item.stem) == (0, name, name.rpartition(".")[0])
    assert item.image.dtype == np.uint8
    if name in FURTHER:
        assert np.array_equal(item.image, np.asarray(Image.open(path)))
        assert name == "rgb.avif" or np.array_equal(item.image, COLOUR)
    else:
        assert np.array_equal(item.image, image_reading.read_image(CONTENTS[name]).pixels)
    assert item.image.shape == ((30, 20, 3) if name == "turned.jpg" else (20, 30, 3))
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("name", ["animated.gif", "pages.tif"])
def test_further_pages_are_told_and_not_predicted(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENTS[name])
    assert survey(path, name, InputKind.IMAGE, limits()).count == 1
    with ImageFile(path, name, limits()) as source:
        assert len(list(source.items())) == 1
        assert [issue.code for issue in source.issues()] == ["image.pages"]


def test_values_of_the_model_become_black_and_white(tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    path.write_bytes(tiff(np.array([[[0.25], [0.5], [0.75]]], np.float32)))
    with ImageFile(path, path.name, limits(), (0.25, 0.75)) as source:
        (item,) = source.items()
    assert item.image[0, :, 0].tolist() == [0, 128, 255]
    with ImageFile(path, path.name, limits()) as source, pytest.raises(DataError, match="floating-point"):
        list(source.items())
    assert not survey(path, path.name, InputKind.IMAGE, limits()).issues


@pytest.mark.parametrize(
    ("content", "caps", "code"),
    [
        (b"no image", {}, "image.unreadable"),
        (encoded(COLOUR)[:-200], {}, "image.unreadable"),
        (encoded(COLOUR), {"max_image_pixels": 599}, "image.too_large"),
        (encoded(COLOUR), {"max_member_bytes": 100}, "input.too_large"),
    ],
)
def test_an_image_by_itself_that_cannot_be_read_is_a_fault(
    tmp_path: Path, content: bytes, caps: dict[str, int], code: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    found = survey(path, "a.png", InputKind.IMAGE, limits(**caps))
    assert [(issue.code, issue.severity) for issue in found.issues] == [(code, "fault")]


def write_images(path: Path) -> Path:
    return write_zip(
        path,
        {
            "trip/day 1/a.jpg": CONTENTS["turned.jpg"],
            "trip/day 1/a.png": CONTENTS["L.png"],
            "trip/day 2/broken.png": b"no image",
            "trip/day 2/cut.png": encoded(COLOUR)[:-200],
            "trip/day 2/A.TIF": CONTENTS["rgb16.tif"],
            "trip/._a.jpg": b"junk",
            "__MACOSX/trip/a.jpg": b"junk",
            "trip/Thumbs.db": b"junk",
            "trip/notes.txt": b"hello",
            "segdrop.json": b"{}",
        },
    )


def test_a_zip_gives_its_images_in_order_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    path = write_images(tmp_path / "a.zip")
    begun: list[tuple[int, str]] = []
    with ImageArchive(path, limits()) as source:
        found = list(source.items(begin=lambda index, name: begun.append((index, name))))
        assert source.count == 5
    assert [(item.index, item.name) for item in found] == begun
    assert [item.stem for item in found if isinstance(item, Item)] == [
        "trip/day 1/a.jpg",
        "trip/day 1/a.png",
        "trip/day 2/A",
    ]
    skipped = [item for item in found if isinstance(item, SkippedItem)]
    assert [(item.name, item.issue.code, item.issue.severity) for item in skipped] == [
        ("trip/day 2/broken.png", "image.unreadable", "warning"),
        ("trip/day 2/cut.png", "image.unreadable", "warning"),
    ]
    (note,) = survey(path, "a.zip", InputKind.ARCHIVE, limits()).issues
    assert (note.code, note.severity, note.files) == ("layout.stray_file", "note", ("trip/notes.txt",))


def test_a_zip_goes_on_at_any_image_with_the_same_stems(tmp_path: Path) -> None:
    path = write_images(tmp_path / "a.zip")
    with ImageArchive(path, limits()) as source:
        whole, begun = list(source.items()), []
        rest = list(source.items(4, lambda index, _: begun.append(index)))
    assert begun == [4]
    assert [(item.index, item.stem) for item in rest] == [(4, whole[4].stem)]
    assert np.array_equal(rest[0].image, whole[4].image)


def test_damaged_bytes_cost_one_image_of_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, {f"{number}.png": encoded(COLOUR) for number in range(3)}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.find(b"1.png") + 300] ^= 0xFF
    path.write_bytes(content)
    with ImageArchive(path, limits()) as source:
        found = list(source.items())
    assert [item.issue.code if isinstance(item, SkippedItem) else item.name for item in found] == [
        "0.png",
        "archive.corrupt",
        "2.png",
    ]


def test_a_zip_without_images_is_told_by_its_names_alone(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"", "clips/b.MP4": b"", ".c.png": b""})
    with Archive(path, limits()) as archive:
        (issue,) = named_images(archive)
    assert (issue.code, issue.files) == ("input.no_images", ("clips/b.MP4",))
    assert "by itself" in issue.fix
    assert survey(path, "a.zip", InputKind.ARCHIVE, limits()).issues == (issue,)


def test_a_zip_is_surveyed_by_headers(tmp_path: Path) -> None:
    found = survey(write_images(tmp_path / "a.zip"), "a.zip", InputKind.ARCHIVE, limits())
    assert (found.count, found.largest_pixels) == (5, 600)
    assert found.decoded_bytes == 4 * 600 * 3  # one has no header


def test_headers_of_all_formats_are_known_to_the_survey(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", CONTENTS)
    assert survey(path, "a.zip", InputKind.ARCHIVE, limits()).decoded_bytes == len(CONTENTS) * 600 * 3


def test_an_unsafe_zip_is_refused_as_by_the_check(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"../a.png": encoded(COLOUR)})
    with pytest.raises(DataError, match="unsafe_path"):
        ImageArchive(path, limits())
    assert [issue.code for issue in survey(path, "a.zip", InputKind.ARCHIVE, limits()).issues] == [
        "archive.unsafe_path"
    ]


def test_a_link_in_place_of_an_image_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(COLOUR))
    (tmp_path / "a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(OSError, match="symbolic link"):
        ImageFile(tmp_path / "a.png", "a.png", limits())
