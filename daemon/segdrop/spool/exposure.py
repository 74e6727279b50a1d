"""Files of a root, and of the settings, that are open to more users than they should be, or not to those who need them.

Looked for on request, because it takes a look at every file; ``permissions`` has the folders themselves.
"""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from segdrop.spool.permissions import WRITABLE_FOR_OTHERS, Deviation, Kind, Site, inside

_READ = 0o4
_FOR_OTHERS = 0o077
_MOST_NAMED = 3


def files(site: Site) -> Iterator[Deviation]:
    """Returns one deviation for each folder and kind, with the first file as the example."""
    layout = site.layout
    for folder in (layout.work, layout.outbox, layout.failed, layout.models):
        wide, closed = [], []
        for path, status in _inside(folder):
            if status.st_mode & WRITABLE_FOR_OTHERS and (folder == layout.models or status.st_uid == site.daemon_uid):
                wide.append(path)
            elif not _reaches_its_reader(site, folder, status):
                closed.append(path)
        yield from _too_wide(wide)
        yield from _too_narrow(site, folder, closed)
    own = [path for path in (layout.sentinel, layout.metrics) if _writable(path)]
    yield from _too_wide(own)


def settings_files(settings_file: Path | None, environment_file: Path) -> Iterator[Deviation]:
    """Returns the deviations of settings that others may change, and of an environment file that they may read: it may
    hold secrets.
    """
    if settings_file is not None and _writable(settings_file):
        yield from _too_wide([settings_file])
    mode = _mode(environment_file)
    if mode & _FOR_OTHERS:
        reason = f"mode {mode:04o}: it may hold secrets, and only the service manager reads it"
        yield Deviation(environment_file, reason, f"chmod 600 {shlex.quote(str(environment_file))}")


def unseen(site: Site) -> list[Path]:
    """Returns the folders that the user who asks may not look into."""
    return [entry.path for entry in site.entries if not os.access(entry.path, os.R_OK | os.X_OK)]


def _inside(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file and folder in a folder; links and what is neither are left out, and so is what has gone meanwhile."""
    for parent, names, descriptor in inside(folder):
        for name in names:
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                yield parent / name, status


def _reaches_its_reader(site: Site, folder: Path, status: os.stat_result) -> bool:
    """Whether the daemon can read its models, and people their results."""
    if folder == site.layout.models:
        return site.daemon.may(_READ, status.st_mode, status.st_uid, status.st_gid)
    if folder == site.layout.outbox and site.kind is Kind.SHARED:
        return site.people.may(_READ, status.st_mode, status.st_uid, status.st_gid)
    return True


def _too_wide(paths: list[Path]) -> Iterator[Deviation]:
    if paths:
        reason = f"its group or others may write it{_and_more(paths)}"
        yield Deviation(paths[0], reason, _command("go-w", paths))


def _too_narrow(site: Site, folder: Path, paths: list[Path]) -> Iterator[Deviation]:
    if paths:
        who = "the daemon" if folder == site.layout.models else "people"
        yield Deviation(paths[0], f"{who} may not read it{_and_more(paths)}", _command("a+r", paths))


def _and_more(paths: list[Path]) -> str:
    return f", and {len(paths) - 1} more" if len(paths) > 1 else ""


def _command(change: str, paths: list[Path]) -> str:
    """With all the names where they are few, else for every file below the folder that they share."""
    if len(paths) <= _MOST_NAMED:
        return f"chmod {change} {' '.join(shlex.quote(str(path)) for path in paths)}"
    kinds = "-type f" if change == "a+r" else "-not -type l"
    return f"find {shlex.quote(os.path.commonpath(paths))} {kinds} -exec chmod {change} {{}} +"


def _writable(path: Path) -> bool:
    return bool(_mode(path) & WRITABLE_FOR_OTHERS)


def _mode(path: Path) -> int:
    """0 for a file that is not there, or cannot be looked at."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
