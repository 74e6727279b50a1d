"""Text in pictures, by the font that Pillow brings along: it needs none on the machine, and has little but ASCII."""

import unicodedata

from PIL import ImageFont

#: Letters that are not another one with a mark.
_SPELT = {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
_SPELT |= {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "\u0131": "i"}


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns Pillow's own font, ``size`` pixels high where Pillow has FreeType, else at the one size it has."""
    try:
        return ImageFont.load_default(size)
    except ImportError:  # Pillow without FreeType
        return ImageFont.load_default()


def drawable(text: str) -> str:
    """Returns text that Pillow's font can draw: letters lose their accents, and what is left is a question mark."""
    return "".join(map(_drawable, text))


def _drawable(character: str) -> str:
    if character in _SPELT:
        return _SPELT[character]
    if unicodedata.combining(character):
        return ""
    plain = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    return plain if plain and plain.isascii() and plain.isprintable() else "?"
