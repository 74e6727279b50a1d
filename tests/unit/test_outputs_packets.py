"""Files of encoded frames, and when frames are shown."""

import errno
import io
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

import pytest

from segdrop.inference.outputs import muxing, packets
from segdrop.inference.outputs.packets import TICKS_A_SECOND, Packet, PacketLog, Stretch

STRETCH = Stretch(codec="libx264", width=64, height=48)


def packet(index: int) -> Packet:
    return Packet(index, index * 100, index == 0, bytes([index]) * (10 + index))


def log(folder: Path, *indices: int) -> Path:
    path = packets.next_path(folder)
    made = PacketLog(path, STRETCH)
    for index in indices:
        made.append(packet(index))
    return path


def test_packets_come_back_as_they_were(tmp_path: Path) -> None:
    path = log(tmp_path, 0, 1, 5)
    assert packets.stretch_of(path) == STRETCH
    assert list(packets.packets(path)) == [packet(0), packet(1), packet(5)]


def test_whatever_a_crash_leaves_of_a_packet_the_ones_before_are_read(tmp_path: Path) -> None:
    path = log(tmp_path, 0, 1, 2)
    whole = path.read_bytes()
    two = len(whole) - len(log(tmp_path, 2).read_bytes()) + len(log(tmp_path).read_bytes())
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        found = list(packets.packets(path)) if packets.stretch_of(path) else []
        assert found == [packet(index) for index in range(len(found))]
        assert (len(found) == 2) == (size >= two)


def test_packet_of_zeros_that_a_power_cut_leaves_ends_the_file(tmp_path: Path) -> None:
    path = log(tmp_path, 0, 1)
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.seek(size - 5)
        stream.write(bytes(5))
    assert list(packets.packets(path)) == [packet(0)]


def test_frames_of_several_processes_come_once_and_in_order(tmp_path: Path) -> None:
    log(tmp_path, 0, 1, 2)
    log(tmp_path)  # one that was killed at once
    packets.next_path(tmp_path).write_bytes(b"segdr")  # another one, sooner still
    log(tmp_path, 2, 3)
    assert [one.index for one in packets.all_packets(tmp_path)] == [0, 1, 2, 3]
    assert len(list(packets.stretches(tmp_path))) == 3
    assert list(packets.all_packets(tmp_path / "none")) == []


def test_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = PacketLog(tmp_path / "a.packets", STRETCH)
    made.append(packet(0))

    class Full:
        def __init__(self, path: Path) -> None:
            self.path = path

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def write(self, content: bytes) -> int:
            with io.FileIO(self.path, "ab") as stream:
                stream.write(content[:7])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda path, mode="r": Full(path))
        with pytest.raises(OSError, match="No space"):
            made.append(packet(1))
    made.append(packet(1))
    assert list(packets.packets(tmp_path / "a.packets")) == [packet(0), packet(1)]


def timing(seconds: list[float], *rates: Fraction) -> muxing.Timing:
    def ticks() -> Iterator[int]:
        return iter([round(one * TICKS_A_SECOND) for one in seconds])

    return muxing.timing(ticks, rates)


NTSC = Fraction(30_000, 1001)


def test_frames_of_a_rate_are_shown_at_it_exactly_also_where_times_were_rounded() -> None:
    exact = timing([3 + float(number / NTSC) for number in range(2_000)], Fraction(30), NTSC)
    rounded = timing([round(number / 30, 3) for number in range(2_000)], Fraction(30), NTSC)
    assert (exact.rate, rounded.rate) == (NTSC, Fraction(30))
    assert exact.time_base == Fraction(1, 30_000)
    assert exact.time(3 * TICKS_A_SECOND) == 0
    assert exact.time(round((3 + float(7 / NTSC)) * TICKS_A_SECOND)) == 7 * 1001
    assert rounded.last_duration * rounded.time_base == Fraction(1, 30)


def test_frames_that_were_left_out_leave_a_gap() -> None:
    found = timing([0.0, 0.04, 0.12], Fraction(25))
    assert (found.rate, found.time(round(0.12 * TICKS_A_SECOND))) == (25, 3)


def test_frames_of_no_rate_are_shown_at_their_own_times() -> None:
    found = timing([0.0, 0.04, 0.1, 0.11], Fraction(25), Fraction(30))
    assert found.rate is None
    assert found.time(round(0.1 * TICKS_A_SECOND)) * found.time_base == Fraction(1, 10)
    assert float(found.last_duration * found.time_base) == pytest.approx(0.01)
    assert found.end_seconds == pytest.approx(0.12)


def test_a_single_frame_has_a_length() -> None:
    assert timing([5.0], Fraction(25)).end_seconds == pytest.approx(5.04)
