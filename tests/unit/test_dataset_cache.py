from pathlib import Path

import numpy as np
import pytest

from segdrop.dataset.cache import CacheReader, CacheWriter
from segdrop.dataset.demo import CLASSES, write_demo
from segdrop.dataset.report import CacheIndex

from builders import check  # isort: skip


def index(count: int) -> CacheIndex:
    return CacheIndex(count=count, height=4, width=5, train=[0], val=[1], test=[], names=[str(i) for i in range(count)])


def write(folder: Path, count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 4, 5, 3)).astype(np.uint8)
    codes = rng.integers(0, 3, (count, 4, 5)).astype(np.uint8)
    with CacheWriter(folder, 4, 5) as writer:
        for image, mask in zip(images, codes, strict=True):
            writer.append(image, mask)
        lookup = np.full(256, 255, np.uint8)
        lookup[:3] = [2, 0, 255]
        writer.map_masks(lookup)
        writer.finish(index(count))
    return images, lookup[codes]


def test_batches_are_what_was_written_in_any_order(tmp_path: Path) -> None:
    images, masks = write(tmp_path / "cache")
    with CacheReader(tmp_path / "cache") as reader:
        for positions in ([0], [4, 1, 1, 3], np.array([2, 0]), []):
            order = np.asarray(positions, int)
            assert np.array_equal(reader.images(positions), images[order])
            assert np.array_equal(reader.masks(positions), masks[order])


def test_position_outside_is_an_error_and_no_garbage(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    with CacheReader(tmp_path / "cache") as reader:
        for position in (-1, 5):
            with pytest.raises(IndexError):
                reader.images([position])


def test_shortened_file_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    path = tmp_path / "cache" / "masks.u8"
    path.write_bytes(path.read_bytes()[:-1])
    with CacheReader(tmp_path / "cache") as reader, pytest.raises(EOFError):
        reader.masks([4])


def test_unfinished_cache_has_no_index_not_even_an_old_one(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    with CacheWriter(tmp_path / "cache", 4, 5):
        pass
    with pytest.raises(FileNotFoundError):
        CacheReader(tmp_path / "cache")


def test_demo_is_the_same_bytes_each_time_and_passes_the_check_without_a_word(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        write_demo(tmp_path / name, count=12, size=64, seed=3)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    report = check(tmp_path / "a.zip")
    assert report.issues == []
    assert report.dataset is not None
    assert report.dataset.classes == ["background", *CLASSES]
    assert min(report.dataset.class_pixels) > 0.05 * sum(report.dataset.class_pixels)
