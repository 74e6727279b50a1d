"""``python -m segdrop.inference SPEC``: one prediction or evaluation, told by a file, answering through files.

``ready`` instead of a spec does nothing but begin.
"""

import importlib
import sys
from pathlib import Path

from segdrop import child_runtime
from segdrop.codes import Code
from segdrop.errors import Exit
from segdrop.spec import InferenceSpec


def main() -> int:
    """Runs the spec that the command line names, and returns the exit status."""
    if len(sys.argv) != 2:  # noqa: PLR2004  (the program's name and one argument)
        sys.stderr.write("usage: python -m segdrop.inference SPEC\n")
        return Exit.USAGE
    if sys.argv[1] == "ready":
        importlib.import_module("segdrop.inference.run")
        return Exit.OK
    child_runtime.tie_to_parent()
    spec = child_runtime.ordered(InferenceSpec.load, Path(sys.argv[1]))

    def body(stop: child_runtime.StopFlag) -> None:
        from segdrop.inference.run import infer  # noqa: PLC0415  (torch takes seconds: signals are handled first)

        child_runtime.begin(spec.error_path)
        with child_runtime.out_of_memory_as(Code.INFERENCE_OUT_OF_MEMORY):
            infer(spec, stop)

    return child_runtime.run(
        body,
        job=spec.job,
        stage=spec.request.task,
        error_path=spec.error_path,
        lock_path=spec.lock_path,
        begins=False,
    )


if __name__ == "__main__":
    sys.exit(main())
