"""ONNX models, run by ONNX Runtime (onnxruntime) on the CPU.

Before the runtime sees a file, it is walked: operators that are none of ONNX's or the runtime's own are refused, and so
are weights in other files that are not beside it. What input and output mean is said by metadata, by the files beside
the model, or by shape and type, tried once on noise; what is assumed is told.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.model_files import description, hashing, onnx_messages, places
from segdrop.model_files.model_file import ModelFile
from segdrop.model_files.onnx_messages import Summary
from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters import opening, preprocessing
from segdrop.modeling.segmenters.prepared import PreparedSegmenter
from segdrop.modeling.segmenters.preprocessing import Preprocessing
from segdrop.modeling.segmenters.protocol import LoadedModel
from segdrop.request import ImageSize
from segdrop.spec import Limits

EXTRA = "onnx"
#: ONNX's own operators, and those that ONNX Runtime brings along (its optimiser and quantiser write them)
_KNOWN_DOMAINS = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}
)
#: of the runtime, and yet it opens a file that the graph names
_FILE_OPERATORS = frozenset({"EPContext"})
_CHANNELS, _RANK = 3, 4
_FLOAT, _UINT8, _FLOAT16 = 1, 2, 10  # TensorProto.DataType
_DTYPES = {_FLOAT: np.float32, _UINT8: np.uint8, _FLOAT16: np.float16}
_SIDE_MULTIPLE = 32
#: of an input to try a graph on that takes any: one side is longer, so that the two are told apart
_PROBE_SIZE = ImageSize(192, 256)
_MOST_STRIDE = 64  #: pixels to a step of an output
#: tasks of Ultralytics' models, as their metadata say it
_ULTRALYTICS_TASKS = frozenset({"classify", "detect", "obb", "pose", "segment"})
_OTHER_TASK = "Export a model for semantic segmentation; to find objects, boxes, or one class an image is another task."
_LEAST_PROBABILITY = 1e-7
_CERTAIN = 20.0  #: logit of a class that is certain: its probability is 1 within a millionth


class _Meaning(Enum):
    """What the output of a graph is."""

    LOGITS = auto()
    PROBABILITIES = auto()
    BINARY_LOGIT = auto()  #: of the second of two classes
    BINARY_PROBABILITY = auto()
    CLASS_IDS = auto()


def load(model: ModelFile, host: Host, _folder: Path, _limits: Limits) -> LoadedModel:
    """Returns an ONNX file, or a folder with one, ready to predict.

    Raises ``DataError``: ``model.not_installed`` without onnxruntime, ``model.unsupported`` for foreign operators
    and for inputs or outputs that are none of a segmentation, ``model.unsafe`` for data elsewhere, ``model.invalid``
    where it does not run, ``model.no_classes`` where nothing names the classes.
    """
    summary = _summary(model)
    _require_known_operators(model, summary)
    _require_data_beside(model, summary)
    digest = hashing.sha256(model)
    _require_images(model, summary)
    graph = _Graph(model, summary, _session(model, opening.optional(model, "onnxruntime", EXTRA), host))
    how, assumptions = _preprocessing(model, summary, graph.size)
    size = how.size or _PROBE_SIZE
    probe = graph.run(_noise(size))
    meaning, axis = _meaning(model, summary, graph, probe, size)
    classes = _classes(model, summary, _class_count(meaning, probe, axis))
    issues = tuple(Issue.of(Code.MODEL_ASSUMED, f"{model.name}: {text}", files=[model.name]) for text in assumptions)
    if meaning is _Meaning.CLASS_IDS:
        message = f"{model.name} gives class ids and no probabilities: its confidence is said to be 100 % everywhere"
        issues = (*issues, Issue.of(Code.MODEL_ASSUMED, message, files=[model.name]))
    return LoadedModel(OnnxSegmenter(model, graph, how, classes, meaning, axis), digest, issues)


def _path(model: ModelFile) -> Path:
    """Returns the file itself: data in other files lie beside it, not beside a link to it."""
    return places.inside(model.path, model.member) if model.member else model.path.resolve()


def _summary(model: ModelFile) -> Summary:
    try:
        with hashing.opened(model) as stream:
            return onnx_messages.read(stream)
    except ValueError as error:
        raise opening.fault(model, Code.MODEL_INVALID, str(error)) from error


def _require_known_operators(model: ModelFile, summary: Summary) -> None:
    """Refuses operators that neither ONNX nor the runtime has, unless the file itself defines them by others."""
    foreign = sorted(
        f"{domain}.{name}" if domain else name
        for domain, name in summary.operators - summary.functions
        if domain not in _KNOWN_DOMAINS or name in _FILE_OPERATORS
    )
    if foreign:
        message = f"it needs operators from elsewhere: {', '.join(foreign[:5])}"
        fix = "Export it again with ONNX's own operators only: code that comes with a model is never run."
        raise opening.fault(model, Code.MODEL_UNSUPPORTED, message, fix)


def _require_data_beside(model: ModelFile, summary: Summary) -> None:
    """Refuses weights in other files, unless these are beside the model and have plain names."""
    folder = _path(model).parent
    for place in sorted({place or "" for place in summary.external}):
        if not place or place in (".", "..") or "/" in place or "\\" in place or "\0" in place:
            message = f"its weights are in {place or 'a file without a name'!r}, which is no plain name beside it"
            fix = "Save it with its data in one file, or in files beside it."
            raise opening.fault(model, Code.MODEL_UNSAFE, message, fix)
        if not places.inside(folder, place).is_file():
            message = f"its weights are in {place}, which is not beside it"
            raise opening.fault(model, Code.MODEL_INVALID, message, f"Copy {place} into the same folder.")


def _require_images(model: ModelFile, summary: Summary) -> None:
    """Refuses a graph for another task, or that takes anything but one batch of images with three channels."""
    if (task := summary.metadata.get("task")) in _ULTRALYTICS_TASKS:
        message = f"its metadata say that its task is {task}: it finds objects, and no class for every pixel"
        raise opening.fault(model, Code.MODEL_UNSUPPORTED, message, _OTHER_TASK)
    if len(summary.inputs) != 1:
        names = ", ".join(value.name for value in summary.inputs) or "none"
        raise opening.fault(model, Code.MODEL_UNSUPPORTED, f"it takes other inputs than one image ({names})")
    shape = summary.inputs[0].shape or (None,) * _RANK
    is_rank_right = len(shape) == _RANK and summary.inputs[0].element in _DTYPES
    if not is_rank_right or _CHANNELS not in (shape[1] or _CHANNELS, shape[3]):
        message = f"its input is none of images with three channels (shape {list(shape)})"
        raise opening.fault(model, Code.MODEL_UNSUPPORTED, message)


def _session(model: ModelFile, runtime: ModuleType, host: Host) -> Any:  # noqa: ANN401  (onnxruntime's)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = host.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(str(_path(model)), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has a dozen sorts of its own
        raise opening.fault(model, Code.MODEL_INVALID, f"ONNX Runtime refuses it: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


class _Graph:
    """The graph as a function of images: one input, one output."""

    def __init__(self, model: ModelFile, summary: Summary, session: Any) -> None:  # noqa: ANN401
        self._model = model
        self._session = session
        self._input = summary.inputs[0]
        shape = self._input.shape or (None,) * _RANK
        self._is_channels_last = shape[1] != _CHANNELS and shape[3] == _CHANNELS
        self._batch = shape[0]
        height, width = shape[1:3] if self._is_channels_last else shape[2:4]
        self.size = ImageSize(height, width) if height and width else None
        self.output = _main_output(summary)

    def run(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Returns the output of an input (N, 3, H, W); raises ``DataError`` (``model.invalid``) where it fails."""
        values = pixels.astype(_DTYPES[self._input.element], copy=False)
        if self._is_channels_last:
            values = values.transpose(0, 2, 3, 1)
        step = self._batch or len(values)
        parts = [self._run(values[start : start + step], step) for start in range(0, len(values), step)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, values: npt.NDArray[Any], step: int) -> npt.NDArray[Any]:
        """Runs a batch; one that is smaller than the graph's own is filled up, and the filling taken away again."""
        count = len(values)
        if count < step:
            values = np.concatenate([values, np.repeat(values[-1:], step - count, axis=0)])
        try:
            (output,) = self._session.run([self.output], {self._input.name: np.ascontiguousarray(values)})
        except Exception as error:  # the runtime has a dozen sorts of its own
            message = f"it fails on an input of the shape {list(values.shape)}: {_first_line(error)}"
            raise opening.fault(self._model, Code.MODEL_INVALID, message) from error
        result: npt.NDArray[Any] = output
        return result[:count]


