"""The request: what a user may ask for, in a sidecar or in the ZIP, and how it is completed.

A request is a union by ``task``: one class for each task, with the keys that the task has; a key of another task is
refused by name. Three sources are merged,
key by key: the sidecar wins over ``segdrop.json`` in the ZIP, both over the operator's defaults. All errors are found
at once, unknown keys with the nearest valid one.
"""

import difflib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeAlias, TypeGuard, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError, core_schema

from segdrop import architectures, text_faults
from segdrop.codes import Code
from segdrop.errors import DataError, Issue

#: a request in the root of a ZIP has this name
EMBEDDED_NAME = "segdrop.json"
MAX_REQUEST_BYTES = 64 * 1024
MAX_NESTING = 8
#: Images that a step is trained on at least, whatever the request says: BatchNorm after ASPP's global
#: pooling has one value a channel and image.
LEAST_BATCH = architectures.DEEPLABV3_RESNET50.input_limits.least_batch
_KINDS = {list: "list", str: "text", bool: "true or false", type(None): "null"}

Auto = Literal["auto"]
#: Names of the layouts that a dataset may have; each has a module in ``segdrop.dataset.layouts``.
LayoutName = Literal[
    "ade20k",
    "bdd100k",
    "camvid",
    "cityscapes",
    "coco",
    "coco-panoptic",
    "cvat",
    "darwin",
    "datumaro",
    "eiseg",
    "hasty",
    "huggingface",
    "instances",
    "isat",
    "isprs",
    "kitti",
    "label-studio",
    "label-studio-png",
    "labelme",
    "labelme-xml",
    "mapillary-v1",
    "mapillary-v2",
    "nnunet",
    "oxford-pet",
    "paired",
    "retina",
    "rle-csv",
    "roboflow-masks",
    "segment-anything",
    "segments-ai",
    "several-masks",
    "superannotate",
    "supervisely",
    "twins",
    "via",
    "voc",
    "voc-xml",
    "yolo",
]
LEAST_SIDE = 32
MOST_SIDE = 2048
_Side = Annotated[int, Field(ge=LEAST_SIDE, le=MOST_SIDE)]


class Task(StrEnum):
    """What is done with an input."""

    TRAIN = "train"
    PREDICT = "predict"
    EVALUATE = "evaluate"


class ImageSize(NamedTuple):
    """Size of images in pixels."""

    height: int
    width: int


def _is_side(value: object) -> TypeGuard[int]:
    return type(value) is int and LEAST_SIDE <= value <= MOST_SIDE


def _image_size(value: object) -> ImageSize:
    """Returns the size that one number, or [height, width], stands for."""
    match value:
        case int() as side if _is_side(side):
            return ImageSize(side, side)
        case [height, width] if _is_side(height) and _is_side(width):
            return ImageSize(height, width)
    raise PydanticCustomError(
        "image_size", f"Input should be one number, or [height, width], each from {LEAST_SIDE} to {MOST_SIDE}"
    )


def _written_size(size: ImageSize) -> int | list[int]:
    """Returns the size as people write it: one number where it is square."""
    return size.height if size.height == size.width else list(size)


#: A training size: read from one number or [height, width], written as one number where it is square.
TrainingSize = Annotated[
    ImageSize,
    PlainValidator(_image_size),
    PlainSerializer(_written_size),
    WithJsonSchema(TypeAdapter(_Side | tuple[_Side, _Side]).json_schema()),
]


def _one_of(*names: str) -> GetPydanticSchema:
    """Returns a marker for texts whose values are listed elsewhere; it does for them what ``Literal`` does."""
    return GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema(list(names)))


_TASK = "What to do with the input."


