"""What goes wrong around a daemon that has other jobs to do: files that somebody holds, folders that are another's, job
folders that cannot be understood. None of it is the other jobs' business.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from segdrop.spool.layout import RootLayout

#: nobody's on this machine
OTHER_UID = 61_020
#: as a NAS and a Mac leave them in every folder that they may write to
FOREIGN = ("@eaDir", ".AppleDouble")
#: a folder like a job's, whose manifest was cut off
BROKEN = "broken-20261121T061500Z-0bad"
#: says, in a set-aside folder, why it is there
REASON_CODE = "spool.corrupt"
#: what a daemon may write before it finds that a job cannot go on
_CHANGING = frozenset({"job.json", "job.log", "child.lock"})
_BROKEN_FILES = {
    "job.json": b'{"id": "broken-20261121T0615',
    "input.zip": b"the input of a job that cannot be understood",
    "sidecar.json": b'{"level": 1}',
    "checkpoint.pth": b"hours of work",
    "cache/images.u8": b"decoded",
    "error.json": b'{"issues": []}',
}


class Busy:
    """A file that cannot be renamed (EBUSY) until it is released: it is a mount point. Needs a namespace of our own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = True
        subprocess.run(["mount", "--bind", path, path], check=True)

    def release(self) -> None:
        """Although somebody may be reading it."""
        if self.held:
            subprocess.run(["umount", "--lazy", self.path], check=True)
            self.held = False


class Foreign:
    """Folders of another user in ``work/``, which only that user may look into."""

    def __init__(self, layout: RootLayout) -> None:
        self.folders = [layout.work / name for name in FOREIGN]
        for folder in self.folders:
            folder.mkdir(parents=True)
            (folder / "theirs").write_text("of somebody else")
            os.chown(folder / "theirs", OTHER_UID, OTHER_UID)
            folder.chmod(0o700)
            os.chown(folder, OTHER_UID, OTHER_UID)
        self._before = self._marks()

    def _marks(self) -> list[tuple[int, ...]]:
        """A rename, another owner, another mode: each changes the time of the last change."""
        found = [folder.lstat() for folder in self.folders]
        return [(s.st_ino, s.st_uid, s.st_mode, s.st_mtime_ns, s.st_ctime_ns) for s in found]

    def wrong(self) -> list[str]:
        try:
            return [] if self._marks() == self._before else ["a folder of another user was touched"]
        except FileNotFoundError as error:
            return [f"{error.filename}, which is another user's, is gone"]


class SetAside:
    """A folder in ``work/`` that is expected in ``failed/``, with its reason and everything that was in it."""

    def __init__(self, layout: RootLayout, job: str, but: frozenset[str] = frozenset()) -> None:
        self.layout = layout
        self.job = job
        self._contents = _digests(layout.job(job).folder, but)

    @classmethod
    def broken(cls, layout: RootLayout) -> "SetAside":
        """Such a folder, made."""
        for name, content in _BROKEN_FILES.items():
            path = layout.job(BROKEN).folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return cls(layout, BROKEN)

    def wrong(self) -> list[str]:
        kept = self.layout.failed / self.job
        if not kept.is_dir() or self.layout.job(self.job).folder.exists():
            return [f"{self.job} was not set aside"]
        wrong = [] if _tells_why(kept) else [f"nothing in failed/{self.job} tells why it is there"]
        lost = self._contents - _digests(kept)
        return [*wrong, *([f"{len(lost)} files of {self.job} are lost"] if lost else [])]


def lose_dataset(layout: RootLayout, job: str) -> SetAside:
    """What the check found is gone from the folder of a queued job."""
    layout.job(job).report.unlink()
    shutil.rmtree(layout.job(job).cache)
    return SetAside(layout, job, but=_CHANGING)


def _tells_why(folder: Path) -> bool:
    return any(REASON_CODE in path.read_text(errors="replace") for path in folder.glob("*.json"))


def _digests(folder: Path, but: frozenset[str] = frozenset()) -> set[str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in but)
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
