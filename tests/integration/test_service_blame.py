"""Whose fault is it? What is wrong with one job's folder, with one child, with our installation or with the environment
is told apart, and costs nobody else anything.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builders import write_dataset
from builders.archives import members, write_stored
from builders.daemons import Root, wait_until
from segdrop.codes import Code
from segdrop.errors import Issue
from segdrop.execution.local import LocalRunner
from segdrop.intake import claim, settle
from segdrop.intake.inbox import Arrival
from segdrop.settings import Settings
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.spool.results import Results
from segdrop.spool.store import Store
from segdrop.stages import conclude
from segdrop.stages.stage import Context, Modules

#: an ordinary user's rights, whoever runs the tests
ORDINARY = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "run", training__max_attempts=1, limits__quick_check_seconds=15.0)


def queued(root: Root, source: Path, name: str) -> Path:
    """The folder of a job that is checked and waits for its training; the daemon is not running any more."""
    pause = root.layout.inbox / "PAUSE"
    pause.touch()
    root.drop(source, name)
    with root.daemon() as daemon:
        wait_until(lambda: root.states().get(name) == "checked", f"{name} queued")
        assert daemon.stop() == 0
    pause.unlink()
    (folder,) = (manifest.parent for manifest in root.layout.work.glob("*/job.json"))
    return folder


def set_aside(root: Root, folder: Path) -> dict[str, Any]:
    """What ``failed/`` says of a job's folder, once it is there."""
    path = root.layout.failed / folder.name / "error.json"
    wait_until(path.exists, "set aside")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


# a job's folder


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def damage(path: Path) -> None:
    path.write_bytes(b'{"half')


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("dataset.json", remove),
        ("dataset.json", damage),
        ("dataset.json", lambda path: (path.unlink(), path.mkdir())),
        ("job.json", damage),
        ("job.json", remove),
        ("training.spec.json", lambda path: path.mkdir()),
        ("job.log", lambda path: (path.unlink(), path.mkdir())),
    ],
)
def test_job_whose_folder_has_lost_a_file_is_set_aside_loudly_and_the_others_go_on(
    root: Root, good: Path, name: str, harm: Callable[[Path], object]
) -> None:
    folder = queued(root, good, "broken.zip")
    content = (folder / "input.zip").read_bytes()
    harm(folder / name)
    root.drop(good, "other.zip")
    with root.daemon() as daemon:
        assert root.answer("other.zip")["status"] == "succeeded"
        assert set_aside(root, folder)["code"] == "spool.corrupt"
        assert [event["level"] for event in daemon.events("spool.corrupt")] == ["critical"]
        assert daemon.events("queue.paused") == []
        assert daemon.stop() == 0
    assert (root.layout.failed / folder.name / "input.zip").read_bytes() == content
    assert root.states() == {}


@pytest.mark.parametrize("name", ["cache", "cache/images.u8"])
def test_decoded_images_that_are_gone_are_no_defect_of_the_training(root: Root, good: Path, name: str) -> None:
    folder = queued(root, good, "broken.zip")
    remove(folder / name)
    with root.daemon(standin=False) as daemon:
        assert set_aside(root, folder)["code"] == "spool.corrupt"
        assert daemon.events("child.crashed") == []
        assert daemon.stop() == 0


def test_folder_of_a_job_that_disappears_ends_that_job_alone(root: Root, good: Path) -> None:
    root.plan(gone={"hold": 0})
    with root.daemon() as daemon:
        root.drop(good, "gone.zip")
        wait_until(root.starts, "the training")
        shutil.rmtree(next(root.layout.work.glob("gone-*")))
        root.drop(good, "other.zip")
        root.flag("release")
        assert root.answer("other.zip")["status"] == "succeeded"
        assert daemon.wait_for("spool.corrupt")["level"] == "critical"
        assert daemon.stop() == 0
    assert "gone.zip" not in root.answers()