class BaseRequest(BaseModel):
    """The keys that a request of any task has. Every key is written, also one that has its default."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_serialization_defaults_required=True
    )

    task: str = Field("train", description=_TASK)
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="Where to compute; `auto`: on a GPU where there is one that CUDA can use."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="Arithmetic; `auto` suits the host.")
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(0, description="Higher first, then first come.")
    force: bool = Field(default=False, description="Run again although the same job already has a result.")
    schema_version: Literal[1] = Field(1, description="Version of this format.")

    @model_validator(mode="after")
    def _with_every_key(self) -> Self:
        self.model_fields_set.update(type(self).model_fields)
        return self

    def resolved(self) -> Self:
        """Returns the same request with everything filled in that follows from other keys."""
        return self


class DatasetRequest(BaseRequest):
    """The keys of the tasks that read a labelled dataset: how it is to be read."""

    classes: list[str] | dict[str, str] | None = Field(
        None, description="Class names, or {id: name}; overrides what the ZIP says."
    )
    labels_include_background: bool | Auto = Field("auto", description="Whether line 1 of labels.txt is class 0.")
    unknown_values: Literal["reject", "ignore"] = Field("reject", description="Mask values without a class.")
    mask_orientation: Literal["displayed", "stored"] | Auto = Field(
        "auto",
        description="Where masks lie on images that their EXIF orientation turns: on what is displayed, or on the "
        "pixels as stored. `auto`: as sizes say, else as the edges in the images do.",
    )
    class_map: dict[str, str | int | None] | str | None = Field(
        None, description="{old: new or null}, or a preset's name: merge, rename or exclude classes."
    )
    ignore_index: Annotated[int, Field(ge=0, le=65_535)] | Auto | None = Field(
        "auto", description="Mask value left out of loss and metrics; null: none."
    )
    format: Literal["auto", LayoutName] = Field("auto", description="A layout's name, to override its detection.")
    max_images: Annotated[int, Field(ge=2)] | None = Field(
        None, description="Take the first N pairs of a seeded shuffle."
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
        0, description="Same seed, same choice of images, same split, same weights."
    )


class TrainRequest(DatasetRequest):
    """A request for a training. ``epochs`` and ``batch_size`` are ``None`` only before it is resolved."""

    task: Literal["train"] = Field("train", description=_TASK)
    level: Annotated[int, Field(ge=1, le=5)] = Field(
        3,
        description="Effort: 1 = 2 epochs x 8 images a batch, 2 = 5 x 8, 3 = 10 x 8, 4 = 20 x 4, 5 = 30 x 4.",
    )
    image_size: TrainingSize = Field(
        ImageSize(256, 256),
        description="Training size in pixels: one number, or [height, width]; 32 to 2048.",
        json_schema_extra={"default": 256},
    )
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="Overrides the level's.")
    batch_size: Annotated[int, Field(ge=1, le=256)] | None = Field(None, description="Overrides the level's.")
    architecture: Annotated[str, _one_of(*architectures.ARCHITECTURES)] = Field(
        architectures.DEEPLABV3_RESNET50.name, description="See `segdrop models`."
    )
    pretrained: str = Field(
        "auto",
        max_length=200,
        description="`auto`: the best in models/ or the torch cache; `none`: random weights; a job id: its model, "
        "with classes matched by name; `previous`: that of the newest training on an input of the same name and owner, "
        "or `auto` where there is none; else a file in models/.",
    )
    loss: Literal["cross_entropy", "weighted_cross_entropy", "ohem", "dice", "dice_cross_entropy"] = Field(
        "dice_cross_entropy", description="What is minimised."
    )
    optimizer: Literal["muon", "adamw", "sgd"] | Auto = Field(
        "auto",
        description="How the weights are updated; `auto`: `muon` from random weights, `adamw` from pretrained ones or "
        "at a constant rate.",
    )
    learning_rate: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | Auto = Field(
        "auto",
        description="Peak learning rate; a pretrained backbone takes a tenth of it (`sgd`) or a quarter (the others).",
    )
    weight_decay: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] | Auto = Field(
        "auto", description="Weight decay; norms and biases have none."
    )
    schedule: Literal["one_cycle", "poly", "cosine", "constant"] = Field(
        "one_cycle", description="How the learning rate moves."
    )
    augmentation: Literal["none", "flip", "standard", "strong"] = Field(
        "standard",
        description="Random changes of the training images; `standard` is flips, scales and crops, `strong` wider ones "
        "and other colours.",
    )
    frozen_stages: Annotated[int, Field(ge=0, le=4)] = Field(
        0,
        description="So many of a pretrained backbone's four stages, counted from the image, stay as they are: faster, "
        "and less to learn from few images.",
    )
    ema: bool = Field(default=False, description="Validate and deliver averaged weights.")
    output_stride: Literal[8, 16] | Auto = Field(
        "auto",
        description="Pixels to a step of the deepest features: 8 is finer, 16 takes half the time or less; "
        "`auto` trains the first 60 % of the epochs at 16, the others at 8.",
    )
    progressive_size: bool = Field(
        default=False, description="Train the first 30 % of the epochs on images of three quarters of the size."
    )
    early_stopping_patience: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Stop after so many epochs without a better mean IoU; the schedule is still that of all epochs.",
    )
    validate_every: Annotated[int, Field(ge=1)] | Auto = Field(
        "auto",
        description="Epochs from one validation to the next; the first and the last always have one. `auto`: all, but "
        "only every third of those that are trained coarser or smaller than the last ones.",
    )
    keep_checkpoints: bool = Field(default=False, description="Every epoch's weights in the result, in checkpoints/.")
    val_fraction: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = Field(
        0.2, description="Share of the pairs held out for validation, where the ZIP brings no split."
    )
    mode: Literal["full", "sanity"] = Field(
        "full",
        description="`sanity` overfits one image in at most two minutes, to prove the set-up; or says what is wrong.",
    )
    time_budget_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None,
        description="Train no longer than this: the schedule is fitted to the epochs that there is time for.",
    )

    def resolved(self) -> Self:
        """Returns the same request with the level's epochs and batch size filled in."""
        preset = architectures.LEVELS[self.level]
        epochs, batch_size = self.epochs or preset.epochs, self.batch_size or preset.batch_size
        return self.model_copy(update={"epochs": epochs, "batch_size": batch_size})

    def with_half_the_batch(self) -> Self:
        """Returns the same resolved request with half the batch, rounded down, and one image at least."""
        return self.model_copy(update={"batch_size": max(1, (self.batch_size or 2) // 2)})


OutputName = Literal[
    "masks",
    "colour",
    "overlay",
    "confidence",
    "json",
    "coco",
    "labelme",
    "label_studio",
    "cvat",
    "yolo",
    "video",
    "frames",
    "originals",
]
Outputs = Annotated[list[OutputName], Field(max_length=len(get_args(OutputName)))]


class ModelRequest(BaseRequest):
    """The keys of the tasks that a trained model does."""

    model: Annotated[str, Field(max_length=200)] = Field(
        "",
        description="A job id, `previous` (the newest training on an input of the same name and owner), or a name in "
        "models/. Without it: the operator's `inference.default_model`.",
    )
    coco_segmentation: Literal["polygons", "rle"] = Field("polygons", description="How `coco` outlines regions.")
    overlay_alpha: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        0.5, description="Opacity of the colours in overlays: 0 leaves the outlines of areas, 1 hides the image."
    )
    tile: Annotated[int, Field(ge=64, le=8192)] | Auto | None = Field(
        "auto",
        description="Side in pixels of the tiles that a large image is cut into, with blended overlaps; null: never. "
        "`auto`: never for a model that was trained on whole images of one size; else above 1024 pixels.",
    )
    tta: Literal["none", "flip"] = Field("none", description="`flip`: the mean with what the mirrored image gives.")


class PredictRequest(ModelRequest):
    """A request to predict images, or a video, with a trained model."""

    task: Literal["predict"] = Field("predict", description=_TASK)
    outputs: Outputs | Auto = Field(
        "auto",
        description="What is written. `auto`: `masks`, `colour` and `overlay`; of a JSON `json` as well; of a video "
        "`video` alone.",
    )
    class_map: dict[str, str | int | None] | str | None = Field(
        None, description="{old: new or null}, or a preset's name: merge, rename or exclude classes of the model."
    )
    max_images: Annotated[int, Field(ge=1)] | None = Field(None, description="Predict the first N images alone.")


class EvaluateRequest(ModelRequest, DatasetRequest):
    """A request to measure a trained model on a labelled dataset."""

    task: Literal["evaluate"] = Field("evaluate", description=_TASK)
    outputs: Outputs = Field([], description="Predictions that are written besides, as for `predict`.")


#: A request of any task. A task more is a class more here.
Request: TypeAlias = TrainRequest | PredictRequest | EvaluateRequest
_TaskRequest = Annotated[Request, Field(discriminator="task")]
_BY_TASK: dict[str, type[Request]] = {
    kind.model_fields["task"].default: kind for kind in (TrainRequest, PredictRequest, EvaluateRequest)
}
#: Keys of version 0.1's one task that it knew and could not do. Each had the one value that it could have.
_RETIRED_KEYS = frozenset({"export", "model", "outputs"})


def _without_retired_keys(values: object) -> object:
    if not isinstance(values, dict) or values.get("task", "train") != "train":
        return values
    return {key: value for key, value in values.items() if key not in _RETIRED_KEYS}


#: A request in a file of ours, perhaps of version 0.1.
StoredRequest = Annotated[_TaskRequest, BeforeValidator(_without_retired_keys)]
#: Likewise, of a training.
StoredTrainRequest = Annotated[TrainRequest, BeforeValidator(_without_retired_keys)]


def nearest(name: str, valid: Mapping[str, object] | list[str]) -> str | None:
    """Returns the valid name that a misspelt one probably meant; ``None`` if none is similar."""
    found = difflib.get_close_matches(name.lower(), list(valid), n=1, cutoff=0.6)
    return found[0] if found else None


def parse_file(content: bytes, source: str) -> tuple[dict[str, Any], list[Issue]]:
    """Returns the JSON object in a request file, or an issue; duplicate keys and deep nesting are refused.

    ``source`` is the file's name, for the issue.
    """
    if len(content) > MAX_REQUEST_BYTES:
        message = f"{source} has {len(content)} bytes; a request has at most {MAX_REQUEST_BYTES}"
        return {}, [Issue.of(Code.REQUEST_TOO_LARGE, message, files=[source])]
    try:
        value = _json_object(content)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return {}, [Issue.of(Code.REQUEST_NOT_JSON, f"{source}: {reason}", files=[source])]
    return value, []


def _json_object(content: bytes) -> dict[str, Any]:
    """Returns the object; raises ``ValueError`` with the reason in words."""
    if foreign := text_faults.encoding_fault(content):
        raise ValueError(foreign)
    text = content.decode("utf-8-sig")
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise ValueError(text_faults.json_fault(text, error)) from error
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {_KINDS.get(type(value), 'number')} instead of an object")  # noqa: TRY004
    if _depth(value) > MAX_NESTING:
        raise ValueError("nested too deeply")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("the same key appears twice")
    return result


def _depth(value: object) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_depth(child) for child in children), default=0)


