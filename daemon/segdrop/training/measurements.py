"""What was measured on this host, for the runs to come. A file that may be lost at any time: it costs seconds."""

import json
from pathlib import Path
from typing import Any

from segdrop import durable

_MOST_ENTRIES = 200


class Measurements:
    """Numbers by names that say all that they depend on. One process writes at a time: the training child."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str) -> dict[str, Any]:
        """Empty where nothing is known."""
        found = self._read().get(name)
        return found if isinstance(found, dict) else {}

    def put(self, name: str, values: dict[str, Any]) -> None:
        """The newest last; of very many, the oldest are forgotten."""
        entries = self._read()
        entries.pop(name, None)
        entries[name] = values
        kept = dict(list(entries.items())[-_MOST_ENTRIES:])
        durable.replace_quickly(self._path, json.dumps(kept, indent=1).encode())

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}
