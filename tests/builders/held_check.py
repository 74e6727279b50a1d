"""``python -m held_check inspect|check SPEC``: ``segdrop.dataset``, except that a test may delay, refuse or spoil it.

Points to be held at (see ``held``): ``inspect`` and ``check`` before they begin, ``inspect-end`` and ``check-end`` once
they have answered. Where there is a file ``inspect-full``, the cheap check finds the disk full; where
``inspect-stopped``, it ends as if asked to. ``cut-check`` and ``cut-inspect`` spoil the answer.
"""

import json
import sys
from pathlib import Path

import held

from segdrop import child_runtime
from segdrop.dataset.__main__ import main
from segdrop.errors import Exit

ANSWERS = {"inspect": "answer_path", "check": "report_path"}


def begin(command: str, spec_path: Path) -> None:
    """Say what the real one says when it begins with its (first) ZIP."""
    error_path = spec_path.parent / json.loads(spec_path.read_bytes())["error_path"]
    child_runtime.begin(error_path)
    if command == "inspect":
        error_path.with_name(child_runtime.BEGUN_NAME).write_text("0\n")


if __name__ == "__main__":
    child_runtime.tie_to_parent()
    command = sys.argv[1]
    if held.asked(f"hold-{command}"):
        begin(command, Path(sys.argv[2]))
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
