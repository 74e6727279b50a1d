"""Tiny models of every kind that predicts, as their own libraries write them, and files that must never be run."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segdrop.settings import LimitSettings

LIMITS = LimitSettings().for_child()
CLASSES = ["sky", "road", "tree"]
_SWIN = {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1], "window_size": 2, "image_size": 32}
_STAGES = ["stage1", "stage2", "stage3", "stage4"]


def pictures(count: int = 2, height: int = 32, width: int = 32) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


# ours


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (os.fspath(self.path), "w"))


def write_model_pth(path: Path, network: Any, classes: list[str] | None = None, **changes: Any) -> Path:
    """Writes what a training would have written of a network."""
    import torch  # noqa: PLC0415  (many tests do without)

    classes = classes or CLASSES
    content = {
        "format": "segdrop-model",
        "format_version": 1,
        "state_dict": network.state_dict(),
        "architecture": "deeplabv3_resnet50",
        "num_classes": len(classes),
        "classes": classes,
        "image_size": [32, 48],
        "output_stride": 16,
        "normalize": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 0.125]},
        "precision": "fp32",
        "metrics": {"mean_iou": 0.625, "per_class": {"sky": {"iou": None}}, "confusion": [[1, 2], [3, 4]]},
        "deep_range": [10.0, 4000.0],
    }
    torch.save({**content, **changes}, path)
    return path


# Hugging Face


def transformers() -> Any:
    """The library, as the package itself imports it."""
    import importlib  # noqa: PLC0415
    import warnings  # noqa: PLC0415

    from segdrop.modeling.operators import import_torchvision  # noqa: PLC0415

    os.environ["HF_HUB_OFFLINE"] = "1"
    import_torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("transformers")


def huggingface_network(kind: str, names: list[str] | None = None) -> Any:
    """A network with random weights, of a few thousand parameters."""
    library = transformers()
    names = names or CLASSES
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    match kind:
        case "segformer":
            sizes = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 8, 8], "num_attention_heads": [1, 1, 1, 1]}
            config = library.SegformerConfig(**sizes, decoder_hidden_size=8, **labels)
            return library.SegformerForSemanticSegmentation(config).eval()
        case "mask2former":
            sizes = {"feature_size": 32, "mask_feature_size": 8, "hidden_dim": 32, "num_queries": 5}
            layers = {"encoder_layers": 1, "decoder_layers": 2, "num_attention_heads": 2}
            widths = {"encoder_feedforward_dim": 8, "dim_feedforward": 8}
            backbone = library.SwinConfig(**_SWIN, out_features=_STAGES)
            config = library.Mask2FormerConfig(backbone_config=backbone, **sizes, **layers, **widths, **labels)
            return library.Mask2FormerForUniversalSegmentation(config).eval()
        case "maskformer":
            layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "num_queries": 5}
            widths = {"d_model": 8, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "decoder_attention_heads": 2}
            decoder = library.DetrConfig(**layers, **widths).to_dict()
            backbone = library.SwinConfig(**_SWIN, out_features=_STAGES)
            sizes = {"fpn_feature_size": 32, "mask_feature_size": 8}
            config = library.MaskFormerConfig(backbone_config=backbone, decoder_config=decoder, **sizes, **labels)
            return library.MaskFormerForInstanceSegmentation(config).eval()
        case "upernet":
            backbone = library.ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], out_features=_STAGES)
            heads = {"hidden_size": 8, "auxiliary_channels": 8, "auxiliary_in_channels": 8, "pool_scales": [1, 2]}
            return library.UperNetForSemanticSegmentation(
                library.UperNetConfig(backbone_config=backbone, **heads, **labels)
            ).eval()
        case "dpt":
            sizes = {"hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 8}
            neck = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8, "backbone_out_indices": [0, 1, 2, 3]}
            return library.DPTForSemanticSegmentation(
                library.DPTConfig(**sizes, **neck, image_size=32, patch_size=16, **labels)
            ).eval()
    raise ValueError(kind)


def write_huggingface(folder: Path, network: Any, preprocessor: dict[str, Any] | None = None) -> Path:
    transformers().logging.disable_progress_bar()
    network.save_pretrained(folder)
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def change_json(path: Path, **changes: Any) -> None:
    """Sets keys of a JSON object; those that become ``None`` are removed."""
    value = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: inner for key, inner in value.items() if inner is not None}))


def packed(folder: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{prefix}{path.name}")
    return target


# ONNX

#: of a 1 x 1 convolution: the logit of each of three classes is the channel of its number, and a bit more
WEIGHTS = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)


def onnx_model(
    last: str | None = None,
    *,
    shape: tuple[Any, ...] = ("n", 3, "h", "w"),
    channels: int = 3,
    metadata: dict[str, str] | None = None,
    domain: str = "",
    element: int = 1,
) -> Any:
    """A graph that has one convolution, and after it what ``last`` says: an operator, ``NHWC`` or ``Squashed``."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    value, nodes = "image", []
    if element != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [value], ["float_image"], to=TensorProto.FLOAT))
        value = "float_image"
    if shape[-1] == 3:
        nodes.append(helper.make_node("Transpose", [value], ["planes"], perm=[0, 3, 1, 2]))
        value = "planes"
    nodes.append(helper.make_node("Conv", [value, "weights"], ["scores"]))
    value, output_element = "scores", TensorProto.FLOAT
    if last is not None:
        attributes: dict[str, Any] = {"Softmax": {"axis": 1}, "ArgMax": {"axis": 1, "keepdims": 0}}.get(last, {})
        if last == "NHWC":
            last, attributes = "Transpose", {"perm": [0, 2, 3, 1]}
        if last == "Squashed":  # one row for each class, as detectors have one for each number of a box
            last, attributes = "ReduceMax", {"axes": [2], "keepdims": 0}
        output_element = TensorProto.INT64 if last in ("ArgMax", "Shape") else TensorProto.FLOAT
        nodes.append(helper.make_node(last, [value], ["result"], domain=domain, **attributes))
        value = "result"
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", element, shape)],
        [helper.make_tensor_value_info(value, output_element, None)],
        [numpy_helper.from_array(WEIGHTS[:channels], "weights")],
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    helper.set_model_props(
        model, {"mean": "0,0,0", "std": "1,1,1", "classes": json.dumps(CLASSES[:channels])} | (metadata or {})
    )
    return model


def write_onnx(path: Path, model: Any) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def with_external_weights(model: Any, place: str) -> Any:
    """The same graph with its weights in another file, wherever its name leads."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place
    return model
