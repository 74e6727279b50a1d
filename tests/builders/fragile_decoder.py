"""``python -m fragile_decoder decode SPEC``: ``segdrop.dataset``, whose decoder has the defects that it is asked for.

What an image does to it stands behind the image's own bytes: ``!crash`` or ``!hang``.
"""

import os
import signal
import sys
import time
from typing import Any

from segdrop.dataset import __main__ as program
from segdrop.dataset.masks import image_reading

_read_whole = image_reading.read_whole


def read_whole(content: bytes, *others: Any) -> Any:
    if content.endswith(b"!crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if content.endswith(b"!hang"):
        time.sleep(3600)
    return _read_whole(content, *others)


if __name__ == "__main__":
    image_reading.read_whole = read_whole
    sys.exit(program.main(sys.argv[1:]))
