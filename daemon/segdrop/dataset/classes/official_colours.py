"""The colours that well-known lists of classes are drawn in, so that a picture looks as people of the field expect.

Sources: Cityscapes, mcordts/cityscapesScripts ``cityscapesscripts/helpers/labels.py``. It has a colour for each class
and none for the eight categories: a category has the colour of its first class there (flat: road, construction:
building, object: pole, nature: vegetation, human: person, vehicle: car). PASCAL VOC, VOCdevkit
``VOClabelcolormap.m``: the colour of a class is that of its number in the challenge's list.
"""

from collections.abc import Mapping, Sequence

from segdrop.dataset.masks import palette

Colour = tuple[int, int, int]

CITYSCAPES: Mapping[str, Colour] = {
    "unlabeled": (0, 0, 0),
    "ego vehicle": (0, 0, 0),
    "rectification border": (0, 0, 0),
    "out of roi": (0, 0, 0),
    "static": (0, 0, 0),
    "dynamic": (111, 74, 0),
    "ground": (81, 0, 81),
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "parking": (250, 170, 160),
    "rail track": (230, 150, 140),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "guard rail": (180, 165, 180),
    "bridge": (150, 100, 100),
    "tunnel": (150, 120, 90),
    "pole": (153, 153, 153),
    "polegroup": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "caravan": (0, 0, 90),
    "trailer": (0, 0, 110),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
    "license plate": (0, 0, 142),
}
CITYSCAPES_CATEGORIES: Mapping[str, Colour] = {
    "void": CITYSCAPES["unlabeled"],
    "flat": CITYSCAPES["road"],
    "construction": CITYSCAPES["building"],
    "object": CITYSCAPES["pole"],
    "nature": CITYSCAPES["vegetation"],
    "sky": CITYSCAPES["sky"],
    "human": CITYSCAPES["person"],
    "vehicle": CITYSCAPES["car"],
}
_VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
#: The colour of pixels that are left out: that of the border between objects in PASCAL VOC's masks (index 255).
IGNORED: Colour = (224, 224, 192)
#: With fewer classes, a shared name or two (person, car) would make a list of something that it is not.
_FEWEST_CLASSES = 5


def voc_colours(num_classes: int) -> tuple[Colour, ...]:
    """Returns the colours of PASCAL VOC's palette by class id; it has as many as are asked for, up to 2²⁴."""
    return tuple((int(red), int(green), int(blue)) for red, green, blue in palette.colours(num_classes))


VOC: Mapping[str, Colour] = dict(zip(_VOC_CLASSES, voc_colours(len(_VOC_CLASSES)), strict=True))


def official(classes: Sequence[str]) -> tuple[Colour, ...] | None:
    """Returns the colours, by class id, of a well-known list that has all of the names, in any case, or None."""
    names = [name.strip().casefold() for name in classes]
    for table in (CITYSCAPES, CITYSCAPES_CATEGORIES, VOC):
        if len(names) >= _FEWEST_CLASSES and all(name in table for name in names):
            return tuple(table[name] for name in names)
    return None


def colours_for(classes: Sequence[str], own: Sequence[Colour] | None = None) -> tuple[Colour, ...]:
    """Returns a colour for each class, by class id.

    They are ``own``, those of the classes that these were merged from, where there is one for each class; else those of
    a well-known list; else PASCAL VOC's palette by class id, as masks in the results of trainings have it.
    """
    if own is not None and len(own) >= len(classes):
        return tuple(own[: len(classes)])
    return official(classes) or voc_colours(len(classes))
