"""The XML of LabelMe's web tool, as it and CVAT write it, with the masks that it means.

Sources: CSAILVision/LabelMeAnnotationTool (``Annotations/``, ``Images/``, ``Masks/``; line ends inside the tags);
cvat-ai/datumaro ``plugins/labelme_format.py`` (``LabelMeConverter``: what CVAT's "LabelMe 3.0" is made by).
"""

import numpy as np

from builders.archives import encoded
from builders.exports.boxes import SIZE, Box, Export, Exports, corners, painted, photo


def thing(number: int, name: str, area: str, *, deleted: int = 0, kind: str = "") -> str:
    return (
        f"<object><name>{name}</name><deleted>{deleted}</deleted><verified>0</verified><occluded>no</occluded>"
        f"<date>20-Mar-2013 12:00:00</date><id>{number}</id><parts><hasparts></hasparts><ispartof></ispartof></parts>"
        f"{kind}{area}<attributes></attributes></object>"
    )


def polygon(box: Box) -> str:
    points = "".join(f"<pt><x>{x:g}</x><y>{y:g}</y></pt>" for x, y in corners(box))
    return f"<polygon>{points}<username>anonymous</username></polygon>"


def segment(mask: str) -> str:
    return f"<segm><username>anonymous</username><box><xmin>0</xmin></box><mask>{mask}</mask><type>mask</type></segm>"


def document(objects: str, filename: str, folder: str = "") -> bytes:
    height, width = SIZE
    return (
        f"<annotation><filename>{filename}</filename><folder>{folder}</folder><source><sourceImage>The MIT-CSAIL "
        "database</sourceImage><sourceAnnotation>LabelMe Webtool</sourceAnnotation></source><imagesize>"
        f"<nrows>{height}</nrows><ncols>{width}</ncols></imagesize>{objects}</annotation>"
    ).encode()


def web_tool() -> Export:
    """Annotations/, Images/ and Masks/ of two collections with equal names; a deleted object, a drawn mask."""
    content, expected = {}, {}
    for shift, place in enumerate(("streets/0", "streets/1", "rooms/0")):
        folder, _, name = place.partition("/")
        mask = np.zeros(SIZE, np.uint8)
        mask[14:18, 20:25] = 255
        content[f"Masks/{place}_mask_2.png"] = encoded(mask)
        content[f"Scribbles/{place}_scribble_2.png"] = encoded(mask)
        objects = (
            thing(0, "\ncar\n", polygon((1 + shift, 1, 12, 9)))
            + thing(1, "tree", polygon((0, 0, 29, 19)), deleted=1)
            + thing(2, "road", segment(f"{name}_mask_2.png"))
            + thing(3, "tree", polygon((3, 3, 5, 5)))
        )
        content[f"Annotations/{place}.xml"] = document(objects, f"\n{name}.png\n", f"\n{folder}\n")
        content[f"Images/{place}.png"] = photo(shift)
        # sorted by name: car 1, road 2, tree 3
        expected[f"Images/{place}.png"] = painted(
            ((1 + shift, 1, 12, 9), 1), ((20, 14, 24, 17), 2), ((3, 3, 5, 5), 3)
        )  # fmt: skip
    return content, expected


def cvat() -> Export:
    """Side by side, and the name of the file says nothing."""
    content, expected = {}, {}
    for number in range(3):
        box = (2, 2, 8 + number, 8)
        objects = thing(0, "car", polygon(box)) + thing(
            1, "tree", polygon((12, 1, 20, 9)), kind="<type>bounding_box</type>"
        )
        content[f"item_{number:09}.xml"] = document(objects, f"frame {number}.png")
        content[f"frame {number}.png"] = photo(number)
        expected[f"frame {number}.png"] = painted((box, 1))
    return content, expected


EXPORTS: Exports = {"web tool": web_tool, "cvat": cvat}
