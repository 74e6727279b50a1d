"""``legend.json`` and ``legend.png``: which class is which colour, and how much of all images it covers."""

import io
from collections import Counter
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from segdrop import durable
from segdrop.dataset import lettering
from segdrop.dataset.classes.official_colours import IGNORED
from segdrop.dataset.classes.remapping import ignored_id
from segdrop.inference.outputs import files
from segdrop.inference.outputs.protocol import Colour, Records, Setting
from segdrop.inference.prediction import Prediction

_FONT_SIZE, _LINE, _SWATCH, _MARGIN, _GAP = 20, 32, 22, 16, 12
_MOST_LINES = 40
_MOST_TEXT_PIXELS, _MOST_CHARACTERS = 420, 120
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a legend."""

    class_id: int
    name: str
    colour: Colour
    pixels: int  #: in all images
    share: float  #: of all pixels of all images


class Legend:
    """The legend of a job. It is written whatever a request asks for."""

    name = "legend"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def write(self, prediction: Prediction) -> None:
        """Does nothing: what the legend tells is in the records."""

    def finish(self, records: Records) -> None:
        """Writes both files."""
        pixels: Counter[int] = Counter()
        for record in records():
            pixels.update(record.pixels)
        entries, left_out = self._entries(pixels), self._left_out(pixels)
        described = files.json_text(self._described(entries, left_out), indent=2)
        durable.write_bytes(self._setting.folder / "legend.json", described.encode() + b"\n")
        stream = io.BytesIO()
        drawn([*entries, left_out] if left_out.pixels or self._setting.excluded else entries).save(stream, "PNG")
        durable.write_bytes(self._setting.folder / "legend.png", stream.getvalue())

    def _entries(self, pixels: Counter[int]) -> list[Entry]:
        total = pixels.total() or 1
        named = zip(self._setting.classes, self._setting.colours, strict=True)
        return [
            Entry(class_id, name, colour, pixels[class_id], pixels[class_id] / total)
            for class_id, (name, colour) in enumerate(named)
        ]

    def _left_out(self, pixels: Counter[int]) -> Entry:
        """Returns the line of pixels that are no class of the answer."""
        class_id = ignored_id(len(self._setting.classes))
        return Entry(class_id, "left out", IGNORED, pixels[class_id], pixels[class_id] / (pixels.total() or 1))

    def _described(self, entries: list[Entry], left_out: Entry) -> dict[str, Any]:
        setting = self._setting
        return {
            "model": setting.model,
            "model_sha256": setting.model_sha256,
            "background_id": setting.background,
            "classes": [_described(entry) for entry in entries],
            "left_out": _described(left_out) | {"classes": list(setting.excluded)},
        }


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.class_id,
        "name": entry.name,
        "colour": "#{:02x}{:02x}{:02x}".format(*entry.colour),
        "pixels": entry.pixels,
        "share": round(entry.share, _DIGITS),
    }


def drawn(entries: list[Entry]) -> Image.Image:
    """Returns the legend as a picture: for each class its colour, number, name and share, in columns.

    The font has plain Latin letters only: others are question marks beside the class's number, which ``legend.json``
    has with the whole name.
    """
    font = lettering.font(_FONT_SIZE)
    texts = [
        _shortened(font, f"{entry.class_id}  {lettering.drawable(entry.name)}  {entry.share:.1%}") for entry in entries
    ]
    width = _SWATCH + _GAP + round(max((font.getlength(text) for text in texts), default=0)) + 2 * _MARGIN
    num_lines = min(_MOST_LINES, max(1, len(entries)))
    num_columns = -(-max(1, len(entries)) // num_lines)
    image = Image.new("RGB", (width * num_columns, num_lines * _LINE + 2 * _MARGIN), "white")
    pen = ImageDraw.Draw(image)
    for number, (entry, text) in enumerate(zip(entries, texts, strict=True)):
        left = number // num_lines * width + _MARGIN
        top = number % num_lines * _LINE + _MARGIN
        pen.rectangle((left, top, left + _SWATCH, top + _SWATCH), fill=entry.colour, outline="#555555")
        pen.text((left + _SWATCH + _GAP, top + _SWATCH // 2), text, fill="black", font=font, anchor="lm")
    return image


def _shortened(font: Any, text: str) -> str:  # noqa: ANN401  (one of Pillow's two)
    """Returns a text that fits its column; of a longer one the middle is left out."""
    if len(text) <= _MOST_CHARACTERS and font.getlength(text) <= _MOST_TEXT_PIXELS:
        return text
    kept = min(len(text), _MOST_CHARACTERS)
    while kept > 1 and font.getlength(_cut(text, kept)) > _MOST_TEXT_PIXELS:
        kept -= 1
    return _cut(text, kept)


def _cut(text: str, kept: int) -> str:
    return f"{text[: -(-kept // 2)]}...{text[len(text) - kept // 2 :]}"
