"""A spec tells the same on any machine that sees the share, wherever that is mounted."""

import json
import shutil
from pathlib import Path

from segdrop.spec import PackageSpec


def spec_below(root: Path) -> PackageSpec:
    job = root / "work" / "a-1"
    return PackageSpec(
        job="a-1",
        artifacts={"model.pth": job / "model.pth", "far.pth": root / "models" / "far.pth"},
        summary_path=job / "summary.json",
        index_path=job / "cache" / "index.json",
        result_zip_path=job / "result.zip",
        package_path=job / "package.json",
        error_path=Path("/elsewhere/error.json"),
        lock_path=job / "child.lock",
    )


def test_paths_below_the_root_are_relative_to_the_specs_folder_and_others_absolute(tmp_path: Path) -> None:
    root = tmp_path / "root"
    dumped = spec_below(root).dump(root / "work" / "a-1", root)
    assert dumped["summary_path"] == "summary.json"
    assert dumped["index_path"] == "cache/index.json"
    assert dumped["artifacts"] == {"model.pth": "model.pth", "far.pth": "../../models/far.pth"}
    assert dumped["error_path"] == "/elsewhere/error.json"


def test_a_spec_is_read_where_the_share_is_mounted_elsewhere(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there" / "mounted"
    folder = here / "work" / "a-1"
    folder.mkdir(parents=True)
    (folder / "package.spec.json").write_text(json.dumps(spec_below(here).dump(folder, here)))
    shutil.copytree(here, there)
    assert PackageSpec.load(there / "work" / "a-1" / "package.spec.json") == spec_below(there)
    assert PackageSpec.load(folder / "package.spec.json") == spec_below(here)


def test_a_spec_with_absolute_paths_is_read_as_it_stands(tmp_path: Path) -> None:
    """As version 0.1 wrote them, and as one that is written by hand may be."""
    spec = spec_below(tmp_path / "root")
    path = tmp_path / "spec.json"
    path.write_text(spec.model_dump_json())
    assert PackageSpec.load(path) == spec
