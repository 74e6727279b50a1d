"""The request: what a user may ask for, in a sidecar or in the ZIP, and how it is completed.

Three sources, key by key: the sidecar wins over ``segdrop.json`` in the ZIP, both over the operator's
defaults. All errors are found at once, unknown keys with the nearest valid one.
"""

import difflib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segdrop import catalog
from segdrop.errors import DataError, Issue, has_fault

MAX_REQUEST_BYTES = 64 * 1024
MAX_NESTING = 8

Side = Annotated[int, Field(ge=32, le=2048)]
Auto = Literal["auto"]


class Request(BaseModel):
    """Everything that a job can be asked for. Values not available yet are listed in ``AVAILABLE``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    task: Literal["train", "evaluate", "predict"] = Field("train", description="What to do with the ZIP.")
    level: Annotated[int, Field(ge=1, le=5)] = Field(
        3,
        description="Effort: 1 = 2 epochs x 8 images a batch, 2 = 5 x 8, 3 = 10 x 8, 4 = 20 x 4, 5 = 30 x 4.",
    )
    image_size: Side | tuple[Side, Side] = Field(
        256, description="Training size in pixels: one number, or [height, width]; 32 to 2048."
    )
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="Overrides the level's.")
    batch_size: Annotated[int, Field(ge=1, le=256)] | None = Field(None, description="Overrides the level's.")
    architecture: str = Field("deeplabv3_resnet50", description="See `segdrop models`.", max_length=100)
    pretrained: str = Field(
        "auto",
        max_length=200,
        description="`auto`: the best in models/ or the torch cache; `none`: random weights; else a file in models/.",
    )
    loss: Literal["cross_entropy", "weighted_cross_entropy", "ohem", "dice", "dice_cross_entropy"] = Field(
        "dice_cross_entropy", description="What is minimised."
    )
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="Where to compute; `auto`: on a GPU where there is one that CUDA can use."
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
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="Arithmetic; `auto` suits the host.")
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
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(0, description="Same seed, same split, same weights.")
    classes: list[str] | dict[str, str] | None = Field(
        None, description="Class names, or {id: name}; overrides what the ZIP says."
    )
    labels_include_background: bool | Auto = Field("auto", description="Whether line 1 of labels.txt is class 0.")
    unknown_values: Literal["reject", "ignore"] = Field("reject", description="Mask values without a class.")
    class_map: dict[str, str | int | None] | str | None = Field(
        None, description="{old: new or null}, or a preset's name: merge, rename or exclude classes."
    )
    ignore_index: Annotated[int, Field(ge=0, le=65_535)] | Auto | None = Field(
        "auto", description="Mask value left out of loss and metrics; null: none."
    )
    format: str = Field("auto", description="A layout's name, to override its detection.", max_length=100)
    max_images: Annotated[int, Field(ge=2)] | None = Field(
        None, description="Take the first N pairs of a seeded shuffle."
    )
    mode: Literal["full", "sanity"] = Field(
        "full",
        description="`sanity` overfits one image in at most two minutes, to prove the set-up; or says what is wrong.",
    )
    time_budget_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None,
        description="Train no longer than this: the schedule is fitted to the epochs that there is time for.",
    )
    export: list[Literal["onnx", "safetensors", "huggingface"]] = Field([], description="Extra formats.")
    model: str | None = Field(None, description="For `evaluate` and `predict`: job id or name.", max_length=200)
    outputs: list[Literal["masks", "colour", "overlay", "json", "coco_rle", "video"]] = Field(
        [], description="For `predict`."
    )
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(0, description="Higher first, then first come.")
    force: bool = Field(default=False, description="Run again although the same job already has a result.")
    schema_version: Literal[1] = Field(1, description="Version of this format.")

    @property
    def size(self) -> tuple[int, int]:
        """Training size as (height, width)."""
        return self.image_size if isinstance(self.image_size, tuple) else (self.image_size, self.image_size)

    def resolved(self) -> "Request":
        """The same request with the level's epochs and batch size filled in."""
        preset = catalog.LEVELS[self.level]
        return self.model_copy(
            update={
                "epochs": self.epochs or preset.epochs,
                "batch_size": self.batch_size or preset.batch_size,
            }
        )


#: What this version can do, for keys that know more values than are built. Nothing is silently ignored.
AVAILABLE: dict[str, tuple[object, ...]] = {
    "task": ("train",),
    "architecture": tuple(catalog.ARCHITECTURES),
    "format": (
        "auto",
        "ade20k",
        "bdd100k",
        "camvid",
        "cityscapes",
        "coco",
        "coco-panoptic",
        "cvat",
        "instances",
        "kitti",
        "label-studio",
        "label-studio-png",
        "labelme",
        "labelme-xml",
        "paired",
        "roboflow-masks",
        "supervisely",
        "via",
        "voc",
        "yolo",
    ),
    "export": ([],),
    "model": (None,),
    "outputs": ([],),
}


