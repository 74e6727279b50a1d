"""The classes of street scenes that Cityscapes, BDD100K and KITTI share.

Sources: mcordts/cityscapesScripts ``cityscapesscripts/helpers/labels.py``; bdd100k/bdd100k ``bdd100k/label/label.py``,
with the same train ids.
"""

from dataclasses import replace

from segdrop.dataset import legends
from segdrop.dataset.names import Names
from segdrop.dataset.tree import Tree
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

TRAIN_IDS = Names("the table of train ids", numbered=tuple(enumerate(_TRAINED)), ignored=frozenset({_LEFT_OUT}))
LABEL_IDS = Names(
    "the Cityscapes table of ids",
    numbered=tuple(enumerate(_BY_ID, _FIRST_ID)),
    ignored=frozenset({*range(_FIRST_ID), _LEFT_OUT}),
)


def names(tree: Tree, table: Names) -> tuple[Names | None, list[Issue]]:
    """The table, unless a file names other classes: CVAT exports any project in these folders, with a legend by id."""
    files = legends.find(tree)
    if not files:
        return table, []
    found, issues = legends.read(tree, files[0])
    return (replace(found, ordered=found.listed, colours=()) if found and found.colours else found), issues