def delivered(root: Root, published: bytes, public: dict[str, Any] | None) -> Job:
    """A job whose answer is out and whose input is still to be put away; with this copy of the answer."""
    store = Store(root.layout)
    for folder in root.layout.folders:
        folder.mkdir(exist_ok=True)
    template: dict[str, Any] = {
        "id": "a-20261121T061500Z-0001",
        "state": JobState.DELIVERED,
        "outcome": Outcome.SUCCEEDED,
        "input_name": "a.zip",
        "sidecar_name": None,
        "identity": {"device": 1, "inode": 2, "size": 3, "mtime_ns": 4},
        "priority": 0,
        "arrival_ns": 5,
        "claimed_at": 6.0,
    }
    job = Job(**template)
    store.files(job).folder.mkdir()
    store.files(job).manifest.write_text(job.model_dump_json())
    store.files(job).input.write_bytes(b"input")
    store.files(job).published.write_bytes(published)
    if public is not None:
        root.layout.published_json(job.id).write_text(json.dumps(public))
    return job


@pytest.mark.parametrize("published", [b"", b"{", b"[]", b"{}", b"\xff\xfe"])
@pytest.mark.parametrize("is_public", [True, False])
def test_damaged_copy_of_an_answer_ends_no_daemon(root: Root, good: Path, published: bytes, *, is_public: bool) -> None:
    answer = {"job": "a", "input": {"name": "a.zip"}, "metrics": None, "result": None, "issues": [], "timing": {}}
    job = delivered(root, published, answer if is_public else None)
    root.drop(good)
    with root.daemon() as daemon:
        assert root.answer("good.zip")["status"] == "succeeded"
        parent, name = (root.layout.done, "a.zip") if is_public else (root.layout.failed, "input.zip")
        wait_until((parent / job.id / name).exists, "the input is put away")
        assert daemon.stop() == 0
    assert (parent / job.id / name).read_bytes() == b"input"


# what is not ours in work/


def test_what_is_not_ours_in_work_is_left_alone(root: Root, good: Path) -> None:
    root.layout.work.mkdir()
    for name in ("@eaDir", ".AppleDouble", "#recycle", "lost+found", ".Trash-1000"):
        (root.layout.work / name).mkdir()
        (root.layout.work / name / "SYNO").write_text("theirs")
    (root.layout.work / "notes.txt").write_text("theirs")
    before = sorted(path.relative_to(root.layout.work) for path in root.layout.work.rglob("*"))
    root.drop(good)
    with root.daemon() as daemon:
        assert root.answer("good.zip")["status"] == "succeeded"
        assert daemon.events("spool.corrupt") == []
        (event,) = daemon.events("work.foreign")
        assert event["count"] == 6
        assert daemon.stop() == 0
    after = {path.relative_to(root.layout.work) for path in root.layout.work.rglob("*")}
    assert after >= set(before)
    assert list(root.layout.failed.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
@pytest.mark.parametrize(
    "name", ["@eaDir", ".AppleDouble", "x-20261126T000000Z-0000", ".x-20261126T000000Z-0000.removed"]
)
def test_folder_of_another_user_in_work_keeps_nobody_from_starting(root: Root, good: Path, name: str) -> None:
    foreign = root.layout.work / name
    foreign.mkdir(parents=True)
    (foreign / "x").touch()
    foreign.chmod(0o700)
    os.chown(foreign, 65534, 65534)
    root.drop(good)
    with root.daemon(prefix=ORDINARY) as daemon:
        assert root.answer("good.zip")["status"] == "succeeded"
        assert daemon.stop() == 0
    assert (foreign / "x").exists()


# the environment, as children meet it


@pytest.mark.parametrize(
    "number",
    [errno.EIO, errno.ESTALE, errno.EHOSTDOWN, errno.ENFILE],
)
def test_lost_share_in_training_pauses_and_is_held_against_nobody(root: Root, good: Path, number: int) -> None:
    root.plan(good={"ending": "errno", "errno": number, "times": 2})
    root.drop(good)
    with root.daemon() as daemon:
        answer = root.answer("good.zip")
        assert os.strerror(number) in daemon.events("queue.paused")[0]["reason"]
        assert daemon.events("child.crashed") == []
    assert (answer["status"], answer["attempts"]) == ("succeeded", 3)


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EFBIG, 4095])
def test_what_one_job_is_refused_keeps_that_one_waiting_and_the_others_go_first(
    root: Root, good: Path, number: int
) -> None:
    path = str(root.layout.models / "weights.pth")
    root.plan(refused={"ending": "errno", "errno": number, "ending_at": 0, "path": path, "times": 2})
    root.drop(good, "refused.zip")
    with root.daemon() as daemon:
        event = daemon.wait_for("job.waiting")
        assert path in event["reason"]
        assert os.strerror(number) in event["reason"]
        root.drop(good, "other.zip")
        assert root.answer("other.zip")["status"] == "succeeded"
        answer = root.answer("refused.zip")
        assert daemon.events("queue.paused") == []
    assert (answer["status"], answer["attempts"]) == ("succeeded", 3)


