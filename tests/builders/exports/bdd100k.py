"""BDD100K: bdd100k/bdd100k ``doc/format.md`` ("Semantic Segmentation"); ``seg/`` is the archive of 2018."""

from builders.exports.scenes import Export, Exports, areas, grey, photo

VALUES = (0, 2, 13, 18, 255)


def bdd100k() -> Export:
    """Masks, their colours and polygons; the test images have none of it; images/100k are of other tasks."""
    content, expected = {}, {}
    for number, side in enumerate(("train", "train", "val")):
        name, values = f"{side}/0000f77c-{number}", areas(number, VALUES)
        content[f"bdd100k/images/10k/{name}.jpg"] = photo(number, "JPEG")
        content[f"bdd100k/labels/sem_seg/masks/{name}.png"] = grey(values)
        content[f"bdd100k/labels/sem_seg/colormaps/{name}.png"] = photo(20 + number)
        content[f"bdd100k/images/100k/{name}.jpg"] = photo(30 + number, "JPEG")
        content[f"bdd100k/labels/sem_seg/polygons/sem_seg_{side}.json"] = b"[]"
        expected[f"bdd100k/images/10k/{name}.jpg"] = values.astype("uint8")
    content |= {f"bdd100k/images/10k/test/ac6d4f42-{n}.jpg": photo(40 + n, "JPEG") for n in range(9)}
    return content, expected


def seg() -> Export:
    content, expected = {}, {}
    for number, side in enumerate(("train", "train", "val")):
        name, values = f"{side}/0000f77c-{number}", areas(number, VALUES)
        content[f"bdd100k/seg/images/{name}.jpg"] = photo(number, "JPEG")
        content[f"bdd100k/seg/labels/{name}_train_id.png"] = grey(values)
        content[f"bdd100k/seg/color_labels/{name}_train_color.png"] = photo(20 + number)
        expected[f"bdd100k/seg/images/{name}.jpg"] = values.astype("uint8")
    return content, expected


EXPORTS: Exports = {"bdd100k": bdd100k, "seg": seg}
