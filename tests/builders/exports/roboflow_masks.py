"""Roboflow's "Semantic Segmentation Masks": the shape of its public exports (Roboflow Universe)."""

from builders.exports.scenes import Export, Exports, areas, grey, photo

CLASSES = b"Pixel Value, Class\n0, background\n1, tree\n2, wall"
_README = b"\nrooms - v3\n==============================\n"


def roboflow() -> Export:
    """Three folders, each with its list; the same image name in two of them."""
    content, expected = {"README.dataset.txt": _README, "README.roboflow.txt": _README}, {}
    for number, side in enumerate(("train", "train", "valid", "test")):
        name = f"{side}/frame_{number // 2}_jpg.rf.3c52a7403c54eace30f5480cdc2cff1{number}"
        values = areas(number, (0, 1, 2))
        content[f"{side}/_classes.csv"] = CLASSES
        content[f"{name}.jpg"] = photo(number, "JPEG")
        content[f"{name}_mask.png"] = grey(values)
        expected[f"{name}.jpg"] = values.astype("uint8")
    return content, expected


def undivided() -> Export:
    """A version without a split lies in one folder."""
    content, expected = {"rooms/_classes.csv": CLASSES}, {}
    for number in range(3):
        values = areas(number, (0, 1, 2))
        content[f"rooms/{number}.jpg"], content[f"rooms/{number}_mask.png"] = photo(number, "JPEG"), grey(values)
        expected[f"rooms/{number}.jpg"] = values.astype("uint8")
    return content, expected


EXPORTS: Exports = {"roboflow": roboflow, "undivided": undivided}