def _main_output(summary: Summary) -> str:
    """Returns the output that is taken: the first that has the rank of a map, if a rank is said, else the first."""
    maps = [value.name for value in summary.outputs if value.shape is None or len(value.shape) in (3, _RANK)]
    return (maps or [value.name for value in summary.outputs])[0]


def _noise(size: ImageSize) -> npt.NDArray[np.float32]:
    """Returns one input of noise, (1, 3, H, W), to see what the output is like."""
    return np.random.default_rng(0).random((1, _CHANNELS, *size), dtype=np.float32)


def _preprocessing(model: ModelFile, summary: Summary, size: ImageSize | None) -> tuple[Preprocessing, list[str]]:
    """Returns how the input is made, and in words what of it is assumed.

    Metadata come first (``mean`` and ``std``, of values from 0 to 1 or from 0 to 255), then preprocessor_config.json in
    the model's folder. Inputs of 8 bits take the pixels as they are; all else is normalised as ImageNet's.
    """
    try:
        config, preprocessor = description.beside_graph(model)
        stated = _stated_normalisation(summary.metadata)
        if stated is None and preprocessor:
            how = preprocessing.of_huggingface(preprocessor, config)
            return _with_size(how, size), []
    except ValueError as error:
        raise opening.fault(model, Code.MODEL_INVALID, str(error)) from error
    if summary.inputs[0].element == _UINT8:
        scale, offset = preprocessing.normalised((0.0,) * 3, (1.0,) * 3, rescale=1.0)
        return _with_size(Preprocessing(scale, offset, side_multiple=_SIDE_MULTIPLE), size), []
    scale, offset = stated or preprocessing.normalised()
    assumed = [] if stated else ["nothing says how its input is normalised, and ImageNet's mean and std were assumed"]
    return _with_size(Preprocessing(scale, offset, side_multiple=_SIDE_MULTIPLE), size), assumed


