"""The official colours of classes that have some."""

from segdrop.modeling.segmenters.protocol import Colour

#: The nineteen classes that Cityscapes is evaluated on, with their colours (cityscapesScripts, ``labels.py``).
CITYSCAPES: dict[str, Colour] = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
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
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}


def colours_of(classes: tuple[str, ...]) -> tuple[Colour, ...] | None:
    """Returns the official colours of Cityscapes' nineteen classes, where it is these; else None."""
    folded = [name.casefold() for name in classes]
    if sorted(folded) != sorted(CITYSCAPES):
        return None
    return tuple(CITYSCAPES[name] for name in folded)
