"""Run lengths in CSV files as Kaggle's competitions have them: the pages "Data" of each."""

from collections.abc import Sequence

import numpy as np

from builders.exports.boxes import Box, Export, Exports, painted, photo


def coded(mask: np.ndarray, *, by_columns: bool = True, first: int = 1) -> str:
    """Starts and lengths of what is not 0."""
    flat = np.concatenate(([0], (mask.T if by_columns else mask).ravel() > 0, [0])).astype(np.int8)
    edges = np.flatnonzero(np.diff(flat))
    return " ".join(f"{start + first} {stop - start}" for start, stop in zip(edges[::2], edges[1::2], strict=True))


def table(header: str, rows: Sequence[Sequence[str]]) -> bytes:
    return "".join(f"{line}\n" for line in (header, *(",".join(row) for row in rows))).encode()


_BOXES: tuple[Box, ...] = ((3, 5, 20, 11), (10, 8, 30, 25), (0, 0, 6, 30))


def by_class_column() -> Export:
    """Rows of images and classes, two for some; an image without any; an example of an answer; images without rows."""
    content, rows, expected = {}, [], {}
    for number in range(5):
        name, boxes = f"s{number}.png", [(_BOXES[number % 3], 1 + number % 2), (_BOXES[1], 4)][: 1 + number % 2]
        content[f"train_images/{name}"] = photo(number)
        rows += [[name, str(kind), coded(painted((box, 1)))] for box, kind in boxes]
        expected[f"train_images/{name}"] = painted(*((box, {1: 1, 2: 2, 4: 3}[kind]) for box, kind in boxes))
    content["train_images/empty.png"], content["test_images/t.png"] = photo(7), photo(8)
    rows.append(["empty.png", "1", ""])
    expected["train_images/empty.png"] = painted()
    content["train.csv"] = table("ImageId,ClassId,EncodedPixels", rows)
    content["sample_submission.csv"] = table("ImageId,ClassId,EncodedPixels", [["t.png", "1", "1 1"]])
    return content, expected


def joined() -> Export:
    """The class behind the image's name, for every pair of both."""
    content, rows, expected = {}, [], {}
    for number in range(4):
        name, kinds = f"a_{number}.png", ("Fish", "Sugar")
        content[f"train_images/{name}"] = photo(number)
        rows += [[f"{name}_{kinds[k]}", coded(painted((_BOXES[k], 1))) if k <= number % 2 else ""] for k in range(2)]
        expected[f"train_images/{name}"] = painted(*((_BOXES[k], k + 1) for k in range(1 + number % 2)))
    content["train.csv"] = table("Image_Label,EncodedPixels", rows)
    return content, expected


def objects() -> Export:
    """A row for each object, names without their extension, no classes, -1 for none."""
    content, rows, expected = {}, [], {}
    for number in range(4):
        content[f"train_v2/{number:05}f.png"] = photo(number)
        boxes = _BOXES[:number]
        rows += [[f"{number:05}f", coded(painted((box, 1)))] for box in boxes] or [[f"{number:05}f", "-1"]]
        expected[f"train_v2/{number:05}f.png"] = painted(*((box, 1) for box in boxes))
    content["train_objects.csv"] = table("id,rle_mask", rows)
    return content, expected


def along_rows() -> Export:
    """As in cells of "Sartorius": along rows, with the size."""
    content, rows, expected = {}, [], {}
    for number in range(3):
        content[f"train/{number}.png"] = photo(number)
        codes = [coded(painted((box, 1)), by_columns=False) for box in _BOXES[: 1 + number]]
        rows += [[str(number), code, "40", "32", "cort"] for code in codes]
        expected[f"train/{number}.png"] = painted(*((box, 1) for box in _BOXES[: 1 + number]))
    content["train.csv"] = table("id,annotation,width,height,cell_type", rows)
    return content, expected


def relative() -> Export:
    """As in "SIIM-ACR Pneumothorax": each start is counted from the end of the run before it."""
    content, rows, expected = {}, [], {}
    for number in range(3):
        box = _BOXES[number]
        numbers = [int(text) for text in coded(painted((box, 1)), first=0).split()]
        ends = [0, *(start + length for start, length in zip(numbers[::2], numbers[1::2], strict=True))]
        starts = [start - end for start, end in zip(numbers[::2], ends, strict=False)]
        code = " ".join(f"{start} {length}" for start, length in zip(starts, numbers[1::2], strict=True))
        content[f"train/{number}.png"] = photo(number)
        rows.append([str(number), code])
        expected[f"train/{number}.png"] = painted((box, 1))
    content["train-rle.csv"] = table("ImageId, EncodedPixels", rows)
    return content, expected


EXPORTS: Exports = {
    "relative": relative,
    "class column": by_class_column, "joined": joined, "objects": objects, "along rows": along_rows,
}  # fmt: skip
