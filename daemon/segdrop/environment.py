"""One table that says whose fault an error of the operating system is, for the daemon and its children alike. Pure.

What a full disk, a lost share or an exhausted table makes a system call say concerns everything under the root, so the
queue pauses. What concerns one file (it is open elsewhere, it may not be read) holds that one back, for longer each
time, while the others go on; so does every error that is not listed, because no file should be blamed for what is not
known. Only a few errors can come of nothing but the file or the program that asked.
"""

import errno
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict

from segdrop.codes import Code


class Response(StrEnum):
    """Tells what the daemon does about an error."""

    PAUSE = "pause"  #: everything under the root is affected: nothing is taken until it is over
    WAIT = "wait"  #: this file or job waits, for longer each time, and the others go on
    OWN = "own"  #: not the environment's fault: a name is missing or taken that should not be, or we asked for nonsense


_PAUSE = frozenset(
    {
        # space and quotas
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS),
        # the disk, and what a share answers while its server or the way there is lost
        *(errno.EIO, errno.ENXIO, errno.ENODEV, errno.EUCLEAN, errno.ESTALE, errno.EREMOTEIO, errno.EREMOTE),
        *(errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.ETIMEDOUT, errno.ESHUTDOWN),
        *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.ENONET),
        *(errno.ENOLINK, errno.ECOMM, errno.EPROTO, errno.ENOLCK, errno.EKEYEXPIRED, errno.EKEYREVOKED, errno.ENOKEY),
        # tables and memory of the machine
        *(errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOBUFS),
    }
)
_OWN = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY),
        *(errno.EINVAL, errno.EBADF, errno.EFAULT, errno.ESPIPE, errno.ENOTTY, errno.EDOM, errno.ERANGE),
        *(errno.ESRCH, errno.ECHILD, errno.EPIPE, errno.EXDEV),
    }
)
#: Errors that say that a name is missing which should be there, or is something else.
_MISPLACED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY})
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Where to look for the cause of errors that do not tell it.
_HINTS = {
    errno.EFBIG: "larger than `ulimit -f` (LimitFSIZE=) or the filesystem allows",
    errno.EMFILE: "`ulimit -n` (LimitNOFILE=) is reached",
    errno.EDQUOT: "the quota of the daemon's user or group is used up",
    errno.EAGAIN: "`ulimit -u` (LimitNPROC=, TasksMax=) may be reached",
}


class Fault(BaseModel):
    """An error of the environment, as a child passes it on and as the daemon tells it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str  #: disk.full or environment
    response: Response
    message: str
    errno: int | None = None
    path: str | None = None

    @classmethod
    def of(cls, error: OSError) -> Self:
        """Returns the fault that an error tells of, with the path that it names."""
        path = " to ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
        words = error.strerror or str(error) or type(error).__name__
        hint = _HINTS.get(error.errno or 0)
        return cls(
            code=Code.DISK_FULL if error.errno in _NO_SPACE else "environment",
            response=response_to(error),
            message=": ".join([words, *([path] if path else [])]) + (f" ({hint})" if hint else ""),
            errno=error.errno,
            path=path or None,
        )

    @property
    def name(self) -> str:
        """Symbol of the error's number, such as EBUSY."""
        return errno.errorcode.get(self.errno or 0, "unknown")


def response_to(error: OSError) -> Response:
    """Returns what to do about an error, by its number."""
    if error.errno in _PAUSE:
        return Response.PAUSE
    return Response.OWN if error.errno in _OWN else Response.WAIT


def is_misplaced(error: OSError) -> bool:
    """Whether a name was missing that should be there, or taken by something else."""
    return error.errno in _MISPLACED


def unknown(detail: str) -> Fault:
    """Returns the fault of a child that could not say more. Everything has to wait then."""
    return Fault(code="environment", response=Response.PAUSE, message=detail)