def test_board_says_why_a_job_waits_and_no_longer_than_it_does(root: Root, good: Path) -> None:
    """The status is written once a second, and a wait lasts as long here: so there are several to be seen."""
    root.plan(good={"ending": "errno", "errno": errno.EBUSY, "ending_at": 0, "times": 6, "hold": 1, "epochs": 2})
    root.drop(good)
    with root.daemon():
        wait_until(lambda: "busy" in str(root.status()["jobs"]), "the reason on the board")
        wait_until(lambda: len(root.starts()) == 7, "the last start")
        wait_until(lambda: "busy" not in str(root.status()["jobs"]), "it has gone on")
        root.flag("release")
        assert root.answer("good.zip")["status"] == "succeeded"


def test_defect_is_still_a_defect(root: Root, good: Path) -> None:
    root.plan(good={"ending": "errno", "errno": errno.EINVAL})
    root.drop(good)
    with root.daemon():
        answer = root.answer("good.zip")
    assert answer["status"] == "failed"
    assert "internal.error" in [issue["code"] for issue in answer["issues"]]


def test_file_size_limit_is_named_and_is_no_defect(root: Root, good: Path) -> None:
    """The result's model does not fit below ``ulimit -f``; the daemon's own files do."""
    root.plan(good={"size": None})
    root.drop(good)
    with root.daemon(prefix=("prlimit", "--fsize=200000:unlimited")) as daemon:
        assert "ulimit -f" in daemon.wait_for("job.waiting")["reason"]
        subprocess.run(["prlimit", "--pid", str(daemon.pid), "--fsize=unlimited"], check=True)
        answer = root.answer("good.zip")
        assert daemon.events("child.crashed") == []
    assert answer["status"] == "succeeded"


# our installation


def break_package(root: Root, name: str, text: str = "raise ImportError('it is not installed')") -> Path:
    """Put a package of this name before the real one, for every process that is started from now on."""
    package = root.control / "shadow" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(text)
    return package


class Broken(Root):
    """Its processes look for packages in a folder that a test may fill."""

    def environment(self) -> dict[str, str]:
        found = super().environment()
        return found | {"PYTHONPATH": f"{self.control / 'shadow'}{os.pathsep}{found['PYTHONPATH']}"}


class Whole(Root):
    """The same root, for a command that has all of its modules."""

    def __init__(self, other: Root) -> None:
        self.__dict__ = other.__dict__


@pytest.mark.parametrize(
    ("package", "stage"),
    [("pydantic", "quick check"), ("numpy", "check"), ("PIL", "check"), ("structlog", "quick check")],
)
def test_missing_module_rejects_nothing_and_is_called_by_its_name(
    tmp_path: Path, good: Path, package: str, stage: str
) -> None:
    root = Broken(tmp_path / "run", training__max_attempts=1)
    with root.daemon() as daemon:
        broken = break_package(root, package)
        root.drop(good)
        event = daemon.wait_for("queue.paused", code="installation")
        assert stage in event["reason"]
        assert "not installed" in event["reason"]
        wait_until(lambda: root.status()["daemon"].get("state") == "paused", "paused, by the status")
        health = Whole(root).command("health")
        assert (health.returncode, "installation" in health.stdout + health.stderr) == (75, True)
        assert root.answers() == {}
        shutil.rmtree(broken)
        answer = root.answer("good.zip")
        assert daemon.wait_for("queue.resumed")
        assert len(daemon.events("queue.paused")) == 1  # however often it was tried
    assert answer["status"] == "succeeded"


