"""What a model is, by the names of its files alone: a kind that is read, or the reason why it is not."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from segdrop.codes import Code
from segdrop.model_files.model_file import ModelKind

MODEL_PTH = "model.pth"
CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
LABELS = "labels.txt"
SAFETENSORS = ".safetensors"

#: torchvision's published segmentation weights: ``NAME-<8 hex>.pth``, perhaps with ``_coco`` for what they were
#: trained on (torchvision 0.28, ``torchvision/models/segmentation/*.py``)
_PUBLISHED = re.compile(
    r"(deeplabv3_resnet50|deeplabv3_resnet101|deeplabv3_mobilenet_v3_large|fcn_resnet50|fcn_resnet101"
    r"|lraspp_mobilenet_v3_large)(?:_coco)?-[0-9a-f]{8}\.pth"
)
#: torchvision's weights of classification models, which training can start from
_BACKBONE = re.compile(r"(?:resne[sx]?t|mobilenet|efficientnet|vit|swin|convnext)[a-z0-9_]*-[0-9a-f]{8}\.pth")

_SAVE_AS_SAFETENSORS = (
    "In Python where it was made: `model.save_pretrained(FOLDER)` of transformers writes config.json and "
    "model.safetensors; put that folder into `models/`."
)
_EXPORT_ONNX = "Export it as ONNX where it was made, and put the .onnx file into `models/`."
_FROM_KERAS = "Convert it where it was made: `python -m tf2onnx.convert --keras {name} --output model.onnx`."
_FROM_SAVED_MODEL = (
    "Convert it where it was made: `python -m tf2onnx.convert --saved-model {name} --output model.onnx`."
)
_FROM_TFLITE = "Convert it where it was made: `python -m tf2onnx.convert --tflite {name} --output model.onnx`."
_FROM_TORCHSCRIPT = "Export the model that it was made from: `torch.onnx.export(model, image, 'model.onnx')`."

_PICKLES = {
    ".bin": "PyTorch's pickle format",
    ".ckpt": "a checkpoint in a pickle format",
    ".joblib": "a joblib file, which is a pickle",
    ".pickle": "a pickle",
    ".pkl": "a pickle",
    ".pt": "PyTorch's pickle format, or TorchScript",
    ".th": "PyTorch's pickle format",
}
_OTHERS = {
    ".engine": ("a TensorRT engine, which runs on one kind of GPU only", _EXPORT_ONNX),
    ".gguf": ("a GGUF file", _EXPORT_ONNX),
    ".h5": ("a Keras model", _FROM_KERAS),
    ".hdf5": ("a Keras model", _FROM_KERAS),
    ".keras": ("a Keras model", _FROM_KERAS),
    ".mlmodel": ("a Core ML model", _EXPORT_ONNX),
    ".npz": ("NumPy arrays without an architecture", _EXPORT_ONNX),
    ".ort": ("ONNX Runtime's own format", "Use the .onnx file that it was made from."),
    ".pb": ("a TensorFlow graph", _FROM_SAVED_MODEL),
    ".pdmodel": ("a PaddlePaddle model", "Convert it where it was made, with paddle2onnx."),
    ".plan": ("a TensorRT engine, which runs on one kind of GPU only", _EXPORT_ONNX),
    ".pte": ("an ExecuTorch model", _FROM_TORCHSCRIPT),
    ".ptl": ("a TorchScript model", _FROM_TORCHSCRIPT),
    ".tflite": ("a TensorFlow Lite model", _FROM_TFLITE),
    ".torchscript": ("a TorchScript model", _FROM_TORCHSCRIPT),
    SAFETENSORS: ("weights alone, which do not say of which model", "Put it into a folder with its config.json."),
}
#: files beside models that are none themselves: nothing is said about them
_COMPANIONS = re.compile(
    r".*\.(?:txt|json|md|csv|ya?ml|onnx[._]data|data|sha256|license)|licen[cs]e|readme", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A model of a kind that is read; ``member`` is the file of a folder or ZIP that it is."""

    kind: ModelKind
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A model that is not read. ``found`` says in words what it is."""

    code: Code
    found: str
    fix: str


Verdict = Recognised | Refused

_UNKNOWN = Refused(
    Code.MODEL_UNSUPPORTED,
    "no model that is known: it has neither model.pth, nor config.json with *.safetensors, nor one *.onnx",
    "Put the files of one model into it, directly.",
)


def of_file(name: str) -> Verdict | None:
    """Returns what a file in ``models/`` is; None for a ZIP, of which the names inside tell."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".zip":
        return None
    if suffix == ".onnx":
        return Recognised(ModelKind.ONNX)
    if suffix == ".pth":
        return _of_pth(name)
    if suffix in _PICKLES:
        return Refused(Code.MODEL_UNSAFE, f"{_PICKLES[suffix]}, which may hold any program", _SAVE_AS_SAFETENSORS)
    if suffix in _OTHERS:
        found, fix = _OTHERS[suffix]
        return Refused(Code.MODEL_UNSUPPORTED, found, fix.format(name=name))
    return Refused(Code.MODEL_UNSUPPORTED, f"a file of an unknown kind ({suffix or 'no suffix'})", _EXPORT_ONNX)


