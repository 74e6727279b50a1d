"""``python -m bench OUTPUT [--quick] [--data ZIP]``, tests/ on the path: bench.md, bench.json, curves.png in OUTPUT."""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench import dataset_check, learning, ours, prediction, recipes, review_order, smp_lightning, whole_job
from bench.dataset import BenchData, prepare
from bench.interleaved import Comparison, compare, compare_all, mean
from bench.naive import first_implementation, torchvision_recipe
from segdrop import __version__, architectures
from segdrop.modeling.precision import available_threads, cpu_name
from segdrop.training.timing import phases
from segdrop.training.timing.phases import Phase
from segdrop.training.transforms import scaled

#: image size in pixels → pairs of steps
STEP_SIZES = {128: 5, 256: 3}
LARGE = 256
VALIDATION_IMAGES = 8
CHECKED_PAIRS = 200
EPOCHS = 10
LEARNING_SIZE, SEEDS = 128, 3
REVIEW_SEEDS = 5
#: what of the default recipe is changed
VARIANTS: dict[str, dict[str, Any]] = {
    "the default recipe": {},
    "output_stride: 8": {"output_stride": 8},
    "progressive_size: true": {"progressive_size": True},
}
#: (image size in pixels, epochs, variants): of the 100 minutes that the bench takes on two cores, 22
RECIPES = ((128, 4, list(VARIANTS)), (LARGE, 2, ["the default recipe", "output_stride: 8"]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("output", type=Path)
    parser.add_argument("--quick", action="store_true", help="speed only")
    parser.add_argument("--data", type=Path, help="a dataset ZIP; generated scenes without it")
    options = parser.parse_args()
    torch.set_num_threads(available_threads())
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.output) as folder:
        data = prepare(Path(folder), options.data)
        rows = []
        for row in speed(data, Path(folder)):
            rows.append(row)
            print(line(row), flush=True)
        result: dict[str, Any] = {"host": host(options.data), "rows": [asdict(row) for row in rows]}
        text = HEAD + "".join(line(row) + "\n" for row in rows)
        memory = prediction.memory()
        result["prediction_memory"] = asdict(memory)
        text += prediction.memory_line(memory)
        if not options.quick:
            for section in deeper(data, Path(folder), options.output, result):
                text += section
                print(section, flush=True)
    text += "\n" + ", ".join(f"{key} {value}" for key, value in result["host"].items()) + "\n"
    (options.output / "bench.json").write_text(json.dumps(result, indent=2))
    (options.output / "bench.md").write_text(text)
    print(text)


def deeper(data: BenchData, folder: Path, output: Path, result: dict[str, Any]) -> Iterator[str]:
    """What is learnt, by which recipe, and a whole job; also into ``result``."""
    learnt = learning.measure(data, LEARNING_SIZE, EPOCHS, SEEDS, on_epoch=told)
    result["learning"] = asdict(learnt)
    draw(learnt, output / "curves.png")
    yield learning_lines(learnt)
    halves = review_order.measure(folder / "review", range(REVIEW_SEEDS), on_step=lambda text: print(text, flush=True))
    result["review_order"] = asdict(halves)
    yield review_order.lines(halves)
    outcomes = [
        outcome
        for size, epochs, names in RECIPES
        for outcome in recipes.measure(data, size, epochs, {name: VARIANTS[name] for name in names}, on_epoch=told)
    ]
    result["recipes"] = [asdict(outcome) for outcome in outcomes]
    yield recipe_lines(outcomes)
    jobs = whole_job.measure(data, folder, LARGE)
    result["jobs"] = [asdict(job) for job in jobs]
    yield job_lines(jobs)


def speed(data: BenchData, folder: Path) -> Iterator[Comparison]:
    """Each row measured in turn with its reference."""
    for size, rounds in STEP_SIZES.items():
        yield from training(data, size, rounds)
    for mode, kind in (("L", "grey"), ("RGB", "colour")):
        checked, decoded = dataset_check.both(folder, CHECKED_PAIRS, mode)
        name = f"check of {CHECKED_PAIRS} pairs of 640 x 640, {kind} masks: Pillow's mere decoding"
        yield compare(name, checked, decoded, 5)
    yield from prediction.rows(folder)


def training(data: BenchData, size: int, rounds: int) -> Iterator[Comparison]:
    spec, classes = data.spec(size), len(data.classes)
    train, val = data.pairs(spec, "train"), data.pairs(spec, "val")
    with ours.start(spec) as trainer:
        naive = first_implementation(train, val, classes)
        planned = phases.requested(spec.request)
        measured = planned.distinct(EPOCHS)[::-1] if size == LARGE else [Phase(8)]
        steps = {_name(phase, size): partial(trainer, "step", phase) for phase in measured}
        rows = dict(zip(measured, compare_all(steps, naive.steps().__next__, rounds), strict=True))
        yield from rows.values()
        if size != LARGE:
            return
        epochs = [(1 / EPOCHS, rows[planned.phase(epoch, EPOCHS)]) for epoch in range(EPOCHS)]
        yield mean(f"the mean of a default run of {EPOCHS} epochs, from these rows", epochs)
        yield compare(
            f"validation, {VALIDATION_IMAGES} images of {size} x {size}: a first implementation",
            partial(trainer, "validate", VALIDATION_IMAGES, 8),
            partial(naive.validate, data.classes, VALIDATION_IMAGES),
            rounds,
        )
        fine = partial(trainer, "step", Phase(8))
        theirs = torchvision_recipe(train, val, classes).steps().__next__
        yield compare("training step: torchvision's recipe", fine, theirs, rounds)
        if smp_lightning.is_installed():
            theirs = smp_lightning.steps(train, classes).__next__
            name = "training step: smp.DeepLabV3 in Lightning, bf16-mixed, no auxiliary head"
            yield compare(name, fine, theirs, rounds)


def _name(phase: Phase, size: int) -> str:
    images = "{} x {}".format(*scaled((size, size), phase.scale, architectures.DEEPLABV3_RESNET50.input_limits))
    if phase == Phase(8):
        return f"training step, 8 images of {images}: a first implementation"
    return f"the same at output stride {phase.output_stride}" + (f", images of {images}" if phase.scale != 1 else "")


HEAD = "| ours, and the reference | times as fast | lowest-highest |\n|---|---|---|\n"


def line(row: Comparison) -> str:
    return f"| {row.name} | {row.ratio:.2f} | {row.lowest:.2f}-{row.highest:.2f} |"


def told(progress: str) -> None:
    print(progress, flush=True)


def learning_lines(learnt: learning.Learning) -> str:
    share = learnt.time_share()
    told = "not reached" if share is None else f"{share:.2f} of its time"
    task = f"{LEARNING_SIZE} px, {EPOCHS} epochs"
    return (
        f"| time to the first implementation's best mean IoU, {task} | {told} | |\n"
        f"| best mean IoU, mean of {SEEDS} seeds | {learnt.best(learnt.ours):.3f} "
        f"| first implementation: {learnt.best(learnt.naive):.3f} |\n"
    )


def recipe_lines(outcomes: list[recipes.Outcome]) -> str:
    return "\n| recipe | px | epochs | best mean IoU | images/s in training |\n|---|---|---|---|---|\n" + "".join(
        f"| {row.name} | {row.size} | {row.epochs} | {row.mean_iou:.3f} | {row.images_per_second:.1f} |\n"
        for row in outcomes
    )


def job_lines(jobs: list[whole_job.Job]) -> str:
    first, next_one = jobs
    return (
        f"\nA job of {first.images} images at {LARGE} px, from claim to first step: "
        f"{first.claim_to_first_step_seconds:.1f} s the first time, then {next_one.claim_to_first_step_seconds:.1f} s; "
        f"peak memory of its largest child {max(job.peak_rss_bytes for job in jobs) / 1e9:.2f} GB\n"
    )


def draw(learnt: learning.Learning, path: Path) -> None:
    import matplotlib.pyplot as plt  # noqa: PLC0415  (of the bench's own requirements)

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, curves, colour in (
        ("segdrop", learnt.ours, "tab:blue"),
        ("first implementation", learnt.naive, "tab:red"),
    ):
        for number, curve in enumerate(curves):
            seconds, values = zip(*curve, strict=True)
            axes.plot(seconds, values, color=colour, marker=".", label=name if number == 0 else None)
    axes.set(xlabel="training time / s", ylabel="validation mean IoU", ylim=(0, None), xlim=(0, None))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def host(data: Path | None) -> dict[str, object]:
    return {
        "cpu": cpu_name(),
        "threads": available_threads(),
        "torch": torch.__version__,
        "segdrop": __version__,
        "data": data.name if data else "generated scenes",
    }


if __name__ == "__main__":
    main()
