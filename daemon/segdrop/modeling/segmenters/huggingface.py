"""Hugging Face models for semantic segmentation, from local files, by the library's own classes (transformers).

Read are config.json, the safetensors and preprocessor_config.json; the library is given their contents and no path, so
that it looks for nothing else: no adapter, no code, no other checkpoint, no network. Two sorts of output: logits for
each pixel (SegFormer, UPerNet, DPT, BEiT and others), and queries that have a class and a mask each (MaskFormer,
Mask2Former).
"""

import importlib
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.model_files import description, hashing, kinds, places
from segdrop.model_files.model_file import ModelFile
from segdrop.modeling.operators import import_torchvision
from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters import opening, preprocessing
from segdrop.modeling.segmenters.network import Compute, NetworkSegmenter
from segdrop.modeling.segmenters.protocol import LoadedModel
from segdrop.spec import Limits

EXTRA = "transformers"
_RANK = 4
_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
#: architectures whose queries are put together to classes here; OneFormer needs a text beside the image
_BY_QUERIES = frozenset({"mask2former", "maskformer"})
#: keys that would make the library fetch or run something, or compute in another way than the weights are meant for
_DROPPED = frozenset(
    {"auto_map", "_name_or_path", "attn_implementation", "_attn_implementation", "_attn_implementation_internal"}
    | {"custom_pipelines", "experts_implementation", "kernel_config", "torch_dtype", "dtype"}
)
#: below it, the share of a class is rounding: the logarithm stays finite
_LEAST_SHARE = 1e-7


def load(model: ModelFile, host: Host, folder: Path, limits: Limits) -> LoadedModel:
    """Returns a folder or ZIP with config.json and safetensors ready to predict.

    Raises ``DataError``: ``model.not_installed`` without transformers, ``model.unsupported`` for another sort of model,
    ``model.invalid`` where weights and configuration do not fit, ``model.no_classes`` where nothing names the classes.
    """
    digest = hashing.sha256(model)
    library = _library(model)
    files = opening.huggingface_folder(model, folder, limits)
    try:
        config = _json(files, kinds.CONFIG)
        preprocessor = _json(files, kinds.PREPROCESSOR) if _has(files, kinds.PREPROCESSOR) else None
        how = preprocessing.of_huggingface(preprocessor or {}, config)
        state = _weights(files)
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise
        raise opening.fault(model, Code.MODEL_INVALID, str(error)) from error
    network = _network(model, library, config, state)
    network.to(device=host.device, memory_format=torch.channels_last)
    classes = _classes(model, files, config, int(network.config.num_labels))
    segmenter = NetworkSegmenter(_compute(network), host, how, classes)
    _require_map(model, library, segmenter)
    return LoadedModel(segmenter, digest, tuple(_assumptions(model, preprocessor)))


