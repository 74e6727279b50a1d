"""A prediction or an evaluation with all that it works with: the model, the outputs, the journal."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from segdrop import durable, logs
from segdrop.answers import ModelSummary, Scores
from segdrop.child_runtime import StopFlag
from segdrop.codes import Code
from segdrop.dataset.classes import remapping
from segdrop.dataset.classes.official_colours import colours_for, official
from segdrop.dataset.classes.remapping import Remap
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.errors import DataError, Issue, StoppedError
from segdrop.inference import matching, pipeline
from segdrop.inference.decoding import Decoder
from segdrop.inference.evaluation import PART, Evaluation
from segdrop.inference.journal import Journal
from segdrop.inference.outputs import catalog
from segdrop.inference.outputs.measures import record_of
from segdrop.inference.outputs.protocol import Output, Setting, scratch_of
from segdrop.inference.prediction import ImageRecord, Prediction, SkippedRecord
from segdrop.inference.predictor import Predictor
from segdrop.inference.reporting import Reporter
from segdrop.input_kinds import InputKind
from segdrop.model_files import description, resolving
from segdrop.model_files.description import Description
from segdrop.model_files.model_file import ModelFile
from segdrop.modeling import segmenters
from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters import LoadedModel
from segdrop.request import EvaluateRequest
from segdrop.spec import DecodeOrder, InferenceSpec
from segdrop.spool.kept_models import KeptModels

PREVIOUS = "previous"
_BACKGROUND_NAMES = frozenset({"background", "__background__", "_background_", "bg"})


@dataclass(frozen=True, slots=True)
class Model:
    """The model of a request: the file, what it says about itself, and the network."""

    file: ModelFile
    told: Description
    loaded: LoadedModel
    remap: Remap

    @property
    def summary(self) -> ModelSummary:
        """What the result says about it."""
        classes = list(self.loaded.segmenter.classes)
        return ModelSummary(id=self.file.name, kind=self.file.kind, sha256=self.loaded.sha256, classes=classes)

    @property
    def own_validation(self) -> Scores | None:
        """What its own training measured; ``None`` where it does not say."""
        return Scores(mean_iou=self.told.mean_iou) if self.told.mean_iou is not None else None


def open_model(spec: InferenceSpec, host: Host, folder: Path) -> Model:
    """Opens the model that the request names; ``folder`` is for what is unpacked. Raises ``DataError``."""
    file = find_model(spec)
    told = description.describe(file)
    loaded = segmenters.load(file, host, folder, spec.limits)
    return Model(file, told, loaded, _remap(spec, loaded.segmenter.classes))


def find_model(spec: InferenceSpec) -> ModelFile:
    """Returns the model that the request names, not yet opened. Raises ``DataError``."""
    earlier = KeptModels.at(spec.outbox_dir, spec.done_dir)
    if spec.request.model != PREVIOUS:
        return resolving.resolve(spec.request.model, spec.models_dir, earlier)
    kept = earlier.newest(spec.input_name, spec.owner)[0] if earlier else None
    if kept is None or earlier is None:
        message = f"`model` is previous: there is no earlier training on {spec.input_name} by the same owner"
        raise DataError([Issue.of(Code.MODEL_NOT_FOUND, message)])
    return resolving.of_kept(kept, earlier)


def _remap(spec: InferenceSpec, classes: tuple[str, ...]) -> Remap:
    """Returns how the model's classes become those that are answered.

    The map of an evaluation names classes of the dataset, of the model, or of both. Raises ``DataError`` where it names
    one that neither has, as far as that can be seen: what it made of the dataset's is among the classes there.
    """
    wanted = spec.request.class_map
    if not isinstance(spec.request, EvaluateRequest) or not isinstance(wanted, dict):
        return remapping.remap(classes, wanted)
    known = {name.casefold() for name in classes}
    ours = {old: new for old, new in wanted.items() if old.casefold() in known}
    theirs = {old: new for old, new in wanted.items() if old not in ours}
    if unknown := [old for old, new in theirs.items() if new is not None and str(new) not in spec.classes]:
        message = f"`class_map` names {', '.join(unknown)}: neither the dataset nor the model has such a class"
        raise DataError([Issue.of(Code.CLASSES_MAP_UNKNOWN, message, count=len(unknown))])
    return remapping.remap(classes, ours or None)


@dataclass(slots=True)
class Work:
    """One job: its images come in order, and each is written before it is told of in the journal."""

    spec: InferenceSpec
    stop: StopFlag
    model: Model
    outputs: list[Output]
    evaluation: Evaluation | None
    journal: Journal
    decoder: Decoder
    reporter: Reporter
    output_names: list[str]
    written_bytes: int = 0
    next_look: int = 0  #: number of images from which on the size of the result is looked at again
    started_at: float = field(default_factory=time.monotonic)
    first_image_seconds: float = 0.0

    def run(self) -> None:
        """Predicts every image that is not done yet. Raises ``StoppedError`` when asked to stop."""
        predictor = Predictor(self.model.loaded.segmenter, tile=self.spec.request.tile, tta=self.spec.request.tta)
        for done in pipeline.run(self._images(), predictor, self._written):
            self._note(done)

    def _images(self) -> Iterator[Item | SkippedItem]:
        """Yields the images as they are decoded."""
        limit = self.spec.request.max_images
        for item in self.decoder:
            if self.stop:
                raise StoppedError
            if limit is not None and item.index >= limit:
                return
            yield item

    def _written(self, prediction: Prediction) -> ImageRecord:
        """Writes the files of an image, in a thread of its own, and returns its line of the journal."""
        answered = self._answered(prediction)
        measured = {PART: self.evaluation.measure(answered)} if self.evaluation else {}
        parts = {output.name: part for output in self.outputs if (part := output.write(answered)) is not None}
        return record_of(answered, parts | measured)

    def _note(self, done: ImageRecord | SkippedItem) -> None:
        """Tells of an image in the journal: those before it are in it, however far decoding is ahead."""
        if isinstance(done, SkippedItem):
            logs.get().warning("image.skipped", file=done.name, **done.issue.to_json())
            self.journal.append(SkippedRecord(index=done.index, name=done.name, issue=done.issue))
        else:
            self.journal.append(done)
            self._require_room()
            self.first_image_seconds = self.first_image_seconds or time.monotonic() - self.started_at
        self.reporter.image_done()

    def _answered(self, prediction: Prediction) -> Prediction:
        """Returns the prediction in the classes that are answered."""
        return Prediction(
            item=prediction.item,
            class_ids=self.model.remap.apply(prediction.class_ids),
            confidence=prediction.confidence,
            doubt=prediction.doubt,
            descriptor=prediction.descriptor,
        )

    def _require_room(self) -> None:
        """Looks now and then whether the result is larger than the operator allows; raises ``DataError`` then."""
        if self.journal.count < self.next_look:
            return
        # ever later: each look takes longer, and the result is hardly a tenth larger than at the one before
        self.next_look = self.journal.count + max(_LOOK_EVERY, self.journal.count // 10)
        folders = self.spec.outputs_dir, scratch_of(self.spec.outputs_dir)
        self.written_bytes = sum(map(folder_bytes, folders))
        if self.written_bytes > self.spec.limits.max_output_bytes:
            raise DataError([too_large(self.written_bytes, self.spec.limits.max_output_bytes)])


#: images from one look at the size of the result to the next, at least
_LOOK_EVERY = 64


def too_large(found_bytes: int, most_bytes: int) -> Issue:
    """Returns the issue about a result that has grown beyond its limit."""
    message = f"the files of the result have {found_bytes} bytes; {most_bytes} are allowed"
    return Issue.of(Code.INFERENCE_OUTPUT_TOO_LARGE, message)


def folder_bytes(folder: Path) -> int:
    """Returns the size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def build(spec: InferenceSpec, stop: StopFlag, model: Model, stack: ExitStack) -> Work:
    """Returns a job that is ready for its next image: the first, or the one after the last in the journal.

    What it opens is closed with the ``stack``. Raises ``DataError`` where the outputs that are asked for cannot be made
    of the input, and where the input cannot be opened.
    """
    names = list(_output_names(spec))
    if issues := catalog.refused(names, spec.kind):
        raise DataError(issues)
    durable.ensure_dir(spec.outputs_dir)
    sync = partial(durable.sync_filesystem, spec.outputs_dir)
    journal = stack.enter_context(Journal(spec.journal_path, sync=sync))
    if journal.count:
        logs.get().info("job.resumed", images=journal.count)
    decoder = stack.enter_context(Decoder(_order(spec, model, journal), *_decoding_paths(spec)))
    decoder.wait_until_open()
    classes = model.remap.classes
    evaluation = None
    if isinstance(spec.request, EvaluateRequest):
        evaluation = Evaluation(matching.match(classes, spec.classes, has_excluded=bool(model.remap.excluded)))
    is_video = spec.kind is InputKind.VIDEO
    return Work(
        spec=spec,
        stop=stop,
        model=model,
        outputs=catalog.build(
            names,
            _setting(spec, model),
            spec.kind,
            spec.input_path if is_video else None,
            spec.request.coco_segmentation,
        ),
        evaluation=evaluation,
        journal=journal,
        decoder=decoder,
        reporter=Reporter(spec.progress_path, spec.request.task, _total(spec, decoder), journal.count),
        output_names=names,
    )


