"""The live board: ``outbox/status.json``, for people who see the share and nothing else."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdrop import durable


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job on the board."""

    job: str
    input_name: str
    state: str
    priority: int
    attempts: int
    progress: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        line = {
            "job": self.job,
            "input": self.input_name,
            "state": self.state,
            "priority": self.priority,
            "attempts": self.attempts,
        }
        return line | ({"progress": self.progress} if self.progress else {})


@dataclass(frozen=True, slots=True)
class Board:
    """What the daemon knows at one moment. ``waiting`` and ``ignored`` are (name in the inbox, reason)."""

    state: str  #: running, paused, stopping, stopped
    reason: str
    jobs: list[JobLine]
    waiting: list[tuple[str, str]]
    ignored: list[tuple[str, str]]
    ignored_count: int
    finished: dict[str, int]  #: outcomes since the daemon started

    def to_json(self, daemon: dict[str, Any], updated_at: str) -> dict[str, Any]:
        return {
            "updated_at": updated_at,
            "daemon": daemon | {"state": self.state, "reason": self.reason},
            "jobs": [line.to_json() for line in self.jobs],
            "inbox": [{"name": name, "reason": reason} for name, reason in self.waiting],
            "ignored": [{"name": name, "reason": reason} for name, reason in self.ignored],
            "ignored_count": self.ignored_count,
            "finished": self.finished,
            "schema_version": 1,
        }


def write(path: Path, board: dict[str, Any], temporary: Path) -> None:
    """Replace the board's file in one step: a reader sees the old one or the new one, and nothing beside it."""
    content = json.dumps(board, indent=2, ensure_ascii=False).encode("utf-8", "replace")
    durable.replace_quickly(path, content, temporary)


def read_progress(path: Path) -> dict[str, Any] | None:
    """A child's progress file; None if there is none, or none that can be read."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
