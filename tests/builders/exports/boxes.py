"""Exports of annotation tools in common: images with boxes painted on them, and XML damaged in many ways."""

import copy
from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

import numpy as np

from builders.archives import encoded

SIZE = (32, 40)  #: height, width
Export = tuple[dict[str, bytes], dict[str, np.ndarray]]  #: files; class ids by the image's name
Exports = dict[str, Callable[[], Export]]
Box = tuple[int, int, int, int]  #: x0, y0, x1, y1, ends included

#: in place of any attribute or text
WRONG_TEXTS = ("", "x", "-1", "1e400", "nan", "9" * 5000, "1,2;3", ";;", "1;2;3;4", "0, 0", "\u00b2", "a/../b\\c")


def photo(number: int) -> bytes:
    rng = np.random.default_rng(number)
    return encoded(rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8))


def corners(box: Box) -> list[list[float]]:
    """The polygon that covers the pixels of a box (by the product's rule, the outline belongs to it)."""
    x0, y0, x1, y1 = box
    return [[float(x), float(y)] for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]


def painted(*areas: tuple[Box, int]) -> np.ndarray:
    """Class ids (height, width): boxes, painted in order over class 0."""
    ids = np.zeros(SIZE, np.uint8)
    for (x0, y0, x1, y1), class_id in areas:
        ids[y0 : y1 + 1, x0 : x1 + 1] = class_id
    return ids


def damaged_xml(content: bytes) -> Iterator[bytes]:
    """The file with each attribute and text replaced, each element renamed, emptied or doubled; cut off; and no XML."""
    yield from (b"", b"<a/>", b"<!DOCTYPE a><a/>", b"\xff\xfe", b"\x00" * 9, content[: len(content) // 2])
    root = ET.fromstring(content)
    for number, element in enumerate(root.iter()):
        for key in element.attrib:
            yield _changed(root, number, lambda e, k=key: e.attrib.pop(k))
            for text in WRONG_TEXTS:
                yield _changed(root, number, lambda e, k=key, t=text: e.set(k, t))
        for text in WRONG_TEXTS:
            yield _changed(root, number, lambda e, t=text: setattr(e, "text", t))
        yield _changed(root, number, lambda e: setattr(e, "tag", "other"))
        yield _changed(root, number, lambda e: e.clear())
        yield _changed(root, number, lambda e: e.extend(copy.deepcopy(list(e))))


def _changed(root: ET.Element, number: int, change: Callable[[ET.Element], object]) -> bytes:
    other = copy.deepcopy(root)
    change(list(other.iter())[number])
    return ET.tostring(other)
