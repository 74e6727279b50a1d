"""Finds whether this machine is ready, and whether the daemon is alive, for people and monitors. Changes nothing."""

import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from segdrop import architectures, weights_files
from segdrop.errors import SegdropError
from segdrop.execution.outcome import ended
from segdrop.execution.output import last_words
from segdrop.intake import filesystem
from segdrop.processor import native_bf16_flags
from segdrop.results import reading
from segdrop.results.reading import ForeignError, PublishedStatus
from segdrop.settings import Settings
from segdrop.spool import exposure, holding, permissions, root
from segdrop.spool.layout import RootLayout

#: The status is written each second: one so old is not written any more.
MAX_STATUS_AGE_SECONDS = 60.0
#: importing torch from a slow disk takes a while
_BEGIN_SECONDS = 300.0
#: Size of a checkpoint (weights and the optimizer's state), with room to spare.
_LARGEST_FILE_BYTES = 2 << 30
_LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
#: Environment file of the systemd unit.
_ENVIRONMENT_FILE = Path("/etc/segdrop/segdrop.env")
#: Filesystems whose mount options say who may do what; chmod changes nothing there.
_WITHOUT_MODES = frozenset({"vfat", "msdos", "exfat", "cifs", "smb3", "ntfs", "ntfs3", "fuseblk"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check. ``ok`` is None where it is worth knowing, and no obstacle."""

    subject: str
    ok: bool | None
    detail: str


def findings(settings: Settings, settings_file: Path | None = None) -> Iterator[Finding]:
    """Yields the findings of every check that can be made without a job. The settings are from ``settings_file``."""
    layout = RootLayout(settings.root)
    yield _tried("root", lambda: _root(layout))
    if os.path.isdir(layout.inbox):  # noqa: PTH112  (Path.is_dir raises where the root is closed)
        yield _tried("renames", lambda: _renames(layout))
        yield _tried("filesystem", lambda: _filesystem(layout))
        yield _tried("space", lambda: _space(layout, settings.queue.reserve_bytes))
        yield from _all_tried("access", lambda: access(layout, settings_file))
    yield from processes(settings)
    yield from resource_limits(settings)
    yield _tried("weights", lambda: _weights(layout))
    yield _precision()
    yield large_pages()
    yield Finding("CPUs", None, f"{len(os.sched_getaffinity(0))} in this process's affinity mask")


def _tried(subject: str, check: Callable[[], Finding]) -> Finding:
    """Makes a check, or finds that it cannot be made: what is closed to us is not absent."""
    (finding,) = _all_tried(subject, lambda: [check()])
    return finding


def _all_tried(subject: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Makes a check with several findings, as :func:`_tried` does one with a single one."""
    try:
        return list(check())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return [Finding(subject, ok=False, detail=f"{where}{error.strerror}")]


@dataclass(frozen=True, slots=True)
class Pulse:
    """Whether a daemon has the root; ``words`` say how that is known, ``problem`` why there is no status."""

    alive: bool
    words: str
    pid: int | None = None
    status: PublishedStatus | None = None
    problem: str = ""


def pulse(layout: RootLayout, now: datetime) -> Pulse:
    """Tells by the daemon's lock whether it is alive; where that cannot be seen, by how fresh its status is."""
    holder = holding.look(layout)
    status, problem = _status(layout)
    if holder.held:
        return Pulse(alive=True, words=f"PID {holder.pid}", pid=holder.pid, status=status, problem=problem)
    if holder.held is False:
        return Pulse(alive=False, words=f"no daemon has {layout.root}", status=status, problem=problem)
    if status is None:
        return Pulse(alive=False, words=f"{holder.reason}; nor can status.json tell: {problem}", problem=problem)
    alive, words = _by_status(status, now)
    return Pulse(alive, f"{holder.reason}; by status.json {words}", status.daemon.pid if alive else None, status)


def _by_status(status: PublishedStatus, now: datetime) -> tuple[bool, str]:
    age = status.age_seconds(now)
    if age < -MAX_STATUS_AGE_SECONDS:
        return False, f"nothing is known: it is dated {-age:.0f} s from now, so the clocks differ"
    if status.daemon.state == "stopped":
        return False, f"the daemon stopped {max(0.0, age):.0f} s ago"
    process = "" if status.daemon.pid is None else f" (PID {status.daemon.pid})"
    return age <= MAX_STATUS_AGE_SECONDS, f"the daemon was alive {max(0.0, age):.0f} s ago{process}"


def _status(layout: RootLayout) -> tuple[PublishedStatus | None, str]:
    """Reads the live status, or says why there is none: absent, closed to us, and not ours are three answers."""
    try:
        return reading.read_status(layout.status), ""
    except (FileNotFoundError, NotADirectoryError):
        return None, "there is no outbox/status.json"
    except ForeignError as error:
        return None, str(error)
    except OSError as error:
        return None, f"outbox/status.json cannot be read: {error.strerror}"


def health(layout: RootLayout, now: datetime) -> Finding:
    """Finds whether a daemon holds the root, has written its status lately, and is not paused by a fault."""
    found = pulse(layout, now)
    if not found.alive:
        return Finding("daemon", ok=False, detail=found.words)
    if found.status is None:
        return Finding("daemon", ok=False, detail=f"{found.words}, but {found.problem}")
    age = found.status.age_seconds(now)
    if age > MAX_STATUS_AGE_SECONDS:
        return Finding("daemon", ok=False, detail=f"{found.words} has not written its status for {age:.0f} s")
    daemon = found.status.daemon
    detail = f"{found.words}, {daemon.state}" + (f": {daemon.reason}" if daemon.reason else "")
    return Finding("daemon", ok=not daemon.fault, detail=detail)


def now() -> datetime:
    """Returns the time of day, with its zone."""
    return datetime.now(UTC)


def _root(layout: RootLayout) -> Finding:
    missing = [folder.name for folder in layout.folders if not _is_folder(folder)]
    if missing:
        return Finding("root", ok=False, detail=f"{layout.root} lacks {', '.join(missing)}: `segdrop init`")
    return Finding("root", ok=True, detail=str(layout.root))


def _is_folder(path: Path) -> bool:
    """False if there is none; ``OSError`` where that cannot be told."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _renames(layout: RootLayout) -> Finding:
    try:
        root.probe(layout)
    except (SegdropError, OSError) as error:
        return Finding("renames", ok=False, detail=str(error))
    return Finding("renames", ok=True, detail="files can be renamed from folder to folder")


def _filesystem(layout: RootLayout) -> Finding:
    found = filesystem.type_of(layout.inbox)
    if filesystem.is_network(found):
        detail = f"{found}: a network mount; files are noticed by scans, and settle for longer"
        return Finding("filesystem", None, detail)
    return Finding("filesystem", ok=True, detail=found or "unknown")


def _space(layout: RootLayout, reserve_bytes: int) -> Finding:
    free = shutil.disk_usage(layout.work).free
    detail = f"{free / 1e9:.1f} GB free; jobs start with {reserve_bytes / 1e9:.1f} GB or more"
    return Finding("space", ok=free >= reserve_bytes, detail=detail)


def processes(settings: Settings, python: str = sys.executable) -> Iterator[Finding]:
    """Yields whether each of our processes can begin: whether what they import is there, and suits their limits."""
    commands = {
        "check process": ("segdrop.dataset", "ready", str(settings.limits.check_memory_bytes)),
        "training process": ("segdrop.training", "ready"),
        "inference process": ("segdrop.inference", "ready"),
        "packing process": ("segdrop.results", "ready"),
    }
    for subject, (module, *arguments) in commands.items():
        yield _begins(subject, [python, "-m", module, *arguments])


def _begins(subject: str, command: list[str]) -> Finding:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_BEGIN_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(subject, ok=False, detail=f"it cannot begin: {error}")
    if done.returncode:
        words = last_words(done.stderr) or ended(done.returncode)
        return Finding(subject, ok=False, detail=f"it cannot begin, so no job is taken: {words}. Install segdrop again")
    return Finding(subject, ok=True, detail="it can begin")


def resource_limits(settings: Settings) -> Iterator[Finding]:
    """Yields limits of this shell, or of the unit that we run in, that are lower than what our processes want."""
    wanted = {
        ("ulimit -v", resource.RLIMIT_AS): (settings.limits.check_memory_bytes, "bytes of memory: checks get no more"),
        ("ulimit -t", resource.RLIMIT_CPU): (settings.limits.check_cpu_seconds, "s: checks and trainings get no more"),
        ("ulimit -f", resource.RLIMIT_FSIZE): (_LARGEST_FILE_BYTES, "bytes: checkpoints and results may be larger"),
    }
    for (name, kind), (least, detail) in wanted.items():
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY and soft < least:
            yield Finding("limits", ok=kind != resource.RLIMIT_FSIZE and None, detail=f"{name} is {soft} {detail}")


def access(
    layout: RootLayout, settings_file: Path | None, environment_file: Path = _ENVIRONMENT_FILE
) -> Iterator[Finding]:
    """Yields what is open to more users than it should be, or closed to those who need it, and how to mend it."""
    found_type = filesystem.type_of(layout.root)
    if found_type in _WITHOUT_MODES:
        detail = f"{found_type} keeps no modes: the mount's options (uid=, gid=, umask=) say who may do what"
        yield Finding("access", None, detail)
        return
    try:
        site = permissions.site_of(layout)
    except OSError as error:
        yield Finding("access", ok=False, detail=f"{error.filename}: {error.strerror}")
        return
    wrong = [*permissions.deviations(site), *exposure.files(site)]
    wrong += exposure.settings_files(settings_file, environment_file)
    for found in wrong:
        yield Finding("access", ok=False, detail=f"{found.path}: {found.reason}: {found.command}")
    if unseen := exposure.unseen(site):
        names = ", ".join(path.name for path in unseen)
        yield Finding("access", None, f"you may not look into {names}: their owner or root sees more")
    elif not wrong:
        yield Finding("access", ok=True, detail=f"as it should be in a {site.kind.value} root")


def _weights(layout: RootLayout) -> Finding:
    if _is_folder(layout.models):
        os.scandir(layout.models).close()  # closed to us is not the same as empty
    dirs = weights_files.search_dirs(layout.models)
    names = [file.file_name for file in architectures.DEEPLABV3_RESNET50.weights]
    for name in names:
        try:
            path = weights_files.find(name, dirs)
        except PermissionError as error:
            return Finding("weights", None, f"you may not look into {Path(str(error.filename)).parent}")
        if path:
            matches = weights_files.hash_matches(path)
            return Finding("weights", ok=matches, detail=f"{path}" + ("" if matches else ": damaged, fetch it again"))
    return Finding("weights", None, "none: training starts from random weights (`segdrop models fetch`)")


def _precision() -> Finding:
    native = native_bf16_flags()
    return Finding("precision", None, f"bf16 ({', '.join(sorted(native))})" if native else "fp32: no native bf16")


def large_pages(enabled: Path = _LARGE_PAGES) -> Finding:
    """Finds whether the kernel gives the large pages that training asks for ("Transparent Hugepage Support")."""
    try:
        _, _, rest = enabled.read_text(encoding="ascii").partition("[")
    except OSError:
        rest = "unknown]"
    chosen, _, _ = rest.partition("]")
    hint = f": training is faster after `echo madvise > {enabled}`" if chosen == "never" else ""
    return Finding("large pages", None, chosen + hint)