def _order(spec: InferenceSpec, model: Model, journal: Journal) -> DecodeOrder:
    return DecodeOrder(
        job=spec.job,
        input_path=spec.input_path,
        name=spec.input_name,
        kind=spec.kind,
        limits=spec.limits,
        start=journal.next_index,
        deep_range=model.told.deep_range,
    )


def _decoding_paths(spec: InferenceSpec) -> tuple[Path, Path]:
    """Returns the folder that is shared with the decoding child, and the file that its log goes to."""
    return spec.journal_path.with_name("decoding"), spec.log_path


def _output_names(spec: InferenceSpec) -> tuple[str, ...]:
    wanted = spec.request.outputs
    return catalog.defaults(spec.kind) if wanted == "auto" else tuple(dict.fromkeys(wanted))


def _total(spec: InferenceSpec, decoder: Decoder) -> int | None:
    """Returns how many images there are, as the input promises."""
    limit = spec.request.max_images
    return decoder.count if limit is None or decoder.count is None else min(limit, decoder.count)


def _setting(spec: InferenceSpec, model: Model) -> Setting:
    classes, own = model.remap.classes, official(model.loaded.segmenter.classes)
    background = next((number for number, name in enumerate(classes) if name.casefold() in _BACKGROUND_NAMES), None)
    return Setting(
        folder=spec.outputs_dir,
        classes=classes,
        colours=colours_for(classes, model.remap.colours(own)),
        model=model.file.name,
        model_sha256=model.loaded.sha256,
        background=background,
        overlay_alpha=spec.request.overlay_alpha,
        excluded=model.remap.excluded,
    )
