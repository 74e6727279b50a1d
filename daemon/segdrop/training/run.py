"""A training run: all that it works with, ready for the step that comes next."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

import torch

from segdrop import architectures, child_runtime, logs
from segdrop.child_runtime import StopFlag
from segdrop.dataset.cache import CacheReader
from segdrop.errors import StoppedError
from segdrop.modeling import freezing
from segdrop.modeling.architectures import Criterion, SegmentationModel, build_model
from segdrop.modeling.averaging import Average
from segdrop.modeling.batchnorm import keeps_statistics
from segdrop.modeling.measurements import calibrated_host
from segdrop.modeling.precision import CPU, Host, choose_device, prepare_host
from segdrop.modeling.warm_start import known_validation, start_from
from segdrop.modeling.weights import Initialisation, initialise
from segdrop.pretrained import Start
from segdrop.processor import has_native_bf16
from segdrop.request import TrainRequest
from segdrop.spec import TrainingSpec
from segdrop.spool.kept_models import KeptModels
from segdrop.training import checkpoint, conditions
from segdrop.training.checkpoint import Checkpoint, Progress
from segdrop.training.conditions import Conditions, Stretch
from segdrop.training.data import TrainingData
from segdrop.training.loss import build_criterion, training_pixels, weigh_classes
from segdrop.training.optim import recipes, schedule
from segdrop.training.optim.recipes import Recipe
from segdrop.training.question import start_of
from segdrop.training.reporting import Reporter
from segdrop.training.timing import phases
from segdrop.training.timing.budget import Pace, Plan, Workload
from segdrop.training.timing.phases import Phase
from segdrop.training.timing.speed import Speed
from segdrop.training.transforms import regularization_strength, transform_named


@dataclass(slots=True)
class Run:
    """One training run with all that it works with."""

    spec: TrainingSpec
    stop: StopFlag
    host: Host
    reader: CacheReader
    data: TrainingData
    model: SegmentationModel  #: what is trained
    average: Average | None
    criterion: Criterion
    recipe: Recipe
    optimizer: torch.optim.Optimizer
    initialisation: Initialisation
    progress: Progress
    reporter: Reporter
    pace: Pace
    peak_learning_rate: float
    keeps_statistics: bool  #: of the encoder's BatchNorm
    best_mean_iou: float | None
    started_at: float  #: monotonic seconds
    spent_before: float  #: seconds, by the processes before this one
    stretches: list[Stretch]  #: how the run was computed, up to now
    saved_at: float = field(default_factory=time.monotonic)  #: monotonic seconds

    @property
    def plan(self) -> Plan:
        """The length of the run as it is planned by now: a time budget may change it."""
        return self.pace.plan

    @property
    def steps(self) -> int:
        """Number of steps in the whole run."""
        return self.plan.epochs * self.plan.steps

    @property
    def steps_done(self) -> int:
        """Number of steps that are done, by this process and those before it."""
        return self.progress.epoch * self.plan.steps + self.progress.step

    @property
    def phase(self) -> Phase:
        """The phase of the epoch that comes next, or goes on."""
        return self.pace.workload.phases.phase(self.progress.epoch, self.plan.epochs)

    @property
    def is_validation_due(self) -> bool:
        """Whether a validation follows the epoch that goes on."""
        return self.pace.workload.phases.is_validated(self.progress.epoch, self.plan.epochs)

    @property
    def seconds_spent(self) -> float:
        """The seconds that this process and those before it have spent on the run."""
        return self.spent_before + time.monotonic() - self.started_at

    @property
    def peak_rss_bytes(self) -> int:
        """The highest resident memory of this process and those before it."""
        return max(self.progress.peak_rss_bytes, child_runtime.peak_rss_bytes())

    def learning_rate(self, step: int) -> float:
        """Returns the learning rate of a step of the run, from 0; it is that of the heads."""
        return schedule.learning_rate(self.spec.request.schedule, step, self.steps, self.peak_learning_rate)

    @property
    def weights_bytes(self) -> int:
        """The size of the model's tensors."""
        return _bytes(self.model.network.state_dict().values())

    @property
    def checkpoint_bytes(self) -> int:
        """The size of a checkpoint, or a little less: some optimizers remember more of a few tensors."""
        trained = _bytes(value for group in self.optimizer.param_groups for value in group["params"])
        return self.weights_bytes * (2 if self.average else 1) + self.recipe.moments * trained

    @property
    def result_bytes(self) -> int:
        """The size of the result's weights, every epoch's too where kept; of one epoch, if the run may stop early."""
        request = self.spec.request
        epochs = 1 if request.early_stopping_patience else self.plan.epochs
        return self.weights_bytes * (1 + (epochs if request.keep_checkpoints else 0))

    def save(self) -> None:
        """Writes a checkpoint."""
        self.progress.seconds_spent, self.progress.plan = self.seconds_spent, asdict(self.plan)
        self.progress.speed = asdict(self.pace.speed) if self.pace.speed else None
        self.progress.stretches = [stretch.to_json() for stretch in self.stretches]
        self.progress.peak_rss_bytes = self.peak_rss_bytes
        average = self.average.model.network if self.average else None
        start = self.initialisation.to_json()
        checkpoint.save(self.spec, self.model.network, self.optimizer, self.progress, start, average)
        self.saved_at = time.monotonic()

    def leave_if_asked(self) -> None:
        """Raises ``StoppedError`` if the run is asked to stop, and tells its progress, between steps and images."""
        if self.stop:
            raise StoppedError
        self.reporter.tick()


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.nelement() * tensor.element_size() for tensor in tensors)


