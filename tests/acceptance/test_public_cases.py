"""Small ZIPs of what people reported, where they are at hand beside the repository: each is read rightly, or refused
or doubted in words. None is ever accepted with wrong labels and without a word.

The judge is the scorer that lies beside the ZIPs; only its way to run a command is replaced, by calls in this process.
"""

import importlib.util
import json
import shutil
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from builders import check_spec
from segdrop.child_runtime import StopFlag
from segdrop.dataset import convert, full_check
from segdrop.errors import has_fault
from segdrop.spec import ConvertSpec

CASES = Path(__file__).parents[3] / "shared" / "cases"
OPEN = CASES / "open"
EXPECTED = OPEN / "expected.json"
ENTRIES: list[dict[str, Any]] = json.loads(EXPECTED.read_text(encoding="utf-8")) if EXPECTED.exists() else []


@cache
def scorer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("score", CASES / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.run = run  # type: ignore[attr-defined]
    return module


def run(arguments: list[str], folder: str) -> SimpleNamespace:
    """``check ZIP --json [--samples FOLDER]`` or ``convert ZIP OUT --force``, as the scorer asks for them."""
    _, command, archive, *rest = arguments
    own = Path(folder) / Path(archive).name
    if not own.exists():
        shutil.copyfile(archive, own)
    spec = check_spec(own, cache=False).model_copy(update={"defaults": {}})
    if command == "check":
        samples = Path(rest[rest.index("--samples") + 1]) if "--samples" in rest else None
        if samples is not None:
            samples.mkdir()
        report = full_check.check(spec.model_copy(update={"samples_dir": samples}), StopFlag())
    else:
        report = convert.convert(
            ConvertSpec(**spec.model_dump(), output_path=Path(rest[0]), skip_bad=False), StopFlag()
        )
    return SimpleNamespace(stdout=report.model_dump_json(), stderr="", returncode=65 if has_fault(report.issues) else 0)


@pytest.mark.skipif(not ENTRIES, reason="the ZIPs are not here")
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["zip"].removesuffix(".zip"))
def test_public_case_is_read_rightly_or_said(entry: dict[str, Any], tmp_path: Path) -> None:
    case = scorer().Case("segdrop", OPEN / entry["zip"], str(tmp_path))
    assert not case.broken, case.broken
    assert not scorer().judge(entry["want"], case)
