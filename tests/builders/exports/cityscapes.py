"""Cityscapes: mcordts/cityscapesScripts README ("Dataset Structure"), ``preparation/createTrainIdLabelImgs.py``."""

import json

from builders.exports.boxes import corners, painted
from builders.exports.scenes import VOID, Export, Exports, areas, class_ids, coloured, grey, photo

_PLACES = (("train", "aachen"), ("train", "bochum"), ("val", "lindau"))
#: id → train id
TRAIN_ID = {0: 255, 3: 255, 7: 0, 9: 255, 26: 13, 33: 18}


def _name(number: int, folder: str) -> str:
    side, city = _PLACES[number % 3]
    return f"{folder}/{side}/{city}/{city}_{number:06}_000019"


def fine(*, with_train_ids: bool = True) -> Export:
    """All that the archive of fine annotations holds, and the train ids that the authors' script adds."""
    content, expected = {"leftImg8bit/license.txt": b"...", "gtFine/README": b"..."}, {}
    for number in range(6):
        ids = areas(number, tuple(TRAIN_ID))
        image, truth = f"{_name(number, 'leftImg8bit')}_leftImg8bit.png", f"{_name(number, 'gtFine')}_gtFine"
        content[image] = photo(number)
        content[f"{truth}_labelIds.png"] = grey(ids)
        content[f"{truth}_instanceIds.png"] = grey(ids * 1000, "uint16")
        content[f"{truth}_color.png"] = photo(50 + number)
        content[f"{truth}_polygons.json"] = b'{"imgHeight": 32, "imgWidth": 40, "objects": []}'
        expected[image] = class_ids(ids, {old: VOID if old < 7 else old - 7 for old in TRAIN_ID})
        if with_train_ids:
            trained = class_ids(ids, TRAIN_ID)
            content[f"{truth}_labelTrainIds.png"] = grey(trained)
            expected[image] = trained
    return content, expected


def ids_only() -> Export:
    return fine(with_train_ids=False)


def packages() -> Export:
    """As downloaded: each archive in its folder, fine and coarse masks of the same images."""
    content, expected = fine(with_train_ids=False)
    coarse = {
        name.replace("gtFine", "gtCoarse"): data for name, data in content.items() if name.endswith("_labelIds.png")
    }
    wrapped = {f"{name.partition('/')[0]}_trainvaltest/{name}": data for name, data in {**content, **coarse}.items()}
    return wrapped, {f"leftImg8bit_trainvaltest/{name}": mask for name, mask in expected.items()}


#: a colour of the table for each id that is drawn
_COLOURS = {0: 0x000000, 7: 0x804080, 11: 0x464646, 26: 0x00008E, 33: 0x770B20}


def instances_only() -> Export:
    """Ids of single objects, of a group, and of classes without objects."""
    content, expected = {}, {}
    for number in range(4):
        image = f"{_name(number, 'leftImg8bit')}_leftImg8bit.png"
        ids = areas(number, (0, 7, 26, 26_001, 33_017))
        content[image] = photo(number)
        content[f"{_name(number, 'gtFine')}_gtFine_instanceIds.png"] = grey(ids, "uint16")
        expected[image] = class_ids(ids, {0: VOID, 7: 0, 26: 19, 26_001: 19, 33_017: 26})
    return content, expected


def colours_only() -> Export:
    content, expected = {}, {}
    for number in range(4):
        image = f"{_name(number, 'leftImg8bit')}_leftImg8bit.png"
        ids = areas(number, tuple(_COLOURS))
        content[image] = photo(number)
        content[f"{_name(number, 'gtFine')}_gtFine_color.png"] = coloured(ids, _COLOURS)
        expected[image] = class_ids(ids, {old: VOID if old < 7 else old - 7 for old in _COLOURS})
    return content, expected


def polygons_only() -> Export:
    """Drawn in order; a group, an object that was deleted, a plate, and one that is left out."""
    content, expected = {}, {}
    for number in range(4):
        image = f"{_name(number, 'leftImg8bit')}_leftImg8bit.png"
        road, cars, gone, rim = (0, 4, 30, 25), (5, 8, 20 + number, 18), (0, 0, 39, 31), (0, 22, 39, 31)
        drawn = (("road", road), ("cargroup", cars), ("license plate", gone), ("ego vehicle", rim))
        objects = [{"label": label, "polygon": corners(box)} for label, box in drawn]
        objects.append({"label": "sky", "deleted": 1, "polygon": corners(gone)})
        content[image] = photo(number)
        content[f"{_name(number, 'gtFine')}_gtFine_polygons.json"] = json.dumps(
            {"imgHeight": 32, "imgWidth": 40, "objects": objects}
        ).encode()
        expected[image] = painted((gone, VOID), (road, 0), (cars, 19), (rim, VOID))
    return content, expected


EXPORTS: Exports = {
    "fine": fine, "ids_only": ids_only, "packages": packages, "instances_only": instances_only,
    "colours_only": colours_only, "polygons_only": polygons_only,
}  # fmt: skip
