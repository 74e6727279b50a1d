"""Is this machine ready, and is the daemon alive? Findings for people and for monitors; nothing is changed."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from segdrop import catalog, weights
from segdrop.errors import SegdropError
from segdrop.intake import filesystem
from segdrop.settings import Settings
from segdrop.spool import root
from segdrop.spool.layout import RootLayout

#: The board is written each second; so old, nobody writes it any more.
MAX_BOARD_AGE_SECONDS = 60.0
_CPUINFO = Path("/proc/cpuinfo")
_LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. ``ok`` None: worth knowing, and no obstacle."""

    subject: str
    ok: bool | None
    detail: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Every check that can be made without starting a job."""
    layout = RootLayout(settings.root)
    yield _root(layout)
    if layout.inbox.is_dir():
        yield _renames(layout)
        yield _filesystem(layout)
        yield _space(layout, settings.queue.reserve_bytes)
    yield _weights(layout)
    yield _precision()
    yield large_pages()
    yield Finding("CPUs", None, f"{len(os.sched_getaffinity(0))} in this process's affinity mask")


def health(layout: RootLayout, now: datetime) -> Finding:
    """Whether a daemon holds the root and has written its board lately."""
    pid = root.holder(layout)
    if pid is None:
        return Finding("daemon", ok=False, detail=f"no daemon has {layout.root}")
    try:
        board = json.loads(layout.status.read_bytes())
        age = (now - datetime.fromisoformat(board["updated_at"])).total_seconds()
        state, reason = board["daemon"]["state"], board["daemon"]["reason"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Finding("daemon", ok=False, detail=f"PID {pid}, but its board cannot be read ({type(error).__name__})")
    if age > MAX_BOARD_AGE_SECONDS:
        return Finding("daemon", ok=False, detail=f"PID {pid} has not written its board for {age:.0f} s")
    paused_by_fault = state == "paused" and reason != "inbox/PAUSE"
    return Finding("daemon", ok=not paused_by_fault, detail=f"PID {pid}, {state}" + (f": {reason}" if reason else ""))


def now() -> datetime:
    return datetime.now(UTC)


def _root(layout: RootLayout) -> Finding:
    missing = [folder.name for folder in layout.folders if not folder.is_dir()]
    if missing:
        return Finding("root", ok=False, detail=f"{layout.root} lacks {', '.join(missing)}: `segdrop init`")
    return Finding("root", ok=True, detail=str(layout.root))


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


def _weights(layout: RootLayout) -> Finding:
    dirs = weights.search_dirs(layout.models)
    names = [file.file_name for file in catalog.DEEPLABV3_RESNET50.weights]
    for name in names:
        if path := weights.find(name, dirs):
            matches = weights.hash_matches(path)
            return Finding("weights", ok=matches, detail=f"{path}" + ("" if matches else ": damaged, fetch it again"))
    return Finding("weights", None, "none: training starts from random weights (`segdrop models fetch`)")


def _precision() -> Finding:
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    flags = {flag for line in text.splitlines() if line.startswith(("flags", "Features")) for flag in line.split()}
    native = flags & _BF16_FLAGS
    return Finding("precision", None, f"bf16 ({', '.join(sorted(native))})" if native else "fp32: no native bf16")


def large_pages(enabled: Path = _LARGE_PAGES) -> Finding:
    """Whether the kernel has those that training asks for: "Transparent Hugepage Support", in the kernel's manual."""
    try:
        _, _, rest = enabled.read_text(encoding="ascii").partition("[")
    except OSError:
        rest = "unknown]"
    chosen, _, _ = rest.partition("]")
    hint = f": training is faster after `echo madvise > {enabled}`" if chosen == "never" else ""
    return Finding("large pages", None, chosen + hint)
