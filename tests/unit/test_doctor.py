"""Findings match what is on disk; health tells a dead daemon from a paused one."""

import errno
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from segdrop import settings
from segdrop.cli import doctor
from segdrop.spool import root
from segdrop.spool.layout import RootLayout

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def layout(tmp_path: Path) -> RootLayout:
    layout = RootLayout(tmp_path)
    root.create(layout)
    return layout


def _board(
    layout: RootLayout, *, age_seconds: float = 1, state: str = "running", reason: str = "", fault: str = ""
) -> None:
    board = {
        "updated_at": (_NOW - timedelta(seconds=age_seconds)).isoformat(),
        "daemon": {"state": state, "reason": reason, "fault": fault},
    }
    layout.status.write_text(json.dumps(board))


def test_a_board_that_a_dead_daemon_left_is_not_health(layout: RootLayout) -> None:
    _board(layout)
    assert doctor.health(layout, _NOW).ok is False


@pytest.mark.parametrize(
    ("age_seconds", "state", "reason", "fault", "healthy"),
    [
        (1, "running", "", "", True),
        (1, "paused", "inbox/PAUSE", "", True),
        (1, "paused", "disk.low: 5 bytes are free", "disk.low", False),
        (61, "running", "", "", False),
    ],
)
def test_health_is_a_fresh_board_and_no_fault(
    layout: RootLayout, age_seconds: float, state: str, reason: str, fault: str, healthy: bool
) -> None:
    _board(layout, age_seconds=age_seconds, state=state, reason=reason, fault=fault)
    with root.held(layout):
        assert doctor.health(layout, _NOW).ok is healthy


@pytest.mark.parametrize("content", [None, "", "{}", "[]"])
def test_an_unreadable_board_is_not_health(layout: RootLayout, content: str | None) -> None:
    if content is not None:
        layout.status.write_text(content)
    with root.held(layout):
        assert doctor.health(layout, _NOW).ok is False


