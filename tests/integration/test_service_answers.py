"""Whatever is dropped, the daemon answers with the right code, puts the input away as it was, and goes on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import broken, encoded, json_schema, write_dataset
from builders.daemons import Root, verified_zip
from segdrop.results import live_status


def good(path: Path) -> None:
    write_dataset(path)


def many_entries(path: Path) -> None:
    write_dataset(path, extra={f"notes/{number}.txt": b"x" for number in range(300)})


def huge_image(path: Path) -> None:
    write_dataset(path, extra={"images/scene_000.png": encoded(np.zeros((1001, 1000, 3), np.uint8))})


#: file name: who makes it, its sidecar, the code that answers it
INPUTS: dict[str, tuple[Callable[[Path], None], bytes | None, str]] = {
    f"{kind.replace(' ', '_')}.zip": (make, None, code) for kind, (make, code) in broken.KINDS.items()
} | {
    # the daemon's own look at the end comes first: without a readable directory a ZIP may still be arriving
    "damaged_directory.zip": (broken.damaged_directory, None, "archive.corrupt"),
    "many entries.zip": (many_entries, None, "archive.too_large"),
    "huge image.zip": (huge_image, None, "image.too_large"),
    "level 9.zip": (good, b'{"level": 9}', "request.invalid_value"),
    "levl.zip": (good, b'{"levl": 3}', "request.unknown_key"),
    "not json.zip": (good, b"level = 3", "request.not_json"),
    "binary sidecar.zip": (good, b"\xff\xfe\x00{", "request.not_json"),
    "long sidecar.zip": (good, b'{"level": 1}' + b" " * 2_000_000, "request.too_large"),
    "wrong task.zip": (good, b'{"task": "dream"}', "request.invalid_value"),
    "no such weights.zip": (good, b'{"pretrained": "mine.pth"}', "request.weights_not_found"),
}


class Run:
    """All inputs dropped at once on one daemon, and everything that came of it."""

    def __init__(self, folder: Path) -> None:
        self.root = Root(folder, queue__capacity=100, limits__max_entries=200, limits__max_image_pixels=1_000_000)
        self.contents: dict[str, bytes] = {}
        for name, (make, sidecar, _) in INPUTS.items():
            source = folder / name
            make(source)
            self.contents[name] = source.read_bytes()
            if sidecar is not None:
                (self.root.layout.inbox / name).with_suffix(".json").write_bytes(sidecar)
            self.root.drop(source)
        good(folder / "afterwards.zip")

    def answer(self, name: str) -> dict[str, Any]:
        return self.root.answer(name)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("answers")
    run = Run(folder)
    with run.root.daemon() as daemon:
        for name in INPUTS:
            run.answer(name)
        # and it goes on: a good one after all these
        run.root.drop(folder / "afterwards.zip")
        run.answer("afterwards.zip")
        for answer in run.root.answers().values():
            run.root.archived(answer)
        yield run
        assert daemon.stop() == 0


@pytest.mark.parametrize("name", INPUTS)
def test_bad_input_is_rejected_with_its_code_and_what_to_do(run: Run, name: str) -> None:
    answer = run.answer(name)
    assert (answer["status"], answer["result"], answer["metrics"]) == ("rejected", None, None)
    faults = {issue["code"]: issue for issue in answer["issues"] if issue["severity"] == "fault"}
    assert INPUTS[name][2] in faults
    assert all(issue["message"] and issue["fix"] for issue in faults.values())


@pytest.mark.parametrize("name", INPUTS)
def test_bad_input_lies_untouched_in_failed_with_its_sidecar_and_the_reason(run: Run, name: str) -> None:
    answer = run.answer(name)
    kept = run.root.archived(answer)
    assert kept.parent.parent == run.root.layout.failed
    assert kept.read_bytes() == run.contents[name]
    sidecar = INPUTS[name][1]
    found = {path.name for path in kept.parent.iterdir()}
    assert found == {name, "error.json", "log.txt"} | ({Path(name).stem + ".json"} if sidecar is not None else set())
    if sidecar is not None:
        assert kept.with_suffix(".json").read_bytes() == sidecar
    published = run.root.layout.published_json(answer["job"])
    assert (kept.parent / "error.json").read_bytes() == published.read_bytes()
    assert not run.root.layout.published_zip(answer["job"]).exists()


def test_a_good_input_is_trained_on_after_all_the_bad_ones(run: Run) -> None:
    answer = run.answer("afterwards.zip")
    assert answer["status"] == "succeeded"
    verified_zip(run.root, answer)
    assert run.root.archived(answer).read_bytes() == (run.root.folder / "afterwards.zip").read_bytes()


def test_nothing_is_left_in_the_inbox_or_at_work(run: Run) -> None:
    assert list(run.root.layout.inbox.iterdir()) == []
    assert run.root.states() == {}


def test_names_that_do_not_match_are_listed(run: Run) -> None:
    issues = {issue["code"]: issue for issue in run.answer("no_names_match.zip")["issues"]}
    assert issues["pair.missing_mask"]["count"] == 6
    assert "images/scene_000.png" in issues["pair.missing_mask"]["files"]
    assert "masks/scene_9000.png" in issues["pair.missing_image"]["files"]


def test_unknown_key_comes_with_the_nearest_valid_one(run: Run) -> None:
    (issue,) = [issue for issue in run.answer("levl.zip")["issues"] if issue["code"] == "request.unknown_key"]
    assert "level" in issue["message"].replace("levl", "")


def test_each_rejection_ends_with_one_line_in_the_log(run: Run) -> None:
    log = (run.root.folder / "daemon.log").read_text()
    for name in INPUTS:
        job = run.answer(name)["job"]
        assert sum('"job.rejected"' in line and f'"{job}"' in line for line in log.splitlines()) == 1


def test_live_status_of_a_daemon_at_work_conforms_to_its_schema(run: Run) -> None:
    status = json.loads(run.root.layout.status.read_bytes())
    assert json_schema.faults(status, live_status.json_schema()) == []
    assert status["finished"]["rejected"] >= len(INPUTS)


def test_daemon_reports_no_defect_of_its_own(run: Run) -> None:
    log = (run.root.folder / "daemon.log").read_text()
    assert "stage.failed" not in log
    assert "internal.error" not in log


def test_answers_are_of_one_daemon_that_never_ended(run: Run) -> None:
    assert (run.root.folder / "daemon.log").read_text().count('"daemon.started"') == 1
