"""One pass of the training data path costs the same memory for 60 and for 6,000 images."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders.training import write_index

SIDE = 256
SCRIPT = """
import sys
from pathlib import Path
from segdrop import architectures, child_runtime
from segdrop.dataset.cache import CacheReader
from segdrop.training.data import TrainingData
from segdrop.training.transforms import transform_named

with CacheReader(Path(sys.argv[1])) as reader:
    limits = architectures.DEEPLABV3_RESNET50.input_limits
    data = TrainingData(reader, reader.index.train, 8, 0, transform_named("standard", epochs=30), limits)
    images = sum(len(batch.images) for batch in data.batches(epoch=0))
    assert images == len(reader.index.train)
print(child_runtime.peak_rss_bytes())
"""


def peak_rss_bytes(folder: Path, count: int) -> int:
    """Of a process that makes every batch of an epoch; the pixels are holes in files, and read as zeros."""
    folder.mkdir()
    for name, channels in (("images.u8", 3), ("masks.u8", 1)):
        with (folder / name).open("wb") as stream:
            os.truncate(stream.fileno(), count * SIDE * SIDE * channels)
    write_index(folder, train=count - 4, val=4, test=0, height=SIDE, width=SIDE)
    # glibc moves its threshold by what was freed before: 25 MB more or less, by chance
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(128 << 10)}
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=environment,
    )
    assert finished.returncode == 0, finished.stderr
    return int(finished.stdout)


def test_peak_memory_of_a_pass_does_not_grow_with_the_dataset(tmp_path: Path) -> None:
    few, many = (peak_rss_bytes(tmp_path / str(count), count) for count in (60, 6_000))
    assert many == pytest.approx(few, rel=0.10)
    # the 1.5 GB of pixels would show even behind the size of torch itself
    assert many - few < 30_000_000
