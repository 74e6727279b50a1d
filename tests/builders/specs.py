"""Specs, and the two ways to run the check: in this process, or as the child that the daemon starts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from segdrop.child_runtime import StopFlag
from segdrop.dataset import full_check
from segdrop.dataset.report import CheckReport
from segdrop.settings import LimitSettings
from segdrop.spec import CheckSpec, Limits, QuickCheckItem, QuickCheckSpec


def limits(**changes: int) -> Limits:
    return LimitSettings().for_child().model_copy(update=changes)


def sidecar(folder: Path, request: dict[str, Any] | bytes | None) -> Path | None:
    if request is None:
        return None
    path = folder / "sidecar.json"
    path.write_bytes(request if isinstance(request, bytes) else json.dumps(request).encode())
    return path


def check_spec(
    archive: Path, request: dict[str, Any] | bytes | None = None, *, cache: bool = True, **caps: int
) -> CheckSpec:
    folder = archive.parent
    return CheckSpec(
        job=None,
        archive=archive,
        name=archive.name,
        sidecar=sidecar(folder, request),
        sidecar_name="data.json" if request is not None else None,
        defaults={"image_size": 32},
        models_dir=folder / "models",
        limits=limits(**caps),
        cache_dir=folder / "cache" if cache else None,
        report_path=folder / "report.json",
        progress_path=folder / "progress.json",
        error_path=folder / "error.json",
        lock_path=None,
    )


def quick_check_spec(folder: Path, archives: list[Path], **caps: int) -> QuickCheckSpec:
    return QuickCheckSpec(
        items=[QuickCheckItem(key=path.stem, archive=path, name=path.name) for path in archives],
        defaults={},
        models_dir=folder / "models",
        limits=limits(**caps),
        answer_path=folder / "answers.jsonl",
        error_path=folder / "error.json",
    )


def check(
    archive: Path, request: dict[str, Any] | bytes | None = None, *, cache: bool = True, **caps: int
) -> CheckReport:
    """The full check, in this process."""
    return full_check.check(check_spec(archive, request, cache=cache, **caps), StopFlag())


def child(command: str, spec: CheckSpec | QuickCheckSpec, folder: Path) -> subprocess.CompletedProcess[str]:
    """The check as a process of its own, to its end."""
    path = folder / f"{command}.spec.json"
    path.write_text(spec.model_dump_json())
    return subprocess.run(
        [sys.executable, "-m", "segdrop.dataset", command, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
