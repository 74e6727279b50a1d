"""A model that was trained here: ``model.pth`` as a file, in a folder, or in the ZIP of a result."""

from pathlib import Path
from typing import IO

import torch

from segdrop import architectures
from segdrop.codes import Code
from segdrop.model_files import description, pickled_tensors
from segdrop.model_files.model_file import ModelFile
from segdrop.modeling.architectures import SegmentationModel, build_model
from segdrop.modeling.folding import inference_copy
from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters import opening
from segdrop.modeling.segmenters.network import NetworkSegmenter
from segdrop.modeling.segmenters.preprocessing import Preprocessing, normalised
from segdrop.modeling.segmenters.protocol import LoadedModel
from segdrop.spec import Limits


def load(model: ModelFile, host: Host, folder: Path, _limits: Limits) -> LoadedModel:
    """Returns a ``model.pth`` ready to predict as it was trained: its size, its normalisation, its output stride."""
    with opening.verified(model, folder) as (stream, digest):
        _require_plain(model, stream)
        stream.seek(0)
        content = opening.tensors(model, stream)
    try:
        told = description.of_model_pth(content)
        network = _network(content, told.architecture or "")
        scale, offset = normalised(content["normalize"]["mean"], content["normalize"]["std"])  # type: ignore[index]
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise opening.fault(model, Code.MODEL_INVALID, f"{_first_line(error)}") from error
    fast = inference_copy(network, network.class_logits, host)
    limits = architectures.ARCHITECTURES[told.architecture or ""].input_limits
    preprocessing = Preprocessing(scale, offset, size=told.input_size, side_multiple=limits.side_multiple)
    classes = tuple(told.classes or ())
    return LoadedModel(NetworkSegmenter(fast, host, preprocessing, classes), digest)


def _require_plain(model: ModelFile, stream: IO[bytes]) -> None:
    """Refuses what is not plain before torch sees it, and names what it would call."""
    try:
        pickled_tensors.read(stream)
    except pickled_tensors.UnsafeError as error:
        raise opening.fault(model, Code.MODEL_UNSAFE, f"{error}; nothing of it was executed") from error
    except ValueError as error:
        raise opening.fault(model, Code.MODEL_INVALID, str(error)) from error


def _network(content: object, architecture: str) -> SegmentationModel:
    """Returns the network with its weights; raises ``ValueError`` or what torch raises where they do not fit."""
    if not isinstance(content, dict):
        raise ValueError("it is no model.pth of segdrop")  # noqa: TRY004  (the file's fault, not the caller's)
    if architecture not in architectures.ARCHITECTURES:
        raise ValueError(f"its architecture, {architecture}, is not one of this version of segdrop")
    network = build_model(architecture, len(content["classes"]))
    network.network.load_state_dict(content["state_dict"])
    network.set_output_stride(
        content.get("output_stride") or architectures.ARCHITECTURES[architecture].output_strides[0]
    )
    network.eval()
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
