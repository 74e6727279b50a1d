"""ONNX files predict by ONNX Runtime, whatever their layout; what would reach out of the file is refused before it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from builders.predicting_models import (
    CLASSES,
    LIMITS,
    WEIGHTS,
    onnx_model,
    pictures,
    with_external_weights,
    write_onnx,
)
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.model_files.resolving import resolve
from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters import LoadedModel, load
from segdrop.request import ImageSize


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def loaded(models: Path, wanted: str = "m") -> LoadedModel:
    return load(resolve(wanted, models, None), Host("fp32", 1), models.parent, LIMITS)


def refused(models: Path) -> Issue:
    with pytest.raises(DataError) as caught:
        loaded(models)
    return caught.value.issues[0]


def shares(images: Any) -> torch.Tensor:
    """The probabilities that the tiny graph gives: its logits are the channels."""
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).softmax(1)


@pytest.mark.parametrize("last", [None, "Softmax", "NHWC"])
@pytest.mark.parametrize("shape", [("n", 3, "h", "w"), (1, 3, 32, 48), (4, 3, 32, 48), (1, 32, 48, 3)])
def test_every_layout_and_batch_gives_the_same_classes(models: Path, last: str | None, shape: tuple[Any, ...]) -> None:
    write_onnx(models / "m.onnx", onnx_model(last, shape=shape))
    found = loaded(models)
    images = pictures(3, 32, 48)
    assert torch.allclose(found.segmenter.logits(images).softmax(1), shares(images), atol=1e-5)
    assert found.segmenter.classes == tuple(CLASSES)
    assert found.segmenter.input_size == (None if shape[0] == "n" else ImageSize(32, 48))
    assert found.issues == ()


@pytest.mark.parametrize("last", [None, "Sigmoid"])
def test_one_output_channel_is_the_second_of_two_classes(models: Path, last: str | None) -> None:
    write_onnx(models / "m.onnx", onnx_model(last, channels=1, metadata={"classes": "defect"}))
    found = loaded(models)
    assert found.segmenter.classes == ("background", "defect")
    images = pictures()
    expected = (torch.from_numpy(images[..., 0]) / 255).sigmoid()
    assert torch.allclose(found.segmenter.logits(images).softmax(1)[:, 1], expected, atol=1e-5)


def test_class_ids_are_taken_as_certain_and_that_is_stated(models: Path) -> None:
    write_onnx(models / "m.onnx", onnx_model("ArgMax"))
    found = loaded(models)
    images = pictures()
    assert torch.equal(found.segmenter.logits(images).argmax(1), torch.from_numpy(images.argmax(-1)))
    assert [issue.code for issue in found.issues] == [Code.MODEL_ASSUMED]
    write_onnx(models / "m.onnx", onnx_model("ArgMax", metadata={"classes": "a,b"}))
    few = loaded(models)
    with pytest.raises(DataError, match="class ids 0 to 2"):
        few.segmenter.logits(images)


def test_an_input_of_8_bits_takes_the_pixels_as_they_are(models: Path) -> None:
    from onnx import TensorProto  # noqa: PLC0415

    model = onnx_model(element=TensorProto.UINT8)
    del model.metadata_props[:2]  # mean and std
    write_onnx(models / "m.onnx", model)
    images = pictures()
    found = loaded(models)
    assert torch.equal(found.segmenter.logits(images), torch.from_numpy(images).permute(0, 3, 1, 2).float())
    assert found.issues == ()


def test_what_is_not_stated_about_the_input_is_said_to_be_assumed(models: Path) -> None:
    model = onnx_model()
    del model.metadata_props[:2]
    write_onnx(models / "m.onnx", model)
    found = loaded(models)
    assert [issue.code for issue in found.issues] == [Code.MODEL_ASSUMED]
    grey = found.segmenter.logits(np.full((1, 32, 32, 3), 255, np.uint8))
    assert float(grey[0, 0, 0, 0]) == pytest.approx((1 - 0.485) / 0.229, rel=1e-4)


def test_an_export_with_its_own_folder_is_read_with_all_of_it(models: Path) -> None:
    (models / "m").mkdir()
    write_onnx(models / "m" / "model.onnx", onnx_model(metadata={"classes": ""}))
    (models / "m" / "config.json").write_text('{"id2label": {"0": "a", "1": "b", "2": "c"}}')
    assert loaded(models).segmenter.classes == ("a", "b", "c")


@pytest.mark.parametrize("name", ["m.labels.txt", "m.txt", "labels.txt"])
def test_class_names_are_read_from_the_list_beside_the_file(models: Path, name: str) -> None:
    write_onnx(models / "m.onnx", onnx_model(metadata={"classes": ""}))
    issue = refused(models)
    assert issue.code is Code.MODEL_NO_CLASSES
    assert "m.labels.txt" in issue.fix
    (models / name).write_text("a\nb\n")
    assert loaded(models).segmenter.classes == ("background", "a", "b")
    (models / name).write_text("a\n")
    assert refused(models).code is Code.MODEL_NO_CLASSES


# what is refused


@pytest.mark.parametrize("place", ["../x", "/etc/passwd", "sub/x", "..", "", "..\\x", "a\0b"])
def test_weights_elsewhere_than_beside_the_file_are_refused(models: Path, place: str) -> None:
    (models.parent / "x").write_bytes(WEIGHTS.tobytes())
    write_onnx(models / "m.onnx", with_external_weights(onnx_model(), place))
    assert refused(models).code is Code.MODEL_UNSAFE


def test_weights_beside_the_file_are_read_unless_they_are_a_link_elsewhere(models: Path) -> None:
    write_onnx(models / "m.onnx", with_external_weights(onnx_model(), "m.onnx_data"))
    assert refused(models).code is Code.MODEL_INVALID
    (models / "m.onnx_data").write_bytes(WEIGHTS.tobytes())
    images = pictures()
    found = loaded(models)
    assert torch.allclose(found.segmenter.logits(images).softmax(1), shares(images), atol=1e-5)
    (models / "m.onnx_data").rename(models.parent / "elsewhere")
    (models / "m.onnx_data").symlink_to(models.parent / "elsewhere")
    assert refused(models).code is Code.MODEL_INVALID


def test_the_hash_covers_weights_in_other_files(models: Path) -> None:
    write_onnx(models / "m.onnx", with_external_weights(onnx_model(), "m.onnx_data"))
    (models / "m.onnx_data").write_bytes(WEIGHTS.tobytes())
    first = loaded(models).sha256
    (models / "m.onnx_data").write_bytes((2 * WEIGHTS).tobytes())
    assert loaded(models).sha256 != first


def test_a_linked_file_has_its_weights_beside_the_real_one(models: Path) -> None:
    real = models.parent / "real"
    real.mkdir()
    write_onnx(real / "m.onnx", with_external_weights(onnx_model(), "m.onnx_data"))
    (real / "m.onnx_data").write_bytes(WEIGHTS.tobytes())
    for path in real.iterdir():
        (models / path.name).symlink_to(path)
    assert loaded(models).segmenter.classes == tuple(CLASSES)


@pytest.mark.parametrize(("last", "domain"), [("Spy", "evil.org"), ("EPContext", "com.microsoft")])
def test_operators_from_elsewhere_are_refused_before_the_runtime_sees_them(
    models: Path, last: str, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    write_onnx(models / "m.onnx", onnx_model(last, domain=domain))
    issue = refused(models)
    assert issue.code is Code.MODEL_UNSUPPORTED
    assert f"{domain}.{last}" in issue.message


def test_an_operator_that_the_file_defines_by_others_is_no_foreign_one(models: Path) -> None:
    from onnx import helper  # noqa: PLC0415

    model = onnx_model("Twice", domain="local")
    body = [helper.make_node("Add", ["x", "x"], ["y"])]
    model.functions.append(helper.make_function("local", "Twice", ["x"], ["y"], body, [helper.make_opsetid("", 17)]))
    write_onnx(models / "m.onnx", model)
    images = pictures()
    expected = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 * 2
    assert torch.allclose(loaded(models).segmenter.logits(images), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (lambda: onnx_model(shape=("n", 1, "h", "w")), Code.MODEL_UNSUPPORTED),
        (lambda: onnx_model(shape=("n", 3)), Code.MODEL_UNSUPPORTED),
        (lambda: onnx_model("Shape"), Code.MODEL_UNSUPPORTED),
        (lambda: onnx_model("Flatten"), Code.MODEL_UNSUPPORTED),
        (lambda: onnx_model("GlobalAveragePool"), Code.MODEL_UNSUPPORTED),
        (lambda: onnx_model("Squashed", shape=(1, 3, 64, 64)), Code.MODEL_UNSUPPORTED),
        (lambda: onnx_model(metadata={"task": "segment", "names": "{0: 'person'}"}), Code.MODEL_UNSUPPORTED),
        (lambda: onnx_model("NoSuchOperator"), Code.MODEL_INVALID),
        (lambda: onnx_model(metadata={"mean": "a,b,c"}), Code.MODEL_INVALID),
        (lambda: onnx_model(metadata={"std": "1"}), Code.MODEL_INVALID),
    ],
)
def test_what_is_no_segmentation_of_images_is_refused(models: Path, model: Any, code: Code) -> None:
    write_onnx(models / "m.onnx", model())
    assert refused(models).code is code


def test_a_file_that_was_cut_short_is_invalid(models: Path) -> None:
    path = write_onnx(models / "m.onnx", onnx_model())
    path.write_bytes(path.read_bytes()[:-40])
    assert refused(models).code is Code.MODEL_INVALID


def test_without_the_runtime_the_line_that_installs_it_is_said(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    write_onnx(models / "m.onnx", onnx_model())
    issue = refused(models)
    assert issue.code is Code.MODEL_NOT_INSTALLED
    assert "pip install 'segdrop[onnx]'" in issue.fix
