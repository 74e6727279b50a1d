import io
import os
import random
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdrop.intake import ending
from segdrop.intake.settle import FileEnding
from segdrop.regular_files import NotRegularError


def zipped(comment: bytes = b"", *, prefix: bytes = b"", members: int = 2) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(members):
            archive.writestr(f"{number}.txt", b"some text " * 50)
        archive.comment = comment
    return prefix + stream.getvalue()


def zip64() -> bytes:
    """An end record whose numbers stand in the ZIP64 record before it."""
    whole = zipped()
    start = whole.rindex(b"PK\x05\x06")
    size, offset = struct.unpack_from("<II", whole, start + 12)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, size, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, start, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return whole[:start] + record + locator + end


WHOLE = zipped()
CASES = {
    "complete": (WHOLE, FileEnding.COMPLETE),
    "empty archive": (zipped(members=0), FileEnding.COMPLETE),
    "comment": (zipped(b"made by hand"), FileEnding.COMPLETE),
    "longest comment": (zipped(b"c" * 65_535), FileEnding.COMPLETE),
    "comment with an end record in it": (zipped(b"see PK\x05\x06" + b"\0" * 30), FileEnding.COMPLETE),
    "data before the archive": (zipped(prefix=b"#!/bin/sh\nexit\n" * 9), FileEnding.COMPLETE),
    "zip64": (zip64(), FileEnding.COMPLETE),
    "zip in a zip, whole": (zipped(prefix=zipped()), FileEnding.COMPLETE),
    "cut off": (WHOLE[:-1], FileEnding.INCOMPLETE),
    "cut off in the data": (WHOLE[:40], FileEnding.INCOMPLETE),
    "cut off in the comment": (zipped(b"made by hand")[:-3], FileEnding.INCOMPLETE),
    "zeros at the end": (WHOLE + b"\0" * 512, FileEnding.INCOMPLETE),
    "size set before the data": (WHOLE[:60] + b"\0" * 100_000, FileEnding.INCOMPLETE),
    "only zeros": (b"\0" * 4096, FileEnding.INCOMPLETE),
    "empty file": (b"", FileEnding.INCOMPLETE),
    "one letter": (b"P", FileEnding.INCOMPLETE),
    "middle still missing": (WHOLE[:50] + b"\0" * (len(WHOLE) - 72) + WHOLE[-22:], FileEnding.INCOMPLETE),
    "spanned marker": (b"PK00PK\x03\x04....", FileEnding.INCOMPLETE),
    "text": (b"hello, I am not a ZIP\n", FileEnding.NOT_A_ZIP),
    "rar": (b"Rar!\x1a\x07\x01\x00", FileEnding.NOT_A_ZIP),
    "7z": (b"7z\xbc\xaf\x27\x1c", FileEnding.NOT_A_ZIP),
    "gzip": (b"\x1f\x8b\x08\x00", FileEnding.NOT_A_ZIP),
    "one other letter": (b"X", FileEnding.NOT_A_ZIP),
    "text that ends like a ZIP": (b"hello" + WHOLE[-22:], FileEnding.NOT_A_ZIP),
}


@pytest.mark.parametrize("name", CASES)
def test_the_two_ends_say_what_a_file_is(tmp_path: Path, name: str) -> None:
    content, expected = CASES[name]
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    assert ending.read(path) is expected


