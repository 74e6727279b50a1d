"""The root: made, recognised, probed, and held by one daemon at a time."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from segdrop import durable
from segdrop.errors import ConfigError, UnavailableError
from segdrop.spool.layout import RootLayout

_PROBE_NAME = ".segdrop-probe"


def create(layout: RootLayout) -> None:
    """Make the folders and the sentinel; what is there stays as it is."""
    for folder in layout.folders:
        durable.ensure_dir(folder)
    if not layout.sentinel.exists():
        durable.write_bytes(layout.sentinel, b"segdrop keeps its folders here; see `segdrop init --help`\n")


def open_root(layout: RootLayout, *, require_sentinel: bool) -> None:
    """Make sure that the root is usable, creating it unless ``require_sentinel``.

    ``UnavailableError`` if it is not there (an unmounted share looks like an empty folder);
    ``ConfigError`` if its folders do not share a filesystem.
    """
    if require_sentinel:
        _require_sentinel(layout)
    try:
        create(layout)
        _check_nesting(layout)
        probe(layout)
    except OSError as error:
        raise UnavailableError("root.unavailable", f"{error.filename or layout.root}: {error.strerror}") from error


def require(layout: RootLayout, *, require_sentinel: bool) -> None:
    """``UnavailableError`` if an open root is gone: in the empty folder below a mount nothing may be made."""
    if require_sentinel:
        _require_sentinel(layout)
    if not layout.inbox.is_dir():
        raise UnavailableError("root.unavailable", f"{layout.inbox} is not there")


def _require_sentinel(layout: RootLayout) -> None:
    if not layout.sentinel.is_file():
        message = f"{layout.root} has no {layout.sentinel.name}: not mounted, or not made yet (`segdrop init`)"
        raise UnavailableError("root.unavailable", message)


def _check_nesting(layout: RootLayout) -> None:
    resolved = {folder: folder.resolve() for folder in layout.folders}
    for folder, real in resolved.items():
        others = [other for other in layout.folders if other != folder]
        if any(resolved[other] == real or resolved[other] in real.parents for other in others):
            raise ConfigError(f"{folder} is inside another of the folders, or the same as one: they must be apart")


def probe(layout: RootLayout) -> None:
    """Rename a file from the inbox through work to each other folder, as jobs do.

    An equal device number would not prove that this works: bind mounts share it, and refuse renames.
    """
    source = layout.inbox / _PROBE_NAME
    source.write_bytes(b"")
    for folder in (layout.work, layout.failed, layout.work, layout.done, layout.work, layout.outbox):
        target = folder / _PROBE_NAME
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


@contextlib.contextmanager
def held(layout: RootLayout) -> Iterator[None]:
    """Be the only daemon on this root; ``UnavailableError`` if there is another, or the lock is not ours to take."""
    try:
        lock = layout.daemon_lock.open("a+b")
    except OSError as error:
        raise UnavailableError("root.unavailable", f"{layout.daemon_lock}: {error.strerror}") from error
    with lock as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            stream.seek(0)
            owner = stream.read(32).decode("ascii", "replace").strip() or "unknown"
            raise UnavailableError("root.unavailable", f"another daemon (PID {owner}) has {layout.root}") from error
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n".encode())
        stream.flush()
        yield
        stream.truncate(0)


def holder(layout: RootLayout) -> int | None:
    """The PID of the daemon that holds the root; None if there is none."""
    try:
        with Path(layout.daemon_lock).open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(stream.read(32) or 0)
    except (OSError, ValueError):
        return None
    return None
