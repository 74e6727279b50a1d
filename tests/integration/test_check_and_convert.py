"""``segdrop check`` and ``segdrop convert``, as people use them: output, files, exit codes, nothing left behind."""

import fcntl
import json
import os
import pty
import struct
import sys
import termios
import zipfile
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, Popen

import numpy as np
import pytest

from builders import broken, encoded, write_dataset
from builders.daemons import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "run")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip", count=12)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "bad.zip", count=12, extra={"images/scene_001.png": b"x"})


def run(root: Root, *arguments: str | Path) -> CompletedProcess[str]:
    result = root.command(*arguments)
    assert "Traceback" not in result.stderr, result.stderr
    return result


# check


def test_what_was_understood_comes_first_with_its_reason(root: Root, bad: Path) -> None:
    for archive in (write_dataset(bad.with_name("good.zip"), count=12, without=["masks/scene_000.png"]), bad):
        text = run(root, "check", archive).stdout
        found = [text.index(part) for part in ("layout", "image files in folders", "pairs", "dog", "severity")]
        assert found == sorted(found)
    assert "cannot be trained on" in text


def test_layout_and_pairs_are_said_also_where_no_class_is_known(root: Root, good: Path) -> None:
    result = run(root, "check", good, "--json", "--set", 'class_map={"nothing": "else"}')
    report = json.loads(result.stdout)
    assert (result.returncode, report["dataset"]) == (65, None)
    assert (report["understood"]["layout"], report["understood"]["pairs"], report["understood"]["classes"]) == (
        "paired",
        12,
        None,
    )
    text = run(root, "check", good, "--set", 'class_map={"nothing": "else"}').stdout
    assert text.index("paired") < text.index("classes.map_unknown")


def test_nothing_is_said_about_what_has_no_layout(root: Root, tmp_path: Path) -> None:
    broken.not_a_zip(tmp_path / "text.zip")
    report = json.loads(run(root, "check", tmp_path / "text.zip", "--json").stdout)
    assert report["understood"] is None
    assert "layout" not in run(root, "check", tmp_path / "text.zip").stdout.partition("severity")[0]


def test_keys_are_set_over_the_request_beside_the_zip(root: Root, good: Path) -> None:
    good.with_suffix(".json").write_text('{"seed": 3, "level": 2}')
    result = run(root, "check", good, "--json", "--set", "seed=8", "--set", "max_images=7")
    report = json.loads(result.stdout)
    assert (report["request"]["seed"], report["request"]["level"], report["dataset"]["pairs"]) == (8, 2, 7)


@pytest.mark.parametrize("content", ["{", "[1]", '"text"'])
def test_request_that_is_none_is_named_also_where_keys_are_set(root: Root, good: Path, content: str) -> None:
    good.with_suffix(".json").write_text(content)
    result = run(root, "check", good, "--set", "seed=8")
    assert result.returncode == 65
    assert "request.not_json" in result.stdout


def test_request_that_is_not_there_is_a_usage_error(root: Root, good: Path) -> None:
    assert run(root, "check", good, "--request", good.with_name("none.json")).returncode == 2
    assert run(root, "check", good, "--set", "seed").returncode == 2