def test_a_file_that_is_gone_is_an_error_and_not_an_ending(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ending.read(tmp_path / "gone.zip")


@given(st.integers(0, len(WHOLE) - 1))
def test_no_beginning_of_a_zip_counts_as_complete_or_as_something_else(
    tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "beginning.zip"
    path.write_bytes(WHOLE[:length])
    assert ending.read(path) is FileEnding.INCOMPLETE


@given(st.binary(max_size=40), st.binary(max_size=60).filter(lambda comment: b"PK" not in comment))
@settings(max_examples=150)
def test_a_complete_ending_is_one_that_the_standard_library_opens(
    tmp_path_factory: pytest.TempPathFactory, prefix: bytes, comment: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "complete.zip"
    path.write_bytes(zipped(comment, prefix=prefix))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    assert ending.read(path) is FileEnding.COMPLETE


# downloads in several parts: both ends are there before the middle


def photographs(method: int = zipfile.ZIP_STORED, *, members: int = 40, size: int = 20_000) -> bytes:
    """A ZIP of members that do not compress, as of photographs."""
    noise = random.Random(1)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for number in range(members):
            archive.writestr(f"images/{number:04}.jpg", noise.randbytes(size))
    return stream.getvalue()


def downloaded(path: Path, content: bytes, *missing: slice, sparse: bool) -> Path:
    """What a downloader has on the disk, with nothing or with zeros where it has not been yet."""
    kept = bytearray(content)
    for part in missing:
        kept[part] = bytes(len(kept[part]))
    with path.open("wb") as stream:
        stream.truncate(len(content))
        position = 0
        for part in (*missing, slice(len(content), len(content))):
            stop = part.start if sparse else part.stop
            stream.seek(position)
            stream.write(kept[position:stop])
            position = part.stop if sparse else stop
    assert path.read_bytes() == bytes(kept)
    return path


def quarters(content: bytes) -> slice:
    return slice(len(content) // 4, len(content) - len(content) // 4)


@pytest.mark.parametrize("sparse", [True, False], ids=["holes", "zeros"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("prefix", [b"", b"#!/bin/sh\n"])
def test_a_download_whose_middle_is_missing_may_still_be_arriving(
    tmp_path: Path, method: int, sparse: bool, prefix: bytes
) -> None:
    content = prefix + photographs(method)
    path = downloaded(tmp_path / "x.zip", content, quarters(content), sparse=sparse)
    assert ending.read(path) is FileEnding.GAPS
    path.write_bytes(content)
    assert ending.read(path) is FileEnding.COMPLETE


@pytest.mark.parametrize("sparse", [True, False], ids=["holes", "zeros"])
def test_one_missing_piece_among_many_is_found(tmp_path: Path, sparse: bool) -> None:
    """One of the pieces of a mebibyte that downloaders work with."""
    content = photographs(members=300)
    piece = slice(2 << 20, 3 << 20)
    assert ending.read(downloaded(tmp_path / "x.zip", content, piece, sparse=sparse)) is FileEnding.GAPS


def test_a_hole_inside_one_packed_member_is_a_gap(tmp_path: Path) -> None:
    content = photographs(zipfile.ZIP_DEFLATED, members=3, size=1_000_000)
    path = downloaded(tmp_path / "x.zip", content, slice(1 << 18, 1 << 19), sparse=True)
    assert ending.read(path) is FileEnding.GAPS


@pytest.mark.parametrize("sparse", [True, False], ids=["holes", "zeros"])
def test_a_directory_whose_middle_is_missing_may_still_be_arriving(tmp_path: Path, sparse: bool) -> None:
    content = photographs(members=20_000, size=1)
    directory = content.index(b"PK\x01\x02")
    missing = slice((directory + 200_000) // 4096 * 4096, (directory + 600_000) // 4096 * 4096)
    assert ending.read(downloaded(tmp_path / "x.zip", content, missing, sparse=sparse)) is FileEnding.GAPS


def test_a_zip64_download_whose_middle_is_missing_may_still_be_arriving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    content = photographs()
    assert b"PK\x06\x06" in content
    path = downloaded(tmp_path / "x.zip", content, quarters(content), sparse=True)
    assert ending.read(path) is FileEnding.GAPS
    path.write_bytes(content)
    assert ending.read(path) is FileEnding.COMPLETE


def punched(path: Path, content: bytes) -> Path:
    """As ``cp --sparse=always`` and some filesystems keep it: every block of zeros is a hole."""
    blocks = [content[start : start + 4096] for start in range(0, len(content), 4096)]
    zeros = [slice(4096 * n, 4096 * n + len(block)) for n, block in enumerate(blocks) if not any(block)]
    assert zeros
    return downloaded(path, content, *zeros, sparse=True)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_black_masks_that_are_kept_sparse_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: int
) -> None:
    """Stored they are zeros, and packed nearly so, if they are large."""
    thorough = zlib.compressobj
    monkeypatch.setattr(zipfile.zlib, "compressobj", lambda *_: thorough(9, zlib.DEFLATED, -15, 9))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for number in range(3):
            archive.writestr(f"masks/{number}.bmp", b"BM" + bytes(20_000_000))
    assert ending.read(punched(tmp_path / "x.zip", stream.getvalue())) is FileEnding.COMPLETE


def test_a_zip_of_more_members_than_the_old_end_record_counts_is_whole(tmp_path: Path) -> None:
    """Its sizes still fit there; the ZIP64 record stands between it and the directory."""
    (tmp_path / "x.zip").write_bytes(photographs(members=65_536, size=0))
    assert ending.read(tmp_path / "x.zip") is FileEnding.COMPLETE


def test_what_is_damaged_but_not_missing_is_left_to_the_checks(tmp_path: Path) -> None:
    content = bytearray(photographs())
    content[quarters(bytes(content))] = random.Random(2).randbytes(len(content[quarters(bytes(content))]))
    (tmp_path / "x.zip").write_bytes(content)
    assert ending.read(tmp_path / "x.zip") is FileEnding.COMPLETE


def test_the_look_stays_short_however_many_members_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.zip").write_bytes(photographs(members=60_000, size=1))
    read_bytes = []

    def counted(descriptor: int, size: int, position: int) -> bytes:
        read_bytes.append(size)
        return pread(descriptor, size, position)

    pread = os.pread
    monkeypatch.setattr(ending.os, "pread", counted)
    assert ending.read(tmp_path / "x.zip") is FileEnding.COMPLETE
    assert len(read_bytes) < 200
    assert sum(read_bytes) < 1 << 20


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "socket"])
def test_what_is_no_regular_file_is_neither_opened_nor_followed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.zip"
    match kind:
        case "link":
            (tmp_path / "target.zip").write_bytes(WHOLE)
            path.symlink_to(tmp_path / "target.zip")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(os.path.relpath(path))
    with pytest.raises(NotRegularError):
        ending.read(path)
