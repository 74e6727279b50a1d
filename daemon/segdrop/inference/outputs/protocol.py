"""What a kind of output is.

An output writes the files of one image, and in the end what concerns all of them. A crash may come at any moment:
``write`` may be called again for the same image, and then writes the same files; ``finish`` may be called again, too.
Memory does not grow with the number of images: what ``finish`` needs of an image, ``write`` returns as JSON values, and
they come back to it one after the other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from segdrop.errors import Issue
from segdrop.inference.prediction import ImageRecord, Prediction

Colour = tuple[int, int, int]
#: Yields the records of all images, in the order of the input; may be called several times.
Records = Callable[[], Iterator[ImageRecord]]


@dataclass(frozen=True, slots=True)
class Setting:
    """What all outputs of a job have in common."""

    folder: Path  #: of the whole result; an output writes into a folder of its own name below it
    classes: tuple[str, ...]
    colours: tuple[Colour, ...]  #: by class id
    model: str  #: what the request called it
    model_sha256: str
    background: int | None = None  #: class id that is no object (annotation formats leave it out), where one is known
    overlay_alpha: float = 0.5
    excluded: tuple[str, ...] = ()  #: classes of the model whose pixels are left out, by the request's ``class_map``

    @property
    def scratch(self) -> Path:
        """Folder beside the result, for what outputs need until all are finished; the caller removes it then."""
        return scratch_of(self.folder)


def scratch_of(folder: Path) -> Path:
    """Returns the folder beside a result, see :attr:`Setting.scratch`."""
    return folder.with_name(f"{folder.name}.scratch")


class Output(Protocol):
    """One kind of output; its ``name`` is that in the request's ``outputs``."""

    name: str

    def write(self, prediction: Prediction) -> Any | None:  # noqa: ANN401  (JSON values)
        """Writes the files of one image, and returns what :meth:`finish` needs of it."""

    def finish(self, records: Records) -> Sequence[Issue] | None:
        """Writes what concerns all images together, and returns what there is to say of that, if anything."""