def test_a_check_that_is_refused_is_a_finding_and_the_others_go_on(
    layout: RootLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each function of the system that the checks call, closed to us."""
    loaded = settings.load(None, {"root": layout.root}, {})

    def refuse(path: object, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(doctor.shutil, "disk_usage", refuse)
    monkeypatch.setattr(doctor.filesystem, "type_of", refuse)
    findings = {finding.subject: finding for finding in doctor.findings(loaded)}
    for subject in ("root", "filesystem", "space", "weights"):
        assert findings[subject].ok is False
        assert "Permission denied" in findings[subject].detail
    assert "CPUs" in findings


def test_a_root_that_was_never_made_is_found(tmp_path: Path) -> None:
    loaded = settings.load(None, {"root": tmp_path / "absent"}, {})
    findings = {finding.subject: finding.ok for finding in doctor.findings(loaded)}
    assert findings["root"] is False


def test_a_ready_root_passes_every_check(layout: RootLayout) -> None:
    loaded = settings.load(None, {"root": layout.root}, {"SEGDROP_QUEUE__RESERVE_BYTES": "1"})
    findings = {finding.subject: finding.ok for finding in doctor.findings(loaded)}
    assert all(findings[subject] for subject in ("root", "renames", "space"))
    assert not list(layout.inbox.iterdir())


def test_too_little_space_is_found(layout: RootLayout) -> None:
    loaded = settings.load(None, {"root": layout.root}, {"SEGDROP_QUEUE__RESERVE_BYTES": str(10**18)})
    findings = {finding.subject: finding.ok for finding in doctor.findings(loaded)}
    assert findings["space"] is False


def test_large_pages_that_are_switched_off_are_told_with_what_to_do(tmp_path: Path) -> None:
    enabled = tmp_path / "enabled"
    assert doctor.large_pages(enabled).detail == "unknown"
    enabled.write_text("always [madvise] never\n", encoding="ascii")
    assert doctor.large_pages(enabled).detail == "madvise"
    enabled.write_text("always madvise [never]\n", encoding="ascii")
    finding = doctor.large_pages(enabled)
    assert finding.ok is None
    assert f"echo madvise > {enabled}" in finding.detail


def test_each_process_is_tried_and_one_that_cannot_begin_is_no_obstacle_of_the_datas(tmp_path: Path) -> None:
    assert [finding.ok for finding in doctor.processes(settings.Settings())] == [True] * 4
    gone = list(doctor.processes(settings.Settings(), python=str(tmp_path / "python")))
    assert [finding.ok for finding in gone] == [False] * 4
    small = settings.Settings(limits=settings.LimitSettings(check_memory_bytes=130 << 20))
    check, *_ = doctor.processes(small)
    assert (check.ok, "cannot begin" in check.detail) == (False, True)


def test_limits_of_the_shell_are_named_where_they_are_lower_than_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(doctor.resource_limits(settings.Settings())) == []
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _kind: (1000, 1000))
    found = list(doctor.resource_limits(settings.Settings()))
    assert [finding.detail.split(" is ")[0] for finding in found] == ["ulimit -v", "ulimit -t", "ulimit -f"]
    assert [finding.ok for finding in found] == [None, None, False]


# who may do what


def _access(
    layout: RootLayout, *, settings_file: Path | None = None, environment_file: Path | None = None
) -> list[str]:
    """The details of what is not as it should be."""
    findings = list(doctor.access(layout, settings_file, environment_file or layout.root / "absent"))
    assert {finding.subject for finding in findings} == {"access"}
    return [finding.detail for finding in findings if finding.ok is False]


@pytest.fixture
def shared(layout: RootLayout) -> RootLayout:
    layout.root.chmod(0o750)
    layout.inbox.chmod(0o2770)
    root.open_root(layout, require_sentinel=False)
    return layout


def test_a_root_as_it_was_made_has_nothing_wider_than_it_should_be(layout: RootLayout, shared: RootLayout) -> None:
    assert [finding.ok for finding in doctor.access(layout, None, layout.root / "absent")] == [True]
    assert _access(shared) == []


@pytest.mark.parametrize(
    ("name", "mode", "command"),
    [
        ("work", 0o770, "chmod 00700"),
        ("work", 0o750, "chmod 00700"),
        ("done", 0o755, "chmod 00700"),
        ("models", 0o2770, "chmod 00700"),
        ("outbox", 0o2770, "chmod 02750"),
        ("failed", 0o2775, "chmod 02750"),
        ("inbox", 0o2770, "chmod 03770"),
        ("inbox", 0o1770, "chmod 03770"),
        (".", 0o2770, "chmod 02750"),
    ],
)
def test_each_folder_that_is_too_wide_is_told_with_the_command_that_mends_it(
    shared: RootLayout, name: str, mode: int, command: str
) -> None:
    folder = shared.root / name
    folder.chmod(mode)
    (detail,) = _access(shared)
    assert f"{command} {folder}" in detail
    assert subprocess.run(["sh", "-c", detail.rpartition(": ")[2]], check=False).returncode == 0
    assert _access(shared) == [], "the command does not mend it"


@pytest.mark.parametrize("name", ["work", "done", "models"])
def test_folders_of_the_daemon_that_others_may_enter_are_told_in_a_root_of_ones_own(
    layout: RootLayout, name: str
) -> None:
    (layout.root / name).chmod(0o755)
    (detail,) = _access(layout)
    assert f"chmod 00700 {layout.root / name}" in detail


@pytest.mark.parametrize(
    "name",
    [
        ".segdrop-root",
        "metrics.prom",
        "outbox/status.json",
        "outbox/a.zip",
        "failed/a/error.json",
        "work/a",
        "work/a/train.spec.json",
        "models/own.pth",
    ],
)
def test_a_file_that_others_may_write_is_told_with_the_command_that_mends_it(shared: RootLayout, name: str) -> None:
    path = shared.root / name
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if name == "work/a" else path.touch()
    path.parent.chmod(path.parent.stat().st_mode & ~0o022)
    path.chmod(0o666)
    (detail,) = _access(shared)
    assert name in detail
    assert subprocess.run(["sh", "-c", detail.rpartition(": ")[2]], check=False).returncode == 0
    assert _access(shared) == [], "the command does not mend it"


def test_links_are_neither_followed_nor_told(shared: RootLayout, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "elsewhere").chmod(0o666)
    (shared.models / "own.pth").symlink_to(tmp_path / "elsewhere")
    (shared.models / "gone.pth").symlink_to(tmp_path / "gone")
    assert _access(shared) == []


def test_settings_that_others_may_write_and_secrets_that_they_may_read_are_told(layout: RootLayout) -> None:
    toml, env = layout.root / "segdrop.toml", layout.root / "segdrop.env"
    toml.touch(mode=0o644)
    env.touch(mode=0o600)
    env.chmod(0o600)
    assert _access(layout, settings_file=toml, environment_file=env) == []
    toml.chmod(0o664)
    env.chmod(0o644)
    details = _access(layout, settings_file=toml, environment_file=env)
    assert [detail.rpartition(": ")[2] for detail in details] == [f"chmod go-w {toml}", f"chmod 600 {env}"]


def test_what_is_too_narrow_to_work_is_told(shared: RootLayout) -> None:
    shared.outbox.chmod(0o700)
    shared.root.chmod(0o700)
    details = _access(shared)
    assert any("not read results" in detail and str(shared.outbox) in detail for detail in details)
    assert any("may not pass" in detail for detail in details)
    if os.geteuid() == 0:  # who may do everything
        os.chown(shared.work, 61000, os.getegid())
    shared.work.chmod(0o500)
    assert any("the daemon may not use it" in detail for detail in _access(shared))


@pytest.mark.skipif(os.geteuid() != 0, reason="files of another user need root")
def test_weights_and_results_that_their_readers_cannot_read_are_told(shared: RootLayout) -> None:
    for folder in shared.folders:
        os.chown(folder, 61000, os.getegid())
    (shared.models / "own.pth").touch()
    (shared.models / "own.pth").chmod(0o600)
    (shared.outbox / "a.json").touch()
    (shared.outbox / "a.json").chmod(0o600)
    os.chown(shared.outbox / "a.json", 61000, 61000)
    details = _access(shared)
    assert any("models/own.pth" in detail and "the daemon may not read" in detail for detail in details)
    assert any("outbox/a.json" in detail and "people may not read" in detail for detail in details)


def test_many_files_are_told_in_one_line_with_one_command(shared: RootLayout) -> None:
    for number in range(10):
        path = shared.failed / str(number) / "error.json"
        path.parent.mkdir()
        path.touch()
        path.chmod(0o666)
    (detail,) = _access(shared)
    assert ", and 9 more" in detail
    assert subprocess.run(["sh", "-c", detail.rpartition(": ")[2]], check=False).returncode == 0
    assert _access(shared) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="folders of another user need root")
def test_a_daemon_that_is_not_in_the_peoples_group_is_told(shared: RootLayout) -> None:
    """What people drop is for their group to read: 0640, and none of the daemon's."""
    for folder in (shared.root, *shared.folders):
        os.chown(folder, 61000, 61000)
    for folder in (shared.root, shared.inbox, shared.outbox, shared.failed, shared.work):
        os.chown(folder, 61000, 61010)
    for folder, mode in ((shared.work, 0o2700), (shared.outbox, 0o2750), (shared.failed, 0o2750)):
        folder.chmod(mode)
    shared.inbox.chmod(0o3770)
    (detail,) = _access(shared)
    assert detail.endswith("usermod -aG 61010 61000")


@pytest.mark.skipif(os.geteuid() != 0, reason="folders of another user need root")
def test_folders_that_the_daemons_user_may_not_use_are_told(shared: RootLayout) -> None:
    for folder in (shared.root, *shared.folders):
        os.chown(folder, 61000, os.getegid())
    assert _access(shared) == []
    os.chown(shared.models, 0, 61000)
    os.chown(shared.failed, 0, 61000)
    details = [detail for detail in _access(shared) if "the daemon may not use it" in detail]
    assert [detail.rpartition(": ")[2] for detail in details] == [
        f"chown 61000 {folder}" for folder in (shared.failed, shared.models)
    ]


@pytest.mark.parametrize("filesystem", ["vfat", "exfat", "cifs", "ntfs3"])
def test_a_filesystem_without_modes_is_told_instead_of_commands_that_change_nothing(
    layout: RootLayout, monkeypatch: pytest.MonkeyPatch, filesystem: str
) -> None:
    layout.work.chmod(0o777)
    monkeypatch.setattr(doctor.filesystem, "type_of", lambda _: filesystem)
    (finding,) = doctor.access(layout, None, layout.root / "absent")
    assert finding.ok is None
    assert "keeps no modes" in finding.detail
