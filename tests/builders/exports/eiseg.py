"""EISeg's JSON for each image in ``label/``: PaddleCV-SIG/EISeg, ``eiseg/app.py`` (``saveLabel``)."""

import json
from typing import Any

from builders.exports.boxes import Box, Export, Exports, corners, painted, photo


def entry(name: str, number: int, box: Box) -> dict[str, Any]:
    return {"name": name, "labelIdx": number, "color": [1, 2, 3], "points": corners(box)}


def images() -> Export:
    """Numbers against the alphabet; later over earlier; the grey and coloured masks that it saves too."""
    content, expected = {}, {}
    for number in range(3):
        low, high = (1, 1, 20, 20), (10, 5, 30 + number, 28)
        content[f"{number}.png"] = photo(number)
        content[f"label/{number}.json"] = json.dumps([entry("weed", 1, low), entry("crop", 2, high)]).encode()
        content |= {f"label/{number}.png": photo(10), f"label/{number}_pseudo.png": photo(11)}
        expected[f"{number}.png"] = painted((low, 1), (high, 2))
    return content, expected


EXPORTS: Exports = {"images": images}
