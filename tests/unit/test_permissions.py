"""What the modes of a root come to, whoever made it; tests/faults/test_access.py tries them as other users."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from segdrop.spool import mending, permissions, root
from segdrop.spool.layout import RootLayout


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(layout: RootLayout) -> dict[str, str]:
    found = {folder.name: f"{stat.S_IMODE(folder.stat().st_mode):04o}" for folder in layout.folders}
    return {"root": f"{stat.S_IMODE(layout.root.stat().st_mode):04o}"} | found


def opened(layout: RootLayout) -> list[tuple[str, str]]:
    """Open the root; every event that it logged: its name and the path below the root."""
    with capture_logs() as logged:
        root.open_root(layout, require_sentinel=False)
    return [(event["event"], os.path.relpath(event["path"], layout.root)) for event in logged]


def old_root(folder: Path, mode: int) -> RootLayout:
    """As version 0.1 left it: every folder with the same mode."""
    layout = RootLayout(folder / "root")
    root.create(layout)
    for path in (layout.root, *layout.folders):
        path.chmod(mode)
    return layout


SHARED = {
    "root": "2750",
    "inbox": "3770",
    "work": "0700",
    "outbox": "2750",
    "failed": "2750",
    "done": "0700",
    "models": "0700",
}


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    ("mask", "readable", "closed"), [(0o022, "0755", "0700"), (0o077, "0700", "0700"), (0o027, "0750", "0700")]
)
def test_a_root_of_ones_own_is_as_open_as_the_umask_says_but_for_what_is_the_daemons(
    tmp_path: Path, mask: int, readable: str, closed: str
) -> None:
    os.umask(mask)
    layout = RootLayout(tmp_path / "root")
    assert opened(layout) == []
    people = dict.fromkeys(("root", "inbox", "outbox", "failed"), readable)
    assert modes(layout) == people | {"work": closed, "done": closed, "models": closed}
    assert opened(layout) == [], "a second start finds something to mend"


@pytest.mark.usefixtures("umask")
def test_a_root_whose_umask_lets_the_group_write_is_shared_with_the_group(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    os.umask(0o007)
    layout = RootLayout(tmp_path / "root")
    assert opened(layout) == []
    assert modes(layout) == SHARED


@pytest.mark.usefixtures("umask")
def test_a_new_root_where_no_group_gets_in_is_ones_own_whatever_the_umask(tmp_path: Path) -> None:
    """As `train` makes one, in a temporary folder."""
    os.umask(0o002)
    layout = RootLayout(tmp_path / "root")
    layout.root.mkdir()
    layout.root.chmod(0o700)
    assert opened(layout) == []
    assert modes(layout)["inbox"] == "0755"
    assert permissions.umask(layout, 0o002) == 0o022


@pytest.mark.usefixtures("umask")
def test_no_new_root_is_writable_for_everybody(tmp_path: Path) -> None:
    os.umask(0)
    layout = RootLayout(tmp_path / "root")
    assert opened(layout) == []
    assert [path for path in (layout.root, *layout.root.rglob("*")) if path.stat().st_mode & stat.S_IWOTH] == []


@pytest.mark.usefixtures("umask")
def test_a_root_of_version_01_that_a_group_may_write_is_mended_with_a_line_for_each_change(tmp_path: Path) -> None:
    layout = old_root(tmp_path, 0o2770)
    assert opened(layout) == [
        ("root.mended", name) for name in (".", "inbox", "work", "outbox", "failed", "done", "models")
    ]
    assert modes(layout) == SHARED
    assert opened(layout) == [], "mended again and again"


@pytest.mark.usefixtures("umask")
def test_a_root_of_version_01_of_ones_own_loses_what_others_had_of_the_daemons_folders(tmp_path: Path) -> None:
    layout = old_root(tmp_path, 0o755)
    assert [path for _, path in opened(layout)] == ["work", "done", "models"]
    assert modes(layout)["outbox"] == modes(layout)["inbox"] == "0755"


@pytest.mark.usefixtures("umask")
def test_results_and_records_of_version_01_that_a_group_may_write_are_mended_too(tmp_path: Path) -> None:
    layout = old_root(tmp_path, 0o2770)
    files = [layout.outbox / "a.json", layout.failed / "a" / "error.json", layout.work / "a" / "job.json"]
    files += [layout.models / "own.pth", layout.sentinel]
    for path in files:
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o2770)
        path.write_text("x")
        path.chmod(0o660)
    (layout.outbox / "link.json").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text("x")
    (tmp_path / "elsewhere").chmod(0o666)
    events = opened(layout)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}
    assert {stat.S_IMODE(path.parent.stat().st_mode) & 0o022 for path in files} == {0}
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o666, "a link was followed"
    assert [path for _, path in events].count("outbox/*") == 1, "one line for all files of a folder"
    assert opened(layout) == []


@pytest.mark.usefixtures("umask")
def test_what_somebody_narrowed_is_never_widened(tmp_path: Path) -> None:
    layout = old_root(tmp_path, 0o2770)
    for folder, mode in ((layout.root, 0o710), (layout.inbox, 0o730), (layout.outbox, 0o700), (layout.models, 0o500)):
        folder.chmod(mode)
    root.open_root(layout, require_sentinel=False)
    found = modes(layout)
    assert (found["root"], found["inbox"], found["models"]) == ("0710", "3730", "0500")
    assert int(found["outbox"], 8) & 0o777 == 0o700


@pytest.mark.usefixtures("umask")
def test_an_inbox_that_everybody_may_write_is_left_so_and_told(tmp_path: Path) -> None:
    """Whoever said so meant it: those who drop files there would be shut out by an upgrade."""
    layout = old_root(tmp_path, 0o777)
    events = opened(layout)
    assert ("root.not_mended", "inbox") in events
    found = modes(layout)
    assert (found["inbox"], found["outbox"], found["root"]) == ("1777", "0755", "0755")
    assert (found["work"], found["done"], found["models"]) == ("0700", "0700", "0700")


@pytest.mark.usefixtures("umask")
def test_a_filesystem_that_keeps_no_modes_is_told_of_once_and_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = old_root(tmp_path, 0o777)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)  # as vfat and CIFS do
    assert opened(layout) == [("root.not_mended", ".")]


@pytest.mark.usefixtures("umask")
def test_a_refusal_is_told_with_the_command_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = old_root(tmp_path, 0o2770)
    (layout.failed / "a").mkdir()
    (layout.failed / "a").chmod(0o2770)
    real = os.fchmod

    def without_setgid(descriptor: int, mode: int) -> None:
        """As the unit's RestrictSUIDSGID= does."""
        if mode & (stat.S_ISGID | stat.S_ISUID):
            raise PermissionError(1, "Operation not permitted")
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", without_setgid)
    with capture_logs() as logged:
        root.open_root(layout, require_sentinel=False)
    (refused,) = [event for event in logged if event["event"] == "root.not_mended" and event["path"].endswith("inbox")]
    assert refused["command"] == f"chmod 03770 {layout.inbox}"
    assert modes(layout)["inbox"] == "2770", "files that are dropped would no longer be for the group"
    assert modes(layout)["outbox"] == "0750", "what can be taken away is"
    assert stat.S_IMODE((layout.failed / "a").stat().st_mode) == 0o750
    assert modes(layout)["work"] == "0700"
    assert [path for event, path in opened(layout) if event == "root.mended"] == []


