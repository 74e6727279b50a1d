"""What stands in for the label ids of Cityscapes where they are missing: instance ids, polygons or colours.

The authors' scripts make label ids from the polygons (``createLabelImg.py``), so nothing is lost: groups are their
class, deleted objects are none, and what no polygon covers is unlabeled. Of an instance id, the class is what 1000 goes
into it. A colour stands for more than one id only where no class that is trained on is meant. Source:
mcordts/cityscapesScripts ``cityscapesscripts/helpers/labels.py``, ``annotation.py`` and ``preparation/``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from segdrop.codes import Code
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files, json_files, street_labels
from segdrop.dataset.layouts.shared.annotated import Gathering, pixel_size
from segdrop.dataset.samples import Coding, Drawing, LabelledSample, MaskFile
from segdrop.dataset.shapes import Shape
from segdrop.errors import DataError, Issue

_SHOWN = 5
#: of the polygons of a licence plate, nothing is drawn
_NOT_DRAWN = "license plate"


class Kind(Enum):
    """A kind of truth that says the classes, the surest first. The value is the end of its files' names."""

    INSTANCES = "instanceIds.png"
    POLYGONS = "polygons.json"
    COLOURS = "color.png"


_SAID = {
    Kind.INSTANCES: "instance ids from 1000 on stand for the class that 1000 goes into them",
    Kind.POLYGONS: "the polygons are drawn in their order; what none covers is unlabeled, and ignored",
    Kind.COLOURS: "the table's colours are read; those of polegroup and license plate are read as pole and car",
}


@dataclass(frozen=True, slots=True)
class Substitute:
    """Samples read from a substitute, what is wrong with it, and what was assumed."""

    samples: list[LabelledSample]
    issues: list[Issue]
    said: str


def read(tree: Tree, kind: Kind, samples: list[LabelledSample]) -> Substitute:
    """Returns the samples with their truth, which is the member of a file of this kind, read as label ids."""
    said = f"there are no labelIds: gt*_{kind.value} stands in for them; {_SAID[kind]}"
    if kind is Kind.POLYGONS:
        found = Gathering(tree)
        drawn = [replace(sample, truth=drawing) for sample, drawing in _drawings(tree, found, samples)]
        return Substitute(drawn, list(found.complaints(len(drawn))), said)
    if kind is Kind.INSTANCES:
        return Substitute([_recoded(sample, Coding.INSTANCE_IDS) for sample in samples], [], said)
    numbers = {_number(colour): label for colour, label in street_labels.ID_BY_COLOUR.items()}
    return Substitute([_recoded(sample, Coding.SEGMENTS, numbers) for sample in samples], [], said)


def _recoded(sample: LabelledSample, coding: Coding, relabel: dict[int, int] | None = None) -> LabelledSample:
    truth = MaskFile(sample.truth.member, coding, relabel, is_complete=relabel is not None)
    return replace(sample, truth=truth)


def _number(colour: int) -> int:
    """Returns the number of a colour (0xRRGGBB) in the coding of segments."""
    return (colour >> 16) + 256 * (colour >> 8 & 0xFF) + 65536 * (colour & 0xFF)


def _drawings(tree: Tree, found: Gathering, samples: list[LabelledSample]) -> Iterator[tuple[LabelledSample, Drawing]]:
    """Yields the samples with the polygons of their JSON files."""
    foreign: set[str] = set()
    for sample in samples:
        member = sample.truth.member
        try:
            content = annotation_files.load_json(tree, member)
        except DataError as error:
            found.broken(error)
            continue
        if not isinstance(content, dict):
            found.invalid(member, "it is no object")
            continue
        drawn = tuple(_shapes(found, member, content.get("objects"), foreign))
        yield sample, Drawing(member, drawn, pixel_size(content.get("imgWidth"), content.get("imgHeight")))
    if foreign:
        shown = ", ".join(sorted(foreign)[:_SHOWN])
        message = f"polygons have {len(foreign)} labels that Cityscapes does not have: {shown}"
        fix = "Write masks of label ids from them, and pack these as …_labelIds.png, with labels.txt."
        raise DataError([Issue.of(Code.ANNOTATION_INVALID, message, count=len(foreign), fix=fix)])


def _shapes(found: Gathering, member: int, objects: object, foreign: set[str]) -> Iterator[Shape]:
    """Yields a file's polygons with their label ids; labels without one are put into ``foreign``."""
    for entry in json_files.dictionaries(found, member, objects, "an object"):
        label, points = json_files.name_in(entry, "label"), entry.get("polygon")
        if entry.get("deleted") or label == _NOT_DRAWN:
            continue
        number = street_labels.ID_BY_NAME.get(label, street_labels.ID_BY_NAME.get(label.removesuffix("group")))
        if number is None:
            foreign.add(label)
            continue
        outline = found.outline(member, partial(json_files.outline, points))
        if outline is not None:
            found.counted("polygon")
            yield replace(outline, value=number)
