"""The check as the daemon runs it: a process of its own, told by a file, answering by files."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from builders import broken, check_spec, child, encoded, quick_check_spec, write_dataset
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.report import CheckReport


def test_check_answers_with_report_cache_and_progress(tmp_path: Path) -> None:
    spec = check_spec(write_dataset(tmp_path / "data.zip"))
    result = child("check", spec, tmp_path)
    assert result.returncode == 0, result.stderr
    report = CheckReport.load(spec.report_path)
    assert report.dataset is not None
    assert report.dataset.pairs == 6
    with CacheReader(tmp_path / "cache") as reader:
        assert reader.images(reader.index.train).shape == (5, 32, 32, 3)
    assert json.loads((tmp_path / "progress.json").read_text())["stage"] == "check"
    assert not (tmp_path / "error.json").exists()


def test_check_of_a_broken_zip_still_writes_its_report_and_exits_with_0(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    broken.not_a_zip(path)
    spec = check_spec(path)
    assert child("check", spec, tmp_path).returncode == 0
    report = CheckReport.load(spec.report_path)
    assert [issue.code for issue in report.issues] == ["archive.not_a_zip"]


def test_quick_check_answers_every_item_in_order_also_when_one_cannot_be_opened(tmp_path: Path) -> None:
    good, bad = write_dataset(tmp_path / "good.zip"), tmp_path / "bad.zip"
    broken.encrypted(bad)
    spec = quick_check_spec(tmp_path, [bad, tmp_path / "vanished.zip", good])
    result = child("inspect", spec, tmp_path)
    assert result.returncode == 0, result.stderr
    answers = [json.loads(line) for line in spec.answer_path.read_text().splitlines()]
    assert [answer["key"] for answer in answers] == ["bad", "vanished", "good"]
    assert answers[0]["issues"][0]["code"] == "archive.encrypted"
    assert (answers[1]["issues"], answers[1]["request"]) == ([], None)
    assert "No such file" in answers[1]["error"]
    assert (answers[2]["issues"], answers[2]["request"]["level"]) == ([], 3)


def test_quick_check_loads_neither_numpy_nor_pillow(tmp_path: Path) -> None:
    spec = quick_check_spec(tmp_path, [write_dataset(tmp_path / "data.zip")])
    path = tmp_path / "spec.json"
    path.write_text(spec.model_dump_json())
    code = (
        "import sys; from segdrop.dataset.__main__ import main; "
        f"status = main(['inspect', {str(path)!r}]); "
        "print(status, sorted({'numpy', 'PIL', 'torch'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "0 []"


def test_memory_limit_ends_the_child_not_the_answer_of_others(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "data.zip", extra={"images/scene_000.png": _wide_png()})
    spec = check_spec(path, check_memory_bytes=600 << 20)
    result = child("check", spec, tmp_path)
    report = CheckReport.load(spec.report_path)
    assert result.returncode == 0
    assert "image.too_large" in [issue.code for issue in report.issues]


def _wide_png() -> bytes:
    """90 million pixels in a few kilobytes, within the limit on pixels."""
    return encoded(np.zeros((9000, 10000), np.uint8))


def test_usage_is_explained(tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, "-m", "segdrop.dataset"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("usage:")


def _large(path: Path, num_pairs: int) -> Path:
    """Pairs of 256 x 256 pixels: four different ones, their bytes repeated under other names."""
    columns = np.arange(256) // 64
    masks = [encoded(np.tile((columns + i) % 3, (256, 1)).astype(np.uint8)) for i in range(4)]
    images = [encoded(np.full((256, 256, 3), 60 * i, np.uint8)) for i in range(4)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(num_pairs):
            archive.writestr(f"images/a_scene_with_a_name_{number:06}.png", images[number % 4])
            archive.writestr(f"masks/a_scene_with_a_name_{number:06}.png", masks[number % 4])
        archive.writestr("labels.txt", "cat\ndog\n")
    return path


def test_peak_memory_is_the_same_for_60_and_6000_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # glibc's heaps, one for each thread, and its moving threshold: some megabytes more or less, by chance
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", str(128 << 10))
    peaks = []
    for num_pairs in (60, 6000):
        folder = tmp_path / str(num_pairs)
        folder.mkdir()
        spec = check_spec(_large(folder / "data.zip", num_pairs), {"image_size": 256})
        result = child("check", spec, folder)
        assert result.returncode == 0, result.stderr
        report = CheckReport.load(spec.report_path)
        assert report.dataset is not None
        assert report.dataset.pairs == num_pairs
        peaks.append(report.peak_rss_bytes)
        (folder / "cache" / "images.u8").unlink()
    print("peaks", peaks)
    assert abs(peaks[1] - peaks[0]) < 0.1 * peaks[0]
