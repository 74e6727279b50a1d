"""A small disk for a root: one that can be filled, made read-only, unmounted, and mounted back.

It is mounted in a throwaway machine alone (``builders.machine``), where the daemon runs; tests see it from outside.
"""

import errno
import os
from pathlib import Path

from builders.machine import Machine

PAGE_BYTES = 4096
SIZE_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20


class Disk:
    def __init__(self, machine: Machine, point: Path) -> None:
        """Mounted on ``point``. A second mount elsewhere keeps it when it is unmounted there."""
        self._machine = machine
        self._point = point
        self._kept = machine.folder / f"disk-of-{point.parent.name}"
        for folder in (self._kept, point):
            folder.mkdir(parents=True)
        machine.run(["mount", "-t", "tmpfs", "-o", f"mode=755,size={SIZE_BYTES}", "tmpfs", self._kept])
        self.mount()
        self.seen_at = machine.view(point)  #: by the daemon: what is mounted there, or the folder below
        self.kept_at = machine.view(self._kept)  #: always the disk, and writable
        self._ballast = self.kept_at / "ballast"

    def fill(self, but_pages: int = 0) -> None:
        """Leave so much free and no more."""
        with self._ballast.open("ab", buffering=0) as stream:
            for size in (_CHUNK_BYTES, PAGE_BYTES):
                try:
                    while stream.write(bytes(size)) == size:
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
            os.truncate(self._ballast, max(0, stream.tell() // PAGE_BYTES - but_pages) * PAGE_BYTES)

    def empty(self) -> None:
        self._ballast.unlink()

    def make_read_only(self) -> None:
        """By a mount over the other, because that one is in use. What is open already stays as it was."""
        self._machine.run(["mount", "--bind", self._point, self._point])
        self._machine.run(["mount", "-o", "remount,bind,ro", self._point])

    def make_writable(self) -> None:
        self.unmount()

    def unmount(self) -> None:
        """At once, although it is in use, as a share does that is gone."""
        self._machine.run(["umount", "--lazy", self._point])

    def mount(self) -> None:
        self._machine.run(["mount", "--bind", self._kept, self._point])
