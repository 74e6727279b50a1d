"""Several masks for an image: ``by_ending`` and ``by_folder`` one for each class, ``numbered`` one for each area,
``observers`` one by each person, ``validity`` as in Agriculture-Vision.
"""

from collections.abc import Mapping

import numpy as np

from builders.exports.scenes import SIZE, VOID, Export, Exports, areas, grey, photo


def _bands(number: int, count: int) -> dict[int, np.ndarray]:
    values = areas(number, range(count + 1))
    return {value: values == value for value in range(1, count + 1)}


def _merged(bands: Mapping[int, np.ndarray]) -> np.ndarray:
    merged = np.zeros(SIZE, np.uint8)
    for value, area in bands.items():
        merged[area] = value
    return merged


def by_ending() -> Export:
    """``mask/scan_07_bone.png`` for ``image/scan_7.jpg``: numbers are padded; one class is missing in one image."""
    content, expected = {}, {}
    for number in range(7, 12):
        bands = _bands(number, 3)
        content[f"image/scan_{number}.jpg"] = photo(number, "JPEG")
        for value, name in enumerate(("bone", "fat", "muscle"), 1):
            if (number, name) == (9, "fat"):
                del bands[value]
            else:
                content[f"mask/scan_{number:03}_{name}.png"] = grey(bands[value] * 255)
        expected[f"image/scan_{number}.jpg"] = _merged(bands)
    return content, expected


def by_folder() -> Export:
    """Numbered folders of classes with endings, divided as IDRiD is."""
    content, expected = {}, {}
    for number in range(6):
        side, letter = ("Training", "a") if number < 4 else ("Testing", "b")
        bands = _bands(number, 2)
        image = f"S/1. Original Images/{letter}. {side} Set/eye_{number}.jpg"
        content[image] = photo(number, "JPEG")
        for value, (name, ending) in enumerate((("Drusen", "DR"), ("Scars", "SC")), 1):
            folder = f"S/2. All Groundtruths/{letter}. {side} Set/{value}. {name}"
            content[f"{folder}/eye_{number}_{ending}.tif"] = grey(bands[value] * 255)
        expected[image] = _merged(bands)
    return content, expected


def numbered() -> Export:
    """``cyst (3)_mask.png``, and ``cyst (3)_mask_1.png`` where there is a second."""
    content, expected = {}, {}
    for number in range(6):
        bands = _bands(number, 3)
        shown = [bands[1]] if number % 3 else list(bands.values())
        content[f"set/cyst ({number}).png"] = photo(number)
        for place, area in enumerate(shown):
            content[f"set/cyst ({number})_mask{f'_{place}' * bool(place)}.png"] = grey(area * 255)
        expected[f"set/cyst ({number}).png"] = np.any(shown, axis=0).astype(np.uint8)
    return content, expected


def observers() -> Export:
    """Two people's masks of each image, with classes; the first one's are the truth."""
    content, expected = {}, {}
    for number in range(4):
        content[f"eyes/P{number}.jpg"] = photo(number, "JPEG")
        content[f"eyes/P{number}_observer1.png"] = grey(areas(number, (0, 1, 2)))
        content[f"eyes/P{number}_observer2.png"] = grey(areas(number + 1, (0, 1, 2)))
        expected[f"eyes/P{number}.jpg"] = areas(number, (0, 1, 2)).astype(np.uint8)
    return content, expected


def validity() -> Export:
    """``labels/<class>/x.png`` and, in ``masks/`` and ``boundaries/``, where the image is valid."""
    content, expected = {}, {}
    for number in range(4):
        bands, side = _bands(number, 2), "train" if number < 3 else "val"
        content[f"{side}/images/rgb/f{number}.jpg"] = photo(number, "JPEG")
        content[f"{side}/images/nir/f{number}.jpg"] = photo(number + 50, "JPEG")
        for value, name in enumerate(("standing_water", "waterway"), 1):
            content[f"{side}/labels/{name}/f{number}.png"] = grey(bands[value] * 255)
        rows, columns = np.indices(SIZE)
        content[f"{side}/masks/f{number}.png"] = grey((rows > 3) * 255)
        content[f"{side}/boundaries/f{number}.png"] = grey((columns > 5) * 255)
        is_valid = (rows > 3) & (columns > 5)
        expected[f"{side}/images/rgb/f{number}.jpg"] = np.where(is_valid, _merged(bands), VOID).astype(np.uint8)
    return content, expected


EXPORTS: Exports = {
    "by_ending": by_ending,
    "by_folder": by_folder,
    "numbered": numbered,
    "observers": observers,
    "validity": validity,
}
