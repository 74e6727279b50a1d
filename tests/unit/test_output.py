from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.execution import output
from segdrop.execution.output import LogTail, tail


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(content)


def test_lines_are_read_once_and_only_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    log = LogTail(path, 0)
    assert log.lines() == []
    append(path, b"one\ntwo\nthr")
    assert log.lines() == ["one", "two"]
    assert log.lines() == []
    append(path, b"ee\n")
    assert log.lines() == ["three"]


def test_what_an_earlier_child_wrote_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"earlier\n")
    log = LogTail(path, path.stat().st_size)
    append(path, b"now\n")
    assert log.lines() == ["now"]


def test_bytes_that_are_not_text_are_shown_and_do_not_fail(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"caf\xe9 \x00\n")
    assert LogTail(path, 0).lines() == ["caf\ufffd \x00"]


def test_a_flood_is_taken_in_pieces_and_nothing_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [f"line {number} ".encode() + b"x" * 100 for number in range(6_000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    log, found, reads = LogTail(path, 0), [], 0
    while piece := log.lines():
        found += piece
        reads += 1
    assert [line.encode() for line in found] == lines
    assert reads > 2


def test_a_line_without_an_end_is_taken_in_pieces_too(tmp_path: Path) -> None:
    path = tmp_path / "log"
    size = output._MAX_READ_BYTES
    path.write_bytes(b"x" * (2 * size + 3))
    log = LogTail(path, 0)
    assert [len("".join(log.lines())) for _ in range(3)] == [size, size, 0]


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_however_a_child_writes_its_lines_come_out_whole_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "pieces.log"
    path.write_bytes(b"")
    log, found = LogTail(path, 0), []
    for piece in pieces:
        append(path, piece)
        found += log.lines()
    content = b"".join(pieces)
    whole = content[: content.rfind(b"\n") + 1]
    assert found == [
        line for part in whole.split(b"\n")[:-1] for line in (part + b"\n").decode("utf-8", "replace").splitlines()
    ]


def test_the_tail_of_a_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {number}\n" for number in range(10_000)))
    found = tail(path)
    assert found.endswith("line 9999\n")
    assert 10_000 < len(found) <= 16 * 1024
    assert all(line.startswith("line ") for line in found.splitlines())


def test_a_short_log_is_its_own_tail_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"half a l\xffne")
    assert tail(tmp_path / "log") == "half a l\ufffdne"
    assert tail(tmp_path / "none") == ""