def test_training_that_cannot_begin_is_no_attempt(tmp_path: Path, good: Path) -> None:
    """The real one, without torch; then the stand-in goes on."""
    root = Broken(tmp_path / "run", training__max_attempts=1)
    break_package(root, "torch")
    root.drop(good)
    with root.daemon(standin=False) as daemon:
        event = daemon.wait_for("queue.paused", code="installation")
        assert "training" in event["reason"]
        assert daemon.stop() == 0
    assert root.answers() == {}
    shutil.rmtree(root.control / "shadow")
    with root.daemon():
        answer = root.answer("good.zip")
    assert answer["status"] == "succeeded"


def test_order_of_another_version_is_nobodys_fault_but_ours(tmp_path: Path, good: Path) -> None:
    """As when the code is exchanged under a running daemon: its children do not understand what they are told."""
    root = Broken(tmp_path / "run", training__max_attempts=1)
    with root.daemon() as daemon:
        real = Path(sys.modules["segdrop"].__path__[0])
        newer = root.control / "shadow" / "segdrop"
        shutil.copytree(real, newer, ignore=shutil.ignore_patterns("__pycache__"))
        spec = newer / "spec.py"
        spec.write_text(
            spec.read_text().replace("class CheckSpec(Spec):", "class CheckSpec(Spec):\n    brand_new: int")
        )
        root.drop(good)
        reason = daemon.wait_for("queue.paused", code="installation")["reason"]
        assert "brand_new" in reason
        assert "estart the daemon" in reason
        assert root.answers() == {}
        shutil.rmtree(newer)
        assert root.answer("good.zip")["status"] == "succeeded"


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may raise every limit")
@pytest.mark.parametrize("limit", ["--as=3500000000", "--cpu=3600"])
def test_lower_hard_limit_is_taken(root: Root, good: Path, limit: str) -> None:
    root.drop(good)
    with root.daemon(prefix=("prlimit", limit, *ORDINARY) if os.geteuid() == 0 else ("prlimit", limit)) as daemon:
        answer = root.answer("good.zip")
        assert daemon.events("queue.paused") == []
        check = root.command("check", good)
    assert answer["status"] == "succeeded"
    assert check.returncode == 0, check.stderr


def test_limit_within_which_no_check_can_begin_rejects_nothing(tmp_path: Path, good: Path) -> None:
    """Enough for names, and not for numpy."""
    root = Root(tmp_path / "run", limits__check_memory_bytes=130 << 20)
    root.drop(good)
    with root.daemon() as daemon:
        event = daemon.wait_for("queue.paused", code="installation")
        assert "check" in event["reason"]
        assert root.answers() == {}


# what is slow


def test_zip_that_takes_the_quick_check_too_long_waits_for_the_full_one_and_the_others_go_on(
    tmp_path: Path, good: Path
) -> None:
    root = Root(tmp_path / "run", limits__quick_check_seconds=1.0)
    hold = root.flag("hold-inspect")
    root.drop(good, "slow.zip")
    with root.daemon() as daemon:
        assert daemon.wait_for("file.slow")["file"] == "slow.zip"
        hold.unlink()
        (root.layout.inbox / "bad.zip").write_bytes(b"no ZIP at all")
        root.drop(good, "other.zip")
        assert root.answer("bad.zip")["status"] == "rejected"
        assert root.answer("other.zip")["status"] == "succeeded"
        assert root.answer("slow.zip")["status"] == "succeeded"


