"""``python -m standin SPEC``: takes the place of ``segdrop.training``, and trains nothing.

The contract is the real one's: the same spec, answers, exit codes, signals and lock. What it does is told by the
plan, a JSON file named by ``STANDIN_PLAN``: behaviours by the input's name, ``"*"`` for all others:

    epochs     how many; each writes a checkpoint and the progress file
    hold       before which epoch (from 0; their number: before the answer) it waits, as long as the plan's folder has
               no file ``release``
    deaf       true: SIGTERM is not heeded while it waits
    ending     raise, die (SIGKILL), silent (exit 0 without an answer), cut (exit 0 with half of one), full (ENOSPC),
               eat (memory), no_memory (as torch says it), errno (an error of the system with the number ``errno``, at
               ``path``), not_finite; else: success
    ending_at  before which epoch it ends so (default: after the last)
    times      how many starts end so; the ones after that succeed
    size       of the model, in bytes (default: some hundred thousand)
    further    true: each start ends so after one more epoch, until there is none left

Each start adds the line ``input name, PID, first epoch`` to ``starts.log`` beside the plan. No numpy, no pydantic:
it starts in a tenth of a second.
"""

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segdrop import child_runtime, durable, fingerprint, logs, weights_files
from segdrop.codes import Code
from segdrop.errors import DataError, Exit, Issue, StoppedError

POLL_SECONDS = 0.02
#: who is told to eat memory is in a cgroup that has less
MOST_MIB = 2048
#: A page holds a whole number of lines, so that ``write`` fills one page at most: no reader sees half a line, and
#: SIGKILL, which takes effect between two pages, leaves none.
RECORD_BYTES = 2048


