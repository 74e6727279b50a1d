"""What a JSON file in the inbox is, by the keys at its top. Pure, and linear in the bytes that are given.

A ``.json`` may be a request, an input of images in base64, or one of the many files in which annotation tools keep
what was drawn on an image. The daemon looks at the first :data:`HEAD_BYTES` alone, and parses nothing: it only finds
the keys of the outermost object. Whether the file is JSON at all, and what its values are worth, the checks find out.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from segdrop.request import MAX_REQUEST_BYTES

#: A request has no more, so all of one is seen.
HEAD_BYTES = MAX_REQUEST_BYTES


class JsonRole(StrEnum):
    """Tells what a JSON file is taken for."""

    REQUEST = "request"  #: an object as small as a request, which may be one
    IMAGES = "images"  #: images in base64: an input by itself
    ANNOTATIONS = "annotations"  #: what a tool keeps about images
    LARGE = "large"  #: an object that is no request by its size, and does not begin like anything known
    NO_OBJECT = "no_object"  #: not a JSON object in UTF-8
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class JsonReading:
    """What is known of a JSON file. ``detail`` is whose annotations these are, or why it cannot be read."""

    role: JsonRole
    task: str = ""  #: the value of ``task`` at its top, where that is text
    detail: str = ""

    @property
    def predicts(self) -> bool:
        """Whether it is a request for a prediction."""
        return self.role is JsonRole.REQUEST and self.task == "predict"


_LABELME = "LabelMe's annotations"
#: Keys at the top of what tools keep about one image or many; no request and no input of ours has any of them.
_ANNOTATION_KEYS = {
    **dict.fromkeys(("shapes", "imagePath", "imageData"), _LABELME),
    **dict.fromkeys(("_via_settings", "_via_img_metadata", "_via_image_id_list", "regions"), "VIA's annotations"),
    **dict.fromkeys(
        ("annotations", "annotation", "categories", "objects", "imgWidth", "imgHeight", "items", "predictions"),
        "annotations of another tool",
    ),
}
_COCO = "COCO's annotations"
_IMAGE_KEYS = frozenset({"images", "image_names"})

_BOM = b"\xef\xbb\xbf"
_WHITE = b" \t\r\n"
#: A string that the data ends in is a token, too: without it, each escaped quote of it would be looked at as one more
#: beginning, and the time would grow with the square of its length.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[{}\[\]]', re.DOTALL)
_COLON = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+")
_LIST = re.compile(rb"\[[ \t\r\n]*+(.?)", re.DOTALL)
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def read(head: bytes, size: int) -> JsonReading:
    """Returns what a file is, by its first bytes and its size in bytes."""
    head = head.removeprefix(_BOM)
    if not head.lstrip(_WHITE).startswith(b"{"):
        return JsonReading(JsonRole.NO_OBJECT)
    role, task = (JsonRole.REQUEST if size <= HEAD_BYTES else JsonRole.LARGE), ""
    for key, position in _top_level_keys(head):
        if key in _ANNOTATION_KEYS:
            return JsonReading(JsonRole.ANNOTATIONS, detail=_ANNOTATION_KEYS[key])
        if key in _IMAGE_KEYS and (beginning := _beginning_of_list(head, position)) is not None:
            if beginning == b"{":
                return JsonReading(JsonRole.ANNOTATIONS, detail=_COCO)
            role = JsonRole.IMAGES
        if key == "task":
            task = _text(head, position)
    return JsonReading(role, task)


def _top_level_keys(head: bytes) -> Iterator[tuple[str, int]]:
    """Yields the keys of the outermost object, each with the position of its value."""
    depth = 0
    for token in _TOKEN.finditer(head):
        first = token[0][:1]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
            if depth <= 0:
                return
        elif depth == 1 and (colon := _COLON.match(head, token.end())):
            yield _decoded(token[0]), colon.end()


def _beginning_of_list(head: bytes, position: int) -> bytes | None:
    """Returns the first byte of the first element of a list, "" where that is not seen, or None for no list."""
    found = _LIST.match(head, position)
    if found is None:
        return b"" if position >= len(head) else None
    return found[1]


def _text(head: bytes, position: int) -> str:
    found = _TEXT.match(head, position)
    return _decoded(found[0]) if found else ""


def _decoded(token: bytes) -> str:
    """Returns the text of a string as it stands in JSON, or "" for what is none."""
    try:
        text = json.loads(token)
    except ValueError:
        return ""
    return text if isinstance(text, str) else ""
