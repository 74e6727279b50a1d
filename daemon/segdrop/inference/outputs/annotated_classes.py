"""Which classes annotation formats list, and how names are spelt in them."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from segdrop.inference.outputs.protocol import Setting

#: characters that XML cannot hold (XML 1.0, production 2), and halves of characters, which no UTF-8 file can
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
