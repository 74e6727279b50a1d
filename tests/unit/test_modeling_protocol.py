"""Nothing outside the module of a family knows what its submodules are called, and another family needs no more."""

import ast
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import segdrop
from builders import networks
from builders.training import training_spec, write_cache
from segdrop import architectures
from segdrop.child_runtime import StopFlag
from segdrop.results import predict_script
from segdrop.training import loop

PACKAGE = Path(segdrop.__file__).parent
FAMILIES = ("modeling/architectures/", "modeling/kernels/", "results/templates/architectures/")
#: what opens other libraries' models, whose words are theirs: torchvision's published networks, keys of a config.json
FOREIGN = {"modeling/segmenters/huggingface.py", "modeling/segmenters/published.py"}
#: in torchvision's DeepLabV3
SUBMODULES = {"backbone", "classifier", "aux_classifier", *(f"layer{stage}" for stage in range(1, 5))}
OUTPUTS = {"out", "aux"}


def names_in(source: str) -> set[str]:
    """The names of submodules that code says: as an attribute, or alone or dotted in a text that is no prose."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            found |= SUBMODULES & {node.attr}
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            found |= OUTPUTS & {node.slice.value}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            found |= SUBMODULES & set(node.value.split("."))
    return found


def test_no_submodule_is_named_outside_the_families() -> None:
    named = {
        path.relative_to(PACKAGE).as_posix(): found
        for path in sorted(PACKAGE.rglob("*.py"))
        if (found := names_in(path.read_text(encoding="utf-8")))
    }
    assert named.keys() - FOREIGN == {
        "modeling/architectures/deeplabv3.py",
        "results/templates/architectures/deeplabv3.py",
    }
    assert all(path.startswith(FAMILIES) for path in named.keys() - FOREIGN)


@pytest.mark.parametrize(
    "line", ["network.backbone", 'get_submodule("backbone")', 'key.startswith("aux_classifier.")', 'features["out"]']
)
def test_a_submodule_is_seen_however_it_is_named(line: str) -> None:
    assert names_in(line)


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A family, as one comes in: a module, and a row of the catalog. Threads, which runs set, are put back."""
    before = torch.get_num_threads()
    limits = architectures.InputLimits(least_batch=1, least_side=16, side_multiple=4)
    weights = (architectures.WeightsFile("other.pth", "nothing", 0.1),)
    row = architectures.Architecture("other", "tiny", "for tests", 0.001, (4,), limits, weights)
    monkeypatch.setitem(architectures.ARCHITECTURES, row.name, row)
    monkeypatch.setitem(sys.modules, "segdrop.modeling.architectures.tiny", networks)
    yield row.name
    torch.set_num_threads(before)


def trained(folder: Path, architecture: str, **request: Any) -> dict[str, Any]:
    """A model.pth, by a run of one epoch. Which rows there are, requests have read at their import."""
    spec = training_spec(folder, write_cache(folder / "cache", train=3, val=2), epochs=1, **request)
    asked = spec.request.model_copy(update={"architecture": architecture})
    loop.train(spec.model_copy(update={"request": asked}), StopFlag())
    assert json.loads(spec.result_path.read_bytes())["metrics"]["output_stride"] == 4
    return dict(torch.load(spec.model_path, weights_only=True))


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
def test_another_family_is_trained_by_its_module_and_its_row(tmp_path: Path, other: str, optimizer: str) -> None:
    keys = {"ema": True, "progressive_size": True, "batch_size": 1, "loss": "weighted_cross_entropy"}
    content = trained(tmp_path / "run", other, optimizer=optimizer, **keys)
    assert (content["architecture"], content["output_stride"]) == (other, 4)
    assert {name.partition(".")[0] for name in content["state_dict"]} == {"stem", "decoder"}


def test_another_family_starts_from_its_published_weights_and_keeps_what_is_frozen(tmp_path: Path, other: str) -> None:
    published = networks.build(other, 2).encoder.state_dict()
    (tmp_path / "run" / "models").mkdir(parents=True)
    torch.save(published, tmp_path / "run" / "models" / "other.pth")
    content = trained(tmp_path / "run", other, pretrained="auto", frozen_stages=1)
    assert content["metrics"]["initialisation"] == "pretrained stem (other.pth)"
    assert all(torch.equal(content["state_dict"][f"stem.{name}"], value) for name, value in published.items())


def test_a_run_keeps_to_the_output_strides_that_its_family_has(tmp_path: Path, other: str) -> None:
    assert trained(tmp_path / "run", other, output_stride=16)["output_stride"] == 4


def test_the_script_of_another_family_has_its_part_in_place_of_the_other(
    tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = shutil.copytree(PACKAGE, tmp_path / "segdrop", ignore=shutil.ignore_patterns("__pycache__"))
    part = package / "results/templates/architectures/tiny.py"
    part.write_text('"""A part."""\n\nimport torch\n\nARCHITECTURES = {"other"}\n')
    monkeypatch.setattr(predict_script, "_PACKAGE", package)
    script = predict_script.render(other)
    assert 'ARCHITECTURES = {"other"}' in script
    assert "torchvision" not in script
    assert "segdrop." not in re.sub(r"#.*|\"[^\"]*\"", "", script)
    compile(script, "predict.py", "exec")


def test_an_architecture_of_a_known_family_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from segdrop.modeling.architectures import build_model  # noqa: PLC0415

    row = replace(architectures.DEEPLABV3_RESNET50, name="deeplabv3_resnet101")
    monkeypatch.setitem(architectures.ARCHITECTURES, row.name, row)
    stages = build_model(row.name, 2).stages
    assert [sum(1 for _ in part.children()) for part in stages[2]] == [23], "a ResNet-101"
