"""Text in pictures, by the font that Pillow brings along: it needs none on the machine, and has Latin letters only."""

from PIL import ImageFont


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns Pillow's own font, ``size`` pixels high where Pillow has FreeType, else at the one size it has."""
    try:
        return ImageFont.load_default(size)
    except ImportError:  # Pillow without FreeType
        return ImageFont.load_default()


def drawable(text: str) -> str:
    """Returns text that Pillow's built-in fonts can draw: they have Latin letters, and one of them fails on any other.

    What they do not have becomes a question mark.
    """
    return "".join(c if c.isprintable() else "?" for c in text.encode("latin-1", "replace").decode("latin-1"))
