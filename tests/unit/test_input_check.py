"""The check of what is to be predicted: faults before the model is opened, and damage that costs single images."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import check_spec, encoded, write_zip
from segdrop.child_runtime import StopFlag
from segdrop.dataset import full_check
from segdrop.dataset.report import CheckReport
from segdrop.input_kinds import InputKind

PICTURE = encoded(np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8))
PREDICT = {"task": "predict", "model": "m.onnx"}


def checked(path: Path, kind: InputKind = InputKind.ARCHIVE, request: dict[str, Any] | None = None) -> CheckReport:
    models = path.parent / "models"
    models.mkdir(exist_ok=True)
    (models / "m.onnx").write_bytes(b"never opened by a check")
    spec = check_spec(path, request or PREDICT, cache=False).model_copy(update={"kind": kind, "defaults": {}})
    if kind is InputKind.ARCHIVE:
        return full_check.check(spec, StopFlag())
    return full_check.check_other(spec, StopFlag())


def damage(path: Path, name: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[content.find(name) + 300] ^= 0xFF
    path.write_bytes(content)
    return path


def test_damage_in_one_image_of_a_zip_is_no_fault_of_the_others(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {f"{n}.png": PICTURE for n in range(3)}, zipfile.ZIP_STORED)
    report = checked(damage(path, b"1.png"))
    assert not report.issues
    assert report.contents is not None
    assert (report.contents.count, report.contents.largest_pixels) == (3, 600)
    # of a dataset it stays one
    assert "archive.corrupt" in [issue.code for issue in checked(path, request={"image_size": 32}).issues]


@pytest.mark.parametrize(
    ("name", "kind", "content", "code"),
    [
        ("a.zip", InputKind.ARCHIVE, {"a.txt": b"no image"}, "input.no_images"),
        ("a.zip", InputKind.ARCHIVE, {"clip.mp4": b""}, "input.no_images"),
        ("a.png", InputKind.IMAGE, b"no image", "image.unreadable"),
        ("a.json", InputKind.JSON, b'{"images": 1}', "input.json_broken"),
        ("a.mp4", InputKind.VIDEO, b"no video", "input.video_unreadable"),
    ],
)
def test_an_input_of_which_nothing_can_be_predicted_is_a_fault(
    tmp_path: Path, name: str, kind: InputKind, content: bytes | dict[str, bytes], code: str
) -> None:
    path = tmp_path / name
    if isinstance(content, dict):
        write_zip(path, content)
    else:
        path.write_bytes(content)
    if kind is InputKind.VIDEO:
        pytest.importorskip("av")
    assert [(issue.code, issue.severity) for issue in checked(path, kind).issues] == [(code, "fault")]


def test_images_that_no_training_reads_are_enough_for_a_prediction(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.avif": b"no header"})
    report = checked(path)
    assert not report.issues
    assert report.contents is not None
    assert report.contents.count == 1