def _with_size(how: Preprocessing, size: ImageSize | None) -> Preprocessing:
    if size is None:
        return how
    return Preprocessing(how.scale, how.offset, reverses_channels=how.reverses_channels, size=size)


def _stated_normalisation(metadata: Mapping[str, str]) -> tuple[Tensor, Tensor] | None:
    """Returns scale and offset as the metadata say; raises ``ValueError`` where they cannot be understood."""
    if not {"mean", "std"} <= metadata.keys():
        return None
    mean, std = _numbers(metadata["mean"]), _numbers(metadata["std"])
    return preprocessing.normalised(mean, std, rescale=1.0 if max(*mean, *std) > 1 else 1 / 255)


def _numbers(text: str) -> list[float]:
    values: object = text.split(",")
    with suppress(ValueError):
        values = json.loads(text)
    try:
        numbers = [float(value) for value in values]  # type: ignore[attr-defined]  # any JSON
    except (TypeError, ValueError) as error:
        raise ValueError(f"its metadata have no numbers where mean and std are: {text[:50]!r}") from error
    if len(numbers) != _CHANNELS or not all(np.isfinite(numbers)):
        raise ValueError(f"its metadata have {len(numbers)} numbers where mean or std of three channels are")
    return numbers


def _meaning(
    model: ModelFile, summary: Summary, graph: _Graph, probe: npt.NDArray[Any], size: ImageSize
) -> tuple[_Meaning, int | None]:
    """Returns what the output is, by that of one input of a size, and the axis of the classes; None without one."""
    axes = _axes(probe.shape, size)
    if np.issubdtype(probe.dtype, np.integer) or probe.dtype == np.bool_:
        if any(axis is None or probe.shape[axis] == 1 for axis in axes):
            return _Meaning.CLASS_IDS, None
    elif axes and np.issubdtype(probe.dtype, np.floating):
        axis = _likeliest(axes, probe.shape, _names(model, summary))
        producer = summary.producers.get(graph.output)
        if axis is None or probe.shape[axis] == 1:
            is_probability = producer == "Sigmoid"
            return (_Meaning.BINARY_PROBABILITY if is_probability else _Meaning.BINARY_LOGIT), axis
        is_probability = producer in ("Softmax", "Sigmoid") or _sums_to_one(probe, axis)
        return (_Meaning.PROBABILITIES if is_probability else _Meaning.LOGITS), axis
    message = f"its output is no map of classes (shape {list(probe.shape)}, {probe.dtype})"
    raise opening.fault(model, Code.MODEL_UNSUPPORTED, message, _OTHER_TASK)


def _axes(shape: tuple[int, ...], size: ImageSize) -> list[int | None]:
    """Returns the axes that classes can be on in an output of an input of a size: the other two are a map of it."""
    if len(shape) == _RANK - 1:
        return [None] if _is_map((shape[1], shape[2]), size) else []
    if len(shape) != _RANK:
        return []
    sides: dict[int | None, tuple[int, int]] = {1: (shape[2], shape[3]), 3: (shape[1], shape[2])}
    return [axis for axis, map_sides in sides.items() if _is_map(map_sides, size)]


def _is_map(sides: tuple[int, int], size: ImageSize) -> bool:
    """Whether features of these sides can be of an image of that size: as much smaller in both directions."""
    is_alike = abs(sides[0] * size.width - sides[1] * size.height) <= max(size)  # rounded by a pixel
    return is_alike and min(sides) * _MOST_STRIDE >= min(size)


