"""``python -m segdrop.training SPEC``: one training run, told by a file, answering through files."""

import sys
from pathlib import Path

from segdrop import child
from segdrop.errors import DataError, Exit, Issue
from segdrop.spec import TrainingSpec

#: what torch's allocators say (c10/core/impl/alloc_cpu.cpp, c10/cuda/CUDACachingAllocator.cpp)
_NO_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "CUDA out of memory")


def main() -> int:
    if len(sys.argv) != 2:  # noqa: PLR2004  (the program's name and one argument)
        sys.stderr.write("usage: python -m segdrop.training SPEC\n")
        return Exit.USAGE
    child.tie_to_parent()
    spec = child.ordered(TrainingSpec.load, Path(sys.argv[1]))

    def body(stop: child.StopFlag) -> None:
        from segdrop.training.loop import train  # noqa: PLC0415  (torch takes seconds: signals are handled first)

        try:
            train(spec, stop)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and not any(words in str(error) for words in _NO_MEMORY):
                raise
            raise DataError([Issue.of("train.out_of_memory", str(error)[:300] or "out of memory")]) from error

    return child.run(body, job=spec.job, stage="train", error_path=spec.error_path, lock_path=spec.lock_path)


if __name__ == "__main__":
    sys.exit(main())
