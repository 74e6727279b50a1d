"""KITTI's semantic segmentation benchmark: ``readme.txt`` of its development kit (``devkit_semantics.zip``)."""

from builders.exports.scenes import VOID, Export, Exports, areas, class_ids, grey, photo

IDS = (0, 6, 7, 11, 26, 33)


def semantics(dtype: str = "uint8") -> Export:
    """Training images with ids, instances and colours; many testing images without."""
    content, expected = {}, {}
    for number in range(4):
        name, ids = f"{number:06}_10.png", areas(number, IDS)
        content[f"training/image_2/{name}"] = photo(number)
        content[f"training/semantic/{name}"] = grey(ids, dtype)
        content[f"training/semantic_rgb/{name}"] = photo(20 + number)
        content[f"training/instance/{name}"] = grey(ids * 256, "uint16")
        expected[f"training/image_2/{name}"] = class_ids(ids, {old: VOID if old < 7 else old - 7 for old in IDS})
    content |= {f"testing/image_2/{number:06}_10.png": photo(40 + number) for number in range(10)}
    return content, expected


def deep() -> Export:
    return semantics("uint16")


def instances() -> Export:
    """Objects of three classes that count from 1, and no ``semantic/``."""
    content, expected = semantics()
    kept = {name: data for name, data in content.items() if "/semantic" not in name}
    for name in [name for name in kept if "/instance/" in name]:
        number = int(name.rpartition("/")[2][:6])
        kept[name] = grey(areas(number, IDS) * 256 + areas(number + 1, range(9)), "uint16")
    return kept, expected


EXPORTS: Exports = {"semantics": semantics, "deep": deep, "instances": instances}
