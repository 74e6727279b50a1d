"""The root: made, recognised, probed, and held by one daemon at a time."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from segdrop import durable, logs
from segdrop.codes import Code
from segdrop.environment import Fault, Response
from segdrop.errors import ConfigError, UnavailableError
from segdrop.spool import holding, mending
from segdrop.spool.layout import RootLayout
from segdrop.spool.mending import Mended, Owners

_PROBE_NAME = ".segdrop-probe"
_MOST_PROBE_NAMES = 100


def create(layout: RootLayout) -> None:
    """Makes the folders and the sentinel, closed as they should be; what is there stays as it is."""
    missing = [path for path in (layout.root, *layout.folders) if not path.exists()]
    for folder in layout.folders:
        durable.ensure_dir(folder)
    if not layout.sentinel.exists():
        durable.write_bytes(layout.sentinel, b"segdrop keeps its folders here; see `segdrop init --help`\n")
        missing.append(layout.sentinel)
    mending.close(missing, layout)


def log_mended(mended: Mended) -> None:
    """Logs each change that was made to the modes of the root, and each deviation that is left."""
    for change in mended.changes:
        changed = {"before": change.before, "after": change.after, "files": change.count}
        logs.get().warning("root.mended", path=str(change.path), **changed)
    for left in mended.refused:
        logs.get().warning("root.not_mended", path=str(left.path), reason=left.reason, command=left.command)


def open_root(
    layout: RootLayout,
    *,
    require_sentinel: bool,
    owners: Owners | None = None,
    tell: Callable[[Mended], None] = log_mended,
) -> None:
    """Make sure that the root is usable, creating it unless ``require_sentinel``.

    Its modes are mended (with ``owners``: set); ``tell`` is told what was changed, and what could not be.

    ``UnavailableError`` if it is not there (an unmounted share looks like an empty folder);
    ``ConfigError`` if its folders do not share a filesystem.
    """
    if require_sentinel:
        _require_sentinel(layout)
    try:
        create(layout)
        _check_nesting(layout)
        if owners is not None:
            tell(mending.share(layout, owners))
        probe(layout)
        tell(mending.mend(layout))
    except OSError as error:
        raise UnavailableError(Code.ROOT_UNAVAILABLE, f"{error.filename or layout.root}: {error.strerror}") from error


def require(layout: RootLayout, *, require_sentinel: bool) -> None:
    """Raises UnavailableError if an open root is gone: in the empty folder below a mount nothing may be made."""
    if require_sentinel:
        _require_sentinel(layout)
    for folder in layout.folders:
        if not folder.is_dir():
            raise UnavailableError(Code.ROOT_UNAVAILABLE, f"{folder} is not there")


def _require_sentinel(layout: RootLayout) -> None:
    if not layout.sentinel.is_file():
        message = f"{layout.root} has no {layout.sentinel.name}: not mounted, or not made yet (`segdrop init`)"
        raise UnavailableError(Code.ROOT_UNAVAILABLE, message)


def _check_nesting(layout: RootLayout) -> None:
    resolved = {folder: folder.resolve() for folder in layout.folders}
    for folder, real in resolved.items():
        others = [other for other in layout.folders if other != folder]
        if any(resolved[other] == real or resolved[other] in real.parents for other in others):
            raise ConfigError(f"{folder} is inside another of the folders, or the same as one: they must be apart")


def probe(layout: RootLayout) -> None:
    """Renames a file from the inbox through work to each other folder, as jobs do."""
    source = _new_probe(layout.inbox)
    for folder in (layout.work, layout.failed, layout.work, layout.done, layout.work, layout.outbox):
        target = folder / source.name
        try:
            durable.move(source, target)
        except OSError as error:
            source.unlink(missing_ok=True)
            if error.errno == errno.EXDEV:
                raise ConfigError(
                    f"{source.parent} and {folder} are not on one filesystem, or separate mounts"
                ) from error
            raise
        source = target
    source.unlink()


def concerns_all(layout: RootLayout, fault: Fault) -> bool:
    """Whether a fault of the environment concerns more than the file that met it.

    Its number may say so. Else the folders are tried: where files can be renamed through all of them, it is that file.
    """
    if fault.response is Response.PAUSE:
        return True
    try:
        probe(layout)
    except (OSError, ConfigError):
        return True
    return False


def _new_probe(inbox: Path) -> Path:
    """A new file in a folder where people may have put anything under its name: links are not written through, pipes
    not waited for, and a folder only takes the name.
    """
    for name in (_PROBE_NAME, *(f"{_PROBE_NAME}-{number}" for number in range(2, _MOST_PROBE_NAMES + 1))):
        probe_file = inbox / name
        with contextlib.suppress(IsADirectoryError, PermissionError):  # of a folder, or one that is not ours to change
            probe_file.unlink(missing_ok=True)
        with contextlib.suppress(FileExistsError), probe_file.open("xb"):
            return probe_file
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(inbox / _PROBE_NAME))


@contextlib.contextmanager
def held(layout: RootLayout) -> Iterator[None]:
    """Makes this process the only daemon on the root; raises UnavailableError if there is another, or the lock is not
    ours to take.
    """
    try:
        lock = layout.daemon_lock.open("a+b")
    except OSError as error:
        raise UnavailableError(Code.ROOT_UNAVAILABLE, f"{layout.daemon_lock}: {error.strerror}") from error
    with lock as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            stream.seek(0)
            owner = holding.written_pid(stream.read(32).decode("ascii", "replace")) or "unknown"
            raise UnavailableError(Code.ROOT_UNAVAILABLE, f"another daemon (PID {owner}) has {layout.root}") from error
        stream.truncate(0)
        stream.write(holding.signature().encode())
        stream.flush()
        yield
        stream.truncate(0)


def holder(layout: RootLayout) -> int | None:
    """Returns the PID of the daemon that holds the root; None if there is none, or none that can be seen from here."""
    return holding.look(layout).pid
