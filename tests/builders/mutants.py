"""ZIPs that nobody made on purpose: datasets with damage of every kind, each from its number alone."""

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

from builders.archives import EXTENSIONS, members
from builders.broken import CENTRAL, END, LOCAL

_NUMBERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
_NAMES = (
    b"../../etc/passwd", b"/abs.png", b"C:\\x.png", b"images/\x00.png", b"images/\n.png", b"images/\x1b[2J.png",
    b"\xff\xfe\xed\xa0\x80.png", b"", b"a" * 5000, b"images/" * 300, "images/\u202egnp.exe".encode(), b"masks/..",
)  # fmt: skip
_TEXTS = (b"", b"\xff\xfe", b"\x00" * 50, b"null", b"[" * 2000, b'{"epochs": 1e999}', b'{"epochs": NaN}',
          b'{"\\ud800": 1}', b'{"classes": {"0": "a", "0": "b"}}', b'{"image_size": ' + b"9" * 5000 + b"}",
          b"a\n" * 300, b"\xef\xbb\xbfcat\r\ndog", b'{"classes": ["a", "a"]}',
          b'{"ignore_index": -1, "seed": 1.5}')  # fmt: skip


def mutant(number: int, seed: str) -> bytes:
    """The same bytes for the same number and seed."""
    rng = random.Random(f"{seed}-{number}")
    content = _base(rng)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 6))):
        content = rng.choice(_MUTATIONS)(content, rng)
    return content


def _base(rng: random.Random) -> bytes:
    """A small dataset, whole in the eyes of the ZIP; what is in its files may be damaged already."""
    parts = members(
        count=rng.choice((1, 2, 3)),
        size=rng.choice(((4, 4), (8, 6))),
        values=rng.choice(((0, 1), (0, 1, 2), (0, 255), (7,))),
        labels=rng.choice((None, ("cat",), ("cat", "dog"))),
        mask_mode=rng.choice(("L", "L", "P", "I;16", "1", "RGB")),
        image_format=rng.choice(sorted(EXTENSIONS)),
        layout=rng.choice(("plain", "plain", "wrapped", "inside", "outside")),
    )
    if rng.random() < 0.2:
        parts["segdrop.json"] = json.dumps({"epochs": rng.choice((1, 0, "x", None)), "lr": 1}).encode()
    for name in sorted(parts):
        if rng.random() < 0.15:
            parts[name] = _damaged_member(name, parts[name], rng)
    stream = io.BytesIO()
    stream.write(rng.randbytes(rng.choice((0, 0, 0, 7, 300))))
    with zipfile.ZipFile(stream, "a", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, data in parts.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=rng.random() < 0.1) as member:
                member.write(data)
        archive.comment = rng.choice((b"", b"", b"hello", END + b"\xff" * 30))
    return stream.getvalue()


def _damaged_member(name: str, data: bytes, rng: random.Random) -> bytes:
    """Damage inside a file, under a right checksum: what the decoders get to see."""
    if name.endswith((".txt", ".json")):
        return rng.choice(_TEXTS)
    if data.startswith(b"\x89PNG") and rng.random() < 0.4:
        return _png_header(data, rng)
    return rng.choice((_flip, _flip, _cut, _number, _repeat))(data, rng)


def _png_header(data: bytes, rng: random.Random) -> bytes:
    """Another width, height, depth or colour type, with the chunk's checksum made right."""
    header = bytearray(data[12:29])
    if rng.random() < 0.5:
        struct.pack_into(">L", header, rng.choice((4, 8)), rng.choice((*_NUMBERS, 3000, 70_000)))
    else:
        header[rng.choice((12, 13, 14, 15, 16))] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return data[:12] + bytes(header) + struct.pack(">L", zlib.crc32(header)) + data[33:]


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content or b"x")
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    start, stop = sorted((rng.randint(0, len(content)), rng.randint(0, len(content))))
    return rng.choice((content[:start], content[start:], content[:start] + content[stop:]))


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start, stop = sorted((rng.randint(0, len(content)), rng.randint(0, len(content))))
    place = rng.randint(0, len(content))
    return content[:place] + content[start:stop] * rng.choice((1, 2, 5)) + content[place:]


def _number(content: bytes, rng: random.Random) -> bytes:
    """A number that somebody did not expect, anywhere."""
    layout = rng.choice(("<H", "<L", "<Q", ">H", ">L"))
    size = struct.calcsize(layout)
    if len(content) <= size:
        return content
    changed = bytearray(content)
    value = rng.choice(_NUMBERS) & ((1 << 8 * size) - 1)
    struct.pack_into(layout, changed, rng.randrange(len(changed) - size), value)
    return bytes(changed)


def _header_field(content: bytes, rng: random.Random) -> bytes:
    """A number in one of the ZIP's own records, where it matters most."""
    signature, size = rng.choice(((CENTRAL, 46), (CENTRAL, 46), (LOCAL, 30), (END, 22), (b"PK\6\6", 56)))
    places = _places(content, signature)
    if not places:
        return content
    place = rng.choice(places)
    record = _number(content[place : place + size], rng)
    return content[:place] + record + content[place + size :]


def _name(content: bytes, rng: random.Random) -> bytes:
    """Another name in the directory, with its length."""
    places = _places(content, CENTRAL)
    if not places:
        return content
    place = rng.choice(places)
    if place + 46 > len(content):
        return content
    (old,) = struct.unpack_from("<H", content, place + 28)
    new = rng.choice(_NAMES)
    record = bytearray(content[place : place + 46])
    struct.pack_into("<H", record, 28, len(new))
    longer = bytearray(content[:place] + bytes(record) + new + content[place + 46 + old :])
    end = longer.rfind(END)
    if end >= 0 and end + 22 <= len(longer):  # the directory's size follows, so that the rest of it is still read
        (size,) = struct.unpack_from("<L", longer, end + 12)
        struct.pack_into("<L", longer, end + 12, (size + len(new) - old) & 0xFFFFFFFF)
    return bytes(longer)


def _same_place(content: bytes, rng: random.Random) -> bytes:
    """Entries that share the bytes of one."""
    places = [place for place in _places(content, CENTRAL) if place + 46 <= len(content)]
    if len(places) < 2:
        return content
    changed = bytearray(content)
    (offset,) = struct.unpack_from("<L", changed, rng.choice(places) + 42)
    for place in rng.sample(places, rng.randint(1, len(places))):
        struct.pack_into("<L", changed, place + 42, offset)
    return bytes(changed)


def _spliced(content: bytes, rng: random.Random) -> bytes:
    other = _base(rng)
    return content[: rng.randint(0, len(content))] + other[rng.randint(0, len(other)) :]


def _places(content: bytes, signature: bytes) -> list[int]:
    places, place = [], -1
    while (place := content.find(signature, place + 1)) >= 0:
        places.append(place)
    return places


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _cut, _repeat, _number, _header_field, _header_field, _header_field, _name, _same_place, _spliced,
)  # fmt: skip
