import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdrop.intake import ending
from segdrop.intake.settle import Ending


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
    "complete": (WHOLE, Ending.COMPLETE),
    "empty archive": (zipped(members=0), Ending.COMPLETE),
    "comment": (zipped(b"made by hand"), Ending.COMPLETE),
    "longest comment": (zipped(b"c" * 65_535), Ending.COMPLETE),
    "comment with an end record in it": (zipped(b"see PK\x05\x06" + b"\0" * 30), Ending.COMPLETE),
    "data before the archive": (zipped(prefix=b"#!/bin/sh\nexit\n" * 9), Ending.COMPLETE),
    "zip64": (zip64(), Ending.COMPLETE),
    "zip in a zip, whole": (zipped(prefix=zipped()), Ending.COMPLETE),
    "cut off": (WHOLE[:-1], Ending.INCOMPLETE),
    "cut off in the data": (WHOLE[:40], Ending.INCOMPLETE),
    "cut off in the comment": (zipped(b"made by hand")[:-3], Ending.INCOMPLETE),
    "zeros at the end": (WHOLE + b"\0" * 512, Ending.INCOMPLETE),
    "size set before the data": (WHOLE[:60] + b"\0" * 100_000, Ending.INCOMPLETE),
    "only zeros": (b"\0" * 4096, Ending.INCOMPLETE),
    "empty file": (b"", Ending.INCOMPLETE),
    "one letter": (b"P", Ending.INCOMPLETE),
    "middle still missing": (WHOLE[:50] + b"\0" * (len(WHOLE) - 72) + WHOLE[-22:], Ending.INCOMPLETE),
    "spanned marker": (b"PK00PK\x03\x04....", Ending.INCOMPLETE),
    "text": (b"hello, I am not a ZIP\n", Ending.NOT_A_ZIP),
    "rar": (b"Rar!\x1a\x07\x01\x00", Ending.NOT_A_ZIP),
    "7z": (b"7z\xbc\xaf\x27\x1c", Ending.NOT_A_ZIP),
    "gzip": (b"\x1f\x8b\x08\x00", Ending.NOT_A_ZIP),
    "one other letter": (b"X", Ending.NOT_A_ZIP),
    "text that ends like a ZIP": (b"hello" + WHOLE[-22:], Ending.NOT_A_ZIP),
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
    assert ending.read(path) is Ending.INCOMPLETE


@given(st.binary(max_size=40), st.binary(max_size=60).filter(lambda comment: b"PK" not in comment))
@settings(max_examples=150)
def test_a_complete_ending_is_one_that_the_standard_library_opens(
    tmp_path_factory: pytest.TempPathFactory, prefix: bytes, comment: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "complete.zip"
    path.write_bytes(zipped(comment, prefix=prefix))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    assert ending.read(path) is Ending.COMPLETE
