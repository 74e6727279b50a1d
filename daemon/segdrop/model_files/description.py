"""What a model says about itself, without torch and without its kind's library: classes, input size, and how it did."""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from segdrop import regular_files
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.model_files import hashing, kinds, onnx_messages, pickled_tensors, places
from segdrop.model_files.model_file import ModelFile, ModelKind
from segdrop.record import Record
from segdrop.request import ImageSize

#: The classes of torchvision's published segmentation weights (torchvision/models/_meta.py, ``_VOC_CATEGORIES``).
VOC_CLASSES = [
    *("__background__", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
]
_MOST_TEXT_BYTES = 1 << 20
_GENERIC = re.compile(r"LABEL_\d+")


class Description(Record):
    """What a model says about itself; ``None`` where it says nothing."""

    classes: list[str] | None = None
    architecture: str | None = None
    input_size: ImageSize | None = None  #: None also where any size will do
    mean_iou: float | None = None  #: on the validation images of its training
    #: values of images with more than 8 bits a channel that were black and white in training
    deep_range: tuple[float, float] | None = None


def describe(model: ModelFile) -> Description:
    """Returns what a model says about itself.

    Raises ``DataError`` (``model.unsafe``, ``model.invalid``) where it cannot be read, and ``OSError`` as open(2) does.
    """
    try:
        match model.kind:
            case ModelKind.SEGDROP:
                return of_model_pth(_plain(model))
            case ModelKind.HUGGINGFACE:
                return _of_huggingface(model)
            case ModelKind.ONNX:
                return _of_onnx(model)
            case ModelKind.TORCHVISION:
                architecture = kinds.published_architecture(model.name)
                return Description(classes=VOC_CLASSES, architecture=architecture)
    except pickled_tensors.UnsafeError as error:
        raise DataError([Issue.of(Code.MODEL_UNSAFE, f"{model.name}: {error}", files=[model.name])]) from error
    except ValueError as error:
        raise DataError([Issue.of(Code.MODEL_INVALID, f"{model.name}: {error}", files=[model.name])]) from error


def _plain(model: ModelFile) -> object:
    with hashing.opened(model) as stream:
        return pickled_tensors.read(stream)


def of_model_pth(content: object) -> Description:
    """Returns what the values of a model.pth of ours say; raises ``ValueError`` where it is none."""
    if not isinstance(content, dict) or content.get("format") != "segdrop-model":
        raise ValueError("it is no model.pth of segdrop; of other weights, nothing says which network they are of")
    if content.get("format_version") != 1:
        raise ValueError("it was written by a later version of segdrop")
    try:
        height, width = content["image_size"]
        deep_range = content.get("deep_range")
        return Description(
            classes=[str(name) for name in content["classes"]],
            architecture=str(content["architecture"]),
            input_size=ImageSize(int(height), int(width)),
            mean_iou=(content.get("metrics") or {}).get("mean_iou"),
            deep_range=(float(deep_range[0]), float(deep_range[1])) if deep_range else None,
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"it lacks what a model.pth has ({error})") from error


def _of_huggingface(model: ModelFile) -> Description:
    """Reads the JSON files alone; the library's own defaults, which depend on the kind of model, are not known here."""
    config = _json_of(model, kinds.CONFIG)
    named = config.get("architectures")
    architecture = str(named[0]) if isinstance(named, list) and named else str(config.get("model_type", "unknown"))
    return Description(
        classes=classes_of_config(config) or _listed(_optional(model, kinds.LABELS)),
        architecture=architecture,
        input_size=fixed_size(_json_of(model, kinds.PREPROCESSOR, optional=True)),
    )


def _json_of(model: ModelFile, name: str, *, optional: bool = False) -> dict[str, Any]:
    content = _optional(model, name)
    if content is None and optional:
        return {}
    return json_object(content or b"", name)


def json_object(content: bytes, name: str) -> dict[str, Any]:
    """Returns the JSON object in a file of a model; raises ``ValueError`` where it is none."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not readable JSON") from error
    if not isinstance(value, dict):
        raise ValueError(f"{name} holds no JSON object")  # noqa: TRY004  (the file's fault, not the caller's)
    return value


def _optional(model: ModelFile, name: str) -> bytes | None:
    """Returns a small file of a model's folder or ZIP; None where there is none."""
    if model.path.is_dir():
        return read_small(model.path, name)
    with places.open_zip(model.path) as archive:
        member = f"{model.member or ''}{name}"
        if member not in archive.namelist():
            return None
        with archive.open(member) as stream:
            return stream.read(_MOST_TEXT_BYTES)


def read_small(folder: Path, name: str) -> bytes | None:
    """Returns a small file of a model's folder; None where there is none. Raises as ``places.open_inside`` does."""
    try:
        with places.open_inside(folder, name) as stream:
            return stream.read(_MOST_TEXT_BYTES)
    except FileNotFoundError:
        return None


def _of_onnx(model: ModelFile) -> Description:
    with hashing.opened(model) as stream:
        summary = onnx_messages.read(stream)
    config, preprocessor = beside_graph(model)
    sides = (summary.inputs[0].shape or ()) if len(summary.inputs) == 1 else ()
    height, width = (sides[1:3] if sides[3] in (1, 3) else sides[2:4]) if len(sides) == 4 else (None, None)  # noqa: PLR2004
    return Description(
        classes=classes_of_metadata(summary.metadata) or classes_of_config(config) or labels_beside(model),
        architecture=None,
        input_size=ImageSize(height, width) if height and width else fixed_size(preprocessor),
    )


def beside_graph(model: ModelFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns config.json and preprocessor_config.json of an ONNX model's own folder, empty where there is none."""
    if not model.path.is_dir():
        return {}, {}
    found = [(name, read_small(model.path, name)) for name in (kinds.CONFIG, kinds.PREPROCESSOR)]
    config, preprocessor = (json_object(content, name) if content else {} for name, content in found)
    return config, preprocessor


def classes_of_config(config: Mapping[str, Any]) -> list[str] | None:
    """Returns the classes in a config.json of Hugging Face; None for none, and for names that nobody gave (LABEL_0)."""
    table = config.get("id2label")
    if not isinstance(table, dict) or not table:
        return None
    by_id = _by_id(table)
    if by_id is None or all(_GENERIC.fullmatch(name) for name in by_id):
        return None
    return by_id


def _by_id(table: Mapping[Any, Any]) -> list[str] | None:
    """Returns names in the order of their ids; None where the ids are not 0, 1, 2 and so on."""
    with suppress(ValueError, TypeError):
        by_id = {int(key): str(value) for key, value in table.items()}
        if sorted(by_id) == list(range(len(by_id))):
            return unique([by_id[class_id] for class_id in range(len(by_id))])
    return None


def classes_of_metadata(metadata: Mapping[str, str]) -> list[str] | None:
    """Returns the classes in the metadata of an ONNX file, under ``classes``, ``names``, ``labels`` or ``id2label``.

    As JSON, as Python writes a dictionary or list (Ultralytics does), or as names with commas or line ends between.
    """
    for key in ("classes", "names", "labels", "id2label"):
        if text := metadata.get(key, "").strip():
            return _names_in(text)
    return None


def _names_in(text: str) -> list[str] | None:
    value: object = None
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            value = parse(text)
            break
    if isinstance(value, dict):
        return _by_id(value)
    if isinstance(value, list | tuple):
        return unique([str(name) for name in value]) or None
    names = [name.strip() for name in re.split(r"[,\n]", text)]
    return unique([name for name in names if name]) or None


def labels_beside(model: ModelFile) -> list[str] | None:
    """Returns the class names, one a line, in the text file that goes with an ONNX file.

    That is labels.txt in the model's own folder; beside NAME.onnx it is NAME.labels.txt, NAME.txt, or labels.txt.
    """
    if model.path.is_dir():
        return _listed(read_small(model.path, kinds.LABELS))
    stem = model.path.name.removesuffix(model.path.suffix)
    for folder in dict.fromkeys((model.path.parent, model.path.resolve().parent)):
        for name in (f"{stem}.{kinds.LABELS}", f"{stem}.txt", kinds.LABELS):
            with suppress(FileNotFoundError, regular_files.NotRegularError), places.open_file(folder / name) as stream:
                return _listed(stream.read(_MOST_TEXT_BYTES))
    return None


def _listed(content: bytes | None) -> list[str] | None:
    lines = (content or b"").decode("utf-8-sig", "replace").splitlines()
    return unique([line.strip() for line in lines if line.strip()]) or None


def unique(names: Iterable[str]) -> list[str]:
    """Returns names of which no two are the same: repeated ones get their class id, as metrics are told by name."""
    names = list(names)
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name} ({class_id})" for class_id, name in enumerate(names)]


def fixed_size(preprocessor: Mapping[str, Any]) -> ImageSize | None:
    """Returns the size to which a preprocessor_config.json scales every image; None where that depends on the image."""
    size = preprocessor.get("size")
    if not preprocessor.get("do_resize", True):
        return None
    if isinstance(size, dict) and "height" in size and "width" in size:
        return ImageSize(int(size["height"]), int(size["width"]))
    is_square = isinstance(size, int) and "max_size" not in preprocessor
    return ImageSize(int(size), int(size)) if is_square and isinstance(size, int) else None
