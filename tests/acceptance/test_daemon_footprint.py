"""The daemon itself stays small: under 80 MB, without torch, numpy and Pillow, whatever lies in the inbox."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from builders import write_dataset
from builders.daemons import Daemon, Root, wait_until

MAX_RSS_BYTES = 80_000_000
HEAVY = ("torch", "torchvision", "numpy", "PIL")
#: what its children alone import
CHILDREN_ALONE = {*HEAVY, "jinja2"}


def mapped_libraries(daemon: Daemon) -> set[str]:
    """The heavy packages of which a native library is in the daemon's memory."""
    maps = Path(f"/proc/{daemon.pid}/maps").read_text()
    return {package for package in HEAVY if re.search(rf"/site-packages/{package}(\.libs)?/", maps)}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


def test_daemon_stays_small_while_200_files_wait_and_a_job_trains(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", queue__capacity=2)
    root.plan(others={"hold": 0})
    for number in range(200):
        root.drop(good, f"{number:03}.zip", {"seed": number})
    with root.daemon() as daemon:
        wait_until(root.starts, "the training")
        waiting = "waits for a slot in the queue"
        wait_until(lambda: sum(entry["reason"] == waiting for entry in root.status()["inbox"]) == 197, "all inspected")
        assert daemon.rss_bytes() < MAX_RSS_BYTES
        assert mapped_libraries(daemon) == set()
        before = daemon.cpu_seconds()
        boards = set()
        wait_until(lambda: boards.add(root.status()["updated_at"]) or len(boards) > 4, "four seconds on the board")
        # and to wait costs next to nothing
        assert daemon.cpu_seconds() - before < 2.0


def test_real_daemon_imports_nothing_heavy_from_start_to_end(tmp_path: Path) -> None:
    """A daemon's whole life, one rejected file included, under ``-X importtime``."""
    root = Root(tmp_path / "run")
    text = tmp_path / "text.zip"
    text.write_text("no ZIP")
    root.drop(text)
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "segdrop", "once"],
        env=root.environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr[-2000:]
    assert root.answers()["text.zip"]["status"] == "rejected"
    imported = {
        line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time:")
    }
    assert "segdrop.service" in imported
    assert {name for name in imported if name.partition(".")[0] in CHILDREN_ALONE} == set()
    assert {name for name in imported if name.startswith(("segdrop.training", "segdrop.modeling"))} == set()


def test_real_daemon_is_small_when_it_is_idle(tmp_path: Path) -> None:
    root = Root(tmp_path / "run")
    with root.daemon(standin=False) as daemon:
        wait_until(lambda: root.status()["daemon"].get("pid") == daemon.pid, "the first board")
        assert daemon.rss_bytes() < MAX_RSS_BYTES
        assert mapped_libraries(daemon) == set()
        assert len(list(Path(f"/proc/{daemon.pid}/fd").iterdir())) < 32
        assert daemon.stop() == 0
