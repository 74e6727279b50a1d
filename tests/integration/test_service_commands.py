"""The command line as people and scripts use it: output, exit codes, nothing left behind."""

import json
import zipfile
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from builders import broken, write_dataset
from builders.daemons import Root, verified_zip, wait_until
from builders.spool import fresh_root, stored_job
from segdrop import logs
from segdrop.cli import commands
from segdrop.spool.store import Listing, Store


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "run")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    broken.not_a_zip(tmp_path / "text.zip")
    return tmp_path / "text.zip"


def run(root: Root, *arguments: str | Path) -> CompletedProcess[str]:
    result = root.command(*arguments)
    assert "Traceback" not in result.stderr, result.stderr
    return result


# once


def test_once_succeeds_only_if_every_job_did(root: Root, good: Path, text: Path) -> None:
    assert run(root, "once").returncode == 0  # nothing to do is no failure
    root.drop(good)
    assert run(root, "once").returncode == 0
    root.drop(good, "more.zip")
    root.drop(text)
    assert run(root, "once").returncode == 1
    assert {name: answer["status"] for name, answer in root.answers().items()} == {
        "good.zip": "succeeded",
        "more.zip": "succeeded",
        "text.zip": "rejected",
    }
    assert list(root.layout.inbox.iterdir()) == []
    assert root.states() == {}


def test_once_drains_more_than_the_queue_holds(root: Root, good: Path) -> None:
    root.configure(queue__capacity=1)
    for name in ("a.zip", "b.zip", "c.zip"):
        root.drop(good, name)
    assert run(root, "once").returncode == 0
    assert sorted(root.answers()) == ["a.zip", "b.zip", "c.zip"]


def test_once_takes_copying_to_be_over(root: Root, tmp_path: Path) -> None:
    """A cut-off ZIP is answered after the settle time, not after the minutes that a daemon gives it."""
    root.configure(intake__incomplete_seconds=3600.0)
    broken.truncated(tmp_path / "cut.zip")
    root.drop(tmp_path / "cut.zip")
    assert run(root, "once").returncode == 1
    assert root.answers()["cut.zip"]["issues"][0]["code"] == "archive.truncated"


# check


def test_check_of_a_good_zip_shows_what_was_understood(root: Root, good: Path) -> None:
    result = run(root, "check", good)
    assert result.returncode == 0
    assert "ready to train" in result.stdout
    assert "background" in result.stdout
    assert "6" in result.stdout


def test_check_as_json_is_json_alone(root: Root, good: Path) -> None:
    result = run(root, "check", "--json", good)
    report = json.loads(result.stdout)
    assert (result.returncode, report["dataset"]["pairs"], report["understood"]) == (0, 6, None)
    assert "fault" not in [issue["severity"] for issue in report["issues"]]


def test_check_of_a_bad_zip_exits_with_65_and_names_all_that_is_wrong(root: Root, tmp_path: Path) -> None:
    bad = write_dataset(tmp_path / "bad.zip", without=["masks/scene_000.png"], extra={"images/scene_001.png": b"x"})
    bad.with_suffix(".json").write_text('{"levl": 1, "epochs": 0}')
    for arguments in (("check", bad), ("check", "--json", bad)):
        result = run(root, *arguments)
        assert result.returncode == 65
        for code in ("request.unknown_key", "request.invalid_value"):
            assert code in result.stdout
    bad.with_suffix(".json").unlink()
    result = run(root, "check", bad)
    assert result.returncode == 65
    for code in ("pair.missing_mask", "image.unreadable"):
        assert code in result.stdout


def test_check_leaves_nothing_behind_and_takes_no_root(root: Root, good: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert run(root, "check", good).returncode == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_check_of_a_file_that_is_not_there_is_a_usage_error(root: Root, tmp_path: Path) -> None:
    assert run(root, "check", tmp_path / "none.zip").returncode == 2


# train


def test_train_puts_result_and_answer_into_the_folder_and_nothing_else(root: Root, good: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    result = run(root, "train", good, "-o", output, "--set", "level=1", "--set", "seed=9")
    assert result.returncode == 0, result.stderr
    names = sorted(path.suffix for path in output.iterdir())
    assert names == [".json", ".zip"]
    (answer_path,) = output.glob("*.json")
    answer = json.loads(answer_path.read_bytes())
    assert (answer["status"], answer["request"]["level"], answer["request"]["seed"]) == ("succeeded", 1, 9)
    with zipfile.ZipFile(output / answer["result"]["name"]) as archive:
        assert archive.testzip() is None
        assert "model.pth" in archive.namelist()
    assert good.exists()
    assert list(root.layout.inbox.iterdir()) == []


def test_train_on_bad_data_exits_with_65_and_on_a_crash_with_1(
    root: Root, good: Path, text: Path, tmp_path: Path
) -> None:
    result = run(root, "train", text, "-o", tmp_path / "a")
    assert result.returncode == 65
    assert "archive.not_a_zip" in result.stdout
    root.plan(good={"ending": "not_finite"})
    result = run(root, "train", good, "-o", tmp_path / "b")
    assert result.returncode == 1
    assert "train.not_finite" in result.stdout


@pytest.mark.parametrize("name", [".hidden.zip", "~data"])
def test_train_takes_the_named_file_whatever_it_is_called(root: Root, good: Path, tmp_path: Path, name: str) -> None:
    """In an inbox some of these names would be somebody's temporary files; here a person has named them."""
    target = tmp_path / "odd" / name
    target.parent.mkdir()
    good.rename(target)
    result = run(root, "train", target, "-o", tmp_path / "output")
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "output").glob("*.zip"))) == 1


