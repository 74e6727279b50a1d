"""Issues, one shallow exception tree, and the exit codes: everything that can go wrong.

An issue says what was found and what to do about it (its code stands in :mod:`segdrop.codes`); exceptions about the
user's data carry issues, ours carry a code.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, Self

from segdrop.codes import Code, Severity
from segdrop.environment import Fault


class Exit(IntEnum):
    """Exit codes of the commands and of the children (sysexits.h where it has a word for it)."""

    OK = 0
    FAILED = 1  #: the job failed
    USAGE = 2
    DATA = 65  #: the data or the request is at fault
    INTERNAL = 70  #: our fault
    CORRUPT = 66  #: a file of a child's job folder is missing, or cannot be understood
    INSTALLATION = 72  #: a child cannot begin (a module is missing, its spec is another version's)
    ENVIRONMENT = 74  #: a child met a full disk, a missing permission, an input or output error
    TRY_LATER = 75  #: the environment is at fault; a child was asked to stop, and did
    CONFIG = 78


#: Most names that are listed with an issue; ``count`` says how many there are.
MAX_LISTED_FILES = 20


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding. ``message`` says what was found, ``fix`` what to do about it."""

    code: Code
    message: str
    severity: Severity
    fix: str
    files: tuple[str, ...] = ()
    count: int = 1

    @classmethod
    def of(
        cls,
        code: Code,
        message: str,
        *,
        files: Iterable[str] = (),
        count: int | None = None,
        severity: Severity | None = None,
        fix: str | None = None,
    ) -> Self:
        """Returns an issue of a known code. Severity and fix are the code's own unless given."""
        names = tuple(files)
        return cls(
            code=code,
            message=message,
            severity=severity or code.severity,
            fix=fix or code.fix,
            files=names[:MAX_LISTED_FILES],
            count=len(names) or 1 if count is None else count,
        )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Reads what :meth:`to_json` wrote. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else."""
        return cls(
            code=Code(value["code"]),
            message=str(value["message"]),
            severity=Severity(value["severity"]),
            fix=str(value["fix"]),
            files=tuple(str(name) for name in value["files"]),
            count=int(value["count"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Returns plain values only: checkpoints hold issues too, and are read without leave to make our objects."""
        return asdict(self) | {"code": self.code.value, "severity": self.severity.value, "files": list(self.files)}


def has_fault(issues: Iterable[Issue]) -> bool:
    """Whether one of the issues keeps the job from running."""
    return any(issue.severity is Severity.FAULT for issue in issues)


class SegdropError(Exception):
    """Base of all errors that are raised on purpose."""

    exit_code = Exit.INTERNAL


@dataclass
class DataError(SegdropError):
    """The user's data or request is at fault. The job is never tried again."""

    issues: list[Issue] = field(default_factory=list)
    exit_code = Exit.DATA

    def __str__(self) -> str:
        return "; ".join(f"{issue.code}: {issue.message}" for issue in self.issues)


class ConfigError(SegdropError):
    """The operator's settings are at fault."""

    exit_code = Exit.CONFIG


class UnavailableError(SegdropError):
    """The environment is at fault (no such root, disk full). The same call may succeed later."""

    exit_code = Exit.TRY_LATER

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InstallationError(SegdropError):
    """A child of ours could not even begin, which no dataset can be blamed for.

    ``stage`` is the one whose child it was.
    """

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage


class DeferredError(SegdropError):
    """A job cannot go on at the moment, by a fault of the environment. It waits, and nothing is held against it."""

    exit_code = Exit.TRY_LATER

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class StoppedError(SegdropError):
    """A child was asked to stop and did, its state saved."""

    exit_code = Exit.TRY_LATER


class CorruptError(SegdropError):
    """A folder or file of our own cannot be understood."""