def test_samples_are_drawn_into_a_folder_that_is_made(root: Root, good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "samples"
    result = run(root, "check", good, "--samples", folder)
    assert result.returncode == 0
    assert str(folder) in result.stdout
    assert len(list(folder.glob("[01][0-9]_scene_*.png"))) == 10


def test_samples_of_an_earlier_check_are_replaced(root: Root, good: Path, tmp_path: Path) -> None:
    assert run(root, "check", good, "--samples", tmp_path / "samples").returncode == 0
    other = write_dataset(tmp_path / "other.zip", count=2)
    assert run(root, "check", other, "--samples", tmp_path / "samples").returncode == 0
    assert len(list((tmp_path / "samples").iterdir())) == 2


@pytest.mark.parametrize("name", ["01_scene_000.png", "notes.txt", "folder"])
def test_folder_with_files_of_others_is_left_alone(root: Root, good: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "samples"
    assert run(root, "check", good, "--samples", folder).returncode == 0
    if name == "folder":
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(encoded(np.zeros((4, 4), np.uint8)))
    before = sorted(folder.iterdir())
    result = run(root, "check", good, "--samples", folder)
    assert result.returncode == 2
    assert name in result.stderr
    assert sorted(folder.iterdir()) == before


def test_samples_where_a_file_is_are_a_usage_error(root: Root, good: Path, tmp_path: Path) -> None:
    assert run(root, "check", good, "--samples", good).returncode == 2
    assert zipfile.is_zipfile(good)


def test_bar_is_shown_on_a_terminal_and_nowhere_else(root: Root, good: Path) -> None:
    assert "good.zip" not in run(root, "check", good).stderr
    command = [sys.executable, "-m", "segdrop", "check", "--json", str(good), "--root", str(root.folder / "none")]
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    with Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=follower, env=os.environ | {"TERM": "xterm"}) as process:
        os.close(follower)
        shown = b""
        while chunk := _read(leader):
            shown += chunk
        assert process.wait() == 0
    os.close(leader)
    assert b"good.zip" in shown


def _read(descriptor: int) -> bytes:
    """Nothing once the other side is closed, which Linux calls an input error."""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


# convert


def test_convert_writes_what_check_accepts_and_nothing_else(root: Root, good: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    result = run(root, "convert", good, tmp_path / "out.zip")
    assert result.returncode == 0
    assert result.stdout.index("layout") < result.stdout.index("wrote")
    assert "12 pairs" in result.stdout
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "out.zip"])
    report = json.loads(run(root, "check", tmp_path / "out.zip", "--json").stdout)
    assert report["dataset"]["classes"] == ["background", "cat", "dog"]


def test_convert_takes_the_request_and_as_many_images_as_are_wanted(root: Root, good: Path, tmp_path: Path) -> None:
    good.with_suffix(".json").write_text('{"class_map": {"dog": "cat"}}')
    result = run(root, "convert", good, tmp_path / "out.zip", "--max-images", "5")
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.read("labels.txt") == b"background\ncat\n"
        assert sum(name.startswith("masks/") for name in archive.namelist()) == 5


def test_convert_of_bad_data_exits_with_65_and_leaves_nothing(root: Root, bad: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    result = run(root, "convert", bad, tmp_path / "out.zip")
    assert result.returncode == 65
    assert "image.unreadable" in result.stdout
    assert "cannot be converted" in result.stdout
    assert sorted(tmp_path.iterdir()) == before


def test_bad_files_are_skipped_where_that_is_asked_for(root: Root, bad: Path, tmp_path: Path) -> None:
    result = run(root, "convert", bad, tmp_path / "out.zip", "--skip-bad")
    assert result.returncode == 0
    assert "images/scene_001.png" in result.stdout
    assert "11 pairs" in result.stdout


def test_nothing_is_replaced_unless_that_is_asked_for(root: Root, good: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.zip"
    output.write_bytes(b"precious")
    assert run(root, "convert", good, output).returncode == 2
    assert output.read_bytes() == b"precious"
    assert run(root, "convert", good, output, "--force").returncode == 0
    assert zipfile.is_zipfile(output)
    for target in (good, tmp_path / "none" / "out.zip", tmp_path):
        assert run(root, "convert", good, target, "--force").returncode == 2
    assert run(root, "check", good).returncode == 0


def test_old_result_stays_where_a_forced_conversion_fails(root: Root, bad: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.zip"
    output.write_bytes(b"precious")
    assert run(root, "convert", bad, output, "--force").returncode == 65
    assert output.read_bytes() == b"precious"
    assert not (tmp_path / "out.zip.part").exists()


def test_full_disk_is_try_later_and_leaves_nothing(root: Root, good: Path, tmp_path: Path) -> None:
    (tmp_path / "out.zip.part").symlink_to("/dev/full")
    result = run(root, "convert", good, tmp_path / "out.zip")
    assert result.returncode == 75
    assert "no space" in result.stderr
    assert not (tmp_path / "out.zip").exists()
    assert not (tmp_path / "out.zip.part").is_symlink()
