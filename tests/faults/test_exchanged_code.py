"""The program's files are exchanged, or damaged, under a daemon that runs: its children are of another version then, or
cannot start. No ZIP is rejected and no job fails for it, and all goes on once the installation is whole.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from builders import write_dataset
from builders.daemons import Daemon, Root, wait_until
from builders.installation import Installation
from builders.outbox_reader import OutboxReader

pytestmark = pytest.mark.faults

VERSION_0_1 = "9788df1"
NAMES = ("training.zip", "queued.zip", "fresh.zip")


class Site:
    """One job in training, one queued behind it; a third comes after the exchange."""

    def __init__(self, folder: Path) -> None:
        self.root = Root(folder / "run")
        self.installation = Installation(folder / "installation", self.root)
        self.reader = OutboxReader(self.root.layout)
        self.source = write_dataset(folder / "source.zip")
        self.inputs: dict[str, bytes] = {}
        self.root.plan(training={"epochs": 2, "hold": 1})

    def drop(self, name: str) -> None:
        self.inputs[name] = self.root.drop(self.source, name).read_bytes()

    def begin(self) -> None:
        self.drop(NAMES[0])
        wait_until(self.root.starts, "the training")
        self.drop(NAMES[1])
        wait_until(lambda: self.root.states().get(NAMES[1]) in ("queued", "checked"), "the other is queued")

    def go_on(self) -> None:
        """After the exchange: each stage of the three jobs is due."""
        self.drop(NAMES[2])
        self.root.flag("release")

    def answered(self) -> bool:
        self.reader.look()
        return len(self.reader.answers) == len(NAMES)

    def paused_or_answered(self, daemon: Daemon) -> bool:
        return self.answered() or bool(daemon.events("queue.paused"))

    def expect_all_succeed(self) -> None:
        wait_until(self.answered, "all answers")
        for answer in self.reader.answers.values():
            self.root.archived(answer)
            assert answer["status"] == "succeeded", answer["issues"]

    def statuses(self) -> set[str]:
        return {answer["status"] for answer in self.reader.answers.values()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_this_version_put_in_place_under_a_daemon_of_version_0_1_costs_no_job(site: Site) -> None:
    """It does not know how the children of this version tell that they could not begin: they tell it in its way."""
    site.installation.put_commit(VERSION_0_1)
    with site.root.daemon() as daemon:
        site.begin()
        site.installation.put_this_version()
        site.go_on()
        wait_until(lambda: site.paused_or_answered(daemon), "a pause, or the answers")
        assert site.statuses() <= {"succeeded"}
        assert daemon.stop() == 0
    with site.root.daemon() as daemon:
        site.expect_all_succeed()
        assert daemon.stop() == 0
    assert site.reader.audit(site.inputs, {}) == []


def _rename_a_field(package: Path) -> None:
    """Of every spec that has it: as a newer version's specs, which this daemon does not write."""
    path = package / "spec.py"
    text = path.read_text()
    assert "defaults: dict" in text
    path.write_text(text.replace("defaults: dict", "preset_values: dict"))


def _lose_a_module(package: Path) -> None:
    (package / "dataset" / "archive" / "source.py").unlink()


def _truncate_a_module(package: Path) -> None:
    """Its copy was cut off."""
    path = package / "errors.py"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"(")


def _lose_nearly_all(package: Path) -> None:
    """An upgrade that is just being copied. (Without any file, Python would find the tests' own package.)"""
    for path in list(package.rglob("*.py")):
        if path != package / "__init__.py":
            path.unlink()


@pytest.mark.parametrize(
    "damage",
    [_rename_a_field, _lose_a_module, _truncate_a_module, _lose_nearly_all],
    ids=["other specs", "a module is missing", "half a module", "hardly any module"],
)
def test_installation_that_is_damaged_for_a_while_delays_all_jobs_and_is_held_against_none(
    site: Site, damage: Callable[[Path], None]
) -> None:
    site.root.configure(training__max_attempts=1)
    site.installation.put_this_version()
    with site.root.daemon() as daemon:
        site.begin()
        damage(site.installation.package)
        site.go_on()
        wait_until(lambda: site.paused_or_answered(daemon), "a pause")
        assert daemon.events("queue.paused"), site.reader.answers
        wait_until(lambda: "nstallation" in site.root.status()["daemon"]["reason"], "the board names the installation")
        assert site.statuses() <= {"succeeded"}
        site.installation.put_this_version()
        site.expect_all_succeed()
        assert daemon.stop() == 0
    assert site.reader.audit(site.inputs, {}) == []