class Standin:
    def __init__(self, spec: dict[str, Any], stop: child_runtime.StopFlag) -> None:
        plan = Path(os.environ["STANDIN_PLAN"])
        behaviours = json.loads(plan.read_text()) if plan.exists() else {}
        self.folder = plan.parent
        self.spec = spec
        self.stop = stop
        self.name = spec["metadata"]["input_name"]
        self.pretrained = "auto"
        self.earlier_model: str | None = None
        self.behaviour = behaviours.get(self.name) or behaviours.get("*", {})

    def path(self, key: str) -> Path:
        return Path(self.spec[f"{key}_path"])

    def run(self) -> None:
        epochs = self.behaviour.get("epochs", 1)
        self.pretrained, self.earlier_model = self.found_start()
        self.refuse_what_is_answered()
        first = self.resumed_epoch()
        starts = self.note_start(first)
        ends_badly = starts <= self.behaviour.get("times", sys.maxsize)
        for epoch in range(first, epochs):
            if ends_badly and epoch == self.behaviour.get("ending_at", epochs):
                self.end()
            self.wait(epoch)
            if self.stop:
                raise StoppedError
            self.train_one(epoch, epochs)
            if self.behaviour.get("further"):
                self.end()
        if ends_badly and not self.behaviour.get("further"):
            self.end()
        self.wait(epochs)
        self.answer(epochs)

    def resumed_epoch(self) -> int:
        checkpoint = self.path("checkpoint")
        return json.loads(checkpoint.read_text())["epoch"] if checkpoint.exists() else 0

    def refuse_what_is_answered(self) -> None:
        answered = self.spec.get("answered", {})
        if answered and not self.path("checkpoint").exists() and (earlier := answered.get(self.fingerprint())):
            raise DataError([Issue.of(Code.JOB_DUPLICATE, f"answered by {earlier}", files=[earlier])])

    def note_start(self, first_epoch: int) -> int:
        """Record this start; returns how many there were for this input."""
        log = self.folder / "starts.log"
        append_record(log, [self.name, os.getpid(), first_epoch])
        return sum(name == self.name for name, _, _ in records(log))

    def wait(self, epoch: int) -> None:
        if self.behaviour.get("hold") == epoch:
            logs.get().info("standin.waiting")
        while self.behaviour.get("hold") == epoch and not (self.folder / "release").exists():
            if self.stop and not self.behaviour.get("deaf"):
                raise StoppedError
            time.sleep(POLL_SECONDS)

    def train_one(self, epoch: int, epochs: int) -> None:
        durable.write_json(self.path("checkpoint"), {"epoch": epoch + 1})
        progress = {"stage": "train", "epoch": epoch + 1, "epochs": epochs, "step": epoch + 1, "steps": epochs}
        durable.replace_quickly(self.path("progress"), json.dumps(progress).encode())
        logs.get().info("epoch.finished", epoch=epoch + 1)

    def end(self) -> None:
        match self.behaviour.get("ending"):
            case "raise":
                raise RuntimeError("the stand-in was told to raise")
            case "die":
                logs.get().info("standin.dying")
                os.kill(os.getpid(), signal.SIGKILL)
            case "silent":
                sys.exit(Exit.OK)
            case "cut":
                self.answer(self.behaviour.get("epochs", 1))
                os.truncate(self.path("result"), self.path("result").stat().st_size // 2)
                sys.exit(Exit.OK)
            case "eat":
                self.eaten = [os.urandom(1 << 20) for _ in range(MOST_MIB)]
            case "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path("checkpoint")))
            case "errno":
                number = self.behaviour["errno"]
                raise OSError(number, os.strerror(number), self.behaviour.get("path") or str(self.path("checkpoint")))
            case "no_memory":
                raise DataError([Issue.of(Code.TRAIN_OUT_OF_MEMORY, "can't allocate memory")])
            case "not_finite":
                raise DataError([Issue.of(Code.TRAIN_NOT_FINITE, "the loss is nan")])

    def metrics(self) -> dict[str, Any]:
        each = {"iou": 0.5, "accuracy": 0.75, "dice": 0.67, "pixels": 100}
        return {
            "mean_iou": 0.5,
            "mean_accuracy": 0.75,
            "pixel_accuracy": 0.75,
            "mean_dice": 0.67,
            "per_class": dict.fromkeys(self.spec["classes"], each),
            "baseline": {"mean_iou": 0.25, "pixel_accuracy": 0.5},
            "counts": {"train": 2, "val": 1, "test": 0},
            "initialisation": "none: this is a stand-in",
            **({"initialisation_job": self.pretrained} if self.earlier_model else {}),
            "optimizer": "none",
            "epochs": 1,
            "best_epoch": 1,
            "steps": 1,
        }

    def fingerprint(self) -> str:
        """Of what was asked for, with the earlier model found at the start, or the weights that it leads to now."""
        asked, start = self.spec["asked"], self.earlier_model
        if start is None:
            dirs = [Path(folder) for folder in self.spec["weights_dirs"]]
            start = weights_files.resolve(self.pretrained, asked["architecture"], dirs)
        return fingerprint.of(self.spec["metadata"]["input_sha256"], asked, start)

    def found_start(self) -> tuple[str, str | None]:
        """The job that is started from, with what tells its model from any other; or what is asked for, and nothing."""
        asked = self.spec["asked"]["pretrained"]
        if asked in ("auto", "none") or "." in asked:
            return asked, None
        from segdrop import pretrained  # noqa: PLC0415  (pydantic takes longer than all of the rest)
        from segdrop.spool.kept_models import KeptModels  # noqa: PLC0415

        models = KeptModels.at(*(Path(self.spec[key]) for key in ("outbox_dir", "done_dir")))
        sender = pretrained.Sender(self.name, self.spec["owner"])
        start = pretrained.resolve(asked, self.spec["asked"]["architecture"], models, sender)
        if start.model is None or models is None:
            return start.pretrained, None
        with models.opened(start.model):
            return start.model.job, start.identity(start.model.architecture, [])

    def answer(self, epochs: int) -> None:
        durable.write_bytes(
            self.path("model"),
            ((self.name + (self.earlier_model or "")).encode() * 100_000)[: self.behaviour.get("size")],
        )
        rows = "".join(f"{epoch + 1},0.5\n" for epoch in range(epochs))
        durable.write_bytes(self.path("history"), f"epoch,loss\n{rows}".encode())
        durable.write_json(
            self.path("result"),
            {
                "metrics": self.metrics(),
                "timing": {"train_seconds": 0.1, "train_images_per_second": 10.0, "first_step_seconds": 0.1},
                "peak_rss_bytes": child_runtime.peak_rss_bytes(),
                "environment": {"precision": "fp32", "threads": 1},
                "issues": [],
                "fingerprint": self.fingerprint(),
            },
        )


def append_record(log: Path, record: Any) -> None:
    """Append a JSON value to a log that others append to and read meanwhile."""
    line = json.dumps(record).encode().ljust(RECORD_BYTES - 1) + b"\n"
    if len(line) != RECORD_BYTES:
        raise ValueError(f"{len(line)} bytes, of at most {RECORD_BYTES}: {line!r}")
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def records(log: Path, first: int = 0) -> Iterator[Any]:
    """Those from number ``first`` on; none if there is no such log yet."""
    if log.exists():
        with log.open("rb") as stream:
            stream.seek(first * RECORD_BYTES)
            yield from map(json.loads, stream)


def located_spec(path: Path) -> dict[str, Any]:
    """The values of a spec, with the absolute paths that its relative ones stand for."""
    spec, folder = json.loads(path.read_bytes()), path.absolute().parent
    for key, value in spec.items():
        if key.endswith(("_path", "_dir")) and value is not None:
            spec[key] = os.path.normpath(folder / value)
        elif key.endswith("_dirs"):
            spec[key] = [os.path.normpath(folder / each) for each in value]
    return spec


def main() -> int:
    child_runtime.tie_to_parent()
    spec = child_runtime.ordered(located_spec, Path(sys.argv[1]))
    return child_runtime.run(
        lambda stop: Standin(spec, stop).run(),
        job=spec["job"],
        stage="train",
        error_path=Path(spec["error_path"]),
        lock_path=Path(spec["lock_path"]),
    )


if __name__ == "__main__":
    sys.exit(main())
