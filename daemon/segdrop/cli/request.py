"""The request as a command gets it: a file, the one beside the ZIP, single keys; or a mixture."""

import json
from dataclasses import dataclass
from pathlib import Path

import typer

from segdrop import settings


@dataclass(frozen=True, slots=True)
class GivenRequest:
    """A request's bytes, and the name that people know them by."""

    content: bytes
    name: str


def given_request(zip_path: Path, path: Path | None, assignments: list[str] | None) -> GivenRequest | None:
    """The file named, or ``NAME.json`` beside the ZIP, verbatim unless keys are set; ``None`` if there is nothing."""
    beside = zip_path.with_suffix(".json")
    path = path or (beside if beside.is_file() else None)
    content = path.read_bytes() if path else b"{}"
    if assignments:
        content = _with_keys(content, assignments)
    elif path is None:
        return None
    return GivenRequest(content, path.name if path else "--set")


def _with_keys(content: bytes, assignments: list[str]) -> bytes:
    """The request with these keys set. One that is no JSON object stays as it is: the check says what is wrong."""
    given = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator:
            raise typer.BadParameter(f"{assignment!r} is not KEY=VALUE", param_hint="--set")
        given[key] = settings.decoded(value)
    try:
        values = json.loads(content)
    except ValueError:
        return content
    return json.dumps(values | given).encode() if isinstance(values, dict) else content
