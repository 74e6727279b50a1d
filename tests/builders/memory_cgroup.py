"""A group of processes with little memory, where the kernel ends one of them (cgroups(7), version 1 or 2)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.daemons import wait_until

_MOUNTINFO = Path("/proc/self/mountinfo")
#: file and what is written into it; the second is there only where memory can be swapped
_LIMITS = {
    "cgroup": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    "cgroup2": ("memory.max", "memory.swap.max"),
}


def _hierarchies() -> Iterator[tuple[str, Path]]:
    """Type and mount point of those that may have the memory controller (proc(5), mountinfo)."""
    for line in _MOUNTINFO.read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(maxsplit=2)
        if kind == "cgroup2" or (kind == "cgroup" and "memory" in options.split(",")):
            yield kind, Path(left.split()[4])


def _make(kind: str, mount: Path, size_bytes: int) -> Path:
    """OSError where it may not be done."""
    if kind == "cgroup2":
        (mount / "cgroup.subtree_control").write_text("+memory")
    group = mount / f"segdrop-test-{os.getpid()}"
    group.mkdir()
    try:
        limit, swap = _LIMITS[kind]
        (group / limit).write_text(str(size_bytes))
        if (group / swap).exists():
            (group / swap).write_text("0" if kind == "cgroup2" else str(size_bytes))
    except OSError:
        group.rmdir()
        raise
    return group


@contextlib.contextmanager
def limited(size_bytes: int) -> Iterator[list[str]]:
    """What stands before a command to run it there, under the same PID.

    Skips where there is no controller that we may use: containers have none, and that says nothing about segdrop.
    """
    refusals = []
    for kind, mount in _hierarchies():
        try:
            group = _make(kind, mount, size_bytes)
            break
        except OSError as error:
            refusals.append(f"{mount}: {error.strerror}")
    else:
        pytest.skip(f"no memory controller that may be used ({'; '.join(refusals) or 'none is mounted'})")
    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text().split(), "the group is empty")
        group.rmdir()