@pytest.mark.usefixtures("umask")
@pytest.mark.skipif(os.geteuid() != 0, reason="what root does")
def test_root_changes_nothing_that_a_link_leads_to(tmp_path: Path) -> None:
    """Folders of a root belong to the daemon's user, who could put a link in the place of one."""
    layout = old_root(tmp_path, 0o755)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    layout.models.rmdir()
    layout.models.symlink_to(elsewhere)
    assert ("root.not_mended", "models") in opened(layout)
    with pytest.raises(OSError, match="symbolic link"):
        mending.share(layout, mending.Owners(61000, 61000, 61010))
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755
    assert elsewhere.stat().st_uid == 0


@pytest.mark.usefixtures("umask")
@pytest.mark.skipif(os.geteuid() != 0, reason="files are given away")
def test_sharing_a_root_gives_people_what_is_in_it_already_and_the_daemon_all_of_it(tmp_path: Path) -> None:
    """A daemon that ran as another user, for nobody else, left results, explanations and a job at work."""
    os.umask(0o077)
    layout = RootLayout(tmp_path / "root")
    root.create(layout)
    files = {folder: folder / "a" / "file" for folder in (layout.work, layout.outbox, layout.failed, layout.done)}
    for path in files.values():
        path.parent.mkdir()
        path.touch()
    owners = mending.Owners(61000, 61000, 61010)
    assert mending.share(layout, owners).changes
    for folder, path in files.items():
        people = folder != layout.done
        for entry, mode in ((path, 0o640 if people else 0o600), (path.parent, 0o2750 if people else 0o700)):
            status = entry.stat()
            expected = (61000, 61010 if people else 61000, mode)
            assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == expected, entry
    assert mending.share(layout, owners).changes == []
    mended = mending.mend(layout)
    assert (mended.changes, [left.path for left in mended.refused]) == ([], [layout.inbox]), (
        "61000 is not in group 61010"
    )


@pytest.mark.usefixtures("umask")
def test_a_probe_is_not_led_away_by_what_people_put_into_its_place(tmp_path: Path) -> None:
    layout = RootLayout(tmp_path / "root")
    root.create(layout)
    result = layout.outbox / "result.zip"
    result.write_text("a result")
    (layout.inbox / ".segdrop-probe").symlink_to(result)
    root.open_root(layout, require_sentinel=False)
    assert result.read_text() == "a result"
    os.mkfifo(layout.inbox / ".segdrop-probe")
    root.open_root(layout, require_sentinel=False)
    (layout.inbox / ".segdrop-probe" / "full").mkdir(parents=True)
    root.open_root(layout, require_sentinel=False)
    assert [path.name for path in layout.inbox.iterdir()] == [".segdrop-probe"]


@pytest.mark.usefixtures("umask")
def test_what_is_made_in_a_shared_root_is_for_its_group_to_read_whatever_umask_the_daemon_was_given(
    tmp_path: Path,
) -> None:
    layout = old_root(tmp_path, 0o2770)
    assert permissions.umask(layout, 0o077) == 0o027
    layout.inbox.chmod(0o755)
    assert permissions.umask(layout, 0o077) == 0o077
    assert permissions.umask(layout, 0o000) == 0o022
