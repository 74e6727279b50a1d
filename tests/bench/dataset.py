"""One dataset for all contenders: as files, which a hand-written loop decodes each epoch, and as our cache."""

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from builders import check
from builders.training import training_spec
from segdrop.architectures import MEAN, STD
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.demo import write_demo
from segdrop.spec import TrainingSpec

BATCH = 8


@dataclass(frozen=True, slots=True)
class BenchData:
    """``archive`` is a ZIP in the plainest layout: images/ and masks/, of class ids."""

    archive: Path

    @property
    def files(self) -> Path:
        return self.archive.with_suffix("")

    def spec(self, size: int, name: str = "run", **request: object) -> TrainingSpec:
        """A run of ours on it; the cache is made at the first one of a size."""
        folder = self.archive.with_name(f"size-{size}")
        if not folder.exists():
            folder.mkdir()
            (folder / "data.zip").hardlink_to(self.archive)
            check(folder / "data.zip", {"image_size": size})
        keys = {"precision": "auto", "batch_size": BATCH, "epochs": 10, "image_size": size} | request
        spec = training_spec(folder / name, folder / "cache", **keys)
        return spec.model_copy(update={"classes": self.classes, "threads": 0})

    @property
    def classes(self) -> list[str]:
        return (self.files / "labels.txt").read_text(encoding="utf-8").splitlines()

    def pairs(self, spec: TrainingSpec, side: str) -> "Pairs":
        """A side of the split, as files."""
        with CacheReader(spec.cache_dir) as reader:
            stems = [Path(reader.index.names[position]).stem for position in getattr(reader.index, side)]
        return Pairs(self.files, stems, spec.request.image_size)


def prepare(folder: Path, given: Path | None) -> BenchData:
    """Of a ZIP in any layout that segdrop reads; of generated scenes if there is none."""
    plain = folder / "plain.zip"
    if given is None:
        given = folder / "demo.zip"
        write_demo(given, count=120, size=384)
    subprocess.run([sys.executable, "-m", "segdrop", "convert", str(given), str(plain)], check=True)
    with zipfile.ZipFile(plain) as content:
        content.extractall(plain.with_suffix(""))
    return BenchData(plain)


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """What a first implementation does: open, resize and normalise, each time."""

    def __init__(self, files: Path, stems: list[str], size: tuple[int, int]) -> None:
        self._images, self._masks = (
            {path.stem: path for path in files.rglob("*.*") if path.parent.name == folder}
            for folder in ("images", "masks")
        )
        self._stems = stems
        self._size = size[::-1]

    def __len__(self) -> int:
        return len(self._stems)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """(3, H, W) float32, normalised, and (H, W) int64, class ids or 255."""
        stem = self._stems[index]
        image = Image.open(self._images[stem]).convert("RGB").resize(self._size, Image.Resampling.BILINEAR)
        mask = Image.open(self._masks[stem]).resize(self._size, Image.Resampling.NEAREST)
        pixels = torch.from_numpy(np.array(image, np.float32) / 255).permute(2, 0, 1)
        normalised = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        return normalised, torch.from_numpy(np.array(mask, np.int64))
