"""Models that predict, behind one protocol: one module for each kind, imported when a model of that kind is opened."""

import importlib
from pathlib import Path

from segdrop.model_files.model_file import ModelFile, ModelKind
from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters.protocol import LoadedModel, Segmenter
from segdrop.spec import Limits

__all__ = ["LoadedModel", "Segmenter", "load"]

_MODULES = {
    ModelKind.SEGDROP: "ours",
    ModelKind.HUGGINGFACE: "huggingface",
    ModelKind.ONNX: "onnx",
    ModelKind.TORCHVISION: "published",
}


def load(model: ModelFile, host: Host, folder: Path, limits: Limits) -> LoadedModel:
    """Opens a model, makes sure of its hash, and returns it ready to predict on the host.

    What is packed in a ZIP is unpacked into ``folder``, which exists and belongs to the job; ``limits`` hold for the
    ZIP. Nothing of the model is run but its layers. Raises ``DataError`` with one of the codes ``model.*``,
    ``weights.*`` or, for a ZIP, ``archive.*``; and ``OSError`` where files cannot be read or written.
    """
    loaded: LoadedModel = importlib.import_module(f"{__name__}.{_MODULES[model.kind]}").load(
        model, host, folder, limits
    )
    return loaded
