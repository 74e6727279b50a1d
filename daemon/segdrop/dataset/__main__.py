"""The child that opens untrusted bytes: ``python -m segdrop.dataset inspect|check|convert SPEC``.

It answers through the files that the spec names, and exits with 0 once the answer is written, whatever
it says.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from segdrop import child, durable, errors, spec
from segdrop.dataset.examine import check
from segdrop.dataset.inspection import Order, inspect
from segdrop.dataset.source import Archive

if TYPE_CHECKING:
    from typing import BinaryIO

_USAGE = "usage: python -m segdrop.dataset inspect|check|convert SPEC"


def _inspect(order: spec.InspectSpec, stop: child.StopFlag) -> None:
    with order.answer_path.open("wb") as answers:
        for item in order.items:
            if stop:
                raise errors.StoppedError
            _answer(answers, _inspected(item, order))


def _answer(stream: "BinaryIO", answer: dict[str, object]) -> None:
    """One whole line at a time: what is there when this process is killed is the clean beginning."""
    stream.write(json.dumps(answer).encode() + b"\n")
    stream.flush()


def _inspected(item: spec.InspectItem, order: spec.InspectSpec) -> dict[str, object]:
    """``error`` says why the ZIP or its sidecar could not be read at all: it may be readable later."""
    try:
        with Archive(item.archive, order.limits) as archive:
            found = inspect(archive, Order(item.sidecar, item.sidecar_name, order.defaults, order.models_dir))
    except OSError as error:
        return {"key": item.key, "issues": [], "request": None, "cache_bytes": 0, "error": error.strerror or str(error)}
    return {
        "key": item.key,
        "issues": [issue.to_json() for issue in found.issues],
        "request": found.request.model_dump(mode="json") if found.request else None,
        "cache_bytes": found.cache_bytes,
        "error": None,
    }


def _check(order: spec.CheckSpec, stop: child.StopFlag) -> None:
    if isinstance(order, spec.ConvertSpec):
        from segdrop.dataset.convert import convert  # noqa: PLC0415  (numpy and Pillow: not for every child)

        report = convert(order, stop)
    else:
        report = check(order, stop)
    durable.write_json(order.report_path, report.model_dump(mode="json"))


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in ("inspect", "check", "convert"):  # noqa: PLR2004  (command and file)
        sys.stderr.write(_USAGE + "\n")
        return errors.Exit.USAGE
    child.tie_to_parent()
    # before numpy is imported: its BLAS would start a thread, with its memory, for every core
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    command, path = arguments[0], Path(arguments[1])
    if command == "inspect":
        inspection = child.ordered(spec.InspectSpec.load, path)
        _limit(inspection.limits)
        return child.run(
            lambda stop: _inspect(inspection, stop),
            job=None,
            stage="inspect",
            error_path=inspection.error_path,
        )
    order = child.ordered((spec.ConvertSpec if command == "convert" else spec.CheckSpec).load, path)
    _limit(order.limits)
    return child.run(
        lambda stop: _check(order, stop),
        job=order.job,
        stage=command,
        error_path=order.error_path,
        lock_path=order.lock_path,
    )


def _limit(limits: spec.Limits) -> None:
    child.limit_resources(memory_bytes=limits.check_memory_bytes, cpu_seconds=limits.check_cpu_seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
