"""A model that was trained here, or that torchvision publishes, predicts as it did before it was made fast."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from builders.networks import build_tiny_model, tiny_network
from builders.predicting_models import CLASSES, LIMITS, Evil, pictures, write_model_pth
from segdrop import architectures
from segdrop.codes import Code
from segdrop.errors import DataError
from segdrop.model_files import description, kinds
from segdrop.model_files.resolving import resolve
from segdrop.modeling.architectures import build_model
from segdrop.modeling.folding import inference_copy
from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters import LoadedModel, load, network, ours, published
from segdrop.modeling.segmenters.preprocessing import Preprocessing, normalised
from segdrop.request import ImageSize

FP32 = Host("fp32", 1)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "build_model", build_tiny_model)


def loaded(wanted: str, models: Path, host: Host = FP32) -> LoadedModel:
    folder = models.parent / "job"
    folder.mkdir(exist_ok=True)
    return load(resolve(wanted, models, None), host, folder, LIMITS)


def refused(wanted: str, models: Path) -> Code:
    with pytest.raises(DataError) as caught:
        loaded(wanted, models)
    return caught.value.issues[0].code


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def seasoned(module: nn.Module) -> nn.Module:
    """Gives every BatchNorm statistics, weights and biases that do something, as after a training."""
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values, low in (
                (norm.running_mean, -0.5),
                (norm.running_var, 0.5),
                (norm.weight, 0.5),
                (norm.bias, -0.5),
            ):
                assert values is not None
                values.data.copy_(torch.rand(values.shape, generator=generator) + low)
    return module.eval()


def test_a_model_of_ours_gives_the_logits_of_its_training(models: Path) -> None:
    trained = build_tiny_model("", 3)
    seasoned(trained)
    write_model_pth(models / "m.pth", trained.network)
    found = loaded("m", models)
    trained.set_output_stride(16)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([0.1, 0.2, 0.3], [0.5, 0.25, 0.125]))
    images = pictures(height=32, width=48)
    with torch.no_grad():
        expected = trained.class_logits((torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / std)
    logits = found.segmenter.logits(images)
    assert logits.dtype == torch.float32
    assert torch.allclose(logits, expected, atol=1e-4)
    assert (found.segmenter.classes, found.segmenter.input_size) == (tuple(CLASSES), ImageSize(32, 48))


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_result_zip_in_models_is_the_model_in_it(models: Path, packing: int) -> None:
    path = write_model_pth(models / "m.pth", tiny_network(3))
    with zipfile.ZipFile(models / "result.zip", "w", packing) as archive:
        archive.write(path, "model.pth")
    one, other = loaded("m.pth", models), loaded("result.zip", models)
    assert one.sha256 == other.sha256
    assert torch.equal(one.segmenter.logits(pictures()), other.segmenter.logits(pictures()))


def test_bf16_is_what_autocast_computes_within_its_rounding(models: Path) -> None:
    trained = build_tiny_model("", 3)
    seasoned(trained)
    host = Host("bf16", 1)
    how = Preprocessing(*normalised())
    expected = network.NetworkSegmenter(trained.class_logits, host, how, tuple(CLASSES)).logits(pictures())
    fast = inference_copy(trained, trained.class_logits, host)
    found = network.NetworkSegmenter(fast, host, how, tuple(CLASSES)).logits(pictures())
    assert float((found - expected).norm() / expected.norm()) < 0.02


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_folded_batchnorm_changes_no_architecture_of_the_catalog(name: str) -> None:
    with torch.device("meta"):  # to draw weights as for a training takes a second
        model = build_model(name, 3)
    _assert_unchanged(model, model.class_logits)


@pytest.mark.parametrize("name", ["deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"])
def test_folded_batchnorm_changes_no_published_network(name: str) -> None:
    with torch.device("meta"):
        net = published.build_network(name, 21)
    _assert_unchanged(net, lambda pixels: published._logits(net, pixels))


def _assert_unchanged(module: nn.Module, compute: Callable[[Tensor], Tensor]) -> None:
    module.to_empty(device="cpu")
    for parameter in module.parameters():
        parameter.data.normal_(0, max(1, parameter[0].numel()) ** -0.5)
    seasoned(module)
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = compute(pixels)
        fast = inference_copy(module, compute, Host("fp32", 1))
        after = fast(pixels)
    assert not any(isinstance(child, nn.BatchNorm2d) for child in fast.modules())
    assert float((after - before).norm() / before.norm()) < 1e-4


def test_logits_of_published_networks_are_those_of_torchvision() -> None:
    net = published.build_network("lraspp_mobilenet_v3_large", 21).eval()
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = net(pixels)["out"]
        logits = published._logits(net, pixels)
    assert torch.allclose(nn.functional.interpolate(logits, size=(64, 64), mode="bilinear"), expected, atol=1e-5)


def test_published_weights_are_known_by_their_name_and_checked_by_it(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = tiny_network(21)
    monkeypatch.setattr(published, "build_network", lambda _name, _classes: _without_auxiliary())
    torch.save(net.state_dict(), models / "saved")
    digest = _sha256(models / "saved")
    name = f"deeplabv3_resnet50_coco-{digest[:8]}.pth"
    (models / "saved").rename(models / name)
    found = loaded(name, models)
    assert found.segmenter.classes == tuple(description.VOC_CLASSES)
    assert found.segmenter.input_size is None
    assert found.segmenter.logits(pictures(height=40, width=64)).shape[:2] == (2, 21)
    (models / name).rename(models / "deeplabv3_resnet50_coco-cd0a2569.pth")
    assert refused("deeplabv3_resnet50_coco-cd0a2569", models) is Code.MODEL_INVALID


def _without_auxiliary() -> nn.Module:
    net = tiny_network(21)
    del net.aux_classifier
    return net


def _sha256(path: Path) -> str:
    from segdrop import weights_files  # noqa: PLC0415

    return weights_files.sha256(path)


def test_all_of_torchvisions_published_segmentation_weights_are_known() -> None:
    from segdrop.modeling.operators import import_torchvision  # noqa: PLC0415

    library = import_torchvision("torchvision.models")
    for name in library.list_models(module=library.segmentation):
        (weights,) = library.get_model_weights(name)
        assert kinds.published_architecture(weights.url.rpartition("/")[2]) == name
        assert weights.meta["categories"] == description.VOC_CLASSES
        assert weights.transforms.keywords == {"resize_size": published._SHORTEST_EDGE}


def test_a_malicious_model_is_refused_and_not_executed(models: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    path = write_model_pth(models / "m.pth", tiny_network(3), extra=Evil(victim))
    published_name = f"fcn_resnet50_coco-{_sha256(path)[:8]}.pth"
    (models / published_name).write_bytes(path.read_bytes())
    assert refused("m", models) is Code.MODEL_UNSAFE
    assert refused(published_name, models) is Code.MODEL_UNSAFE
    assert not victim.exists()
    torch.load(path, weights_only=False)["extra"].close()
    assert victim.exists(), "the file would have done harm"


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "unet"},
        {"format_version": 2},
        {"classes": ["a", "b"]},
        {"normalize": {}},
        {"state_dict": {}},
        {"format": "other"},
    ],
)
def test_a_model_that_does_not_fit_its_own_description_is_refused(models: Path, changes: dict[str, Any]) -> None:
    write_model_pth(models / "m.pth", tiny_network(3), **changes)
    assert refused("m", models) is Code.MODEL_INVALID


def test_an_image_is_scaled_by_its_shorter_side_and_keeps_its_shape() -> None:
    how = Preprocessing(*normalised(), shortest_edge=64, side_multiple=16)
    assert how.scaled_size(ImageSize(100, 200)) == ImageSize(64, 128)
    assert how.scaled_size(ImageSize(32, 16)) == ImageSize(128, 64)
    assert how.tensor(pictures(1, 100, 200)).shape == (1, 3, 64, 128)
    capped = Preprocessing(*normalised(), shortest_edge=64, longest_edge=96, side_multiple=16)
    assert capped.scaled_size(ImageSize(100, 200)) == ImageSize(48, 96)


def test_pixels_are_normalised_and_their_channels_turned_round() -> None:
    how = Preprocessing(*normalised((0.5, 0.25, 0.0), (0.5, 1.0, 2.0)), reverses_channels=True)
    pixels = how.tensor(np.array([[[[0, 51, 255]]]], np.uint8))
    assert pixels[0, :, 0, 0].tolist() == pytest.approx([0.5, -0.05, -1.0])