def _issues(kind: type[Request], error: ValidationError, source: str, values: Mapping[str, Any]) -> list[Issue]:
    """Returns one issue for each key that is wrong. Where a key takes several forms, its issue names them all."""
    details: dict[str, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False, include_context=False):
        key = str(detail["loc"][0]) if detail["loc"] else "request"  # text that no JSON of ours can hold
        details.setdefault(key, []).append(detail)
    return [
        _unknown_key(key, kind, source)
        if found[0]["type"] == "extra_forbidden"
        else _invalid_value(key, values.get(key, found[0]["input"]), [detail["msg"] for detail in found], source)
        for key, found in details.items()
    ]


def _unknown_key(key: str, kind: type[Request], source: str) -> Issue:
    if tasks := [name for name, other in _BY_TASK.items() if key in other.model_fields]:
        return _key_of_another_task(key, kind, tasks, source)
    guess = nearest(key, list(kind.model_fields))
    hint = f"did you mean `{guess}`?" if guess else "there is no similar key"
    return Issue.of(
        Code.REQUEST_UNKNOWN_KEY,
        f"{source} has the key `{key}`, which does not exist: {hint}",
        files=[source],
        fix=f"Rename it to `{guess}`." if guess else None,
    )


def _key_of_another_task(key: str, kind: type[Request], tasks: list[str], source: str) -> Issue:
    task, others = kind.model_fields["task"].default, " and ".join(f"`{name}`" for name in tasks)
    return Issue.of(
        Code.REQUEST_UNKNOWN_KEY,
        f"{source} has the key `{key}`, which task `{task}` does not have: it is one of {others}",
        files=[source],
        fix=f'Leave it out, or ask for "task": "{tasks[0]}".',
    )


