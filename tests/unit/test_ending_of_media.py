"""Whether all of an image, a video or a JSON file has arrived, by what its format says: real files, cut everywhere."""

import io
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segdrop.intake import ending
from segdrop.intake.settle import FileEnding

NOISE = np.random.default_rng(0)


def noise(height: int = 12, width: int = 15) -> Image.Image:
    return Image.fromarray(NOISE.integers(0, 255, (height, width, 3), dtype=np.uint8))


def encoded(form: str, image: Image.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (image or noise()).save(stream, form, **options)
    return stream.getvalue()


def photograph() -> bytes:
    """A JPEG with a preview in its header, which ends like a JPEG too."""
    preview = b"Exif\0\0" + encoded("JPEG", noise(8, 8))
    whole = encoded("JPEG")
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview + whole[2:]


PAGES = {"save_all": True, "append_images": [noise()]}
IMAGES: dict[str, bytes] = {
    "plain.jpg": encoded("JPEG"),
    "progressive.jpg": encoded("JPEG", progressive=True),
    "preview.jpg": photograph(),
    "a.png": encoded("PNG"),
    "a.apng": encoded("PNG", **PAGES),
    "a.gif": encoded("GIF"),
    "animated.gif": encoded("GIF", **PAGES),
    "a.bmp": encoded("BMP"),
    "a.tif": encoded("TIFF"),
    "lzw.tiff": encoded("TIFF", compression="tiff_lzw"),
    "big.tif": encoded("TIFF", big_tiff=True),
    "a.webp": encoded("WEBP"),
    "lossless.webp": encoded("WEBP", lossless=True),
    "a.jp2": encoded("JPEG2000"),
    "a.j2k": encoded("JPEG2000", no_jp2=True),
    "a.avif": encoded("AVIF"),
    "a.ppm": encoded("PPM"),
    "a.pgm": encoded("PPM", noise().convert("L")),
    "a.pbm": encoded("PPM", noise().convert("1")),
    "a.tga": encoded("TGA"),
    "a.qoi": encoded("QOI"),
}
#: container → codec and options of the muxer
VIDEOS = {
    "a.mp4": ("mpeg4", {}),
    "fast.mp4": ("mpeg4", {"movflags": "faststart"}),
    "a.mov": ("mpeg4", {}),
    "a.avi": ("mpeg4", {}),
    "a.mkv": ("mpeg4", {}),
    "a.webm": ("libvpx", {}),
    "a.wmv": ("wmv2", {}),
}


def video(folder: Path, name: str, codec: str, options: dict[str, str]) -> bytes:
    av = pytest.importorskip("av")
    with av.open(str(folder / f"made-{name}"), "w", options=options) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            pixels = NOISE.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return (folder / f"made-{name}").read_bytes()


def whole_at(path: Path, content: bytes) -> list[int]:
    """Returns the lengths at which the beginning of a file counts as all of it."""
    path.write_bytes(content)
    found = []
    for length in reversed(range(len(content))):
        os.truncate(path, length)
        if ending.read(path) is FileEnding.COMPLETE:
            found.append(length)
    return found


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_whole_at_its_last_byte_and_not_before(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(IMAGES[name])
    assert ending.read(path) is FileEnding.COMPLETE
    assert whole_at(path, IMAGES[name]) == []


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_is_whole_at_its_last_byte_and_not_before(tmp_path: Path, name: str) -> None:
    content = video(tmp_path, name, *VIDEOS[name])
    path = tmp_path / name
    path.write_bytes(content)
    assert ending.read(path) is FileEnding.COMPLETE
    assert len(whole_at(path, content)) == (name == "a.wmv"), "of this one the index at its end may be left out"


def test_of_several_pages_each_is_waited_for(tmp_path: Path) -> None:
    content = encoded("TIFF", **PAGES)
    path = tmp_path / "pages.tif"
    path.write_bytes(content)
    assert ending.read(path) is FileEnding.COMPLETE
    assert min(whole_at(path, content), default=len(content)) >= len(content) - 16, "what fills up the last page"


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.webp", "plain.jpg", "a.tif"])
def test_the_name_may_claim_another_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / "named.jpg"
    path.write_bytes(IMAGES[name])
    assert ending.read(path) is FileEnding.COMPLETE


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jpg", IMAGES["plain.jpg"] + b"SEFH" + b"phone" * 100 + b"SEFT"),
        ("a.png", IMAGES["a.png"] + b"appended"),
        ("a.gif", IMAGES["a.gif"] + b"appended"),
    ],
)
def test_what_a_camera_appends_does_not_matter(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert ending.read(tmp_path / name) is FileEnding.COMPLETE


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.jpg", b""),
        ("zeros.jpg", bytes(4096)),
        ("text.jpg", b"hello, I am no picture\n"),
        ("reserved.jpg", IMAGES["plain.jpg"][:300] + bytes(4096)),
        ("reserved.mp4", b"\0\0\0\x08free" + struct.pack(">I4s", 4104, b"mdat") + bytes(4096)),
        ("room.mp4", struct.pack(">I4sI4s", 8, b"moov", 4104, b"mdat") + bytes(4096)),
        ("room.webp", b"RIFF" + struct.pack("<I", 4092) + b"WEBPVP8 " + bytes(4084)),
        ("boxes.mp4", struct.pack(">I4s", 8, b"ftyp") * 9),
        ("backwards.mp4", struct.pack(">I4s", 3, b"ftyp") + b"moov"),
        ("to the end.mp4", struct.pack(">I4sI4s", 8, b"ftyp", 0, b"mdat") + b"frames"),
        ("recorded.mkv", b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"frames"),
        ("recorded.avi", b"RIFF\0\0\0\0AVI LIST"),
        ("sized.bmp", b"BM" + struct.pack("<IHHI", 5000, 0, 0, 54)),
        ("loop.tif", b"II*\0" + struct.pack("<IHI", 8, 0, 8) + b"data"),
        ("counts.tif", b"II*\0" + struct.pack("<IHHHIII", 8, 1, 273, 4, 0xFFFFFFFF, 8, 0)),
        ("first.mpg", b"\0\0\1\xba" + b"pack" * 20),
        ("stream.ts", b"G" + b"x" * 187),
    ],
)
def test_what_has_no_end_of_its_own_may_still_be_arriving(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert ending.read(tmp_path / name) is FileEnding.INCOMPLETE


@pytest.mark.parametrize(("name", "content"), [("a.jpg", IMAGES["plain.jpg"]), ("a.webp", IMAGES["lossless.webp"])])
def test_a_hole_in_packed_data_is_yet_to_be_filled(tmp_path: Path, name: str, content: bytes) -> None:
    """A download in several parts has both ends on the disk long before the middle."""
    path = tmp_path / name
    if name == "a.webp":
        size = struct.pack("<I", len(content) - 8 + (1 << 20))
        content = content[:4] + size + content[8:]
    with path.open("wb") as stream:
        stream.write(content[:-20])
        stream.seek(1 << 20, 1)
        stream.write(content[-20:])
    if path.stat().st_blocks * 512 >= 1 << 20:
        pytest.skip("this filesystem keeps no holes")
    assert ending.read(path) is FileEnding.GAPS


def test_a_black_bitmap_kept_sparse_is_whole_and_one_whose_end_is_missing_is_not(tmp_path: Path) -> None:
    path = tmp_path / "black.bmp"
    size = 1 << 21
    head = b"BM" + struct.pack("<IHHI", size, 0, 0, 54)
    with path.open("wb") as stream:
        stream.write(head)
        stream.seek(size - 1)
        stream.write(b"\0")
    if path.stat().st_blocks * 512 >= size:
        pytest.skip("this filesystem keeps no holes")
    assert ending.read(path) is FileEnding.COMPLETE
    path.write_bytes(head)
    os.truncate(path, size)
    assert ending.read(path) is FileEnding.GAPS


JSON_FILES = {
    b'{"images": []}': FileEnding.COMPLETE,
    b'{"images": []} \r\n\t': FileEnding.COMPLETE,
    b'{"images": [': FileEnding.INCOMPLETE,
    b'{"images": ["AAAA': FileEnding.INCOMPLETE,
    b"": FileEnding.INCOMPLETE,
    b'{"images": []}' + bytes(100): FileEnding.INCOMPLETE,
}


@pytest.mark.parametrize("content", JSON_FILES)
def test_a_json_file_ends_with_its_last_brace(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert ending.read(tmp_path / "a.json") is JSON_FILES[content]


def changed(content: bytes, position: int, byte: int) -> bytes:
    return content[:position] + bytes([byte]) + content[position + 1 :]


@given(st.sampled_from(sorted(IMAGES)), st.integers(0, 60), st.integers(0, 255))
def test_no_bytes_in_a_head_make_the_reader_fail(
    tmp_path_factory: pytest.TempPathFactory, name: str, position: int, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(changed(IMAGES[name], position, byte))
    assert isinstance(ending.read(path), FileEnding)


LONGEST_SECONDS = 2.0


def endless_pages() -> bytes:
    """A TIFF of many directories, each of which names the same strips, as many as there may be."""
    pages = [struct.pack("<HHHIII", 1, 273, 4, 1 << 17, 8, 8 + 18 * page) for page in range(1, 400)]
    return b"II*\0" + struct.pack("<I", 8) + b"".join(pages) + bytes(1 << 20)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "blocks.gif": lambda: b"GIF89a" + bytes(7) + b"\x21\xff" + b"\1\0" * (1 << 20),
    "boxes.mp4": lambda: struct.pack(">I4s", 8, b"free") * (1 << 18),
    "segments.jpg": lambda: b"\xff\xd8" + b"\xff\xe0\0\2" * (1 << 18),
    "pages.tif": endless_pages,
    "comment.pgm": lambda: b"P5 " + b"#\n" * (1 << 11),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_takes_a_moment(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name]())
    started = time.process_time()
    ending.read(tmp_path / name)
    assert time.process_time() - started < LONGEST_SECONDS
