"""The ends of videos, and of images in the same containers: whether all of one is there, by the sizes that it says.

Every function returns whether a file is whole, and raises EOFError where it ends too early to tell. A file that was cut
off exactly between two of its parts may count as whole where its format does not say how many there are.

Formats: boxes in ISO/IEC 14496-12, section 4.2 (MP4, MOV, HEIC, AVIF, JPEG 2000); RIFF in Microsoft's multimedia
programming interface 1.0 (WebP, AVI); EBML in RFC 8794 and Matroska in RFC 9559; ASF 1.2, section 2; MPEG program
streams in ISO/IEC 13818-1, section 2.5.3; Ogg in RFC 3533.
"""

from segdrop.intake.open_file import OpenFile

_TAIL_BYTES = 1 << 16
#: of a film in fragments, a few for each second
_MAX_BOXES = 1 << 16
_TO_THE_END = 0
_IN_64_BITS = 1
_CODESTREAM, _CODESTREAM_END = b"jp2c", b"\xff\xd9"
#: Sets of boxes of which one must be there in full: a film with its frames, an image with its pixels, JPEG 2000.
_WHOLE = (
    frozenset({b"moov", b"mdat"}),
    frozenset({b"moov", b"moof"}),
    frozenset({b"meta", b"mdat"}),
    frozenset({_CODESTREAM}),
)


def boxes(file: OpenFile) -> bool:
    """Whether the boxes at the top lead exactly to the end of the file, and hold a film or an image."""
    found: set[bytes] = set()
    position = 0
    for _ in range(_MAX_BOXES):
        if position == file.size:
            return any(found >= needed for needed in _WHOLE)
        length, kind = file.unpack(">I4s", position)
        head = 8
        if length == _TO_THE_END:
            return bool(kind == _CODESTREAM and file.tail(2) == _CODESTREAM_END)
        if length == _IN_64_BITS:
            (length,), head = file.unpack(">Q", position + 8), 16
        if length < head:
            return False
        found.add(kind)
        position += length
    return False


def riff(file: OpenFile) -> bool:
    """Whether the one RIFF chunk of a WebP, or all those of a long AVI, have as many bytes as they say."""
    position = 0
    while file.at(position, 4) == b"RIFF":
        (length,) = file.unpack("<I", position + 4)
        if length == 0 or position + 8 + length > file.size:
            return False
        position += 8 + length + length % 2
    return True


# Matroska and WebM

_SEGMENT, _VOID = 0x18538067, 0xEC


def matroska(file: OpenFile) -> bool:
    """Whether the segment has as many bytes as it says. One that is being recorded does not say it."""
    position = 0
    for _ in range(8):  # the header, the segment, and perhaps some room between them
        identity, position = _variable_number(file, position, is_id=True)
        length, position = _variable_number(file, position)
        if length is None:
            return False
        position += length
        if identity == _SEGMENT:
            return position <= file.size
    return False


def _variable_number(file: OpenFile, position: int, *, is_id: bool = False) -> tuple[int | None, int]:
    """Returns a number whose first bits tell its size, and where it ends. None is a length that is not known."""
    (first,) = file.unpack("B", position)
    size = 9 - first.bit_length()
    digits = file.at(position, size)
    if size > 8 or len(digits) < size:  # noqa: PLR2004  (bytes of the longest number)
        raise EOFError
    value, room = int.from_bytes(digits), (1 << 7 * size) - 1
    if is_id:
        return value, position + size
    return (None if value & room == room else value & room), position + size


# others

_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")


def asf(file: OpenFile) -> bool:
    """Whether the objects at the top of a WMV lead exactly to the end of the file, and hold the data."""
    position, has_data = 0, False
    for _ in range(_MAX_BOXES):
        if position == file.size:
            return has_data
        kind, length = file.unpack("<16sQ", position)
        if length < 24:  # noqa: PLR2004  (its own head)
            return False
        has_data |= kind == _ASF_DATA
        position += length
    return False


def program_stream(file: OpenFile) -> bool:
    """Whether an MPEG program stream ends with its end code; not every one has it."""
    return file.tail(4) == b"\0\0\1\xb9"


def ogg(file: OpenFile) -> bool:
    """Whether the last page of an Ogg stream is marked as its last."""
    tail = file.tail(_TAIL_BYTES)
    page = tail.rfind(b"OggS\0")
    return page >= 0 and len(tail) > page + 5 and bool(tail[page + 5] & 4)