def _invalid_value(key: str, value: object, expected: list[str], source: str) -> Issue:
    given = json.dumps(value, ensure_ascii=False, default=str)[:80]
    words = "; or ".join(text[0].lower() + text[1:] for text in expected)
    return Issue.of(Code.REQUEST_INVALID_VALUE, f"{source}: `{key}` is {given}: {words}", files=[source])


def _task_issues(values: Mapping[str, Any], source: str) -> list[Issue]:
    """Returns an issue where the task is none that exists: no class of requests could say which there are."""
    task = values.get("task", "train")
    if isinstance(task, str) and task in _BY_TASK:
        return []
    choices = " or ".join(f"'{name}'" for name in _BY_TASK)
    return [_invalid_value("task", task, [f"input should be {choices}"], source)]


def _kind_of(values: Mapping[str, Any]) -> type[Request]:
    """Returns the class of the task that is asked for; where there is no such task, of the one that is the default."""
    task = values.get("task")
    return _BY_TASK.get(task, TrainRequest) if isinstance(task, str) else TrainRequest


def _source_issues(kind: type[Request], values: Mapping[str, Any], source: str) -> list[Issue]:
    """Returns everything that is wrong with the keys of one source."""
    try:
        kind.model_validate_json(json.dumps({key: value for key, value in values.items() if key != "task"}))
    except ValidationError as error:
        return _task_issues(values, source) + _issues(kind, error, source, values)
    return _task_issues(values, source)


