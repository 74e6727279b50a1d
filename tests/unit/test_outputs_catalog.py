"""Which outputs there are, what a request gets that names none, and what is refused."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from builders.predictions import setting
from segdrop.inference.outputs import catalog
from segdrop.request import OutputName
from segdrop.spec import InputKind


def test_every_name_in_the_catalog_can_be_asked_for() -> None:
    assert set(catalog.KINDS) <= set(get_args(OutputName))


@pytest.mark.parametrize("kind", list(InputKind))
def test_what_is_written_by_default_can_be_written(tmp_path: Path, kind: InputKind) -> None:
    names = catalog.defaults(kind)
    assert catalog.refused(names, kind) == []
    built = [output.name for output in catalog.build(names, setting(tmp_path / "out"), kind, tmp_path / "in.mp4")]
    assert built == [*names, "legend", "summary", "review"]


def test_outputs_named_twice_are_written_once(tmp_path: Path) -> None:
    built = catalog.build(["overlay", "masks", "masks"], setting(tmp_path / "out"), InputKind.IMAGE)
    assert [output.name for output in built] == ["masks", "overlay", "legend", "summary", "review"]


def test_outputs_of_frames_are_refused_for_images_all_at_once() -> None:
    (issue,) = catalog.refused(["video", "masks", "frames"], InputKind.ARCHIVE)
    assert issue.code == "output.needs_video"
    assert "`video`, `frames`" in issue.message
    assert catalog.refused(["video", "masks", "frames"], InputKind.VIDEO) == []


def test_output_without_its_package_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog.importlib.util, "find_spec", lambda name: None)
    (issue,) = catalog.refused(["video", "masks"], InputKind.VIDEO)
    assert issue.code == "output.extra_missing"
    assert "pip install 'segdrop[video]'" in issue.message


def test_unknown_output_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="hologram"):
        catalog.build(["hologram"], setting(tmp_path / "out"), InputKind.IMAGE)


def test_outputs_are_imported_without_torch_and_without_a_videos_library() -> None:
    code = (
        "import sys; import segdrop.inference.outputs.catalog; sys.exit('torch' in sys.modules or 'av' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
