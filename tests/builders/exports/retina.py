"""DRIVE, HRF and CHASE_DB1 as their ZIPs unpack."""

import numpy as np

from builders.archives import encoded
from builders.exports.scenes import SIZE, Export, Exports, areas, grey, photo

FIELD_OF_VIEW = grey(np.full(SIZE, 255))


def _vessels(number: int) -> np.ndarray:
    return areas(number, (0, 0, 0, 255))


def drive() -> Export:
    content, expected = {}, {}
    for side, numbers in (("training", range(21, 26)), ("test", range(1, 4))):
        for number in numbers:
            image, values = f"{side}/images/{number:02}_{side}.tif", _vessels(number)
            content[image] = encoded(np.random.default_rng(number).integers(0, 255, (*SIZE, 3)).astype("uint8"), "TIFF")
            content[f"{side}/1st_manual/{number:02}_manual1.gif"] = encoded(values.astype("uint8"), "GIF")
            content[f"{side}/mask/{number:02}_{side}_mask.gif"] = FIELD_OF_VIEW
            if side == "test":
                content[f"{side}/2nd_manual/{number:02}_manual2.gif"] = grey(_vessels(number + 1))
            expected[image] = (values > 0).astype("uint8")
    return content, expected


def hrf() -> Export:
    content, expected = {}, {}
    for number in range(1, 5):
        for kind in ("dr", "h"):
            image, values = f"images/{number:02}_{kind}.JPG", _vessels(number)
            content[image] = photo(number + 10 * (kind == "h"), "JPEG")
            content[f"manual1/{number:02}_{kind}.tif"] = encoded(values.astype("uint8"), "TIFF")
            content[f"mask/{number:02}_{kind}_mask.tif"] = FIELD_OF_VIEW
            expected[image] = (values > 0).astype("uint8")
    return content, expected


def chase() -> Export:
    content, expected = {}, {}
    for number in range(1, 4):
        for eye in "LR":
            name, values = f"Image_{number:02}{eye}", _vessels(2 * number + (eye == "R"))
            content[f"{name}.jpg"] = photo(number + 10 * (eye == "R"), "JPEG")
            content[f"{name}_1stHO.png"] = grey(values)
            content[f"{name}_2ndHO.png"] = grey(_vessels(number + 20))
            expected[f"{name}.jpg"] = (values > 0).astype("uint8")
    return content, expected


EXPORTS: Exports = {"drive": drive, "hrf": hrf, "chase": chase}