# looking


def test_status_jobs_and_show_follow_a_job(root: Root, good: Path, text: Path) -> None:
    root.plan(good={"hold": 0})
    with root.daemon() as daemon:
        root.drop(good)
        wait_until(root.starts, "the training")
        root.drop(text)
        rejected = root.answer("text.zip")
        root.archived(rejected)
        job = daemon.wait_for("job.started")["job"]
        state = json.loads(run(root, "status", "--json").stdout)
        assert (state["daemon"]["alive"], state["daemon"]["pid"]) == (True, daemon.pid)
        assert [(line["job"], line["state"]) for line in state["jobs"]] == [(job, "running")]
        readable = run(root, "status").stdout
        assert f"PID {daemon.pid}" in readable
        assert job in readable
        assert json.loads(run(root, "show", job, "--json").stdout)["state"] == "running"
        root.flag("release")
        answer = root.answer("good.zip")
        root.archived(answer)
    lines = json.loads(run(root, "jobs", "--json").stdout)
    assert {line["job"]: line["state"] for line in lines} == {job: "succeeded", rejected["job"]: "rejected"}
    assert "archive.not_a_zip" in run(root, "jobs").stdout
    assert json.loads(run(root, "show", job, "--json").stdout) == answer
    assert "mean" in run(root, "show", job).stdout
    assert "not running" in run(root, "status").stdout
    unknown = run(root, "show", job[:-1])
    assert unknown.returncode == 2
    assert f"did you mean {job}?" in unknown.stderr
    verified_zip(root, answer)


@pytest.mark.parametrize("command", ["status", "jobs"])
def test_job_that_ends_between_two_looks_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    layout = fresh_root(tmp_path)
    job = stored_job(Store(layout))
    look = Store.list

    def look_before_the_end(store: Store) -> Listing:
        found = look(store)
        for ended in found.jobs:
            store.remove(ended)
        return found

    monkeypatch.setattr(Store, "list", look_before_the_end)
    monkeypatch.setattr(logs, "configure", lambda *_: None)  # this process's logging is the test run's
    commands.app([command, "--json", "--root", str(layout.root)], standalone_mode=False)
    assert job.id in capsys.readouterr().out


def test_looking_at_a_root_that_is_not_there_is_try_later(root: Root) -> None:
    for command in ("status", "jobs"):
        result = run(root, command, "--root", root.folder / "none")
        assert result.returncode == 75
        assert "segdrop init" in result.stderr


# setting up


def test_init_makes_the_folders_and_says_where_to_copy(root: Root) -> None:
    result = run(root, "init", root.folder / "fresh")
    assert result.returncode == 0
    assert str(root.folder / "fresh" / "inbox") in result.stdout
    made = {path.name for path in (root.folder / "fresh").iterdir()}
    assert made == {"inbox", "work", "outbox", "failed", "done", "models", ".segdrop-root"}
    assert [path for path in (root.folder / "fresh").rglob("*") if path.is_file()] == [
        root.folder / "fresh" / ".segdrop-root"
    ]


def test_config_shows_each_value_with_its_source(root: Root) -> None:
    result = run(root, "config", "--show-sources")
    assert result.returncode == 0
    lines = dict(line.split(" = ", 1) for line in result.stdout.splitlines())
    assert lines["intake.settle_seconds"] == f"0.3  # {root.config}"
    assert lines["queue.capacity"] == "8  # default"


def test_unknown_setting_is_a_configuration_error_with_the_nearest(root: Root) -> None:
    root.configure(queue__capacty=3)
    result = run(root, "config")
    assert result.returncode == 78
    assert "queue.capacity" in result.stderr


def test_models_lists_what_is_installed(root: Root) -> None:
    run(root, "init")
    assert "not installed" in run(root, "models").stdout
    name = next(word for word in run(root, "models").stdout.split() if word.endswith(".pth"))
    (root.layout.models / name).write_bytes(b"")
    assert str(root.layout.models) in run(root, "models").stdout
    assert run(root, "models", "fetch", "deeplab").returncode == 2


def test_demo_writes_a_dataset_that_passes_its_own_check(root: Root, tmp_path: Path) -> None:
    path = tmp_path / "demo.zip"
    assert run(root, "demo", path, "--count", "6", "--size", "32").returncode == 0
    report = json.loads(run(root, "check", "--json", path).stdout)
    assert report["dataset"]["pairs"] == 6
    assert [issue for issue in report["issues"] if issue["severity"] == "fault"] == []