def build(spec: TrainingSpec, stop: StopFlag, reader: CacheReader, start: Start | None = None) -> Run:
    """Returns a run that is ready for its next step: the first, or the one after the last checkpoint.

    ``start`` is what a run that begins starts from; without it, that is found out here. Raises ``DataError`` where it
    cannot be started from.
    """
    started_at, request = time.monotonic(), spec.request
    saved = checkpoint.load(spec)
    progress = saved.progress if saved else Progress()
    before = [Stretch.from_json(stretch) for stretch in progress.stretches]
    host = _host(spec, before[-1] if before else None)
    model, initialisation = _model(spec, saved, host, start, reader)
    is_pretrained = initialisation.is_pretrained
    recipe = recipes.choose_recipe(request.optimizer, request.schedule, is_pretrained=is_pretrained)
    optimizer = recipes.build_optimizer(
        model,
        recipe,
        request.weight_decay,
        is_pretrained=is_pretrained,
        precision=host.dtype,
    )
    if saved:
        optimizer.load_state_dict(saved.optimizer_state)
    data = _data(spec, reader)
    pace = _pace(request, data, progress)
    reporter = _reporter(spec, pace, saved)
    return Run(
        spec=spec,
        stop=stop,
        host=host,
        reader=reader,
        data=data,
        model=model,
        average=_average(model, saved) if request.ema else None,
        criterion=_criterion(spec, reader, reporter, host),
        recipe=recipe,
        optimizer=optimizer,
        initialisation=initialisation,
        progress=progress,
        reporter=reporter,
        pace=pace,
        peak_learning_rate=recipes.peak_learning_rate(request.learning_rate, recipe, data.batch_size),
        keeps_statistics=keeps_statistics(is_pretrained=is_pretrained, batch_size=data.batch_size),
        best_mean_iou=reporter.best_mean_iou,
        started_at=started_at,
        spent_before=progress.seconds_spent,
        stretches=_continued(before, progress, host),
    )


def _model(
    spec: TrainingSpec, saved: Checkpoint | None, host: Host, start: Start | None, reader: CacheReader
) -> tuple[SegmentationModel, Initialisation]:
    """Returns the model with the weights of the checkpoint, or those that the request lets it start from."""
    request = spec.request
    torch.manual_seed(request.seed)
    model = build_model(request.architecture, len(spec.classes))
    model.scale_dropout(regularization_strength(request.epochs or 1))
    if saved is None:
        checkpoint.discard_earlier(spec)
        initialisation = _initialise(model, spec, start or start_of(spec), reader)
    else:
        initialisation = Initialisation.from_json(saved.initialisation)
        model.network.load_state_dict(saved.network_state)
        logs.get().info("job.resumed", epoch=saved.progress.epoch, step=saved.progress.step)
    model.to(host.device)
    freezing.freeze(model, request, initialisation)
    return model, initialisation