def _library(model: ModelFile) -> ModuleType:
    """Imports transformers, kept from the network and from talking."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported
    opening.optional(model, "safetensors.torch", EXTRA)
    import_torchvision()  # which transformers imports as well, and which needs help beside a CPU-only torch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library to its own authors
        library = opening.optional(model, "transformers", EXTRA)
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    return library


def _has(folder: Path, name: str) -> bool:
    return name in opening.files_of(folder)


def _json(folder: Path, name: str) -> dict[str, Any]:
    return description.json_object(description.read_small(folder, name) or b"", name)


def _weights(folder: Path) -> dict[str, Tensor]:
    """Returns the tensors of a folder; raises ``ValueError`` where a file is missing, damaged, or one too many."""
    load_file = importlib.import_module("safetensors.torch").load_file
    state: dict[str, Tensor] = {}
    for name in _weights_files(folder):
        try:
            state.update(load_file(places.inside(folder, name), device="cpu"))
        except Exception as error:
            raise ValueError(f"{name} is damaged, or no safetensors file ({error})") from error
    return state


def _weights_files(folder: Path) -> list[str]:
    names = [name for name in opening.files_of(folder) if name.endswith(kinds.SAFETENSORS)]
    if _SINGLE in names:
        return [_SINGLE]
    if _has(folder, _INDEX):
        listed = _json(folder, _INDEX).get("weight_map")
        wanted = sorted({str(name) for name in listed.values()}) if isinstance(listed, dict) else []
        if not wanted or not set(wanted) <= set(names):
            missing = ", ".join(sorted(set(wanted) - set(names))[:3]) or "none named"
            raise ValueError(f"{_INDEX} names files that are not beside it: {missing}")
        return wanted
    if len(names) != 1:
        raise ValueError(f"it has {len(names)} safetensors files and neither {_SINGLE} nor {_INDEX}")
    return names


def _network(model: ModelFile, library: ModuleType, given: dict[str, Any], state: dict[str, Tensor]) -> Any:  # noqa: ANN401  (a class of the library's)
    """Returns the library's network with the weights, in evaluation mode and fp32."""
    if "quantization_config" in given:
        raise opening.fault(
            model, Code.MODEL_UNSUPPORTED, "its weights are quantised", "Use the model in fp32 or bf16."
        )
    if elsewhere := _backbone_elsewhere(given):
        message = f"it describes its backbone by another model ({elsewhere}), which is not fetched"
        fix = "Save it with `save_pretrained` of a current transformers, which writes `backbone_config`."
        raise opening.fault(model, Code.MODEL_UNSUPPORTED, message, fix)
    values = _without_surprises(given)
    kind = str(values.pop("model_type", ""))
    network_class = _network_class(library, kind)
    if network_class is None:
        raise _unsupported(model, kind)
    with _told_of(model, library):
        config = library.AutoConfig.for_model(kind, **values)
        network, report = network_class.from_pretrained(
            None, config=config, state_dict=state, output_loading_info=True, local_files_only=True
        )
    _require_whole(model, report)
    return network.float().eval().requires_grad_(requires_grad=False)


