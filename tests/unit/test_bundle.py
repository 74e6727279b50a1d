import hashlib
import json
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import jinja2
import pytest

from builders.results import compose, dataset, metrics, report, training
from builders.spool import job_record
from segdrop.answers import ClassMetrics, SplitCounts
from segdrop.codes import Code, Severity
from segdrop.dataset.report import CacheIndex
from segdrop.errors import Issue
from segdrop.request import TrainRequest
from segdrop.results import bundle, readme
from segdrop.results.result import Result
from segdrop.spec import PackageSpec
from segdrop.spool.job import Outcome
from segdrop.spool.layout import JobLayout
from segdrop.stages.package import artifacts

MEMBERS = {
    *("model.pth", "README.txt", "requirements.txt", "predict.py", "labels.txt"),
    *("metrics.json", "split.json", "history.csv"),
}
DATASET = dataset(
    classes=["background", "Straße"], image_size=(64, 96), assumptions=["line 1 of labels.txt is value 1"]
)
SCORES = ClassMetrics(iou=0.5, accuracy=0.6, dice=0.7, pixels=9)
ABSENT = ClassMetrics(iou=None, accuracy=None, dice=None, pixels=0)
ABSENT_ISSUE = Issue.of(Code.CLASSES_ABSENT, "no Straße", severity=Severity.WARNING)


def composed(*issues: Issue, request: TrainRequest | None = None, **measured: Any) -> Result:
    """The result as it is before its ZIP is packed."""
    return compose(
        job_record("a-1", input_name="Größe.zip"),
        Outcome.SUCCEEDED,
        report=report(dataset=DATASET, request=request or TrainRequest(level=1).resolved()),
        answer=training(metrics=metrics(per_class={"background": SCORES, "Straße": ABSENT}, **measured)),
        issues=list(issues or [ABSENT_ISSUE]),
    )


def package(folder: Path, result: Result | None = None) -> PackageSpec:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.pth").write_bytes(bytes(range(256)) * 8192)
    (folder / "history.csv").write_text("epoch,loss\n1,0.5\n")
    (folder / "summary.json").write_text(json.dumps((result or composed()).to_json()))
    index = CacheIndex(count=3, height=64, width=96, train=[0, 2], val=[1], test=[], names=["a.png", "b.png", "c.png"])
    (folder / "index.json").write_text(index.model_dump_json())
    return PackageSpec(
        job="a-1",
        artifacts={name: folder / name for name in ("history.csv", "model.pth")},
        summary_path=folder / "summary.json",
        index_path=folder / "index.json",
        result_zip_path=folder / "result.zip",
        package_path=folder / "package.json",
        error_path=folder / "error.json",
        lock_path=folder / "child.lock",
    )


@pytest.fixture
def packed(tmp_path: Path) -> PackageSpec:
    spec = package(tmp_path)
    bundle.pack(spec)
    return spec


def test_the_members_are_those_that_are_promised_and_whole(packed: PackageSpec) -> None:
    with zipfile.ZipFile(packed.result_zip_path) as archive:
        assert set(archive.namelist()) == MEMBERS
        assert len(archive.namelist()) == len(MEMBERS)
        assert archive.testzip() is None
        assert archive.read("model.pth") == packed.artifacts["model.pth"].read_bytes()
        assert archive.getinfo("model.pth").compress_type == zipfile.ZIP_STORED
        assert json.loads(archive.read("metrics.json")) == composed().to_json()
        assert archive.read("labels.txt").decode() == "background\nStraße\n"
        assert archive.read("history.csv") == packed.artifacts["history.csv"].read_bytes()
        assert json.loads(archive.read("split.json")) == {"train": ["a.png", "c.png"], "val": ["b.png"], "test": []}
        compile(archive.read("predict.py"), "predict.py", "exec")