def resolve(
    defaults: Mapping[str, Any],
    embedded: tuple[str, Mapping[str, Any]] | None,
    sidecar: tuple[str, Mapping[str, Any]] | None,
) -> tuple[Request | None, list[Issue]]:
    """Returns the complete request, merged from its sources, or issues that say all that is wrong with them.

    The operator's defaults may have keys of several tasks; those of other tasks than the one that is asked for do not
    count.
    ``embedded`` and ``sidecar`` come with their files' names.
    """
    given = [source for source in (embedded, sidecar) if source is not None]
    merged = dict(defaults)
    for _, values in given:
        merged |= values
    kind = _kind_of(merged)
    merged = {key: value for key, value in merged.items() if key in kind.model_fields or key not in defaults}
    issues = [issue for source, values in given for issue in _source_issues(kind, values, source)]
    if issues:
        return None, issues
    return kind.model_validate_json(json.dumps(merged)).resolved(), []


def validated_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the operator's defaults as they are; raises ``DataError`` where something is wrong with them.

    They may have keys of every task; which task it is, is not theirs to say: hours of training hang on that.
    """
    if values.get("task", "train") != "train":
        raise DataError(
            [_invalid_value("task", values["task"], ["it has no other default than 'train'"], "[defaults]")]
        )
    by_kind: dict[type[Request], dict[str, Any]] = {}
    for key, value in values.items():
        kind = next((kind for kind in _BY_TASK.values() if key in kind.model_fields), TrainRequest)
        by_kind.setdefault(kind, {})[key] = value
    if issues := [issue for kind, some in by_kind.items() for issue in _source_issues(kind, some, "[defaults]")]:
        raise DataError(issues)
    return dict(values)


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a request, for editors and for ``config/request.schema.json``."""
    schema = TypeAdapter(_TaskRequest).json_schema()
    schema["title"] = "segdrop request"
    schema["description"] = "A sidecar NAME.json beside NAME.zip, or segdrop.json in the root of the ZIP."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
