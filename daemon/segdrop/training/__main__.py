"""``python -m segdrop.training SPEC``: one training run, told by a file, answering through files.

``ready`` instead of a spec does nothing but begin.
"""

import importlib
import sys
from pathlib import Path

from segdrop import child_runtime
from segdrop.codes import Code
from segdrop.errors import Exit
from segdrop.spec import TrainingSpec
from segdrop.training.question import new_start


def main() -> int:
    """Runs the spec that the command line names, and returns the exit status."""
    if len(sys.argv) != 2:  # noqa: PLR2004  (the program's name and one argument)
        sys.stderr.write("usage: python -m segdrop.training SPEC\n")
        return Exit.USAGE
    if sys.argv[1] == "ready":
        importlib.import_module("segdrop.training.loop")
        return Exit.OK
    child_runtime.tie_to_parent()
    spec = child_runtime.ordered(TrainingSpec.load, Path(sys.argv[1]))

    def body(stop: child_runtime.StopFlag) -> None:
        start = new_start(spec)
        from segdrop.training.loop import train  # noqa: PLC0415  (torch takes seconds: signals are handled first)

        child_runtime.begin(spec.error_path)
        with child_runtime.out_of_memory_as(Code.TRAIN_OUT_OF_MEMORY):
            train(spec, stop, start)

    return child_runtime.run(
        body, job=spec.job, stage="train", error_path=spec.error_path, lock_path=spec.lock_path, begins=False
    )


if __name__ == "__main__":
    sys.exit(main())
