"""The kinds of output that a request can ask for, and those that every result has."""

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdrop.codes import Code
from segdrop.errors import Issue
from segdrop.inference.outputs.coco import CocoOutput, Segmentation
from segdrop.inference.outputs.colour import Colours
from segdrop.inference.outputs.confidence import Confidences
from segdrop.inference.outputs.cvat import CvatOutput
from segdrop.inference.outputs.frames import Frames
from segdrop.inference.outputs.image_json import ImageJson
from segdrop.inference.outputs.label_studio import LabelStudioOutput
from segdrop.inference.outputs.labelme import LabelMeOutput
from segdrop.inference.outputs.legend import Legend
from segdrop.inference.outputs.masks import Masks
from segdrop.inference.outputs.originals import Originals
from segdrop.inference.outputs.overlay import Overlays
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.protocol import Output, Setting
from segdrop.inference.outputs.regions import Tracing
from segdrop.inference.outputs.review import Review
from segdrop.inference.outputs.summary import Summary
from segdrop.inference.outputs.video import OverlaidVideo
from segdrop.inference.outputs.yolo import YoloOutput
from segdrop.input_kinds import InputKind


@dataclass(frozen=True, slots=True)
class Order:
    """What outputs are made from."""

    setting: Setting
    pictures: Pictures
    kind: InputKind
    video: Path | None  #: the input itself, where it is a video
    tracing: Tracing
    coco_segmentation: Segmentation


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of output: how it is made, and what it needs."""

    make: Callable[[Order], Output]
    needs_video: bool = False
    package: str | None = None  #: the module of an optional package
    extra: str | None = None  #: the extra of ours that installs it


#: The kinds by their names in a request, in the order in which they are written.
KINDS: dict[str, Kind] = {
    "masks": Kind(lambda order: Masks(order.setting, order.pictures)),
    "colour": Kind(lambda order: Colours(order.setting, order.pictures)),
    "overlay": Kind(lambda order: Overlays(order.setting, order.pictures)),
    "confidence": Kind(lambda order: Confidences(order.setting)),
    "json": Kind(lambda order: ImageJson(order.setting, order.pictures, with_masks=order.kind is InputKind.JSON)),
    "originals": Kind(lambda order: Originals(order.setting)),
    "frames": Kind(lambda order: Frames(order.setting, order.pictures), needs_video=True),
    "coco": Kind(lambda order: CocoOutput(order.setting, order.tracing, order.coco_segmentation)),
    "cvat": Kind(lambda order: CvatOutput(order.setting, order.tracing)),
    "label_studio": Kind(lambda order: LabelStudioOutput(order.setting, order.tracing)),
    "labelme": Kind(lambda order: LabelMeOutput(order.setting, order.tracing)),
    "yolo": Kind(lambda order: YoloOutput(order.setting, order.tracing)),
    "video": Kind(
        lambda order: OverlaidVideo(order.setting, order.pictures, order.video),
        needs_video=True,
        package="av",
        extra="video",
    ),
}
_DEFAULTS: dict[InputKind, tuple[str, ...]] = {
    InputKind.IMAGE: ("masks", "colour", "overlay"),
    InputKind.ARCHIVE: ("masks", "colour", "overlay"),
    InputKind.JSON: ("masks", "colour", "overlay", "json"),
    InputKind.VIDEO: ("video",),
    InputKind.PAIRS: (),
}


def defaults(kind: InputKind) -> tuple[str, ...]:
    """Returns the outputs of a request that names none.

    Of a video it is the video: files for each of its thousands of frames are what somebody asks for. Of a dataset that
    a model is evaluated on it is none: its metrics are the result.
    """
    return _DEFAULTS[kind]


def refused(names: Iterable[str], kind: InputKind) -> list[Issue]:
    """Returns an issue for each reason why these outputs cannot be made of an input of this kind on this machine."""
    asked = {name: KINDS[name] for name in names}
    issues = []
    without_frames = [name for name, wanted in asked.items() if wanted.needs_video and kind is not InputKind.VIDEO]
    if without_frames:
        listed = ", ".join(f"`{name}`" for name in without_frames)
        issues.append(Issue.of(Code.OUTPUT_NEEDS_VIDEO, f"`outputs` has {listed}, and the input is no video"))
    for name, wanted in asked.items():
        if wanted.package and importlib.util.find_spec(wanted.package) is None:
            message = f"`outputs` has `{name}`, which needs a package: pip install 'segdrop[{wanted.extra}]'"
            issues.append(Issue.of(Code.OUTPUT_EXTRA_MISSING, message))
    return issues


def build(
    names: Sequence[str],
    setting: Setting,
    kind: InputKind,
    video: Path | None = None,
    coco_segmentation: Segmentation = "polygons",
) -> list[Output]:
    """Returns the outputs of a job: those of these names, each once, then those that every result has.

    ``video`` is the input itself, where it is a video: its sound is copied. The result's folder and the one beside it
    are made where they are needed. Raises ``KeyError`` for a name that is not in ``KINDS``.
    """
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise KeyError(unknown[0])
    pictures = Pictures(setting)
    order = Order(setting, pictures, kind, video, Tracing(setting), coco_segmentation)
    asked = [KINDS[name].make(order) for name in KINDS if name in names]
    return [*asked, Legend(setting), Summary(setting), Review(setting, pictures)]
