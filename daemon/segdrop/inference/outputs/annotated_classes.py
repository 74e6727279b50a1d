"""Which classes annotation formats list, how names are spelt in them, and what people are told of their images."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from segdrop.dataset.samples import is_image
from segdrop.inference.outputs.protocol import Setting

#: characters that XML cannot hold (XML 1.0, production 2), and halves of characters, which no UTF-8 file can
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_IMAGES = """
Your images: those of your input. Where a tool does not turn photographs by their EXIF tag, or does not read your
format, ask for the output "originals" and use those; for the frames of a video, those of the output "frames".
"""


@dataclass(frozen=True, slots=True)
class AnnotatedClass:
    """A class that is annotated: its place among those that are, from 0, its name, and its colour as ``#rrggbb``."""

    place: int
    name: str
    colour: str


def annotated_classes(setting: Setting) -> dict[int, AnnotatedClass]:
    """Returns the classes by class id, less the background."""
    ids = [class_id for class_id in range(len(setting.classes)) if class_id != setting.background]
    return {
        class_id: AnnotatedClass(place, plain(setting.classes[class_id]), _hexadecimal(setting.colours[class_id]))
        for place, class_id in enumerate(ids)
    }


def plain(text: str) -> str:
    """Returns a text with ``_`` in place of what no XML file, or no UTF-8 file, can hold."""
    return _IMPOSSIBLE.sub("_", text)


def image_name(name: str) -> str:
    """Returns what the image of an item is called in annotation files: a frame is a JPEG, as in output ``frames``."""
    return name if is_image(name) else f"{name}.jpg"


def guide(text: str) -> bytes:
    """Returns the content of an ``import.txt``, with what holds for every tool."""
    return (text + _IMAGES).encode()


def line(text: str) -> str:
    """Returns a text as one line of a list."""
    return " ".join(plain(text).split())


def relative(name: str, stem: str) -> str:
    """Returns how an item's name is written in a file that lies at its stem: relative to the folder of that file."""
    home, parts = PurePosixPath(stem).parent.parts, PurePosixPath(name).parts
    num_shared = 0
    while num_shared < min(len(home), len(parts) - 1) and home[num_shared] == parts[num_shared]:
        num_shared += 1
    return "/".join((*[".."] * (len(home) - num_shared), *parts[num_shared:]))


def _hexadecimal(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
