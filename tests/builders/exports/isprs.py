"""ISPRS Vaihingen and Potsdam as the contest's ZIPs unpack."""

import io

from PIL import Image

from builders.archives import encoded
from builders.exports.scenes import Export, Exports, areas, coloured, photo

#: the contest's table
COLOURS = (0xFFFFFF, 0x0000FF, 0x00FFFF, 0x00FF00, 0xFFFF00, 0xFF0000)


def _tiff(content: bytes) -> bytes:
    return encoded(Image.open(io.BytesIO(content)), "TIFF")


def _made(image: str, mask: str, used: tuple[int, ...]) -> Export:
    content, expected = {}, {}
    for number in range(5):
        values = areas(number, range(len(used)))
        content[image.format(number + 3)] = _tiff(photo(number))
        content[mask.format(number + 3)] = _tiff(coloured(values, {i: COLOURS[c] for i, c in enumerate(used)}))
        expected[image.format(number + 3)] = values.astype("uint8")
    return content, expected


def vaihingen() -> Export:
    content, expected = _made(
        "top/top_mosaic_09cm_area{}.tif", "gts_for_participants/top_mosaic_09cm_area{}.tif", (0, 1, 2, 3, 4)
    )
    content |= {f"dsm/dsm_09cm_matching_area{n}.tif": content[f"top/top_mosaic_09cm_area{n}.tif"] for n in range(3, 8)}
    return content, expected


def potsdam() -> Export:
    content, expected = _made(
        "2_Ortho_RGB/top_potsdam_4_{}_RGB.tif", "5_Labels_all/top_potsdam_4_{}_label.tif", (0, 1, 3, 5)
    )
    for n in range(3, 8):
        content[f"3_Ortho_IRRG/top_potsdam_4_{n}_IRRG.tif"] = content[f"2_Ortho_RGB/top_potsdam_4_{n}_RGB.tif"]
        content[f"5_Labels_all_noBoundary/top_potsdam_4_{n}_label_noBoundary.tif"] = photo(n)
    return content, expected


EXPORTS: Exports = {"vaihingen": vaihingen, "potsdam": potsdam}
