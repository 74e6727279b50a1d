"""Images and masks as people arrange them. ``carvana``: Kaggle's "Carvana Image Masking Challenge" (``train/``,
``train_masks/``, GIF masks); ``keras``: the folders that ``flow_from_directory`` wants; ``deepglobe``: the road
extraction challenge (``1_sat.jpg``, ``1_mask.png``).
"""

from builders.archives import encoded
from builders.exports.scenes import Export, Exports, areas, grey, photo


def _made(image: str, mask: str) -> Export:
    content, expected = {"labels.txt": b"cat\ndog\n"}, {}
    for number in range(4):
        values = areas(number, (0, 1, 2))
        content[image.format(number)] = photo(number, "JPEG" if image.endswith("jpg") else "PNG")
        content[mask.format(number)] = encoded(values.astype("uint8"), "GIF") if mask.endswith("gif") else grey(values)
        expected[image.format(number)] = values.astype("uint8")
    return content, expected


def plain() -> Export:
    return _made("images/{}.png", "masks/{}.png")


def carvana() -> Export:
    return _made("train/{}_01.jpg", "train_masks/{}_01_mask.gif")


def keras() -> Export:
    return _made("train_frames/train/{}.png", "train_masks/train/{}.png")


def deepglobe() -> Export:
    return _made("train/{}_sat.jpg", "train/{}_mask.png")


EXPORTS: Exports = {"plain": plain, "carvana": carvana, "keras": keras, "deepglobe": deepglobe}
