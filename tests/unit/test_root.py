import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.spool import fresh_root
from segdrop import durable
from segdrop.errors import ConfigError, Exit, UnavailableError
from segdrop.spool import root
from segdrop.spool.layout import RootLayout

_HOLD = """
import sys
from pathlib import Path
from segdrop.spool import root
from segdrop.spool.layout import RootLayout
with root.held(RootLayout(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_root_is_made_and_made_again_without_a_change(tmp_path: Path) -> None:
    layout = RootLayout(tmp_path / "deep" / "root")
    root.open_root(layout, require_sentinel=False)
    folders = {"inbox", "work", "outbox", "failed", "done", "models"}
    assert tree(layout.root) == {*folders, ".segdrop-root"}
    (layout.inbox / "a.zip").write_text("x")
    root.open_root(layout, require_sentinel=True)
    assert tree(layout.root) == {*folders, ".segdrop-root", "inbox/a.zip"}


def test_an_unmounted_share_is_unavailable_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as raised:
        root.open_root(RootLayout(tmp_path), require_sentinel=True)
    assert raised.value.code == "root.unavailable"
    assert raised.value.exit_code == Exit.TRY_LATER
    assert tree(tmp_path) == set()


def test_a_root_that_is_unmounted_later_is_unavailable(tmp_path: Path) -> None:
    layout = fresh_root(tmp_path)
    root.require(layout, require_sentinel=True)
    layout.sentinel.unlink()
    root.require(layout, require_sentinel=False)
    with pytest.raises(UnavailableError, match="not mounted"):
        root.require(layout, require_sentinel=True)
    layout.inbox.rmdir()
    with pytest.raises(UnavailableError, match="inbox is not there"):
        root.require(layout, require_sentinel=False)


def test_a_root_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnavailableError, match="Not a directory"):
        root.open_root(RootLayout(tmp_path / "file" / "root"), require_sentinel=False)


def test_folders_inside_each_other_are_refused(tmp_path: Path) -> None:
    layout = fresh_root(tmp_path)
    layout.outbox.rmdir()
    (layout.work / "out").mkdir()
    layout.outbox.symlink_to(layout.work / "out")
    with pytest.raises(ConfigError, match="inside another"):
        root.open_root(layout, require_sentinel=False)


def test_two_names_for_one_folder_are_refused(tmp_path: Path) -> None:
    layout = fresh_root(tmp_path)
    layout.done.rmdir()
    layout.done.symlink_to(layout.failed)
    with pytest.raises(ConfigError, match="same as one"):
        root.open_root(layout, require_sentinel=False)


@pytest.fixture
def other_filesystem(tmp_path: Path) -> Iterator[Path]:
    folder = Path("/dev/shm") / f"segdrop-test-{os.getpid()}"
    if not folder.parent.is_dir() or folder.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second filesystem at /dev/shm")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["inbox", "work", "outbox", "failed", "done"])
def test_a_folder_on_another_filesystem_is_found_by_a_real_rename(
    tmp_path: Path, other_filesystem: Path, name: str
) -> None:
    layout = fresh_root(tmp_path)
    (layout.root / name).rmdir()
    (layout.root / name).symlink_to(other_filesystem)
    with pytest.raises(ConfigError, match="not on one filesystem"):
        root.open_root(layout, require_sentinel=False)
    assert not any("probe" in path for path in tree(layout.root)), "the probe is cleaned away"
    assert tree(other_filesystem) <= {".daemon.lock"}


def test_a_failing_probe_is_unavailable_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = fresh_root(tmp_path)

    def refuse(_source: Path, target: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(target))

    monkeypatch.setattr(durable, "move", refuse)
    with pytest.raises(UnavailableError, match="Read-only"):
        root.open_root(layout, require_sentinel=False)
    assert not any("probe" in path for path in tree(layout.root))


def test_what_an_earlier_probe_left_is_no_obstacle(tmp_path: Path) -> None:
    layout = fresh_root(tmp_path)
    for folder in (layout.inbox, layout.work, layout.outbox, layout.failed, layout.done):
        (folder / ".segdrop-probe").touch()
    root.probe(layout)
    assert not any("probe" in path for path in tree(layout.root))


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another daemon, that holds the root."""
    layout = fresh_root(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(layout.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_daemon_is_refused_and_told_who_is_first(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    layout = RootLayout(tmp_path / "root")
    assert root.holder(layout) == holder.pid
    with pytest.raises(UnavailableError, match=f"PID {holder.pid}"), root.held(layout):
        pytest.fail("two daemons on one root")
    assert root.holder(layout) == holder.pid, "the refused one changed nothing"


def test_the_root_is_free_again_when_its_daemon_was_killed(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    layout = RootLayout(tmp_path / "root")
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=30)
    assert root.holder(layout) is None
    with root.held(layout):
        assert layout.daemon_lock.read_text().splitlines()[0] == str(os.getpid())
    assert layout.daemon_lock.read_text() == ""


def test_nobody_holds_a_root_that_was_never_used(tmp_path: Path) -> None:
    assert root.holder(RootLayout(tmp_path / "nowhere")) is None
    assert root.holder(fresh_root(tmp_path)) is None


def test_a_lock_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    layout = fresh_root(tmp_path)
    layout.daemon_lock.mkdir()
    with pytest.raises(UnavailableError, match="directory"), root.held(layout):
        pytest.fail("held without a lock")
