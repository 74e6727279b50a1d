"""The program itself as files that can be exchanged under a daemon that runs from them, as an upgrade in place does."""

import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from builders.daemons import BUILDERS, Root
from builders.requirements import require_program

REPOSITORY = BUILDERS.parents[1]
_PACKAGE = Path("daemon/segdrop")
_STANDINS = Path("tests/builders")


class Installation:
    """Package and stand-ins in one folder; daemons of ``root`` run from it."""

    def __init__(self, folder: Path, root: Root) -> None:
        self.folder = folder
        self.root = root
        root.code = [folder / _STANDINS, folder / _PACKAGE.parent]

    @property
    def package(self) -> Path:
        return self.folder / _PACKAGE

    def put_this_version(self) -> None:
        """Over whatever is there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in (_PACKAGE, _STANDINS):
            shutil.copytree(REPOSITORY / part, self.folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        self._expect_own_package()

    def put_commit(self, commit: str) -> None:
        """Skips the test where the history does not reach so far."""
        require_program("git")
        words = ["git", "-C", str(REPOSITORY), "archive", commit, str(_PACKAGE), str(_STANDINS)]
        packed = subprocess.run(words, capture_output=True, check=False)
        if packed.returncode != 0:
            pytest.skip(f"commit {commit} is not in this clone: it is shallow")
        shutil.rmtree(self.folder, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extraction_filter = lambda member, _path: member
            archive.extractall(self.folder)
        self._expect_own_package()

    def _expect_own_package(self) -> None:
        words = [sys.executable, "-c", "import segdrop; print(segdrop.__file__)"]
        found = subprocess.run(words, env=self.root.environment(), capture_output=True, text=True, check=True)
        assert Path(found.stdout.strip()).parent == self.package
