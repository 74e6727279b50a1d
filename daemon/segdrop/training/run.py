"""All that one run works with, ready for the step that comes next."""

import time
from dataclasses import asdict, dataclass, field

import torch

from segdrop import logs
from segdrop.child import StopFlag
from segdrop.dataset.cache import CacheReader
from segdrop.errors import StoppedError
from segdrop.modeling import calibration
from segdrop.modeling.architectures import SegmentationModel, build_model
from segdrop.modeling.precision import Host, choose_device, host_name, prepare_host
from segdrop.modeling.weights import Initialisation, initialise
from segdrop.request import Request
from segdrop.spec import TrainingSpec
from segdrop.training import checkpoint, freezing, optim, phases, regularization, schedule
from segdrop.training.averaging import Average
from segdrop.training.batchnorm import keeps_statistics
from segdrop.training.checkpoint import Progress
from segdrop.training.class_weights import class_weights, training_pixels
from segdrop.training.data import TrainingData
from segdrop.training.loss import Criterion, build_criterion
from segdrop.training.measurements import Measurements
from segdrop.training.optim import Recipe
from segdrop.training.pace import Pace
from segdrop.training.phases import Phase
from segdrop.training.plan import Plan, Speed, Workload
from segdrop.training.reporting import Reporter
from segdrop.training.transforms import transform_named


@dataclass(slots=True)
class Run:
    """All that one run works with."""

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
    keeps_statistics: bool  #: the backbone's BatchNorm
    best_mean_iou: float | None
    started_at: float  #: monotonic seconds
    spent_before: float  #: seconds, by the processes before this one
    saved_at: float = field(default_factory=time.monotonic)  #: monotonic seconds

    @property
    def plan(self) -> Plan:
        """As it is now: a time budget may change it."""
        return self.pace.plan

    @property
    def steps(self) -> int:
        return self.plan.epochs * self.plan.steps

    @property
    def steps_done(self) -> int:
        return self.progress.epoch * self.plan.steps + self.progress.step

    @property
    def phase(self) -> Phase:
        """Of the epoch that comes next, or goes on."""
        return self.pace.workload.phases.phase(self.progress.epoch, self.plan.epochs)

    @property
    def is_validation_due(self) -> bool:
        """After the epoch that goes on."""
        return self.pace.workload.phases.is_validated(self.progress.epoch, self.plan.epochs)

    @property
    def seconds_spent(self) -> float:
        """By this process and those before it."""
        return self.spent_before + time.monotonic() - self.started_at

    def learning_rate(self, step: int) -> float:
        """Of a step of the run; the peak is that of the heads."""
        return schedule.learning_rate(self.spec.request.schedule, step, self.steps, self.peak_learning_rate)

    def save(self) -> None:
        self.progress.seconds_spent, self.progress.plan = self.seconds_spent, asdict(self.plan)
        self.progress.speed = asdict(self.pace.speed) if self.pace.speed else None
        average = self.average.model.network if self.average else None
        start = self.initialisation.to_json()
        checkpoint.save(self.spec, self.model.network, self.optimizer, self.progress, start, average)
        self.saved_at = time.monotonic()

    def leave_if_asked(self) -> None:
        """Called between steps and between images; also keeps the progress file fresh."""
        if self.stop:
            raise StoppedError
        self.reporter.tick()


def build(spec: TrainingSpec, stop: StopFlag, reader: CacheReader) -> Run:
    """Everything ready for the step that comes next: the first, or the one after the last checkpoint."""
    started_at = time.monotonic()
    request, index = spec.request, reader.index
    host = _host(spec)
    torch.manual_seed(request.seed)
    model = build_model(request.architecture, len(spec.classes))
    regularization.scale_dropout(model.network, regularization.strength(request.epochs or 1))
    saved = checkpoint.load(spec)
    if saved is None:
        progress, best = Progress(), None
        checkpoint.discard_kept(spec)
        initialisation = initialise(model.network, request.architecture, request.pretrained, spec.weights_dirs)
    else:
        progress, best = saved.progress, checkpoint.load_best(spec)
        initialisation = Initialisation.from_json(saved.initialisation)
        model.network.load_state_dict(saved.network_state)
        logs.get().info("job.resumed", epoch=progress.epoch, step=progress.step)
    is_pretrained = initialisation.is_pretrained
    model.to(host.device)
    freezing.freeze(model, request, initialisation)
    recipe = optim.choose_recipe(request.optimizer, request.schedule, is_pretrained=is_pretrained)
    optimizer = optim.build_optimizer(
        model.network, recipe, request.weight_decay, is_pretrained=is_pretrained, precision=host.dtype
    )
    average = Average(model) if request.ema else None
    if saved:
        optimizer.load_state_dict(saved.optimizer_state)
        if average and saved.average_state:
            average.model.network.load_state_dict(saved.average_state)
    batch_size = request.batch_size or 1
    transform = transform_named(request.augmentation, request.epochs or 1)
    data = TrainingData(reader, index.train, batch_size, request.seed, transform)
    pace = _pace(request, data, progress)
    reporter = Reporter(spec.progress_path, pace)
    reporter.best_mean_iou = best.metrics["mean_iou"] if best else None
    reporter.position(progress.epoch, progress.step)
    return Run(
        spec=spec,
        stop=stop,
        host=host,
        reader=reader,
        data=data,
        model=model,
        average=average,
        criterion=_criterion(spec, reader, reporter, host),
        recipe=recipe,
        optimizer=optimizer,
        initialisation=initialisation,
        progress=progress,
        reporter=reporter,
        pace=pace,
        peak_learning_rate=optim.peak_learning_rate(request.learning_rate, recipe, batch_size),
        keeps_statistics=keeps_statistics(is_pretrained=is_pretrained, batch_size=batch_size),
        best_mean_iou=reporter.best_mean_iou,
        started_at=started_at,
        spent_before=progress.seconds_spent,
    )


def _host(spec: TrainingSpec) -> Host:
    """The choice is made once on a host: a run that is resumed, or repeated, computes as before."""
    measurements = Measurements(spec.measurements_path)
    host = prepare_host(
        spec.request.precision,
        spec.threads,
        recall=lambda name: calibration.read(measurements.get(f"bf16, {name}")),
        device=choose_device(spec.request.device),
    )
    if host.calibration:
        measured = asdict(host.calibration)
        measurements.put(f"bf16, {host_name(host.threads)}", measured)
        logs.get().info("host.calibrated", precision=host.precision, **measured)
    return host


def _pace(request: Request, data: TrainingData, progress: Progress) -> Pace:
    index = data.reader.index
    asked = Plan(request.epochs or 1, data.steps_per_epoch)
    workload = Workload(asked, phases.requested(request), len(index.val), len(index.test))
    return Pace(
        workload,
        plan=Plan(**progress.plan) if progress.plan else asked,
        known=Speed(**progress.speed) if progress.speed else None,
    )


def _criterion(spec: TrainingSpec, reader: CacheReader, reporter: Reporter, host: Host) -> Criterion:
    """The loss that was asked for. Class weights are counted anew at every start: seconds, even for large datasets."""
    if spec.request.loss != "weighted_cross_entropy":
        return build_criterion(spec.request.loss)
    weights = class_weights(training_pixels(reader, len(spec.classes), reporter.tick))
    return build_criterion(spec.request.loss, host.place(weights))
