"""Prediction: the bare model beside torchvision's, many JPEGs beside the bare model, and memory over a video."""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.apart import Apart
from bench.interleaved import Comparison, compare
from bench.naive import build_network
from builders.archives import write_zip
from builders.segmenters import ToySegmenter, by_colour
from builders.specs import limits
from segdrop.architectures import DEEPLABV3_RESNET50
from segdrop.dataset.unlabelled.item import Item
from segdrop.inference import pipeline
from segdrop.inference.decoding import Decoder
from segdrop.inference.prediction import Prediction
from segdrop.inference.predictor import Predictor
from segdrop.input_kinds import InputKind
from segdrop.modeling.architectures import build_model
from segdrop.modeling.folding import inference_copy
from segdrop.modeling.precision import prepare_host
from segdrop.modeling.segmenters.network import NetworkSegmenter
from segdrop.modeling.segmenters.preprocessing import Preprocessing, normalised
from segdrop.request import ImageSize
from segdrop.spec import DecodeOrder

SIDE, CLASSES, BATCH, JPEGS = 256, 12, 8, 64
#: of the model, of the whole way, and of the video
BARE_IMAGES, IMAGES, FRAMES = 16, 500, 18_000
ROUNDS = 5
#: of the frames of the video, and after how many the memory is read first
FRAME_SIZE, FIRST_FRAMES = (180, 320), 1_000


class Contenders:
    """A model with random weights, ours and torchvision's, in a process of their own."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        host = prepare_host("auto", 0)
        model = build_model(DEEPLABV3_RESNET50.name, CLASSES).eval()
        how = Preprocessing(*normalised(), size=ImageSize(SIDE, SIDE))
        fast = inference_copy(model, model.class_logits, host)
        self._segmenter = NetworkSegmenter(fast, host, how, tuple(str(number) for number in range(CLASSES)))
        self._theirs = build_network(CLASSES).eval()
        self._folder = folder
        self._jpegs = jpegs(JPEGS)
        self._batches = np.stack([decoded(jpeg) for jpeg in self._jpegs[:BATCH]])
        self._normal = torch.from_numpy(self._batches).permute(0, 3, 1, 2).float().div(255).contiguous()
        torch.use_deterministic_algorithms(mode=False)  # the reference is as torchvision's users have it

    def ours(self, images: int) -> None:
        """Predicts images that are decoded, as small as the model computes them."""
        for _ in range(images // BATCH):
            self._segmenter.logits(self._batches)

    def theirs(self, images: int) -> None:
        """The same in fp32, eager, with the logits at full size and the auxiliary head, as torchvision's model does."""
        with torch.inference_mode():
            for _ in range(images // BATCH):
                self._theirs(self._normal)

    def whole_way(self, images: int) -> None:
        """From a ZIP of JPEGs to PNGs of class ids and of confidences on the disk."""
        archive = self._folder / f"{images}.zip"
        if not archive.exists():
            write_zip(archive, {f"{n:05}.jpg": self._jpegs[n % JPEGS] for n in range(images)}, zipfile.ZIP_STORED)
        kind = InputKind.ARCHIVE
        order = DecodeOrder(job=None, input_path=archive, name=archive.name, kind=kind, limits=limits())
        with Decoder(order, self._folder / "decoding", self._folder / "decoding.log") as decoder:
            written = sum(1 for _ in pipeline.run(decoder, Predictor(self._segmenter), self._write))
        if written != images:
            raise RuntimeError(f"{written} of {images} images were predicted")

    def _write(self, prediction: Prediction) -> None:
        for name, values in (("mask", prediction.class_ids.astype(np.uint8)), ("confidence", prediction.confidence)):
            Image.fromarray(values).save(self._folder / f"{prediction.item.index % JPEGS}.{name}.png")


def decoded(jpeg: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def jpegs(count: int) -> list[bytes]:
    """Photographs, as far as a decoder and a PNG are concerned: soft areas under noise."""
    contents = []
    for number in range(count):
        random = np.random.default_rng(number)
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).resize((SIDE, SIDE), Image.BICUBIC)
        noisy = np.asarray(coarse).astype(int) + random.integers(-8, 9, (SIDE, SIDE, 3))
        stream = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=88)
        contents.append(stream.getvalue())
    return contents


def rows(folder: Path, images: int = IMAGES, rounds: int = ROUNDS) -> Iterator[Comparison]:
    """Each in turn with its reference. The second ratio is the share of the bare model's images/s that is left."""
    with Apart(Contenders, folder) as contenders:

        def work(method: str, count: int) -> Callable[[], object]:
            return lambda: contenders(method, count)

        name = f"prediction, bare model, {SIDE} x {SIDE}, batches of {BATCH}: torchvision's in fp32, eager"
        yield compare(name, work("ours", BARE_IMAGES), work("theirs", BARE_IMAGES), rounds)
        name = f"prediction of {images} JPEGs of {SIDE} x {SIDE}, decoded and written: the bare model"
        yield compare(name, work("whole_way", images), work("ours", images), max(1, rounds // 2))


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process that predicts the frames of a video, with a model that has none to speak of."""

    frames: int
    first_frames: int
    first_bytes: int  #: after those
    last_bytes: int  #: after all

    @property
    def grown_bytes(self) -> int:
        return self.last_bytes - self.first_bytes


def memory(frames: int = FRAMES) -> Memory:
    """Ten minutes of a video at 30 frames a second."""
    with Apart(Video) as video:
        first, last = video("predict", frames)
    return Memory(frames, FIRST_FRAMES, first, last)


class Video:
    """Frames that are made one after the other, in a process of their own."""

    def predict(self, frames: int) -> tuple[int, int]:
        """Returns the resident memory in bytes after the first frames, and at the end."""
        torch.set_num_threads(1)  # frames are too small to be shared among threads
        predictor = Predictor(ToySegmenter(by_colour(CLASSES, stride=8), CLASSES, input_size=(64, 64)))
        readings = [0, 0]
        for number, _ in enumerate(pipeline.run(_frames(frames), predictor, _encoded), 1):
            if number in {FIRST_FRAMES, frames}:
                readings[number == frames] = resident_bytes()
        return readings[0], readings[1]


def _frames(count: int) -> Iterator[Item]:
    random = np.random.default_rng(0)
    scene = random.integers(0, 256, (FRAME_SIZE[0] + 64, FRAME_SIZE[1] + 64, 3), np.uint8)
    for index in range(count):
        top, left = index % 64, index // 64 % 64
        frame = scene[top : top + FRAME_SIZE[0], left : left + FRAME_SIZE[1]].copy()
        yield Item(index, f"{index:06}", f"{index:06}", frame, seconds=index / 30)


def _encoded(prediction: Prediction) -> int:
    stream = io.BytesIO()
    Image.fromarray(prediction.class_ids.astype(np.uint8)).save(stream, "PNG", compress_level=1)
    return stream.tell()


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def memory_line(measured: Memory) -> str:
    return (
        f"\nMemory of the prediction of {measured.frames} frames of a video: {measured.first_bytes / 1e6:.0f} MB after "
        f"{measured.first_frames}, {measured.last_bytes / 1e6:.0f} MB at the end "
        f"({measured.grown_bytes / 1e6:+.1f} MB)\n"
    )
