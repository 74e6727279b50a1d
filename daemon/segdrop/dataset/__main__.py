"""The child that opens untrusted bytes: ``python -m segdrop.dataset inspect|check|convert|decode SPEC``.

``inspect`` makes the quick check of several ZIPs, ``check`` the full check of one, ``convert`` writes one in the
canonical layout, and ``decode`` hands the images of an input to its parent, one by one. The child answers through the
files that the spec names, and exits with 0 once the answer is written, whatever it says. ``ready [BYTES]`` only begins,
within so much memory, and thus tells whether the child can begin.
"""

import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from segdrop import child_runtime, durable, errors, spec
from segdrop.codes import Code
from segdrop.dataset import quick_check
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.full_check import FullCheck, check, check_other
from segdrop.dataset.quick_check import RequestSources
from segdrop.dataset.report import QuickReport
from segdrop.input_kinds import InputKind
from segdrop.spool.kept_models import KeptModels

if TYPE_CHECKING:
    from typing import BinaryIO

_COMMANDS = ("inspect", "check", "convert", "decode")
_USAGE = "usage: python -m segdrop.dataset inspect|check|convert|decode SPEC, or ready [BYTES]"


def _quick_checks(order: spec.QuickCheckSpec, stop: child_runtime.StopFlag) -> None:
    """Check the ZIPs in turn: a line in one file tells that a ZIP was begun, a line in the file of answers that it was
    ended.
    """
    begun_path = order.error_path.with_name(child_runtime.BEGUN_NAME)
    with order.answer_path.open("wb") as answers, begun_path.open("wb", buffering=0) as begun:
        for item in order.items:
            if stop:
                raise errors.StoppedError
            begun.write(item.key.encode() + b"\n")
            _answer(answers, _quick_check(item, order))


def _answer(stream: "BinaryIO", report: QuickReport) -> None:
    """Writes one whole line at a time: what is there when this process is killed is the clean beginning."""
    stream.write(json.dumps(report.model_dump(mode="json")).encode() + b"\n")
    stream.flush()


def _quick_check(item: spec.QuickCheckItem, order: spec.QuickCheckSpec) -> QuickReport:
    """Returns the answer for one input.

    Its ``error`` says why the input or its sidecar cannot be read now; it may be later.
    """
    earlier = KeptModels.at(order.outbox_dir, order.done_dir)
    sources = RequestSources(
        item.sidecar, item.sidecar_name, order.defaults, order.models_dir, earlier, order.default_model
    )
    try:
        if item.kind is InputKind.ARCHIVE:
            with Archive(item.archive, order.limits) as archive:
                found = quick_check.check(archive, sources)
        else:
            found = quick_check.check_other(sources, item.name)
    except OSError as error:
        return QuickReport(key=item.key, error=error.strerror or str(error))
    return QuickReport(key=item.key, issues=found.issues, request=found.request, cache_bytes=found.cache_bytes)


def _check(order: spec.CheckSpec, stop: child_runtime.StopFlag) -> None:
    """Make the full check, or the conversion, and write its report."""
    if isinstance(order, spec.ConvertSpec):
        from segdrop.dataset.convert import convert  # noqa: PLC0415  (numpy and Pillow: not for every child)

        report = convert(order, stop)
    elif order.kind is not InputKind.ARCHIVE:
        report = check_other(order, stop)
    else:
        report = check(order, stop, lambda archive, result: _write_pairs(archive, result, order, stop))
    durable.write_json(order.report_path, report.model_dump(mode="json"))


def _write_pairs(archive: Archive, result: FullCheck, order: spec.CheckSpec, stop: child_runtime.StopFlag) -> None:
    """Write the pairs of an evaluation. numpy and Pillow are there by then."""
    if result.report.dataset is not None:
        from segdrop.dataset.convert import write_pairs  # noqa: PLC0415  (as above)

        write_pairs(archive, result, order, stop)


