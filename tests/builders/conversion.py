"""A conversion, and what training gets to see before and after it."""

from pathlib import Path
from typing import Any

from builders.specs import check, check_spec
from segdrop.child_runtime import StopFlag
from segdrop.dataset import convert as conversion
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.report import CheckReport, Confidence, Part
from segdrop.errors import has_fault
from segdrop.spec import ConvertSpec


def converted(
    archive: Path, request: dict[str, Any] | None = None, *, skip_bad: bool = False
) -> tuple[CheckReport, Path]:
    """The report of the check, and where the result is if there is one."""
    output = archive.parent / "converted" / "out.zip"
    output.parent.mkdir(exist_ok=True)
    spec = check_spec(archive, request, cache=False)
    convert_spec = ConvertSpec(**spec.model_dump(), output_path=output, skip_bad=skip_bad)
    return conversion.convert(convert_spec, StopFlag()), output


def learned(archive: Path, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """All that training gets to see of a ZIP, pixels and class ids by the name of the image."""
    report = check(archive, request)
    assert report.dataset is not None, report.issues
    with CacheReader(archive.parent / "cache") as cache:
        index = cache.index
        stems = [Path(name).stem for name in index.names]
        return {
            "classes": report.dataset.classes,
            "class_pixels": report.dataset.class_pixels,
            "ignored": report.dataset.ignored_pixels,
            "images": {stem: cache.images([i])[0].tobytes() for i, stem in enumerate(stems)},
            "masks": {stem: cache.masks([i])[0].tobytes() for i, stem in enumerate(stems)},
            "split": {
                side: sorted(stems[i] for i in positions)
                for side, positions in (("train", index.train), ("val", index.val), ("test", index.test))
            },
        }


def assert_same_after_conversion(archive: Path, request: dict[str, Any] | None = None) -> Path:
    before = learned(archive, request)
    report, output = converted(archive, request)
    assert not has_fault(report.issues)
    assert learned(output) == before
    # nothing that was not found in the original: no stray files, no assumed names
    again = check(output, cache=False)
    assert {issue.code for issue in again.issues} <= {issue.code for issue in report.issues}
    assert again.dataset is not None
    # but for a split without a training side, which stays one
    parts = {argument.part for argument in again.dataset.arguments if argument.confidence is not Confidence.CERTAIN}
    assert parts <= ({Part.SPLIT} if "split.incomplete" in {issue.code for issue in report.issues} else set())
    return output
