"""Two folders whose names say nothing, with files of the same names."""

from builders.exports.scenes import Export, Exports, areas, grey, photo


def _made(images: str, masks: str, first: int = 0, count: int = 5) -> Export:
    content, expected = {}, {}
    for number in range(first, first + count):
        values = areas(number, (0, 1, 2))
        content[f"{images}/{number:03}.jpg"] = photo(number, "JPEG")
        content[f"{masks}/{number:03}.png"] = grey(values)
        expected[f"{images}/{number:03}.jpg"] = values.astype("uint8")
    return content, expected


def plain() -> Export:
    return _made("flight", "digitised")


def sides() -> Export:
    """Sides of the split around the folders."""
    content, expected = _made("train/flight", "train/digitised")
    more, others = _made("val/flight", "val/digitised", 5, 2)
    return content | more, expected | others


EXPORTS: Exports = {"plain": plain, "sides": sides}
