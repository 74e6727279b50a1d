"""Hugging Face's image folders with a table: ``docs/source/image_dataset.mdx`` of huggingface/datasets."""

import json

from builders.exports.scenes import Export, Exports, areas, grey, photo, text_lines


def _made(number: int) -> tuple[bytes, bytes, "object"]:
    values = areas(number, (0, 1, 2))
    return photo(number), grey(values), values.astype("uint8")


def jsonl() -> Export:
    """A table in each side's folder, columns as ``datasets`` names them, and masks of other names than the images."""
    content, expected = {}, {}
    for side, numbers in (("train", range(4)), ("validation", range(4, 6)), ("test", range(6, 8))):
        rows = []
        for number in numbers:
            image, mask = f"{side}/{number:04}.png", f"{side}/truth/s{7 * number}.png"
            content[image], content[mask], expected[image] = _made(number)
            row = {
                "file_name": f"{number:04}.png",
                "segmentation_file_name": f"truth/s{7 * number}.png",
                "text": "a.png",
            }
            rows.append(json.dumps(row))
        content[f"{side}/metadata.jsonl"] = text_lines(rows)
    return content, expected


def table() -> Export:
    content, expected, rows = {}, {}, ["file_name,caption,label"]
    for number in range(5):
        image, mask = f"photos/{number}.png", f"other/{number + 90}.png"
        content[image], content[mask], expected[image] = _made(number)
        rows.append(f'{image},"one, two",{mask}')
    content["metadata.csv"] = text_lines(rows)
    return content, expected


EXPORTS: Exports = {"jsonl": jsonl, "table": table}
