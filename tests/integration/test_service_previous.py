"""A series of trainings through the inbox, each from the model of the one before."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from builders import write_dataset
from builders.daemons import Root, wait_until

PREVIOUS = {"pretrained": "previous"}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "run")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


def answers(root: Root) -> dict[str, dict[str, Any]]:
    """By job; those that are put away."""
    paths = [path for path in root.layout.outbox.glob("*.json") if path != root.layout.status]
    return {p.stem: json.loads(p.read_bytes()) for p in paths if not (root.layout.work / p.stem).exists()}


def ask(root: Root, source: Path, request: dict[str, Any], name: str = "good.zip") -> dict[str, Any]:
    """The answer to the same bytes under a name, by the daemon that runs."""
    known = set(answers(root))
    (root.layout.inbox / name).with_suffix(".json").write_text(json.dumps(request))
    shutil.copyfile(source, root.layout.inbox / name)
    (job,) = wait_until(lambda: set(answers(root)) - known, f"an answer to {name}")
    return answers(root)[job]


def started_from(answer: dict[str, Any]) -> str | None:
    assert answer["status"] == "succeeded", answer["issues"]
    return answer["metrics"].get("initialisation_job")


def test_same_zip_with_previous_is_trained_on_each_time_from_the_model_before(root: Root, good: Path) -> None:
    with root.daemon():
        first = ask(root, good, PREVIOUS)
        second = ask(root, good, PREVIOUS, name="GOOD.ZIP")
        named = ask(root, good, {"pretrained": first["job"]}, name="other.zip")
        wrong = first["job"][:-4] + "0000"
        unknown = ask(root, good, {"pretrained": wrong})
    assert [started_from(each) for each in (first, second)] == [None, first["job"]]
    assert named["duplicate_of"] == second["job"], "to name the job that `previous` led to is the same question"
    (issue,) = unknown["issues"]
    assert (unknown["status"], issue["code"]) == ("rejected", "model.not_found")
    assert first["job"] in issue["message"]
    assert unknown["dataset"] is None, "no pixel was looked at"


def test_foreground_training_goes_on_from_a_model_of_the_root(root: Root, good: Path, tmp_path: Path) -> None:
    with root.daemon():
        first = ask(root, good, {})
    ended = root.command("train", good, "-o", tmp_path / "output", "--set", "pretrained=previous")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (path,) = (tmp_path / "output").glob("*.json")
    assert started_from(json.loads(path.read_bytes())) == first["job"]
    assert answers(root).keys() == {first["job"]}, "the root is only read"
    ended = root.command("check", good, "--set", f"pretrained={first['job'][:-4]}0000")
    assert ended.returncode == 65
    assert "model.not_found" in ended.stdout
