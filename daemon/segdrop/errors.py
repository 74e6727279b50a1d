"""What can go wrong: issues, one shallow exception tree, the exit codes.

An issue says what was found and what to do about it (its code stands in :mod:`segdrop.codes`); exceptions about the
user's data carry issues, ours carry a code.
"""

import errno
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, Self

from segdrop.codes import CODES, Severity


class Exit(IntEnum):
    """Exit codes of the commands and of the children (sysexits.h where it has a word for it)."""

    OK = 0
    FAILED = 1  #: the job failed
    USAGE = 2
    DATA = 65  #: the data or the request is at fault
    INTERNAL = 70  #: our fault
    ENVIRONMENT = 74  #: of a child: disk full, no permission, input or output error
    TRY_LATER = 75  #: the environment is at fault; of a child: it was asked to stop, and did
    CONFIG = 78


#: Names listed with an issue; ``count`` has them all.
MAX_LISTED_FILES = 20


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding. ``message`` is what was found, ``fix`` what to do."""

    code: str
    message: str
    severity: Severity
    fix: str
    files: tuple[str, ...] = ()
    count: int = 1

    @classmethod
    def of(
        cls,
        code: str,
        message: str,
        *,
        files: Iterable[str] = (),
        count: int | None = None,
        severity: Severity | None = None,
        fix: str | None = None,
    ) -> Self:
        """An issue of a known code; severity and fix are the code's own unless given."""
        known = CODES[code]
        names = tuple(files)
        return cls(
            code=code,
            message=message,
            severity=severity or known.severity,
            fix=fix or known.fix,
            files=names[:MAX_LISTED_FILES],
            count=len(names) or 1 if count is None else count,
        )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(
            code=str(value["code"]),
            message=str(value["message"]),
            severity=Severity(value["severity"]),
            fix=str(value["fix"]),
            files=tuple(str(name) for name in value["files"]),
            count=int(value["count"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values only: checkpoints hold issues too, and are read without leave to make objects of ours."""
        return asdict(self) | {"severity": self.severity.value, "files": list(self.files)}


def has_fault(issues: Iterable[Issue]) -> bool:
    return any(issue.severity is Severity.FAULT for issue in issues)


class SegdropError(Exception):
    """The root of all errors that we raise on purpose."""

    exit_code = Exit.INTERNAL


@dataclass
class DataError(SegdropError):
    """The user's data or request is at fault; never retried."""

    issues: list[Issue] = field(default_factory=list)
    exit_code = Exit.DATA

    def __str__(self) -> str:
        return "; ".join(f"{issue.code}: {issue.message}" for issue in self.issues)


class ConfigError(SegdropError):
    """The operator's settings are at fault."""

    exit_code = Exit.CONFIG


class UnavailableError(SegdropError):
    """The environment is at fault (no such root, disk full): the same call may succeed later."""

    exit_code = Exit.TRY_LATER

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


#: What a full disk, a lost mount or a changed permission make system calls say: no fault of the job's.
ENVIRONMENT_ERRNOS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.ESTALE,
        errno.ENOTCONN,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
    }
)


class StoppedError(SegdropError):
    """A child was asked to stop and did, its state saved."""

    exit_code = Exit.TRY_LATER


class CorruptError(SegdropError):
    """A folder or file of our own cannot be understood."""
