"""Hugging Face models predict what their own library predicts, from local files, and nothing of them is run."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from builders.predicting_models import (
    CLASSES,
    LIMITS,
    Evil,
    change_json,
    huggingface_network,
    packed,
    pictures,
    transformers,
    write_huggingface,
)
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.model_files.resolving import resolve
from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters import LoadedModel, huggingface, load, preprocessing
from segdrop.request import ImageSize

KINDS = ["segformer", "mask2former", "maskformer", "upernet", "dpt"]
PREPROCESSOR = {"do_resize": False, "image_mean": [0.5, 0.25, 0.125], "image_std": [0.5, 0.5, 0.25]}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """A network of each kind, and the folder that it was saved into."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("saved")
    made = {kind: huggingface_network(kind) for kind in KINDS}
    return {kind: (made[kind], write_huggingface(folder / kind, made[kind], PREPROCESSOR)) for kind in KINDS}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "job").mkdir()
    return tmp_path / "models"


@pytest.fixture
def segformer(models: Path, networks: dict[str, tuple[Any, Path]]) -> Path:
    return Path(shutil.copytree(networks["segformer"][1], models / "segformer"))


def loaded(wanted: str, models: Path, precision: str = "fp32") -> LoadedModel:
    host = Host("bf16" if precision == "bf16" else "fp32", 1)
    return load(resolve(wanted, models, None), host, models.parent / "job", LIMITS)


def refused(wanted: str, models: Path) -> Issue:
    with pytest.raises(DataError) as caught:
        loaded(wanted, models)
    return caught.value.issues[0]


def own_output(network: Any, images: Any) -> Any:
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(PREPROCESSOR[key]).view(3, 1, 1) for key in ("image_mean", "image_std"))
    with torch.no_grad():
        return network(pixel_values=(pixels - mean) / std)


@pytest.mark.parametrize(
    ("kind", "form"), [*((kind, "folder") for kind in KINDS), ("segformer", "zip"), ("mask2former", "zip")]
)
def test_a_model_predicts_what_its_library_does(
    models: Path, networks: dict[str, tuple[Any, Path]], kind: str, form: str
) -> None:
    network, saved = networks[kind]
    if form == "zip":
        packed(saved, models / f"{kind}.zip", prefix="checkpoint/")
    else:
        (models / kind).symlink_to(saved)
    found = loaded(kind, models)
    images = pictures()
    logits, output = found.segmenter.logits(images), own_output(network, images)
    assert found.segmenter.classes == tuple(CLASSES)
    if "former" in kind and kind != "segformer":
        _assert_scores(logits, output)
    else:
        assert torch.allclose(logits, output.logits, atol=1e-4)


def _assert_scores(logits: Tensor, output: Any) -> None:
    """The share of every class is that of the library's scores."""
    of_class = output.class_queries_logits.softmax(-1)[..., :-1]
    scores = torch.einsum("bqc,bqhw->bchw", of_class, output.masks_queries_logits.sigmoid())
    assert torch.allclose(logits.softmax(1), scores / scores.sum(1, keepdim=True), atol=1e-4)


def test_queries_are_put_together_as_the_library_does_it(networks: dict[str, tuple[Any, Path]]) -> None:
    output = own_output(networks["mask2former"][0], pictures())
    expected = transformers().Mask2FormerImageProcessor().post_process_semantic_segmentation(output)
    masks = functional.interpolate(output.masks_queries_logits, size=(384, 384), mode="bilinear")
    ours = huggingface.class_scores(output.class_queries_logits, masks).argmax(1)
    assert torch.equal(ours, torch.stack(expected))


@pytest.mark.parametrize("kind", ["segformer", "mask2former"])
def test_bf16_predicts_nearly_the_same(models: Path, networks: dict[str, tuple[Any, Path]], kind: str) -> None:
    (models / kind).symlink_to(networks[kind][1])
    one, other = (
        loaded(kind, models, precision).segmenter.logits(pictures()).softmax(1) for precision in ("fp32", "bf16")
    )
    assert other.dtype == torch.float32
    assert float((one - other).abs().max()) < 0.02


def test_folder_and_zip_are_told_apart_by_their_hash_only(models: Path, segformer: Path) -> None:
    first = loaded("segformer", models).sha256
    assert first == loaded("segformer", models).sha256
    change_json(segformer / "preprocessor_config.json", image_std=[1, 1, 1])
    assert loaded("segformer", models).sha256 != first


