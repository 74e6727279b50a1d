import errno
import hashlib
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import check_spec, encoded, limits, members, write_dataset, write_zip
from segdrop import architectures, durable
from segdrop.child_runtime import StopFlag
from segdrop.codes import Severity
from segdrop.dataset import full_check, layouts, pixel_check, quick_check
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.cache import CacheWriter
from segdrop.dataset.progress import ProgressFile
from segdrop.dataset.quick_check import RequestSources
from segdrop.dataset.report import CheckReport
from segdrop.dataset.samples import LabelledSample, MaskFile, Reading, Sample
from segdrop.errors import StoppedError, UnavailableError


def test_stop_ends_the_check_at_the_next_step(tmp_path: Path) -> None:
    stop = StopFlag()
    stop.set()
    with pytest.raises(StoppedError):
        full_check.check(check_spec(write_dataset(tmp_path / "data.zip")), stop)


def test_progress_is_written_at_most_once_a_second(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    progress = ProgressFile(path, 1000, StopFlag())
    progress.step()
    assert json.loads(path.read_text()) == {"stage": "check", "done": 1, "total": 1000}
    path.unlink()
    progress.step()
    assert not path.exists()


def test_input_that_changes_while_it_is_read_is_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dataset(tmp_path / "data.zip")
    verify = Archive.verify

    def verify_beside_a_writer(self: Archive, *arguments: object) -> object:
        with path.open("ab") as stream:
            stream.write(b"more")
        return verify(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Archive, "verify", verify_beside_a_writer)
    report = full_check.check(check_spec(path), StopFlag())
    assert report.changed_while_read
    assert report.dataset is None
    assert not (tmp_path / "cache").exists()


def test_full_disk_is_not_the_data_s_fault_and_frees_its_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CacheWriter, "append", no_space)
    with pytest.raises(UnavailableError) as caught:
        full_check.check(check_spec(write_dataset(tmp_path / "data.zip")), StopFlag())
    assert caught.value.code == "disk.full"
    assert not (tmp_path / "cache").exists()


def test_power_cut_before_the_index_leaves_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(path: Path, _: object) -> None:
        raise KeyboardInterrupt(path.name)

    monkeypatch.setattr(durable, "write_json", cut)
    with pytest.raises(KeyboardInterrupt, match=r"index\.json"):
        full_check.check(check_spec(write_dataset(tmp_path / "data.zip")), StopFlag())
    assert not (tmp_path / "cache" / "index.json").exists()


# how far a faulty dataset was understood


def test_classes_are_known_where_single_pairs_are_at_fault(tmp_path: Path) -> None:
    unknown = np.full((24, 32), 77, np.uint8)
    extra = {"train/images/scene_000.png": b"broken", "train/masks/scene_001.png": encoded(unknown)}
    path = write_dataset(tmp_path / "data.zip", count=12, layout="outside", extra=extra)
    understood = full_check.check(check_spec(path), StopFlag()).understood
    assert understood is not None
    assert (understood.layout, understood.pairs) == ("paired", 12)
    assert (understood.train, understood.val, understood.test) == (8, 4, 0)
    assert (understood.classes, understood.mask_encoding) == (["background", "cat", "dog"], "index")
    assert understood.class_pixels is not None
    assert all(understood.class_pixels)
    assert understood.reason
    assert understood.assumptions


def test_pairs_are_known_where_classes_are_not(tmp_path: Path) -> None:
    extra = {"labels.txt": b"cat\ncat\n"}
    understood = full_check.check(check_spec(write_dataset(tmp_path / "data.zip", extra=extra)), StopFlag()).understood
    assert understood is not None
    assert (understood.layout, understood.pairs) == ("paired", 6)


def test_nothing_is_said_to_be_understood_of_a_zip_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Archive, "changed", lambda _: True)
    report = full_check.check(check_spec(write_dataset(tmp_path / "data.zip")), StopFlag())
    assert (report.dataset, report.understood, report.changed_while_read) == (None, None, True)


