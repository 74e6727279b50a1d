"""A child's log file: read as it grows, for the daemon's own log; its tail, for people; and its last words."""

import json
from pathlib import Path

#: What one read takes at most: a child that floods its log must not flood the daemon's memory.
_MAX_READ_BYTES = 256 * 1024
_MAX_TAIL_BYTES = 16 * 1024


class LogTail:
    """The complete lines that were appended to a file since the last read."""

    def __init__(self, path: Path, offset: int) -> None:
        self._path = path
        self._offset = offset

    def lines(self) -> list[str]:
        """Returns the new lines; none where the file cannot be read: what becomes of the child does not depend on its
        log.
        """
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                block = stream.read(_MAX_READ_BYTES)
        except OSError:
            return []
        end = block.rfind(b"\n") + 1
        if end == 0 and len(block) == _MAX_READ_BYTES:
            end = len(block)  # one endless line: better in pieces than never
        self._offset += end
        return block[:end].decode("utf-8", "replace").splitlines()


def tail(path: Path) -> str:
    """Returns the last part of a log; empty if there is none that can be read."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _MAX_TAIL_BYTES))
            block = stream.read(_MAX_TAIL_BYTES)
    except OSError:
        return ""
    if size > _MAX_TAIL_BYTES:
        block = block[block.find(b"\n") + 1 :]
    return block.decode("utf-8", "replace")


def last_words(log: str) -> str:
    """Returns what the last line of a child's log says: the reason of an event, or the line itself (of a traceback)."""
    lines = log.splitlines()
    if not lines:
        return ""
    try:
        event = json.loads(lines[-1])
        return str(event.get("reason") or event.get("error") or event["event"])
    except (ValueError, KeyError, AttributeError):
        return lines[-1].strip()[:300]
