"""Output ``json``: what was found in each image, for programs."""

import base64
import itertools
import json
from collections.abc import Iterable
from typing import Any, BinaryIO

from segdrop import durable
from segdrop.dataset.classes.remapping import ignored_id
from segdrop.inference.outputs import files, measures
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.prediction import ImageRecord, Prediction

_DIGITS = 6


class ImageJson:
    """A small JSON for each image: its size, the share of each class that occurs, the mean confidence and the doubt.

    Where the images came in a JSON, masks go back in one: each image's file has its mask, a PNG in base64, and
    ``predictions.json`` has all of them, in the form in which the images came.
    """

    name = "json"

    def __init__(self, setting: Setting, pictures: Pictures, *, with_masks: bool) -> None:
        self._setting = setting
        self._folder = setting.folder / self.name
        self._pictures = pictures
        self._with_masks = with_masks

    def write(self, prediction: Prediction) -> None:
        """Writes the file of one image."""
        found = self._found(measures.record_of(prediction, {}))
        if self._with_masks:
            found["mask"] = base64.b64encode(self._pictures.mask_png(prediction)).decode("ascii")
        files.write(self._folder, prediction.item.stem, ".json", files.json_text(found).encode() + b"\n")

    def _found(self, record: ImageRecord) -> dict[str, Any]:
        total = record.height * record.width
        classes = [
            {"id": class_id, "name": name, "pixels": pixels, "share": round(pixels / total, _DIGITS)}
            for class_id, name in enumerate(self._setting.classes)
            if (pixels := record.pixels.get(class_id, 0))
        ]
        left_out = record.pixels.get(ignored_id(len(self._setting.classes)), 0)
        return {
            "name": record.name,
            "index": record.index,
            "height": record.height,
            "width": record.width,
            **({} if record.seconds is None else {"seconds": record.seconds}),
            "classes": classes,
            **({"left_out_share": round(left_out / total, _DIGITS)} if left_out else {}),
            "mean_confidence": round(record.mean_confidence, _DIGITS),
            "doubt": round(record.doubt, _DIGITS),
        }

    def finish(self, records: Records) -> None:
        """Writes ``predictions.json``, if the images came in a JSON: names, masks and the rest in the same order.

        It is a stream of the files of the images: memory holds one of them at a time.
        """
        if self._with_masks:
            durable.write(self._setting.folder / "predictions.json", lambda stream: self._write_all(stream, records))

    def _write_all(self, stream: BinaryIO, records: Records) -> None:
        head = {
            "model": self._setting.model,
            "model_sha256": self._setting.model_sha256,
            "class_names": self._setting.classes,
            "colours": self._setting.colours,
            "ignored_id": ignored_id(len(self._setting.classes)),
        }
        stream.write(files.json_text(head)[:-1].encode())
        _write_list(stream, "image_names", (record.name for record in records()))
        _write_list(stream, "masks", (self._read(record)["mask"] for record in records()))
        _write_list(stream, "predictions", (self._found(record) for record in records()))
        stream.write(b"\n}\n")

    def _read(self, record: ImageRecord) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._folder / f"{record.stem}.json").read_bytes())
        return found


def _write_list(stream: BinaryIO, key: str, values: Iterable[object]) -> None:
    """Writes a key and its list, value by value, after a value before it."""
    stream.write(f",\n{files.json_text(key)}: [".encode())
    separators = itertools.chain(["\n"], itertools.repeat(",\n"))
    stream.writelines(
        f"{between}{files.json_text(value)}".encode() for between, value in zip(separators, values, strict=False)
    )
    stream.write(b"]")
