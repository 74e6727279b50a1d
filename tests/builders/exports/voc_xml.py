"""PASCAL VOC's XML with polygons, as Roboflow's export "Pascal VOC" of a segmentation project."""

from builders.exports.boxes import SIZE, Box, Export, Exports, corners, painted, photo


def thing(name: str, box: Box, *, has_polygon: bool = True) -> str:
    x0, y0, x1, y1 = box
    points = "".join(f"<x{i}>{x}</x{i}><y{i}>{y}</y{i}>" for i, (x, y) in enumerate(corners(box), 1))
    bounds = f"<bndbox><xmin>{x0}</xmin><xmax>{x1}</xmax><ymin>{y0}</ymin><ymax>{y1}</ymax></bndbox>"
    polygon = f"<polygon>{points}</polygon>" if has_polygon else ""
    return f"<object><name>{name}</name><pose>Unspecified</pose><difficult>0</difficult>{bounds}{polygon}</object>"


def document(image: str, *things: str) -> bytes:
    size = f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height><depth>3</depth></size>"
    head = f"<folder></folder><filename>{image}</filename><source><database>roboflow.com</database></source>{size}"
    return f"<annotation>{head}<segmented>0</segmented>{''.join(things)}</annotation>".encode()


def sides() -> Export:
    """Two classes that overlap, on sides of a split."""
    content, expected = {}, {}
    for number, side in enumerate(("train", "train", "valid")):
        name, low, high = f"{side}/n{number}", (2, 3, 25, 20), (10, 5, 18 + number, 30)
        content[f"{name}.png"] = photo(number)
        content[f"{name}.xml"] = document(f"n{number}.png", thing("weld", low), thing("bolt", high))
        expected[f"{name}.png"] = painted((low, 2), (high, 1))
    return content, expected


EXPORTS: Exports = {"sides": sides}
