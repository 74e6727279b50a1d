"""The wall clock is set to another year while the daemon works: nothing waits for it, expires by it, or ends by it."""

from pathlib import Path

import pytest

from builders import write_dataset
from builders.daemons import Root, verified_zip, wait_until

pytestmark = pytest.mark.faults

DAYS = [400, -800]


def set_clock(root: Root, days: int) -> None:
    """Ahead of the right time, for the daemon (``builders.driver``)."""
    temporary = root.control / "clock.tmp"
    temporary.write_text(str(days * 86_400))
    temporary.replace(root.control / "clock")


@pytest.mark.parametrize("days", DAYS)
def test_jump_of_the_wall_clock_changes_nothing_but_the_dates(tmp_path: Path, days: int) -> None:
    good = write_dataset(tmp_path / "before.zip")
    root = Root(
        tmp_path / "run",
        retention__done_days=30,
        retention__failed_days=30,
        retention__outbox_days=30,
        training__max_attempts=1,
    )
    root.plan(during={"epochs": 2, "hold": 1})
    with root.daemon() as daemon:
        root.drop(good)
        before = root.answer("before.zip")
        root.drop(good, "during.zip")
        daemon.wait_for("epoch.finished", epoch=1)
        root.drop(good, "waiting.zip", request={"priority": -5})
        wait_until(lambda: root.states().get("waiting.zip") == "checked", "another one queued")
        set_clock(root, days)
        year = wait_until(lambda: root.status()["updated_at"][:4] != before["finished_at"][:4], "the clock is seen")
        assert year
        root.drop(good, "urgent.zip", request={"priority": 5})
        wait_until(lambda: root.states().get("urgent.zip") == "checked", "it settles as ever")
        root.flag("release")
        answers = [root.answer(name) for name in ("during.zip", "urgent.zip", "waiting.zip")]
        assert daemon.events("child.killed") + daemon.events("file.expired") + daemon.events("queue.paused") == []
        assert daemon.stop() == 0
    assert [answer["status"] for answer in answers] == ["succeeded"] * 3
    assert [name for name, _, _ in root.starts()] == ["before.zip", "during.zip", "urgent.zip", "waiting.zip"]
    for answer in answers:
        assert min(answer["timing"].values()) >= 0
    verified_zip(root, before)
    assert root.archived(before).exists()


def test_daemon_that_starts_on_another_clock_goes_on_where_it_was(tmp_path: Path) -> None:
    good = write_dataset(tmp_path / "good.zip")
    root = Root(tmp_path / "run")
    root.plan(good={"epochs": 3, "hold": 2})
    root.drop(good)
    for number, days in enumerate(DAYS):
        set_clock(root, days)
        with root.daemon() as daemon:
            wait_until(lambda wanted=number + 1: len(root.starts()) == wanted, "a start of the training")
            daemon.kill()
    root.flag("release")
    set_clock(root, 0)
    with root.daemon():
        answer = root.answer("good.zip")
    assert (answer["status"], answer["attempts"]) == ("succeeded", 3)
    assert min(answer["timing"].values()) >= 0
