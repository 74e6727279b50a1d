"""The unit beside the code it starts, and what ``make install`` lays out. tests/faults/test_systemd.py runs it."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from builders.requirements import require_program
from segdrop import settings
from segdrop.errors import Exit

REPOSITORY = Path(__file__).parents[2]
UNIT = REPOSITORY / "systemd" / "segdrop.service"
LINES = UNIT.read_text(encoding="utf-8").splitlines()


def values(key: str) -> list[str]:
    return [line.partition("=")[2] for line in LINES if line.startswith(f"{key}=")]


def environment() -> dict[str, str]:
    return dict(value.partition("=")[::2] for value in values("Environment"))


def make(*arguments: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=REPOSITORY,
        env=inherited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Folders that any machine has, with files of others in them."""
    for name in ("etc/other", "usr/local/bin", "usr/local/lib/python3", "opt", "srv"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "usr/local/bin/other").touch()
    return tmp_path


def test_every_line_of_the_unit_is_explained_above_it() -> None:
    unexplained = [
        line
        for above, line in zip(["", *LINES], LINES, strict=False)
        if re.match(r"\w+=", line) and not above.startswith("#")
    ]
    assert unexplained == []


def test_exposure_of_the_unit_is_one_at_most() -> None:
    require_program("systemd-analyze")
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=10", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    overall = re.search(r"Overall exposure level for segdrop\.service: ([\d.]+)", done.stdout)
    assert overall, done.stderr
    assert float(overall[1]) <= 1.0
    assert done.returncode == 0


def test_the_unit_and_the_settings_agree(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").touch()
    variables = environment() | {settings.CONFIG_VARIABLE: str(tmp_path / "empty.toml")}
    loaded = settings.load(environ=variables)
    assert loaded.service.require_sentinel
    assert values("ReadWritePaths") == values("RequiresMountsFor") == [str(loaded.root)]
    assert float(values("TimeoutStopSec")[0]) > loaded.service.stop_seconds
    assert int(values("Nice")[0]) < loaded.training.nice, "checks are to be answered while a training runs"
    assert values("RestartPreventExitStatus") == [str(int(Exit.CONFIG))]


def test_renames_stay_within_one_mount() -> None:
    assert len(values("ReadWritePaths")) == 1
    assert len(values("ReadWritePaths")[0].split()) == 1
    assert not values("StateDirectory")
    assert not values("BindPaths")


def test_nothing_is_made_below_a_mount_point() -> None:
    text = (REPOSITORY / "systemd" / "segdrop.tmpfiles.conf").read_text(encoding="utf-8")
    made = [line.split()[1] for line in text.splitlines() if line and not line.startswith("#")]
    assert made == ["/etc/segdrop"]


@pytest.mark.parametrize("prefix", ["/usr/local", "/usr"])
def test_uninstall_leaves_nothing_of_what_install_laid_out(machine: Path, prefix: str) -> None:
    before = tree(machine) | {prefix.strip("/"), f"{prefix.strip('/')}/lib", f"{prefix.strip('/')}/bin"}
    make("install", f"DESTDIR={machine}", f"PREFIX={prefix}")
    installed = {name for name in tree(machine) - before if not (machine / name).is_dir()}
    base = prefix.strip("/")
    assert installed == {
        f"{base}/bin/segdrop",
        f"{base}/lib/systemd/system/segdrop.service",
        f"{base}/lib/sysusers.d/segdrop.conf",
        f"{base}/lib/tmpfiles.d/segdrop.conf",
        "etc/segdrop/segdrop.toml",
        "etc/segdrop/segdrop.env",
    }
    assert f"{(machine / base / 'bin' / 'segdrop').readlink()} run" == values("ExecStart")[0]
    assert values("EnvironmentFile") == ["-/etc/segdrop/segdrop.env"]
    make("uninstall", f"DESTDIR={machine}", f"PREFIX={prefix}")
    assert tree(machine) - before == set()
    assert before - tree(machine) == set()


def test_installed_settings_are_the_defaults_with_the_services_root(machine: Path) -> None:
    make("install", f"DESTDIR={machine}")
    loaded = settings.load(machine / "etc" / "segdrop" / "segdrop.toml", environ={})
    assert str(loaded.root) == environment()["SEGDROP_ROOT"]
    assert loaded.model_copy(update={"root": settings.Settings().root}) == settings.Settings()
    lines = (machine / "etc" / "segdrop" / "segdrop.env").read_text().splitlines()
    assert all(line.startswith("#") for line in lines if line), "it changes something before anybody has edited it"


def test_settings_that_the_operator_changed_survive_install_and_uninstall(machine: Path) -> None:
    make("install", f"DESTDIR={machine}")
    changed = machine / "etc" / "segdrop" / "segdrop.toml"
    changed.write_text("[queue]\ncapacity = 1\n")
    make("install", f"DESTDIR={machine}")
    assert "left, because it was changed" in make("uninstall", f"DESTDIR={machine}")
    assert changed.read_text() == "[queue]\ncapacity = 1\n"
    assert {path.name for path in changed.parent.iterdir()} == {"segdrop.toml"}


def test_people_get_a_group_of_their_own_which_the_services_user_joins(machine: Path) -> None:
    declared = machine / "usr/local/lib/sysusers.d/segdrop-people.conf"
    make("install", f"DESTDIR={machine}", "PEOPLE=segdrop-users")
    assert declared.read_text() == "g segdrop-users -\nm segdrop segdrop-users\n"
    make("install", f"DESTDIR={machine}")
    assert declared.exists(), "an upgrade that names no group changes none"
    make("install", f"DESTDIR={machine}", "PEOPLE=segdrop")
    assert not declared.exists()
    make("install", f"DESTDIR={machine}", "PEOPLE=segdrop-users")
    make("uninstall", f"DESTDIR={machine}")
    assert not declared.exists()


def test_only_root_reads_what_may_come_to_hold_secrets(machine: Path) -> None:
    make("install", f"DESTDIR={machine}")
    modes = {path.name: f"{path.stat().st_mode & 0o777:o}" for path in (machine / "etc" / "segdrop").iterdir()}
    assert modes == {"segdrop.toml": "644", "segdrop.env": "600"}


def test_what_the_daemon_makes_is_for_its_group_to_read_and_not_to_write() -> None:
    assert values("UMask") == ["0027"]
