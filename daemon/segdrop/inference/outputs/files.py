"""How outputs write their files: one folder for each output, and in it the image's stem.

A file replaces its predecessor in one step and is not waited for: after a crash of the process each file is whole, the
old one or the new. A power cut may lose what was written last, so whoever notes that an image is done calls
:func:`segdrop.durable.sync_filesystem` before, once for many images.
"""

import json
from pathlib import Path

from segdrop import durable


def json_text(value: object, indent: int | None = None) -> str:
    """Returns a value as JSON; half of a surrogate pair, which UTF-8 does not have, becomes a question mark.

    Raises ``ValueError`` for NaN and infinity, which are not JSON.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode()


def write(folder: Path, stem: str, suffix: str, content: bytes) -> Path:
    """Replaces the file of an image in the folder of an output by ``content``, and returns its path.

    Folders in ``stem`` are made. ``suffix`` begins with a dot.
    """
    path = folder / f"{stem}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.replace_quickly(path, content)
    return path
