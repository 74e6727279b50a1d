"""The classes of street scenes that Cityscapes, BDD100K and KITTI share.

Sources: mcordts/cityscapesScripts ``cityscapesscripts/helpers/labels.py``; bdd100k/bdd100k ``bdd100k/label/label.py``,
with the same train ids.
"""

from dataclasses import replace

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import legends
from segdrop.errors import Issue

#: train ids 0..18, 255 is left out
_TRAINED = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
#: ids from 7 on; the ones before are void (unlabeled, ego vehicle, rectification border, out of roi, …)
_FIRST_ID = 7
_BY_ID = (
    *("road", "sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel"),
    *("pole", "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car"),
    *("truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
)
_LEFT_OUT = 255
_VOID = ("unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground")
#: the label id of each name in annotations
ID_BY_NAME = {name: number for number, name in enumerate((*_VOID, *_BY_ID))}
#: the label id of each colour (0xRRGGBB); black is whatever is not labelled
ID_BY_COLOUR = {
    0x000000: 0, 0x6F4A00: 5, 0x510051: 6, 0x804080: 7, 0xF423E8: 8, 0xFAAAA0: 9, 0xE6968C: 10, 0x464646: 11,
    0x66669C: 12, 0xBE9999: 13, 0xB4A5B4: 14, 0x966464: 15, 0x96785A: 16, 0x999999: 17, 0xFAAA1E: 19, 0xDCDC00: 20,
    0x6B8E23: 21, 0x98FB98: 22, 0x4682B4: 23, 0xDC143C: 24, 0xFF0000: 25, 0x00008E: 26, 0x000046: 27, 0x003C64: 28,
    0x00005A: 29, 0x00006E: 30, 0x005064: 31, 0x0000E6: 32, 0x770B20: 33,
}  # fmt: skip

TRAIN_IDS = ClassNames("the table of train ids", numbered=tuple(enumerate(_TRAINED)), ignored=frozenset({_LEFT_OUT}))
LABEL_IDS = ClassNames(
    "the Cityscapes table of ids",
    numbered=tuple(enumerate(_BY_ID, _FIRST_ID)),
    ignored=frozenset({*range(_FIRST_ID), _LEFT_OUT}),
)


def names(tree: Tree, table: ClassNames) -> tuple[ClassNames | None, list[Issue]]:
    """Returns the table, unless a file names other classes: CVAT exports any project in these folders, with a legend by
    id.
    """
    files = legends.find(tree)
    if not files:
        return table, []
    found, issues = legends.read(tree, files[0])
    if found and found.colours:
        found = found.plain or replace(found, ordered=found.listed, colours=())
    return found, issues