def _likeliest(axes: list[int | None], shape: tuple[int, ...], names: list[str] | None) -> int | None:
    """Returns the axis that has as many entries as there are names, else the shortest of those that it can be."""
    known = [axis for axis in axes if axis is not None]
    fitting = [axis for axis in known if names and shape[axis] == len(names)]
    return min(fitting or known, key=lambda axis: shape[axis], default=None)


def _sums_to_one(probe: npt.NDArray[Any], axis: int) -> bool:
    return bool(probe.min() >= 0 and np.allclose(probe.astype(np.float32).sum(axis=axis), 1, atol=1e-2))


def _class_count(meaning: _Meaning, probe: npt.NDArray[Any], axis: int | None) -> int | None:
    """Returns how many classes the output tells apart; None where only names can tell."""
    if meaning is _Meaning.CLASS_IDS:
        return None
    if meaning in (_Meaning.BINARY_LOGIT, _Meaning.BINARY_PROBABILITY) or axis is None:
        return 2
    return int(probe.shape[axis])


def _names(model: ModelFile, summary: Summary) -> list[str] | None:
    config, _preprocessor = description.beside_graph(model)
    return (
        description.classes_of_metadata(summary.metadata)
        or description.classes_of_config(config)
        or description.labels_beside(model)
    )


def _classes(model: ModelFile, summary: Summary, count: int | None) -> tuple[str, ...]:
    """Returns the names of the classes. One fewer than classes are those beside a background, the first."""
    names = _names(model, summary)
    if names and count is not None and len(names) == count - 1:
        names = description.unique(["background", *names])
    if not names or (count is not None and len(names) != count):
        has = f"it has {count} classes" if count is not None else "it gives class ids"
        message = f"{has}, and there are {len(names) if names else 'no'} names for them"
        raise opening.fault(model, Code.MODEL_NO_CLASSES, message, _fix_for_names(model))
    return tuple(names)


def _fix_for_names(model: ModelFile) -> str:
    beside = f"{model.path.stem}.labels.txt beside it" if model.path.is_file() else "labels.txt into its folder"
    return f"Put {beside}: one class name a line, in the order of the model's outputs."


class OnnxSegmenter(PreparedSegmenter):
    """An ONNX model that predicts. It is a :class:`segdrop.modeling.segmenters.protocol.Segmenter`."""

    def __init__(
        self,
        model: ModelFile,
        graph: _Graph,
        how: Preprocessing,
        classes: tuple[str, ...],
        meaning: _Meaning,
        axis: int | None,
    ) -> None:
        super().__init__(how, classes)
        self._model = model
        self._graph = graph
        self._meaning = meaning
        self._axis = axis

    def logits(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Returns the logits (N, C, h, w) float32 of images (N, H, W, 3)."""
        output = self._graph.run(self._preprocessing.tensor(images).numpy())
        match self._meaning:
            case _Meaning.LOGITS:
                return self._by_class(output)
            case _Meaning.PROBABILITIES:
                return self._by_class(output).clamp_min(_LEAST_PROBABILITY).log()
            case _Meaning.BINARY_LOGIT:
                return _of_two(self._by_class(output))
            case _Meaning.BINARY_PROBABILITY:
                return _of_two(torch.logit(self._by_class(output), eps=_LEAST_PROBABILITY))
            case _Meaning.CLASS_IDS:
                return self._of_ids(output)

    def _by_class(self, output: npt.NDArray[Any]) -> Tensor:
        """Returns an output as (N, C, h, w) float32."""
        values = torch.from_numpy(output).float()
        if self._axis is None:
            return values.unsqueeze(1)
        return values.permute(0, 3, 1, 2) if self._axis == _RANK - 1 else values

    def _of_ids(self, output: npt.NDArray[Any]) -> Tensor:
        """Returns logits by which the class of every pixel is certain; raises ``DataError`` for an id without name."""
        ids = torch.from_numpy(output.astype(np.int64))
        if ids.ndim == _RANK:
            ids = ids.squeeze(1 if ids.shape[1] == 1 else 3)
        if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= len(self._classes)):
            message = f"it gave the class ids {int(ids.min())} to {int(ids.max())}, and has {len(self._classes)} names"
            raise _no_names(self._model, message)
        return functional.one_hot(ids, len(self._classes)).permute(0, 3, 1, 2).float() * _CERTAIN


def _no_names(model: ModelFile, message: str) -> DataError:
    return opening.fault(model, Code.MODEL_NO_CLASSES, message, _fix_for_names(model))


def _of_two(logit: Tensor) -> Tensor:
    """Returns logits (N, 2, h, w) of two classes, of the logit (N, 1, h, w) of the second one."""
    return torch.cat([torch.zeros_like(logit), logit], dim=1)