def _of_pth(name: str) -> Verdict:
    if published_architecture(name):
        return Recognised(ModelKind.TORCHVISION)
    if _BACKBONE.fullmatch(name):
        fix = f"Use it as `pretrained` of a training; to predict, train a model first (`pretrained: {name}`)."
        return Refused(Code.MODEL_UNSUPPORTED, "the weights of a backbone, which knows no segmentation classes", fix)
    return Recognised(ModelKind.SEGDROP)


def published_architecture(name: str) -> str | None:
    """Returns the name of torchvision's builder for a file of its published segmentation weights; None for others."""
    found = _PUBLISHED.fullmatch(name)
    return found.group(1) if found else None


def is_companion(name: str) -> bool:
    """Whether a file beside the models is none, but goes with one: lists of classes, external data, notes."""
    return _COMPANIONS.fullmatch(name) is not None


def of_names(names: Collection[str], name: str) -> Verdict:
    """Returns what the files of one folder are, by their plain names; ``name`` is the folder's or the ZIP's own."""
    suffixes = {PurePosixPath(file).suffix.lower() for file in names}
    if MODEL_PTH in names:
        return Recognised(ModelKind.SEGDROP, MODEL_PTH)
    if CONFIG in names and SAFETENSORS in suffixes:
        return Recognised(ModelKind.HUGGINGFACE)
    graphs = [file for file in names if file.lower().endswith(".onnx")]
    if len(graphs) == 1:
        return Recognised(ModelKind.ONNX, graphs[0])
    return _refused(names, suffixes, graphs, name)


def _refused(names: Collection[str], suffixes: set[str], graphs: list[str], name: str) -> Refused:
    if len(graphs) > 1:
        found = f"{len(graphs)} ONNX files, and it is not clear which is meant"
        return Refused(Code.MODEL_UNSUPPORTED, found, "Leave one .onnx file in the folder.")
    return _of_tensorflow(names, suffixes, name) or _of_torch(names, suffixes) or _UNKNOWN


def _of_tensorflow(names: Collection[str], suffixes: set[str], name: str) -> Refused | None:
    if "saved_model.pb" in names or "keras_metadata.pb" in names:
        return Refused(Code.MODEL_UNSUPPORTED, "a TensorFlow SavedModel", _FROM_SAVED_MODEL.format(name=name))
    if suffixes & {".h5", ".hdf5", ".keras"}:
        return Refused(Code.MODEL_UNSUPPORTED, "a Keras model", _FROM_KERAS.format(name=name))
    return None


def _of_torch(names: Collection[str], suffixes: set[str]) -> Refused | None:
    if "constants.pkl" in names:
        return Refused(Code.MODEL_UNSUPPORTED, "a TorchScript model", _FROM_TORCHSCRIPT)
    if pickled := sorted(file for file in names if PurePosixPath(file).suffix.lower() in {*_PICKLES, ".pth"}):
        found = f"weights in PyTorch's pickle format ({pickled[0]}), which may hold any program"
        return Refused(Code.MODEL_UNSAFE, found, _SAVE_AS_SAFETENSORS)
    if SAFETENSORS in suffixes:
        return Refused(Code.MODEL_INVALID, "weights without config.json", "Add the config.json that belongs to them.")
    return None
