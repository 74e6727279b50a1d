"""The request as a command gets it: from a file, from the one beside the ZIP, from single keys, or from several."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from segdrop import regular_files, settings
from segdrop.request import MAX_REQUEST_BYTES, parse_file


@dataclass(frozen=True, slots=True)
class GivenRequest:
    """A request's bytes, and the name that people know them by."""

    content: bytes
    name: str


def given_request(zip_path: Path, path: Path | None, assignments: list[str] | None) -> GivenRequest | None:
    """Returns the request of the file at ``path`` or, without one, of ``NAME.json`` beside the ZIP.

    Its bytes are left as they are unless keys are set. ``None`` where there is neither a file nor a key.
    """
    path = path or _beside(zip_path)
    content = _content(path) if path else b"{}"
    if assignments:
        content = _with_keys(content, assignments)
    elif path is None:
        return None
    return GivenRequest(content, path.name if path else "--set")


def given_keys(path: Path | None, assignments: list[str] | None) -> dict[str, Any]:
    """Returns the keys of the request in the file at ``path``, where there is one, and those that are set.

    Raises ``typer.BadParameter`` where the file is no request.
    """
    content = _with_keys(_content(path) if path else b"{}", assignments or [])
    values, issues = parse_file(content, path.name if path else "--set")
    if issues:
        raise typer.BadParameter("; ".join(issue.message for issue in issues), param_hint="--request")
    return values


def _beside(zip_path: Path) -> Path | None:
    """Finds ``NAME.json`` beside ``NAME.zip``, whatever it is: one that cannot be read is not the same as none."""
    path = zip_path.with_suffix(".json")
    return path if os.path.lexists(path) and path != zip_path else None


def _content(path: Path) -> bytes:
    """Reads no more bytes than show that they are too many. A link was named by the caller, and is followed."""
    kind = regular_files.kind_of(path.stat().st_mode)
    if kind:
        raise typer.BadParameter(f"{path}: it is {kind}, not a regular file", param_hint="--request")
    with path.open("rb") as stream:
        return stream.read(MAX_REQUEST_BYTES + 1)


def _with_keys(content: bytes, assignments: list[str]) -> bytes:
    """Sets keys. A request that cannot be read stays as it is: the check says what is wrong with it."""
    given = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator:
            raise typer.BadParameter(f"{assignment!r} is not KEY=VALUE", param_hint="--set")
        given[key] = settings.decoded(value)
    values, issues = parse_file(content, "")
    return content if issues else json.dumps(values | given).encode()