def test_steps_of_a_second_look_are_expected(tmp_path: Path) -> None:
    """Blurred masks are looked at twice: the bar does not run over its end."""
    content = members(count=12, size=(64, 96), labels=["thing"], values=(0, 1))
    for name in [name for name in content if name.startswith("masks/")]:
        with Image.open(io.BytesIO(content.pop(name))) as mask:
            content[name.replace(".png", ".jpg")] = encoded(np.asarray(mask) * 255, "JPEG", quality=90)
    progress = ProgressFile(None, 12, StopFlag())
    with Archive(write_zip(tmp_path / "data.zip", content), limits()) as archive:
        spec = check_spec(tmp_path / "data.zip")
        found = quick_check.check(archive, RequestSources(None, None, spec.defaults, spec.models_dir))
        assert found.reading is not None
        interpretation = pixel_check.check(archive, found, found.samples, spec, progress)
    assert interpretation.labeller.has_snapped
    assert progress._done == progress._total == 24


def test_report_says_what_a_result_must_have_started_from_to_answer_it(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()

    def report(**request: object) -> CheckReport:
        spec = check_spec(write_dataset(tmp_path / "data.zip"), {"pretrained": "mine.pth"} | request)
        return full_check.check(spec.model_copy(update={"weights_dirs": [models]}), StopFlag())

    (models / "mine.pth").write_bytes(b"one")
    first, again = report(), report(priority=3)
    (models / "mine.pth").write_bytes(b"another")
    exchanged = report()
    assert first.fingerprint == again.fingerprint != exchanged.fingerprint
    assert first.weights_state != exchanged.weights_state
    assert report(force=True).fingerprint is None


def test_weights_that_are_gone_by_then_are_no_fault_of_the_data(tmp_path: Path) -> None:
    for folder in ("models", "other"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models" / "mine.pth").write_bytes(b"for the request alone")
    spec = check_spec(write_dataset(tmp_path / "data.zip"), {"pretrained": "mine.pth"})
    report = full_check.check(spec.model_copy(update={"weights_dirs": [tmp_path / "other"]}), StopFlag())
    assert report.dataset is not None
    assert report.fingerprint is None


def test_random_weights_are_another_start_once_weights_are_there_and_the_same_after_they_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    content = b"published weights"
    name = f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    known = replace(architectures.DEEPLABV3_RESNET50, weights=(architectures.WeightsFile(name, "nothing", 0.1),))
    monkeypatch.setitem(architectures.ARCHITECTURES, known.name, known)

    def found() -> str | None:
        spec = check_spec(write_dataset(tmp_path / "data.zip"), {"pretrained": "auto"})
        return full_check.check(spec.model_copy(update={"weights_dirs": [models]}), StopFlag()).fingerprint

    without = found()
    (models / name).write_bytes(content[:-1])
    assert found() == without, "a copy that was cut short is not used, and no start"
    (models / name).write_bytes(content)
    assert found() not in (None, without)
    (models / name).unlink()
    assert found() == without


@pytest.mark.parametrize("labels", [0, 1])
def test_dataset_with_images_that_have_no_truth_is_a_fault_for_training(
    labels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [Sample("a", 0, None), Sample("b", 1, None)]
    pairs = [LabelledSample("c", 2, None, MaskFile(3))] * labels
    reading = Reading("images", [*images, *pairs], None)
    monkeypatch.setattr(layouts, "read", lambda _tree, _wanted: reading)
    report = full_check.check(check_spec(write_dataset(tmp_path / "data.zip")), StopFlag())
    assert [(issue.code, issue.severity, issue.count) for issue in report.issues] == [
        ("layout.no_masks", Severity.FAULT, 2)
    ]
    assert report.dataset is None
    assert report.understood is not None
    assert (report.understood.layout, report.understood.pairs) == ("images", 0)
