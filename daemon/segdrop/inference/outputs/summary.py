"""``summary.csv``: a row for each image."""

from collections.abc import Iterator

from segdrop.dataset.classes.remapping import ignored_id
from segdrop.inference.outputs import tables
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.outputs.tables import Cell
from segdrop.inference.prediction import Prediction

_DIGITS = 6


class Summary:
    """The size of each image, the share of each class in it, its mean confidence and its doubt.

    It is written whatever a request asks for.
    """

    name = "summary"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def write(self, prediction: Prediction) -> None:
        """Does nothing: what the table tells is in the records."""

    def finish(self, records: Records) -> None:
        """Writes the table."""
        ids = dict(enumerate(self._setting.classes))
        left_out = ignored_id(len(ids))
        is_video = has_left_out = False
        for record in records():
            is_video |= record.seconds is not None
            has_left_out |= left_out in record.pixels
        columns = [f"share of {name}" for name in ids.values()] + ["share left out"] * has_left_out
        counted = [*ids] + [left_out] * has_left_out
        header = ["name", *["seconds"] * is_video, "width", "height", *columns, "mean confidence", "doubt"]
        tables.write(self._setting.folder / "summary.csv", header, _rows(records, counted, is_video=is_video))


def _rows(records: Records, counted: list[int], *, is_video: bool) -> Iterator[list[Cell]]:
    for record in records():
        total = record.height * record.width
        shares = [round(record.pixels.get(class_id, 0) / total, _DIGITS) for class_id in counted]
        seconds: list[Cell] = [record.seconds] if is_video else []
        sizes: list[Cell] = [record.width, record.height]
        yield [
            record.name,
            *seconds,
            *sizes,
            *shares,
            round(record.mean_confidence, _DIGITS),
            round(record.doubt, _DIGITS),
        ]