def nearest(name: str, valid: Mapping[str, object] | list[str]) -> str | None:
    """The valid key that a misspelt one probably meant."""
    found = difflib.get_close_matches(name.lower(), list(valid), n=1, cutoff=0.5)
    return found[0] if found else None


def parse_file(content: bytes, source: str) -> tuple[dict[str, Any], list[Issue]]:
    """The JSON object in a sidecar, or an issue; duplicate keys and deep nesting are refused."""
    if len(content) > MAX_REQUEST_BYTES:
        message = f"{source} has {len(content)} bytes; a request has at most {MAX_REQUEST_BYTES}"
        return {}, [Issue.of("request.too_large", message, files=[source])]
    try:
        value = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique_keys)
        if not isinstance(value, dict):
            raise ValueError(f"a JSON {type(value).__name__} instead of an object")  # noqa: TRY004, TRY301
        if _depth(value) > MAX_NESTING:
            raise ValueError("nested too deeply")  # noqa: TRY301
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return {}, [Issue.of("request.not_json", f"{source}: {reason}", files=[source])]
    return value, []


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("the same key appears twice")
    return result


def _depth(value: object) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_depth(child) for child in children), default=0)


def _describe(location: tuple[int | str, ...]) -> str:
    """The key a validation error is about; union branches that pydantic appends are left out."""
    return str(location[0]) if location else "request"


def _issues(error: ValidationError, source: str, values: Mapping[str, Any]) -> list[Issue]:
    issues: dict[str, Issue] = {}
    for detail in error.errors(include_url=False, include_context=False):
        key = _describe(detail["loc"])
        if detail["type"] == "extra_forbidden":
            guess = nearest(key, list(Request.model_fields))
            hint = f"did you mean `{guess}`?" if guess else "there is no similar key"
            issues[key] = Issue.of(
                "request.unknown_key",
                f"{source} has the key `{key}`, which does not exist: {hint}",
                files=[source],
                fix=f"Rename it to `{guess}`." if guess else None,
            )
            continue
        given = json.dumps(values.get(key, detail["input"]), ensure_ascii=False, default=str)[:80]
        message = f"{source}: `{key}` is {given}: {detail['msg'][0].lower()}{detail['msg'][1:]}"
        if key in issues:  # another branch of the same union
            message = f"{issues[key].message}; or {detail['msg'][0].lower()}{detail['msg'][1:]}"
        issues[key] = Issue.of("request.invalid_value", message, files=[source])
    return list(issues.values())


def _unavailable(request: Request, given: Mapping[str, object]) -> list[Issue]:
    issues = []
    for key, values in AVAILABLE.items():
        value = getattr(request, key)
        if value in values:
            continue
        choices = ", ".join(json.dumps(choice) for choice in values)
        wanted = json.dumps(value, ensure_ascii=False)
        issues.append(
            Issue.of(
                "request.not_available",
                f"`{key}` is {wanted}, which is not available in this version",
                files=[str(given.get(key, ""))] if key in given else [],
                fix=f"Leave `{key}` out, or use: {choices}.",
            )
        )
    return issues


def resolve(
    defaults: Mapping[str, Any],
    embedded: tuple[str, Mapping[str, Any]] | None,
    sidecar: tuple[str, Mapping[str, Any]] | None,
) -> tuple[Request | None, list[Issue]]:
    """Merge the sources (each with its file's name) and complete the request, or say all that is wrong."""
    issues: list[Issue] = []
    merged: dict[str, Any] = dict(defaults)
    given: dict[str, object] = {}
    for source, values in filter(None, (embedded, sidecar)):
        try:
            Request.model_validate_json(json.dumps(values), strict=True)
        except ValidationError as error:
            issues += _issues(error, source, values)
        merged |= values
        given |= dict.fromkeys(values, source)
    if issues:
        return None, issues
    request = Request.model_validate_json(json.dumps(merged), strict=True)
    issues += _unavailable(request, given)
    return (None if has_fault(issues) else request.resolved()), issues


def validated_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """The operator's defaults, checked; ``DataError`` names what is wrong with them."""
    request, issues = resolve({}, ("[defaults]", values), None)
    if request is None:
        raise DataError(issues)
    return dict(values)


def json_schema() -> dict[str, Any]:
    schema = Request.model_json_schema()
    schema["title"] = "segdrop request"
    schema["description"] = "A sidecar NAME.json beside NAME.zip, or segdrop.json in the root of the ZIP."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
