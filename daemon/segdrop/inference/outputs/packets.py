"""Files of encoded frames that a crash cannot hurt: a log, to which each frame is appended as one record.

What is behind the last whole record is what a crash left of another, and is never read. A process that goes on after a
crash begins a new file: one file is one stretch of a video, whose first frame needs none before it.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segdrop.record import Record

_MAGIC = b"segdrop packets 1\n"
#: index, time in ticks, whether it is a key frame, bytes of the payload, CRC-32 of the payload
_HEAD = struct.Struct("<qq?II")
_LENGTH = struct.Struct("<I")
_SUFFIX = ".packets"
#: Times are counted in parts of a second in which frames of all usual rates, also 24,000/1,001, have whole numbers.
TICKS_A_SECOND = 360_000


class Stretch(Record):
    """What is common to the frames of one file."""

    codec: str  #: name of the encoder
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded frame."""

    index: int  #: of the frame in the input
    ticks: int
    is_key: bool  #: can be decoded without the frames before it
    payload: bytes


class PacketLog:
    """A file to which packets are appended; each call returns once the kernel has all of the packet."""

    def __init__(self, path: Path, stretch: Stretch) -> None:
        """Makes the file. Raises ``FileExistsError`` if it is there."""
        self._path = path
        path.touch(exist_ok=False)
        head = stretch.model_dump_json().encode()
        self._append(_MAGIC + _LENGTH.pack(len(head)) + head)

    def append(self, packet: Packet) -> None:
        """Appends a packet. Raises ``OSError``, and then the file is as before."""
        size, check = len(packet.payload), zlib.crc32(packet.payload)
        self._append(_HEAD.pack(packet.index, packet.ticks, packet.is_key, size, check) + packet.payload)

    def _append(self, content: bytes) -> None:
        size = self._path.stat().st_size
        try:
            with self._path.open("ab") as stream:
                stream.write(content)
        except OSError:  # a disk that is nearly full may have taken a part
            os.truncate(self._path, size)
            raise


def logs(folder: Path) -> list[Path]:
    """Returns the files of a folder in the order in which they were made; none where there is no folder."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def next_path(folder: Path) -> Path:
    """Returns the path of the file that follows those in a folder."""
    return folder / f"{len(logs(folder)):06}{_SUFFIX}"


def stretch_of(path: Path) -> Stretch | None:
    """Returns what is common to the frames of a file, or None where a crash left not even that."""
    with path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            return None
        length = stream.read(_LENGTH.size)
        head = stream.read(_LENGTH.unpack(length)[0]) if len(length) == _LENGTH.size else b""
    try:
        return Stretch.model_validate_json(head)
    except ValueError:
        return None


def stretches(folder: Path) -> Iterator[Stretch]:
    """Yields what is common to the frames of each file of a folder, in order."""
    yield from filter(None, map(stretch_of, logs(folder)))


def packets(path: Path) -> Iterator[Packet]:
    """Yields the whole packets of a file, in order."""
    with path.open("rb") as stream:
        start = stream.read(len(_MAGIC) + _LENGTH.size)
        if len(start) < len(_MAGIC) + _LENGTH.size:
            return
        stream.seek(_LENGTH.unpack(start[len(_MAGIC) :])[0], os.SEEK_CUR)
        while len(head := stream.read(_HEAD.size)) == _HEAD.size:
            index, ticks, is_key, size, check = _HEAD.unpack(head)
            payload = stream.read(size)
            if len(payload) < size or zlib.crc32(payload) != check:
                return
            yield Packet(index, ticks, is_key, payload)


def all_packets(folder: Path) -> Iterator[Packet]:
    """Yields the whole packets of all files of a folder, in order; of a frame that is there twice, the first."""
    last = -1
    for path in logs(folder):
        for packet in packets(path):
            if packet.index > last:
                last = packet.index
                yield packet
