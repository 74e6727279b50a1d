"""Writes image files as the JSON that an inbox takes: ``{"image_names": [...], "images": [...]}``, images in base64.

It is written as a stream, so that memory holds one piece of one image. The opposite is :mod:`json_unpacking`.
"""

import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from segdrop.dataset.unlabelled.stems import readable

_HEAD, _BETWEEN, _TAIL = b'{\n"image_names": [\n', b'\n],\n"images": [\n', b"\n]\n}\n"
_SEPARATOR = b",\n"
#: Base64 writes so many bytes as four characters.
_GROUP_BYTES = 3


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file, wherever it lies: its label in the JSON, its size in bytes, and how its bytes are read."""

    name: str
    size_bytes: int
    chunks: Callable[[], Iterator[bytes]]


def size_bytes(files: Sequence[ImageFile]) -> int:
    """Returns how many bytes :func:`write` writes, if no file changes its size meanwhile."""
    frame = len(_HEAD) + len(_BETWEEN) + len(_TAIL) + 2 * len(_SEPARATOR) * max(0, len(files) - 1)
    return frame + sum(len(_quoted(file.name)) + _base64_bytes(file.size_bytes) + len('""') for file in files)


def _base64_bytes(size: int) -> int:
    return -(-size // _GROUP_BYTES) * 4


def write(stream: BinaryIO, files: Sequence[ImageFile]) -> None:
    """Writes the JSON, in UTF-8. Raises OSError, and what reading a file raises."""
    stream.write(_HEAD)
    stream.writelines(_separated(_quoted(file.name) for file in files))
    stream.write(_BETWEEN)
    for place, file in enumerate(files):
        stream.write(b'"' if place == 0 else _SEPARATOR + b'"')
        stream.writelines(_base64(file.chunks()))
        stream.write(b'"')
    stream.write(_TAIL)


def _separated(texts: Iterable[bytes]) -> Iterator[bytes]:
    for place, text in enumerate(texts):
        yield text if place == 0 else _SEPARATOR + text


def _quoted(name: str) -> bytes:
    """Returns a name as JSON; bytes of a file's name that are no UTF-8 become question marks, as it is a label."""
    return json.dumps(readable(name), ensure_ascii=False).encode()


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        content = rest + chunk
        whole = len(content) // _GROUP_BYTES * _GROUP_BYTES
        yield binascii.b2a_base64(content[:whole], newline=False)
        rest = content[whole:]
    yield binascii.b2a_base64(rest, newline=False)
