"""Cityscapes: mcordts/cityscapesScripts README ("Dataset Structure"), ``preparation/createTrainIdLabelImgs.py``."""

from builders.exports.scenes import VOID, Export, Exports, areas, class_ids, grey, photo

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


EXPORTS: Exports = {"fine": fine, "ids_only": ids_only, "packages": packages}