def test_of_a_run_on_one_image_only_that_one_is_said_to_have_been_used(tmp_path: Path) -> None:
    issue = Issue.of(Code.TRAIN_SANITY, "by heart", files=["c.png"])
    spec = package(tmp_path, composed(issue, counts=SplitCounts(train=1, val=1, test=0)))
    bundle.pack(spec)
    with zipfile.ZipFile(spec.result_zip_path) as archive:
        assert json.loads(archive.read("split.json")) == {"train": ["c.png"], "val": ["c.png"], "test": []}
        assert "1 training, 1 validation, 0 test" in archive.read("README.txt").decode()


def test_the_answer_says_size_and_hash_of_what_is_on_disk_and_of_the_model_in_it(packed: PackageSpec) -> None:
    content = packed.result_zip_path.read_bytes()
    with zipfile.ZipFile(packed.result_zip_path) as archive:
        model = archive.read("model.pth")
    assert json.loads(packed.package_path.read_bytes()) == {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "model_bytes": len(model),
        "model_sha256": hashlib.sha256(model).hexdigest(),
    }


def test_equal_contents_give_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = package(tmp_path / "first"), package(tmp_path / "second")
    bundle.pack(first)
    for path in (tmp_path / "second").iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        bundle.pack(second)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert first.result_zip_path.read_bytes() == second.result_zip_path.read_bytes()


def test_members_are_readable_by_everybody_and_scripts_can_be_run(packed: PackageSpec) -> None:
    with zipfile.ZipFile(packed.result_zip_path) as archive:
        modes = {member.filename: member.external_attr >> 16 for member in archive.infolist()}
    assert modes.pop("predict.py") == 0o100755
    assert set(modes.values()) == {0o100644}


def test_packing_again_after_a_crash_replaces_what_was_half_there(packed: PackageSpec) -> None:
    before = packed.result_zip_path.read_bytes()
    packed.result_zip_path.write_bytes(before[:100])
    packed.result_zip_path.with_name("result.zip.tmp").write_bytes(b"left behind")
    packed.package_path.unlink()
    bundle.pack(packed)
    assert packed.result_zip_path.read_bytes() == before
    assert not packed.result_zip_path.with_name("result.zip.tmp").exists()


def test_every_epochs_weights_are_packed_where_they_were_kept_and_nothing_half_written(tmp_path: Path) -> None:
    spec = package(tmp_path, composed(request=TrainRequest(keep_checkpoints=True).resolved()))
    files = JobLayout(tmp_path)
    files.checkpoints.mkdir()
    for epoch in range(1, 12):
        (files.checkpoints / f"epoch-{epoch:03}.pth").write_bytes(bytes([epoch]) * 3_000_000)
    (files.checkpoints / "epoch-012.pth.tmp").write_bytes(b"half")
    spec = spec.model_copy(update={"artifacts": artifacts(files)})
    bundle.pack(spec)
    with zipfile.ZipFile(spec.result_zip_path) as archive:
        assert archive.testzip() is None
        kept = [f"checkpoints/epoch-{epoch:03}.pth" for epoch in range(1, 12)]
        assert sorted(archive.namelist()) == sorted([*MEMBERS, *kept])
        for name in kept:
            assert archive.read(name) == (tmp_path / name).read_bytes()
            assert archive.getinfo(name).compress_type == zipfile.ZIP_STORED
        assert "checkpoints/epoch-001.pth" in archive.read("README.txt").decode()


def test_a_readme_tells_what_was_done_where_the_request_left_it_open(packed: PackageSpec) -> None:
    with zipfile.ZipFile(packed.result_zip_path) as archive:
        text = archive.read("README.txt").decode()
    assert "5 epochs, 35 steps of muon" in text
    assert "0.5000 (validation, epoch 4, the best)" in text


def test_a_readme_tells_which_weights_the_model_started_from(tmp_path: Path) -> None:
    started_from = {"initialisation": "pretrained model (mine.pth)", "initialisation_sha256": "12ab"}
    spec = package(tmp_path, composed(**started_from))
    bundle.pack(spec)
    with zipfile.ZipFile(spec.result_zip_path) as archive:
        assert "pretrained model (mine.pth) (SHA-256 12ab)" in archive.read("README.txt").decode()