def test_check_that_takes_long_keeps_no_other_check_waiting(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", limits__quick_check_seconds=2.0)
    hold = root.flag("hold-check")
    with root.daemon() as daemon:
        root.drop(good, "long.zip")
        wait_until((root.control / "held-check").exists, "the check")
        (root.control / "held-check").unlink()
        root.drop(good, "other.zip")
        wait_until(lambda: len(daemon.children()) == 2, "a second check beside it")
        hold.unlink()
        assert root.answer("other.zip")["status"] == "succeeded"
        assert root.answer("long.zip")["status"] == "succeeded"


def test_check_that_takes_too_long_has_a_code_of_its_own(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", limits__check_seconds=1.0)
    root.flag("hold-check")
    root.drop(good)
    with root.daemon():
        answer = root.answer("good.zip")
    assert answer["status"] == "rejected"
    assert "check.too_long" in [issue["code"] for issue in answer["issues"]]


def test_check_without_memory_has_a_code_of_its_own(tmp_path: Path, good: Path) -> None:
    """The limit is enough to begin with, and not for images that bring many bytes behind their ends."""
    behind = os.urandom(300 << 20)
    pairs = {name: png + behind if name.startswith("images/") else png for name, png in members(2).items()}
    big = write_stored(tmp_path / "big.zip", pairs.items())
    root = Root(tmp_path / "run", limits__check_memory_bytes=500 << 20)
    root.drop(big)
    with root.daemon():
        answer = root.answer("big.zip")
    assert answer["status"] == "rejected"
    assert "check.out_of_memory" in [issue["code"] for issue in answer["issues"]]
    assert good.exists()


# a verdict on what was not whole


def test_verdict_on_an_input_that_has_changed_since_is_void(root: Root, good: Path) -> None:
    """A writer still had it open: what was judged is not what it wants to be judged."""
    layout = root.layout
    for folder in layout.folders:
        folder.mkdir(exist_ok=True)
    store, whole = Store(layout), good.read_bytes()
    (layout.inbox / "good.zip").write_bytes(whole[:-100])
    status = (layout.inbox / "good.zip").stat()
    arrival = Arrival("good.zip", None, settle.observe(None, stamp_of(status), None, 0.0))
    job = claim.claim(store, arrival, 0, datetime.now(UTC))
    assert job is not None
    context = Context(Settings(root=layout.root), store, Results(layout), LocalRunner(), Modules())
    job = conclude.reject(context, job, [Issue.of(Code.ARCHIVE_TRUNCATED, "half of it")], datetime.now(UTC))
    assert job.state is JobState.CONCLUDED
    store.files(job).input.write_bytes(whole)  # through the name that it has now: as good as a descriptor
    job = conclude.deliver(context, job)
    assert job.state is JobState.CLAIMED
    assert not layout.published_json(job.id).exists()
    with root.daemon():
        assert root.answer("good.zip")["status"] == "succeeded"


def stamp_of(status: os.stat_result) -> settle.Stamp:
    return settle.stamp_of(status)


@pytest.mark.parametrize(("batch_size", "starts"), [(1, 1), (2, 1), (3, 2), (8, 2)])
def test_batch_is_halved_only_where_that_saves_memory(root: Root, good: Path, batch_size: int, starts: int) -> None:
    root.plan(good={"ending": "no_memory", "ending_at": 0})
    root.drop(good, request={"batch_size": batch_size})
    with root.daemon():
        answer = root.answer("good.zip")
    assert (answer["status"], len(root.starts())) == ("failed", starts)
    (issue,) = [issue for issue in answer["issues"] if issue["code"] == "train.out_of_memory"]
    assert f"batch of {max(2, batch_size // starts)} images" in issue["message"]


def test_once_does_not_wait_for_a_job_that_is_refused_something(root: Root, good: Path) -> None:
    root.plan(refused={"ending": "errno", "errno": errno.EBUSY, "ending_at": 0, "times": 1})
    root.drop(good, "refused.zip")
    with root.daemon(command="once") as daemon:
        assert daemon.process.wait(60) == 75
        (left,) = daemon.events("job.left")
    assert "resource busy" in left["reason"]
    assert root.command("once").returncode == 0
