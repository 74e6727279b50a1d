"""A mask for each object. ``bowl``: Kaggle's "2018 Data Science Bowl", ``stage1_train.zip`` as its data page says."""

import hashlib

import numpy as np

from builders.exports.scenes import SIZE, Export, Exports, grey, photo


def _box(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def named() -> Export:
    """``masks/<image>/<class>_01.png``: the class is in the file's name; objects overlap."""
    content, expected = {}, {}
    for number in range(4):
        cat, dog, other = _box(2, 2, 12, 12), _box(8, 8, 12, 12), _box(25, 30, 5, 5 + number)
        content[f"images/shot.{number}.jpg"] = photo(number, "JPEG")
        for name, mask in (("dog_02", dog), ("cat_01", cat), ("cat_10", other)):
            content[f"masks/shot.{number}/{name}.png"] = grey(mask * 255)
        expected[f"images/shot.{number}.jpg"] = np.where(dog, 2, cat | other).astype(np.uint8)
    return content, expected


def folders() -> Export:
    """``masks/<image>/<class>/01.png``, divided, with a list of the classes in another order."""
    content, expected = {"labels.txt": b"dog\ncat\n"}, {}
    for number, side in enumerate(("train", "train", "val")):
        cat, dog = _box(2, 2, 12, 12), _box(20, 20, 8, 8)
        content[f"{side}/images/0{number}.png"] = photo(number)
        content[f"{side}/masks/0{number}/cat/01.png"] = grey(cat)
        content[f"{side}/masks/0{number}/dog/01.png"] = grey(dog)
        expected[f"{side}/images/0{number}.png"] = (dog + 2 * cat).astype(np.uint8)
    return content, expected


def bowl() -> Export:
    """Random names, one class; a few images of the test stage have no masks."""
    content, expected = {}, {}
    for number in range(5):
        name = hashlib.sha256(str(number).encode()).hexdigest()
        image = f"stage1_train/{name}/images/{name}.png"
        content[image] = photo(number)
        expected[image] = np.zeros(SIZE, np.uint8)
        for i in range(2 + number % 2):
            mask = _box(3 + 9 * i, 2 + 6 * number, 6, 6)
            object_name = hashlib.sha256(f"{number}-{i}".encode()).hexdigest()
            content[f"stage1_train/{name}/masks/{object_name}.png"] = grey(mask * 255)
            expected[image] |= mask
    name = hashlib.sha256(b"test").hexdigest()
    content[f"stage1_test/{name}/images/{name}.png"] = photo(99)
    return content, expected


EXPORTS: Exports = {"named": named, "folders": folders, "bowl": bowl}
