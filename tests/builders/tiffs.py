"""TIFFs as GIS and microscopy programs write them, which Pillow does not: bands, planes, tiles, predictors, pages."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

_FORMATS = {"u": 1, "i": 2, "f": 3}


def tiff(
    values: np.ndarray,
    *,
    order: str = "<",
    compression: int = 1,
    predictor: int = 1,
    is_planar: bool = False,
    tile: tuple[int, int] | None = None,
    strip_rows: int | None = None,
    extra: Sequence[int] = (),
    photometric: int | None = None,
    orientation: int | None = None,
    no_data: str | None = None,
    num_pages: int = 1,
) -> bytes:
    """A TIFF of values (height, width) or (height, width, bands), stored in their own type.

    ``extra`` are the kinds of the samples after the first of the ``photometric`` interpretation; ``tile`` is (height,
    width). All pages are alike.
    """
    values = np.atleast_3d(values)
    height, width, samples = values.shape
    down, across = tile or (strip_rows or height, width)
    planes = [values[..., n : n + 1] for n in range(samples)] if is_planar else [values]
    chunks = [
        _packed(_part(plane, top, left, (down, across), is_tiled=tile is not None), order, compression, predictor)
        for plane in planes
        for top in range(0, height, down)
        for left in range(0, width, across)
    ]
    tags: dict[int, tuple[str, Sequence[Any]]] = {
        256: ("L", [width]),
        257: ("L", [height]),
        258: ("H", [values.dtype.itemsize * 8] * samples),
        259: ("H", [compression]),
        262: ("H", [photometric if photometric is not None else 2 if samples >= 3 else 1]),
        277: ("H", [samples]),
        284: ("H", [2 if is_planar else 1]),
        317: ("H", [predictor]),
        339: ("H", [_FORMATS[values.dtype.kind]] * samples),
    }
    if tile:
        tags |= {322: ("L", [across]), 323: ("L", [down])}
    else:
        tags[278] = ("L", [down])
    if extra:
        tags[338] = ("H", list(extra))
    if orientation:
        tags[274] = ("H", [orientation])
    if no_data is not None:
        tags[42113] = ("s", [no_data.encode() + b"\0"])
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", 8)
    for page in range(num_pages):
        content += _page(
            dict(tags), chunks, order, len(content), is_tiled=tile is not None, is_last=page == num_pages - 1
        )
    return content


def _part(plane: np.ndarray, top: int, left: int, size: tuple[int, int], *, is_tiled: bool) -> np.ndarray:
    part = plane[top : top + size[0], left : left + size[1]]
    if is_tiled:
        part = np.pad(part, ((0, size[0] - part.shape[0]), (0, size[1] - part.shape[1]), (0, 0)), "edge")
    return part


def _packed(part: np.ndarray, order: str, compression: int, predictor: int) -> bytes:
    rows, _, samples = part.shape
    if predictor == 2:
        part = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1]))
    data = part.astype(part.dtype.newbyteorder(order)).tobytes()
    if predictor == 3:
        size = part.dtype.itemsize
        big = np.frombuffer(part.astype(part.dtype.newbyteorder(">")).tobytes(), np.uint8).reshape(rows, -1, size)
        flat = big.transpose(0, 2, 1).reshape(rows, -1, samples)
        data = np.diff(flat, axis=1, prepend=np.zeros_like(flat[:, :1])).tobytes()
    if compression == 8:
        return zlib.compress(data)
    return data if compression == 1 else _by_pillow(data, rows, compression)


def _by_pillow(data: bytes, rows: int, compression: int) -> bytes:
    """The strip that Pillow makes of bytes as a grey picture."""
    stream = io.BytesIO()
    picture = Image.frombytes("L", (len(data) // rows, rows), data)
    name = {5: "tiff_lzw", 32773: "packbits"}[compression]
    picture.save(stream, "TIFF", compression=name, tiffinfo={278: rows})
    with Image.open(stream) as made:
        offset, length = made.tag_v2[273][0], made.tag_v2[279][0]
    return stream.getvalue()[offset : offset + length]


def _page(
    tags: dict[int, tuple[str, Sequence[Any]]],
    chunks: list[bytes],
    order: str,
    start: int,
    *,
    is_tiled: bool,
    is_last: bool,
) -> bytes:
    """The directory, what does not fit in it, and the pixels."""
    tags[324 if is_tiled else 273] = ("L", [0] * len(chunks))
    tags[325 if is_tiled else 279] = ("L", [len(chunk) for chunk in chunks])
    place = start + 2 + 12 * len(tags) + 4
    sizes = [len(_field(order, kind, numbers)) for kind, numbers in tags.values()]
    first = place + sum(size for size in sizes if size > 4)
    tags[324 if is_tiled else 273] = ("L", [first + sum(map(len, chunks[:n])) for n in range(len(chunks))])
    entries, outside = b"", b""
    for tag, (kind, numbers) in sorted(tags.items()):
        data = _field(order, kind, numbers)
        count = len(data) if kind == "s" else len(numbers)
        entries += struct.pack(f"{order}HHL", tag, {"H": 3, "L": 4, "s": 2}[kind], count)
        if len(data) > 4:
            entries += struct.pack(f"{order}L", place + len(outside))
            outside += data
        else:
            entries += data.ljust(4, b"\0")
    end = first + sum(map(len, chunks))
    following = struct.pack(f"{order}L", 0 if is_last else end)
    return struct.pack(f"{order}H", len(tags)) + entries + following + outside + b"".join(chunks)


def _field(order: str, kind: str, numbers: Sequence[Any]) -> bytes:
    return numbers[0] if kind == "s" else struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
