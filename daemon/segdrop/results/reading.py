"""The outbox, read back: results, and the live status.

People may put what they like into a share, so nothing is taken for granted: links are not followed, nothing waits for
a FIFO's writer, and what is not a record of ours is told from what may not be read.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from segdrop import regular_files
from segdrop.codes import Severity
from segdrop.record import Record
from segdrop.results.live_status import Status
from segdrop.spool.layout import RootLayout

#: A result of 254 classes has less than a megabyte.
MAX_RECORD_BYTES = 32 << 20


class ForeignError(ValueError):
    """Raised for a file that is no record of ours; the message says how that is known."""


Kind = TypeVar("Kind", bound=Record)


class InputLine(Record):
    """The input of a result."""

    name: str


class IssueLine(Record):
    """An issue of a result. Its code may be one of another version."""

    code: str
    severity: Severity
    message: str
    fix: str = ""
    files: tuple[str, ...] = ()
    count: int = 1


class MetricsLine(Record):
    """The metrics of a result."""

    mean_iou: float | None = None


class PublishedResult(Record):
    """A result's JSON, of whatever version, as far as all commands rely on it; ``content`` is all of it."""

    job: str
    status: str
    input: InputLine
    issues: list[IssueLine] = Field([])
    metrics: MetricsLine | None = None
    attempts: int = 1
    content: dict[str, Any] = Field({}, exclude=True)


class PublishedStatus(Status):
    """The live status, of whatever version; ``content`` is all of it."""

    content: dict[str, Any] = Field({}, exclude=True)


def read_result(path: Path) -> PublishedResult:
    """Returns the result of the job that the file is called after.

    Raises ``ForeignError`` where it is none, and ``OSError`` as open(2) says.
    """
    result = _read(PublishedResult, path)
    if result.job != path.stem:
        raise ForeignError(f"{path.name} is about another job, {result.job[:100]}")
    return result


def read_status(path: Path) -> PublishedStatus:
    """Returns the live status; raises ``ForeignError`` where it is none, and ``OSError`` as open(2) says."""
    return _read(PublishedStatus, path)


def _read(kind: type[Kind], path: Path) -> Kind:
    content = _read_object(path)
    try:
        return kind.model_validate(content | {"content": content})
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, detail["loc"]))
        raise ForeignError(f"{path.name} is not written by segdrop: `{where}`: {detail['msg']}") from error


def _read_object(path: Path) -> dict[str, Any]:
    try:
        with regular_files.open_binary(path) as stream:
            text = stream.read(MAX_RECORD_BYTES + 1)
    except regular_files.NotRegularError as error:
        raise ForeignError(f"{path.name}: {error.strerror}") from error
    if len(text) > MAX_RECORD_BYTES:
        raise ForeignError(f"{path.name} has more than {MAX_RECORD_BYTES} bytes")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ForeignError(f"{path.name} is not JSON") from error
    if not isinstance(value, dict):
        raise ForeignError(f"{path.name} is not a JSON object")
    return value


@dataclass(frozen=True, slots=True)
class Outbox:
    """The results in the outbox, oldest first, and what of it may not be read."""

    results: list[PublishedResult]
    unreadable: list[tuple[str, str]]  #: file name, why


def read_outbox(layout: RootLayout) -> Outbox:
    """Returns all results; what others put there is passed over. Raises ``OSError`` where the folder is closed."""
    results, unreadable = [], []
    for path in _oldest_first(layout):
        try:
            results.append(read_result(path))
        except (ForeignError, FileNotFoundError):
            continue
        except OSError as error:
            unreadable.append((path.name, str(error.strerror)))
    return Outbox(results, unreadable)


def published_jobs(layout: RootLayout) -> list[str]:
    """Returns the jobs of all results, by their files' names. Raises ``OSError`` where the folder is closed."""
    return [path.stem for path in _oldest_first(layout)]


def _oldest_first(layout: RootLayout) -> Iterator[Path]:
    dated = []
    for path in layout.outbox.iterdir():
        if path.suffix == ".json" and path not in (layout.status, layout.models_file):
            try:
                dated.append((path.stat(follow_symlinks=False).st_mtime, path))
            except FileNotFoundError:
                continue
    return (path for _time, path in sorted(dated))