def test_a_pickle_is_not_read_even_where_safetensors_are_beside_it(
    models: Path, segformer: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    torch.save({"weight": Evil(victim)}, segformer / "pytorch_model.bin")
    loaded("segformer", models)
    assert not victim.exists()
    (segformer / "model.safetensors").unlink()
    assert refused("segformer", models).code is Code.MODEL_UNSAFE
    assert not victim.exists()
    torch.load(segformer / "pytorch_model.bin", weights_only=False)["weight"].close()
    assert victim.exists(), "the file would have done harm"


def test_code_that_comes_with_a_model_is_not_run(models: Path, segformer: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (segformer / "evil.py").write_text(f"open({str(victim)!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    auto_map = {"AutoConfig": "evil.Config", "AutoModelForSemanticSegmentation": "evil.Model"}
    change_json(segformer / "config.json", auto_map=auto_map, attn_implementation="evil/kernels")
    (segformer / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "evil/base"}))
    loaded("segformer", models)
    assert not victim.exists()


def test_a_model_without_names_for_its_classes_takes_those_beside_it(models: Path, segformer: Path) -> None:
    names = {str(number): f"LABEL_{number}" for number in range(3)}
    change_json(segformer / "config.json", id2label=names)
    issue = refused("segformer", models)
    assert issue.code is Code.MODEL_NO_CLASSES
    assert "labels.txt" in issue.fix
    (segformer / "labels.txt").write_text("a\nb\nc\n")
    assert loaded("segformer", models).segmenter.classes == ("a", "b", "c")


def test_weights_that_are_missing_are_not_made_up(models: Path, segformer: Path) -> None:
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    state = load_file(segformer / "model.safetensors")
    del state["decode_head.classifier.weight"]
    save_file(state, segformer / "model.safetensors")
    issue = refused("segformer", models)
    assert issue.code is Code.MODEL_INVALID
    assert "decode_head.classifier.weight" in issue.message


def test_weights_in_several_files_are_put_together(models: Path, segformer: Path) -> None:
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    expected = loaded("segformer", models).segmenter.logits(pictures())
    state = load_file(segformer / "model.safetensors")
    (segformer / "model.safetensors").unlink()
    parts = [dict(list(state.items())[part::2]) for part in range(2)]
    names = [f"model-{number + 1:05}-of-00002.safetensors" for number in range(2)]
    for name, part in zip(names, parts, strict=True):
        save_file(part, segformer / name)
    table = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    (segformer / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    assert torch.equal(loaded("segformer", models).segmenter.logits(pictures()), expected)
    table |= {"more": "../../secret.safetensors"}
    (segformer / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    assert refused("segformer", models).code is Code.MODEL_INVALID


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model_type": "bert"}, Code.MODEL_UNSUPPORTED),
        ({"model_type": "not-there"}, Code.MODEL_UNSUPPORTED),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, Code.MODEL_UNSUPPORTED),
        ({"hidden_sizes": [16, 16, 16, 16]}, Code.MODEL_INVALID),
        ({"num_attention_heads": [3, 3, 3, 3]}, Code.MODEL_INVALID),
        ({"num_channels": 4}, Code.MODEL_INVALID),
        ({"backbone_config": {"backbone": "/srv/elsewhere"}}, Code.MODEL_UNSUPPORTED),
    ],
)
def test_a_configuration_that_does_not_fit_is_the_models_fault(
    models: Path, segformer: Path, changes: dict[str, Any], code: Code
) -> None:
    change_json(segformer / "config.json", **changes)
    assert refused("segformer", models).code is code


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000])
def test_a_damaged_configuration_is_the_models_fault(models: Path, segformer: Path, content: str) -> None:
    (segformer / "config.json").write_text(content)
    assert refused("segformer", models).code is Code.MODEL_INVALID


def test_damaged_weights_are_the_models_fault(models: Path, segformer: Path) -> None:
    path = segformer / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert refused("segformer", models).code is Code.MODEL_INVALID


def test_without_the_library_the_line_that_installs_it_is_said(
    models: Path, segformer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    issue = refused("segformer", models)
    assert issue.code is Code.MODEL_NOT_INSTALLED
    assert "pip install 'segdrop[transformers]'" in issue.fix


def test_an_archive_is_judged_before_it_is_unpacked(models: Path, segformer: Path) -> None:
    packed(segformer, models / "m.zip")
    content = bytearray((models / "m.zip").read_bytes())
    position = content.index(b"model.safetensors") + 200
    content[position] ^= 0xFF
    (models / "m.zip").write_bytes(content)
    assert refused("m.zip", models).code is Code.MODEL_INVALID


def test_a_model_without_preprocessing_states_what_is_assumed(models: Path, segformer: Path) -> None:
    assert loaded("segformer", models).issues == ()
    (segformer / "preprocessor_config.json").unlink()
    (issue,) = loaded("segformer", models).issues
    assert issue.code is Code.MODEL_ASSUMED


@pytest.mark.parametrize(
    ("settings", "size", "edges"),
    [
        ({"size": {"height": 512, "width": 384}}, ImageSize(512, 384), (None, None)),
        ({"size": 512}, ImageSize(512, 512), (None, None)),
        ({"size": {"shortest_edge": 640, "longest_edge": 2560}}, None, (640, 2560)),
        ({"size": 800, "max_size": 1333}, None, (800, 1333)),
        ({"size": 512, "do_resize": False}, None, (None, None)),
        ({}, None, (None, None)),
    ],
)
def test_sizes_are_read_in_the_words_of_all_versions(
    settings: dict[str, Any], size: ImageSize | None, edges: tuple[int | None, int | None]
) -> None:
    how = preprocessing.of_huggingface(settings, {})
    assert (how.size, (how.shortest_edge, how.longest_edge)) == (size, edges)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"do_rescale": False, "image_mean": 100, "image_std": 2}, (200 - 100) / 2),
        ({"do_normalize": False}, 200 / 255),
        ({"rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]}, 200 / 127.5 - 1),
    ],
)
def test_pixels_are_scaled_as_the_preprocessing_says(settings: dict[str, Any], expected: float) -> None:
    pixels = preprocessing.of_huggingface(settings, {}).tensor(np.full((1, 1, 1, 3), 200, np.uint8))
    assert pixels.flatten().tolist() == pytest.approx([expected] * 3, rel=1e-5)


@pytest.mark.parametrize(
    "settings", [{"image_mean": "x"}, {"image_std": [0, 0, 0]}, {"size": {"height": "a", "width": 1}}]
)
def test_preprocessing_that_cannot_be_understood_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot be understood"):
        preprocessing.of_huggingface(settings, {})
