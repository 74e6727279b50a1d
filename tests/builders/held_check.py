"""``python -m held_check inspect|check SPEC``: ``segdrop.dataset``, except that a test may delay, refuse or spoil it.

Points to be held at (see ``held``): ``inspect`` and ``check`` before they begin, ``inspect-end`` and ``check-end`` once
they have answered. Where there is a file ``inspect-full``, the cheap check finds the disk full; where
``inspect-stopped``, it ends as if asked to. ``cut-check`` and ``cut-inspect`` spoil the answer.
"""

import sys
from pathlib import Path

import held

from segdrop import child
from segdrop.dataset.__main__ import main
from segdrop.errors import Exit

ANSWERS = {"inspect": "answer_path", "check": "report_path"}

if __name__ == "__main__":
    child.tie_to_parent()
    command = sys.argv[1]
    held.wait(command)
    if command == "inspect" and held.asked("inspect-full"):
        sys.exit(Exit.ENVIRONMENT)
    if command == "inspect" and held.asked("inspect-stopped"):
        (held.folder() / "inspect-stopped").unlink()
        sys.exit(Exit.TRY_LATER)
    status = main(sys.argv[1:])
    held.cut_off(command, Path(sys.argv[2]), ANSWERS[command])
    held.wait(f"{command}-end")
    sys.exit(status)