@contextmanager
def _told_of(model: ModelFile, library: ModuleType) -> Iterator[None]:
    """Raises what the library raises, which is anything, as ``DataError`` (``model.invalid``)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImportError as error:
        message = f"transformers {library.__version__} needs another package for it: {_first_line(error)}"
        fix = "Ask the operator to install what is named beside segdrop, or export the model as ONNX."
        raise opening.fault(model, Code.MODEL_NOT_INSTALLED, message, fix) from error
    except Exception as error:
        message = f"transformers {library.__version__} cannot build or run it: {_first_line(error)}"
        raise opening.fault(model, Code.MODEL_INVALID, message) from error


def _without_surprises(value: Any) -> Any:  # noqa: ANN401  (JSON)
    """Returns a configuration, and those inside it, less what would make the library fetch or run something."""
    if isinstance(value, dict):
        kept = {key: _without_surprises(inner) for key, inner in value.items() if key not in _DROPPED}
        if "use_pretrained_backbone" in kept:
            kept["use_pretrained_backbone"] = False  # its weights are among those of the model
        return kept
    return [_without_surprises(inner) for inner in value] if isinstance(value, list) else value


def _backbone_elsewhere(value: Any) -> str | None:  # noqa: ANN401  (JSON)
    """Returns the place that a configuration, or one inside it, names for its backbone: a path, or one of the hub."""
    if isinstance(value, dict):
        name = value.get("backbone")
        if isinstance(name, str) and ("/" in name or "\\" in name or name.startswith(".")):
            return name
        return next(filter(None, map(_backbone_elsewhere, value.values())), None)
    return next(filter(None, map(_backbone_elsewhere, value)), None) if isinstance(value, list) else None


def _network_class(library: ModuleType, kind: str) -> Any:  # noqa: ANN401
    """Returns the class that predicts classes for pixels, of a ``model_type``; None where there is none."""
    if kind not in library.CONFIG_MAPPING:
        return None
    config_class = library.CONFIG_MAPPING[kind]
    if kind in _BY_QUERIES:
        return library.MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING.get(config_class, None)
    return library.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING.get(config_class, None)


def _unsupported(model: ModelFile, kind: str) -> DataError:
    message = f"its model_type, {kind or 'unknown'}, is none for semantic segmentation that is read here"
    fix = "Use SegFormer, UPerNet, DPT, BEiT, MobileViT, MaskFormer or Mask2Former, or export the model as ONNX."
    return opening.fault(model, Code.MODEL_UNSUPPORTED, message, fix)


def _require_whole(model: ModelFile, report: dict[str, Any]) -> None:
    """Refuses a model of which a part would keep random weights."""
    missing = sorted(str(name) for name in report.get("missing_keys", ()))
    if missing:
        message = f"{len(missing)} of its weights are missing ({', '.join(missing[:3])})"
        fix = "Save the whole model, with the head that was trained for segmentation."
        raise opening.fault(model, Code.MODEL_INVALID, message, fix)
    if mismatched := report.get("mismatched_keys"):
        message = f"{len(mismatched)} of its weights have other shapes than config.json says"
        raise opening.fault(model, Code.MODEL_INVALID, message)


def _require_map(model: ModelFile, library: ModuleType, segmenter: NetworkSegmenter) -> None:
    """Predicts one black image, so that what does not run, or is no map of classes, is refused before the first one."""
    height, width = segmenter.input_size or (2 * segmenter.side_multiple, 3 * segmenter.side_multiple)
    with _told_of(model, library):
        shape = segmenter.logits(np.zeros((1, height, width, 3), np.uint8)).shape
    if len(shape) != _RANK or shape[1] != len(segmenter.classes):
        message = f"its output is no map of its {len(segmenter.classes)} classes (shape {list(shape)})"
        raise opening.fault(model, Code.MODEL_INVALID, message)


def _compute(network: Any) -> Compute:  # noqa: ANN401
    if network.config.model_type in _BY_QUERIES:
        return lambda pixels: class_scores(*_queries(network, pixels))
    return lambda pixels: network(pixel_values=pixels).logits


def _queries(network: Callable[..., Any], pixels: Tensor) -> tuple[Tensor, Tensor]:
    output = network(pixel_values=pixels)
    return output.class_queries_logits, output.masks_queries_logits


def class_scores(class_queries: Tensor, mask_queries: Tensor) -> Tensor:
    """Returns logits (N, C, h, w) of queries, which have logits of classes (N, Q, C + 1) and of masks (N, Q, h, w).

    The last class stands for no object. A class's score at a pixel is the sum over the queries of the probability of
    the class times that of the mask; of the logarithms of the scores, softmax makes their shares. Cheng et al.,
    "Masked-attention Mask Transformer for Universal Image Segmentation", 2022 (arXiv 2112.01527), and transformers'
    ``post_process_semantic_segmentation``.
    """
    of_class = class_queries.float().softmax(dim=-1)[..., :-1]
    of_mask = mask_queries.float().sigmoid()
    with torch.autocast(of_mask.device.type, enabled=False):  # bf16 would make classes of nearly one score tie
        scores = torch.einsum("bqc,bqhw->bchw", of_class, of_mask)
    return scores.clamp_min(_LEAST_SHARE).log()


def _classes(model: ModelFile, folder: Path, config: dict[str, Any], count: int) -> tuple[str, ...]:
    listed = (description.read_small(folder, kinds.LABELS) or b"").decode("utf-8-sig", "replace").splitlines()
    names = description.classes_of_config(config) or description.unique(line.strip() for line in listed if line.strip())
    if len(names) != count:
        message = f"it has {count} classes, and {len(names) or 'no'} names for them in config.json (`id2label`)"
        fix = f"Write all {count} into `id2label` of config.json, or into labels.txt beside it, one a line."
        raise opening.fault(model, Code.MODEL_NO_CLASSES, message, fix)
    return tuple(names)


def _assumptions(model: ModelFile, preprocessor: dict[str, Any] | None) -> list[Issue]:
    if preprocessor is not None:
        return []
    message = f"{model.name} has no {kinds.PREPROCESSOR}: images are normalised as ImageNet's, and not scaled"
    return [Issue.of(Code.MODEL_ASSUMED, message, files=[model.name])]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