def _within_memory(body: Callable[[child_runtime.StopFlag], None]) -> Callable[[child_runtime.StopFlag], None]:
    """Returns the body with its lack of memory turned into a fault of the data, which names the limit."""

    def run(stop: child_runtime.StopFlag) -> None:
        try:
            body(stop)
        except MemoryError:
            memory_bytes, _ = resource.getrlimit(resource.RLIMIT_AS)
            message = f"reading it takes more than the {memory_bytes} bytes of memory that the check may use"
            raise errors.DataError([errors.Issue.of(Code.CHECK_OUT_OF_MEMORY, message)]) from None

    return run


def main(arguments: list[str]) -> int:
    """Run the child with its command line, and return its exit status."""
    if arguments[:1] == ["ready"]:
        child_runtime.limit_resources(memory_bytes=int(arguments[1]) if arguments[1:] else None)
        _require_modules()
        return errors.Exit.OK
    if len(arguments) != 2 or arguments[0] not in _COMMANDS:  # noqa: PLR2004  (command and file)
        sys.stderr.write(_USAGE + "\n")
        return errors.Exit.USAGE
    child_runtime.tie_to_parent()
    # before numpy is imported: its BLAS would start a thread, with its memory, for every core
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    command, path = arguments[0], Path(arguments[1])
    if command == "inspect":
        batch = child_runtime.ordered(spec.QuickCheckSpec.load, path)
        _limit(batch.limits)
        return child_runtime.run(
            _within_memory(lambda stop: _quick_checks(batch, stop)),
            job=None,
            stage="inspect",
            error_path=batch.error_path,
        )
    if command == "decode":
        return _decode(child_runtime.ordered(spec.DecodeSpec.load, path))
    order = child_runtime.ordered((spec.ConvertSpec if command == "convert" else spec.CheckSpec).load, path)
    _limit(order.limits)
    _require_modules()
    return child_runtime.run(
        _within_memory(lambda stop: _check(order, stop)),
        job=order.job,
        stage=command,
        error_path=order.error_path,
        lock_path=order.lock_path,
    )


def _decode(order: spec.DecodeSpec) -> int:
    """Runs the child that decodes. Its processor time is limited for each image and not in all."""
    child_runtime.limit_resources(memory_bytes=order.limits.check_memory_bytes)

    def body(stop: child_runtime.StopFlag) -> None:
        from segdrop.dataset import decoding  # noqa: PLC0415  (numpy and Pillow, within the limit on memory)

        child_runtime.begin(order.error_path)
        decoding.decode(order, stop)

    return child_runtime.run(body, job=order.job, stage="decode", error_path=order.error_path, begins=False)


def _limit(limits: spec.Limits) -> None:
    child_runtime.limit_resources(memory_bytes=limits.check_memory_bytes, cpu_seconds=limits.check_cpu_seconds)


def _require_modules() -> None:
    """Try whether numpy and Pillow can be imported, before anything is said about a ZIP.

    Where they cannot be imported within these limits, it is the installation's fault. A process of its own tries it:
    here they are not imported before judging the names has freed its memory, and a crash would end this process as
    well.
    """
    try:
        pid = os.fork()
    except OSError as error:  # no room for another process
        sys.stderr.write(f"cannot fork: {error.strerror}\n")
        sys.exit(errors.Exit.ENVIRONMENT)
    if pid == 0:
        os._exit(_imported())
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:  # no words of its own
        sys.stderr.write(f"importing numpy and Pillow was ended by signal {-code}\n")
    if code == -signal.SIGKILL:  # from outside: by the kernel when short of memory, or by hand
        sys.exit(errors.Exit.ENVIRONMENT)
    if code:
        sys.exit(child_runtime.installation())


def _imported() -> int:
    """Returns the exit status of the process that tries the imports: 0 where they succeed."""
    try:
        from segdrop.dataset import overlays, pixel_check  # noqa: F401, PLC0415
    except BaseException:  # noqa: BLE001  (it is told, and this process ends here in any case)
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
