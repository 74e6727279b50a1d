"""CVAT for images 1.1, as CVAT writes it, with the masks that it means.

Source: cvat-ai/cvat ``cvat/apps/dataset_manager/formats/cvat.py`` (``dump_as_cvat_annotation``, ``create_xml_dumper``)
and its documentation, "XML annotation format".
"""

from itertools import groupby

import numpy as np

from builders.exports.boxes import SIZE, Box, Export, Exports, corners, painted, photo


def label(name: str, kind: str = "any", parent: str = "") -> str:
    under = f"<parent>{parent}</parent>" if parent else ""
    return (
        f"<label><name>{name}</name><color>#fa3253</color><type>{kind}</type><attributes></attributes>{under}</label>"
    )


def document(labels: str, images: str, *, of: str = "task", more: str = "") -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n'
        f"    <{of}><id>1</id><name>street</name><mode>annotation</mode>{more}<labels>{labels}</labels></{of}>\n"
        f"    <dumped>2024-05-17 10:00:00.000000+00:00</dumped>\n  </meta>\n{images}\n</annotations>\n"
    ).encode()


def image(number: int, name: str, shapes: str, subset: str = "") -> str:
    height, width = SIZE
    side = f' subset="{subset}" task_id="3"' if subset else ""
    return f'  <image id="{number}" name="{name}"{side} width="{width}" height="{height}">\n{shapes}\n  </image>'


def polygon(name: str, box: Box, z_order: int = 0) -> str:
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in corners(box))
    return f'<polygon label="{name}" source="manual" occluded="0" points="{points}" z_order="{z_order}"></polygon>'


def mask(name: str, covered: np.ndarray, left: int, top: int, z_order: int = 0) -> str:
    """Run lengths along rows, the first of pixels that are off."""
    flat = covered.ravel().astype(bool).tolist()
    lengths = [len(list(run)) for _, run in groupby(flat)]
    height, width = covered.shape
    rle = str([0, *lengths] if flat[0] else lengths)[1:-1]
    return (
        f'<mask label="{name}" source="manual" occluded="0" rle="{rle}" left="{left}" top="{top}" width="{width}" '
        f'height="{height}" z_order="{z_order}"></mask>'
    )


def task() -> Export:
    """Labels out of their alphabetical order; z_order against the order in the file; an image without areas."""
    covered = np.zeros((4, 5), bool)
    covered[1:, :3] = True
    labels = label("road") + label("car", "polygon") + label("seen", "tag") + label("eye", "points", "face")
    content, expected = {}, {}
    images = []
    for number in range(4):
        boxes = [] if number == 3 else [((4, 4, 6, 6 + number), 2), ((2, 2, 14, 14), 1)]
        shapes = "" if number == 3 else (
            polygon("car", boxes[0][0], 1) + polygon("road", boxes[1][0]) + mask("car", covered, 20, 10)
            + '<polyline label="car" points="1.00,1.00;5.00,5.00" z_order="0"></polyline>'
            + '<box label="car" xtl="1.00" ytl="1.00" xbr="9.00" ybr="9.00" z_order="0"></box>'
            + '<tag label="seen" source="manual"></tag>'
        )  # fmt: skip
        images.append(image(number, f"day 1/{number}.png", shapes))
        content[f"images/day 1/{number}.png"] = photo(number)
        in_order = [boxes[1], ((20, 11, 22, 13), 2), boxes[0]] if boxes else []
        expected[f"images/day 1/{number}.png"] = painted(*in_order)
    content["annotations.xml"] = document(labels, "\n".join(images))
    return content, expected


def project() -> Export:
    """Tasks of two subsets, with equal names of images."""
    content, expected, images = {}, {}, []
    for number, (subset, name) in enumerate((("Train", "a"), ("Train", "b"), ("Validation", "a"))):
        box = (1 + number, 1, 9, 9)
        images.append(image(number, f"{name}.png", polygon("cat", box), subset))
        content[f"images/{subset}/{name}.png"] = photo(number)
        expected[f"images/{subset}/{name}.png"] = painted((box, 1))
    content["annotations.xml"] = document(label("cat"), "\n".join(images), of="project")
    return content, expected


EXPORTS: Exports = {"task": task, "project": project}
