"""JSON files of any length, written entry by entry."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from segdrop import durable


def write_object(path: Path, parts: dict[str, Any]) -> None:
    """Replaces a file by a JSON object. Values that are iterators are written as lists, an entry a line."""

    def text() -> Iterator[str]:
        for place, (key, value) in enumerate(parts.items()):
            yield f"{'{' if place == 0 else ','}\n{_value(key)}: "
            if isinstance(value, Iterator):
                yield from _list(value)
            else:
                yield _value(value)
        yield "\n}\n"

    write_text(path, text())


def write_list(path: Path, entries: Iterator[Any]) -> None:
    """Replaces a file by a JSON list, an entry a line."""
    write_text(path, _list(entries))


def _list(entries: Iterator[Any]) -> Iterator[str]:
    separator = "["
    for entry in entries:
        yield f"{separator}\n{_value(entry)}"
        separator = ","
    yield "[]" if separator == "[" else "\n]"


def _value(value: Any) -> str:  # noqa: ANN401  (any JSON value)
    # names may hold halves of characters, which are JSON as escapes, and no UTF-8
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def write_text(path: Path, text: Iterable[str]) -> None:
    """Replaces a file by a text that comes in parts. Folders on the way to it are made."""

    def writer(stream: BinaryIO) -> None:
        stream.writelines(part.encode() for part in text)

    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path, writer)
