"""What kind of input a file is, by its name and its first bytes."""

import numpy as np
import pytest

from builders import encoded
from segdrop.dataset.unlabelled.kinds import HEAD_BYTES, kind_of
from segdrop.input_kinds import InputKind

GREY = np.zeros((40, 40), np.uint8)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM"])
def test_images_are_known_by_their_bytes_whatever_their_names(image_format: str) -> None:
    head = encoded(GREY, image_format)[:HEAD_BYTES]
    assert [kind_of(name, head) for name in ("a.png", "a", "a.mp4")] == [InputKind.IMAGE] * 3


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.zip", b"PK\3\4", InputKind.ARCHIVE),
        ("a.zip", b"\xff\xd8\xff", InputKind.ARCHIVE),  # answered as a ZIP that is none
        ("a", b"PK\3\4", InputKind.ARCHIVE),
        ("a.json", b"broken", InputKind.JSON),
        ("a", b'\xef\xbb\xbf \n{"images"', InputKind.JSON),
        ("photo.HEIC", b"\0\0\0\x18ftypheic", InputKind.IMAGE),
        ("a.jpg", b"", InputKind.IMAGE),
        ("a.JPG", b"damaged", InputKind.IMAGE),
        ("a.MP4", b"", InputKind.VIDEO),
        ("a", b"\0\0\0\x18ftypisom", InputKind.VIDEO),
        ("a", b"\x1a\x45\xdf\xa3", InputKind.VIDEO),
        ("a", b"RIFF\0\0\0\0AVI LIST", InputKind.VIDEO),
        ("a", b"RIFF\0\0\0\0WAVEfmt ", None),
        ("a", (b"\x47" + b"\0" * 187) * 2, InputKind.VIDEO),
        ("a.txt", b"hello", None),
        ("a", b"", None),
    ],
)
def test_kind_by_name_and_first_bytes(name: str, head: bytes, expected: InputKind | None) -> None:
    assert kind_of(name, head) is expected