def _initialise(model: SegmentationModel, spec: TrainingSpec, start: Start, reader: CacheReader) -> Initialisation:
    """Puts the weights into the model that a run starts from, and returns what was done."""
    models = KeptModels.at(spec.outbox_dir, spec.done_dir)
    if start.model is None or models is None:
        found = initialise(model, spec.request.architecture, start.pretrained, spec.weights_dirs)
        return replace(found, issues=(*start.issues, *found.issues))
    with models.opened(start.model) as stream:
        found = start_from(model, spec.classes, start.model, stream)
    validation = [reader.index.names[position] for position in reader.index.val]
    known = known_validation(start.model.job, validation, models.trained_on(start.model))
    return replace(found, issues=(*start.issues, *found.issues, *known))


def _average(model: SegmentationModel, saved: Checkpoint | None) -> Average:
    average = Average(model)
    if saved and saved.average_state:
        average.model.network.load_state_dict(saved.average_state)
    return average


def _data(spec: TrainingSpec, reader: CacheReader) -> TrainingData:
    request = spec.request
    transform = transform_named(request.augmentation, request.epochs or 1)
    limits = architectures.ARCHITECTURES[request.architecture].input_limits
    return TrainingData(reader, reader.index.train, request.batch_size or 1, request.seed, transform, limits)


def _reporter(spec: TrainingSpec, pace: Pace, saved: Checkpoint | None) -> Reporter:
    reporter = Reporter(spec.progress_path, pace)
    best = checkpoint.load_best(spec) if saved else None
    reporter.best_mean_iou = best.metrics["mean_iou"] if best else None
    progress = saved.progress if saved else Progress()
    reporter.position(progress.epoch, progress.step)
    return reporter


def _continued(before: list[Stretch], progress: Progress, host: Host) -> list[Stretch]:
    stretches = conditions.continued(before, progress.epoch, progress.step, host)
    if stretches != before and len(stretches) > 1:
        earlier, now = stretches[-2].conditions, stretches[-1].conditions
        was = asdict(earlier) if earlier else None
        logs.get().warning("host.changed", before=was, now=asdict(now) if now else None)
    return stretches


def _host(spec: TrainingSpec, before: Stretch | None) -> Host:
    """Chooses how to compute: once on a host, and once for a run, which computes as before where it is resumed.

    A run goes on in its own number format, unless it is one that this host would have to emulate.
    """
    device = choose_device(spec.request.device)
    if before and before.conditions and _can_go_on(spec, before.conditions, device):
        host = prepare_host(before.conditions.precision, spec.threads, device=device)
        return replace(host, calibration=before.calibration)
    return calibrated_host(spec.measurements_path, spec.request.precision, spec.threads, device)


def _can_go_on(spec: TrainingSpec, before: Conditions, device: torch.device) -> bool:
    """Whether ``precision: auto`` stands for what it stood for before. bf16 that a CPU emulates takes hours longer."""
    is_fast = before.precision == "fp32" or device != CPU or has_native_bf16()
    return spec.request.precision == "auto" and before.device == device.type and is_fast


def _pace(request: TrainRequest, data: TrainingData, progress: Progress) -> Pace:
    index = data.reader.index
    asked = Plan(request.epochs or 1, data.steps_per_epoch)
    workload = Workload(asked, phases.requested(request), len(index.val), len(index.test))
    return Pace(
        workload,
        plan=Plan(**progress.plan) if progress.plan else asked,
        known=Speed(**progress.speed) if progress.speed else None,
    )


def _criterion(spec: TrainingSpec, reader: CacheReader, reporter: Reporter, host: Host) -> Criterion:
    """Returns the loss that was asked for. Classes are counted at every start: seconds, even for large datasets."""
    if spec.request.loss != "weighted_cross_entropy":
        return build_criterion(spec.request.loss)
    weights = weigh_classes(training_pixels(reader, len(spec.classes), reporter.tick))
    return build_criterion(spec.request.loss, host.place(weights))