def test_the_readme_is_plain_text_and_pages_are_escaped() -> None:
    given = composed().input.model_copy(update={"name": "<b>&\n{{ job }}.zip", "sha256": "ab"})
    text = readme.render(composed().model_copy(update={"input": given}))
    assert "input            <b>&\\n{{ job }}.zip (SHA-256 ab)\n" in text
    page = readme._templates().overlay(loader=jinja2.DictLoader({"page.html": "{{ name }}"}))
    assert page.get_template("page.html").render(name="<b>") == "&lt;b&gt;"


def test_the_readme_has_a_paragraph_for_what_there_is_and_none_for_what_is_not() -> None:
    titles = ["How the dataset was read", "What was found", "Settings"]
    assert [title for title in titles if f"\n\n{title}\n  " in readme.render(composed())] == titles
    plain = DATASET.model_copy(update={"assumptions": []})
    text = readme.render(composed().model_copy(update={"dataset": plain, "issues": []}))
    assert [title for title in titles if title in text] == ["Settings"]
    assert "\n\n\n" not in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_a_result_without_a_model_has_no_readme() -> None:
    with pytest.raises(jinja2.UndefinedError, match="None"):
        readme.render(composed().model_copy(update={"metrics": None}))


def test_a_readme_does_not_tell_of_checkpoints_that_are_not_there(packed: PackageSpec) -> None:
    with zipfile.ZipFile(packed.result_zip_path) as archive:
        assert "checkpoints/" not in archive.read("README.txt").decode()


@pytest.mark.parametrize(("stride", "is_told"), [(8, False), (16, True)])
def test_a_readme_tells_how_to_load_a_model_of_another_output_stride_and_only_then(
    tmp_path: Path, stride: int, *, is_told: bool
) -> None:
    spec = package(tmp_path, composed(output_stride=stride))
    bundle.pack(spec)
    with zipfile.ZipFile(spec.result_zip_path) as archive:
        assert ("set_output_stride(model, 16)" in archive.read("README.txt").decode()) == is_told
        assert "def set_output_stride(" in archive.read("predict.py").decode()


def test_a_result_that_cannot_be_packed_leaves_no_answer(tmp_path: Path) -> None:
    spec = package(tmp_path)
    spec.artifacts["model.pth"].unlink()
    with pytest.raises(FileNotFoundError):
        bundle.pack(spec)
    assert not spec.result_zip_path.exists()
    assert not spec.package_path.exists()


def test_requirements_are_exact_public_versions_in_order() -> None:
    text = bundle.requirements({"torch": "2.13.0+cpu", "numpy": "2.1.0", "torchvision": "0.28.0+cu130", "pillow": "11"})
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == ["numpy==2.1.0", "pillow==11", "torch==2.13.0", "torchvision==0.28.0"]
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in text
    assert text.endswith("\n")


def test_requirements_of_a_result_have_no_local_suffix(packed: PackageSpec) -> None:
    with zipfile.ZipFile(packed.result_zip_path) as archive:
        text = archive.read("requirements.txt").decode()
    pinned = [line for line in text.splitlines() if not line.startswith("#")]
    assert {line.partition("==")[0] for line in pinned} == {"numpy", "pillow", "torch", "torchvision"}
    assert all("==" in line and "+" not in line for line in pinned)


def test_the_readme_says_what_went_in_and_how_good_it_is(packed: PackageSpec) -> None:
    with zipfile.ZipFile(packed.result_zip_path) as archive:
        text = archive.read("README.txt").decode()
    for part in (
        *("a-1", "Größe.zip", "2 training, 1 validation", "64 x 96", "0.5000", "0.7500", "num_classes=2"),
        *("line 1 of labels.txt is value 1", "warning classes.absent", "level = 1", "predict.py"),
    ):
        assert part in text, part
    assert "{" not in text.replace("{'", "")
    absent = next(line for line in text.splitlines() if line.strip().startswith("Straße"))
    assert absent.split()[1:] == ["-", "-", "-"], "a class without pixels has no numbers"
