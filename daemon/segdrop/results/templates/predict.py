#!/usr/bin/env python3
"""Predict with a trained model: images in, class-index PNGs out.

    python predict.py INPUT... -o OUT [--overlay] [--colour] [--device auto] [--model model.pth]

An input is an image, a folder, a ZIP (its members are read where they are, nothing is unpacked to disk) or a pattern in
quotes, such as 'photos/*.jpg' or 'photos/**/*.jpg'. Folders, ZIPs and patterns are searched for images.

Each PNG holds one class id a pixel (0 is the first line of labels.txt) and has a palette to look at. It has the
size of its image, turned as the EXIF orientation says; with ``--size model`` the size that the model was trained
at, which is how the metrics were measured. ``--overlay`` writes each image with the colours of its classes over it
into OUT/overlay, ``--colour`` the colours alone into OUT/colour. Needs what requirements.txt names, and nothing else.

Exit status: 0 all predicted, 1 something could not be (the rest was), 2 wrong usage.
"""

import argparse
import io
import os
import pickle
import signal
import sys
from collections import Counter
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin
from torch.nn import functional

from segdrop.dataset.masks.deep_values import FULL_RANGE, DeepRange, deep_image, deep_values, turned
from segdrop.dataset.masks.tiff import tiff, tiff_numbers
from segdrop.processor import has_native_bf16
from segdrop.results.templates.architectures.deeplabv3 import (
    ARCHITECTURES,
    build_network,
    class_logits,
    set_output_stride,
)
from segdrop.results.templates.sources import SOFTWARE, PredictError, Source, SourceReader, file_content, find_images

#: names of classes that an overlay leaves as they are in the image
BACKGROUND_NAMES = {"background", "bg", "backgrnd", "none", "nothing", "hintergrund"}
MAX_LISTED_CLASSES = 4
BYTE = 8


@dataclass(frozen=True)
class Predictor:
    """A model in evaluation mode, and how its input is made."""

    network: torch.nn.Module
    classes: list[str]
    image_size: tuple[int, int]  # height, width
    scale: torch.Tensor  # (3,): what a pixel value is multiplied by
    offset: torch.Tensor  # (3,): and what is added then
    bf16: bool
    deep_range: DeepRange | None  #: the values of more than 8 bits that were black and white in training
    device: torch.device

    def class_ids(self, image: Image.Image, *, at_model_size: bool = False) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Returns the class ids (H, W) uint8 of an RGB image: of its own size, or of the model's."""
        height, width = self.image_size
        resized = image
        if image.size != (width, height):
            resized = image.resize((width, height), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).to(self.device).float()
        batch = pixels.mul_(self.scale).add_(self.offset).permute(2, 0, 1).unsqueeze(0)
        with torch.inference_mode():
            with self._autocast():
                logits = class_logits(self.network, batch)
            if at_model_size:
                return _upsampled(logits, (height, width)).argmax(dim=1)[0].to(torch.uint8).cpu().numpy()
            return _largest(logits, (image.height, image.width)).cpu().numpy()

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()


def _upsampled(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def _largest(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Returns class ids (H, W) uint8, one class at a time: all planes of a large photograph would fill the memory."""
    class_ids = torch.zeros(size, dtype=torch.uint8, device=logits.device)
    highest = torch.full(size, -torch.inf, device=logits.device)
    for class_id in range(logits.shape[1]):
        plane = _upsampled(logits[:, class_id : class_id + 1], size)[0, 0]
        class_ids[plane > highest] = class_id
        highest = torch.maximum(highest, plane)
    return class_ids


def load_predictor(path: str | Path, precision: str = "auto", device: str = "cpu") -> Predictor:
    """Loads the model of a ``model.pth``; raises ``PredictError`` where there is none, or no such device.

    ``precision`` is auto, fp32 or bf16; auto is as trained, where this device can. ``device`` is cpu, cuda or auto;
    auto is a GPU where torch finds one.
    """
    place = _device(device)
    try:
        if not Path(path).is_file():
            raise FileNotFoundError  # noqa: TRY301  (or a FIFO, which would never end)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise PredictError(f"{path}: there is no such file; name it with --model") from error
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise PredictError(f"{path}: cannot be read ({type(error).__name__})") from error
    if not isinstance(content, dict) or (content.get("format"), content.get("format_version")) != ("segdrop-model", 1):
        raise PredictError(f"{path}: is not a model.pth of this format")
    if content["architecture"] not in ARCHITECTURES:
        raise PredictError(f"{path}: has the architecture {content['architecture']}, which this script does not know")
    network = build_network(content["architecture"], content["num_classes"])
    network.load_state_dict(content["state_dict"])
    if stride := content.get("output_stride"):
        set_output_stride(network, stride)
    height, width = content["image_size"]
    mean, std = content["normalize"]["mean"], content["normalize"]["std"]
    can_bf16 = has_native_bf16() if place.type == "cpu" else torch.cuda.is_bf16_supported()
    return Predictor(
        network=network.eval().to(place, memory_format=torch.channels_last),  # type: ignore[call-overload]
        classes=content["classes"],
        image_size=(height, width),
        scale=torch.tensor([1 / (255 * deviation) for deviation in std], device=place),
        offset=torch.tensor([-middle / deviation for middle, deviation in zip(mean, std, strict=True)], device=place),
        bf16=precision == "bf16" or (precision == "auto" and content["precision"] == "bf16" and can_bf16),
        deep_range=tuple(content["deep_range"]) if "deep_range" in content else None,
        device=place,
    )


def _device(name: str) -> torch.device:
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise PredictError("torch finds no GPU that it can use here: --device cpu, or auto")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and has_gpu) else "cpu")


def read_image(path: str | Path, deep_range: DeepRange | None = None) -> Image.Image:
    """Reads an image as for training: upright, RGB, 8 bits a channel; raises ``PredictError`` where it cannot.

    ``deep_range`` has the values of more than 8 bits that become black and white; ``None`` keeps the upper 8 of 16.
    """
    return decoded(path, file_content(Path(path)), deep_range)


def decoded(name: object, content: bytes, deep_range: DeepRange | None = None) -> Image.Image:
    """Returns the image that bytes hold, as :func:`read_image` does; ``name`` is what an error calls it."""
    try:
        values = deep_values(content)
        image = _upright(content) if values is None else Image.new("L", (1, 1))
    except Exception as error:  # a decoder may raise anything
        raise PredictError(f"{name}: cannot be read as an image ({error})") from error
    if values is not None:
        return _deep(name, values, deep_range)
    if image.mode == "F":
        raise PredictError(f"{name}: its pixels are floating-point numbers")
    if image.mode.startswith("I"):  # 16 bits: the upper 8
        return deep_image(np.asarray(image)[..., None], FULL_RANGE)
    if image.mode == "P":  # by way of RGBA: Pillow warns about palettes with transparency otherwise
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def _upright(content: bytes) -> Image.Image:
    """Returns an image of 8 bits a channel, turned; of a TIFF with bands that Pillow does not know the first three."""
    page = tiff(content)
    try:
        with Image.open(io.BytesIO(content)) as opened:
            opened.load()
            return ImageOps.exif_transpose(opened)
    except Exception:
        if page is None or not page.is_plain or page.bits != BYTE:
            raise
        return deep_image(turned(tiff_numbers(content, page), page.orientation), (0, 255))


def _deep(name: object, values: np.ndarray[Any, Any], deep_range: DeepRange | None) -> Image.Image:
    """Returns values of more than 8 bits as a picture, scaled as they were for training."""
    if values.dtype.kind == "f" and deep_range is None:
        raise PredictError(f"{name}: its pixels are floating-point numbers, and the model was trained on 8 bits")
    return deep_image(values, deep_range or FULL_RANGE)


def voc_palette() -> list[int]:
    """Returns the colour map of PASCAL VOC: the bits of a class id, dealt out to red, green and blue in turn."""
    palette = []
    for class_id in range(256):
        for channel in range(3):
            bits = (class_id >> (3 * step + channel) & 1 for step in range(3))
            palette.append(sum(bit << (7 - step) for step, bit in enumerate(bits)))
    return palette


@dataclass(frozen=True)
class Job:
    """An image, and the files to write about it."""

    source: Source
    mask: Path
    overlay: Path | None = None
    colour: Path | None = None

    @property
    def written(self) -> list[Path]:
        """The files to write."""
        return [path for path in (self.mask, self.overlay, self.colour) if path]


def plan(inputs: list[Path], out_dir: Path, *, overlay: bool = False, colour: bool = False) -> list[Job]:
    """Returns what to do for each image. ``a.jpg`` and ``a.png`` would share a PNG: both keep their suffix.

    Raises ``PredictError`` where there are no images, or where a file would be written twice or over an image.
    """
    samples = Path(__file__).resolve().parent / "samples"
    found = list(dict.fromkeys(find_images(inputs, {out_dir.resolve(), samples})))
    if not found:
        raise PredictError("there are no images in " + ", ".join(map(str, inputs)))
    stems = Counter(stem for _, stem in found)
    jobs = []
    for source, stem in found:
        inner = stem.parent / (stem.name if stems[stem] == 1 else stem.name + source.suffix)
        jobs.append(
            Job(
                source,
                mask=out_dir / f"{inner}.png",
                # as it was stored: with loss or without
                overlay=out_dir / "overlay" / f"{inner}{'.jpg' if source.is_jpeg else '.png'}" if overlay else None,
                colour=out_dir / "colour" / f"{inner}.png" if colour else None,
            )
        )
    _refuse_collisions(jobs)
    return jobs


def _refuse_collisions(jobs: list[Job]) -> None:
    taken = Counter(path for job in jobs for path in job.written)
    clashing = sorted({str(path) for path in taken if taken[path] > 1})
    if clashing:
        raise PredictError(f"several images would be written to {', '.join(clashing)}: predict the folders separately")
    images = {job.source.path.resolve() for job in jobs}
    overwritten = [str(path) for path in taken if path.resolve() in images]
    if overwritten:
        raise PredictError(f"{overwritten[0]} is an image to predict and would be overwritten: choose another -o")


def predict_file(
    predictor: Predictor, reader: SourceReader, job: Job, *, at_model_size: bool = False, alpha: float = 0.5
) -> str:
    """Writes the files about one image; returns a line about it."""
    image = decoded(job.source, reader.read(job.source), predictor.deep_range)
    try:
        class_ids = predictor.class_ids(image, at_model_size=at_model_size)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise PredictError(f"{job.source}: is too large for the memory of this machine ({error})") from error
    mask = Image.fromarray(class_ids)
    mask.putpalette(voc_palette())
    save(mask, job.mask)
    if job.colour:
        save(mask.convert("RGB"), job.colour)
    if job.overlay:
        save(overlaid(image, mask, predictor.classes, alpha), job.overlay)
    counts = np.bincount(class_ids.ravel(), minlength=len(predictor.classes)) / class_ids.size
    largest = [class_id for class_id in np.argsort(-counts, kind="stable")[:MAX_LISTED_CLASSES] if counts[class_id]]
    shares = ", ".join(f"{predictor.classes[class_id]} {counts[class_id]:.1%}" for class_id in largest)
    return f"{job.source} -> {job.mask} ({mask.width}x{mask.height}): {shares}"


def overlaid(image: Image.Image, mask: Image.Image, classes: list[str], alpha: float) -> Image.Image:
    """Returns an image, at the size of its mask, mixed with ``alpha`` parts of the classes' colours.

    A background stays as it is in the image.
    """
    image = image if image.size == mask.size else image.resize(mask.size, Image.Resampling.BILINEAR)
    background = [class_id for class_id, name in enumerate(classes) if name.strip("_ ").casefold() in BACKGROUND_NAMES]
    mixed = Image.blend(image, mask.convert("RGB"), alpha)
    mixed.paste(image, mask=Image.fromarray(np.isin(np.asarray(mask), background)))
    return mixed


def save(image: Image.Image, path: Path) -> None:
    """Writes a PNG or JPEG that says by whom it was written, see :func:`is_prediction`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    note = PngImagePlugin.PngInfo()
    note.add_text("Software", SOFTWARE)
    if path.suffix == ".png":
        image.save(path, pnginfo=note)
    else:
        image.save(path, comment=SOFTWARE, quality=90, subsampling=0)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parses the command line; ``None`` is that of the process."""
    parser = argparse.ArgumentParser(description="Predict class-index PNGs for images.")
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="image, folder, ZIP or quoted pattern")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the PNGs")
    default_model = Path(__file__).resolve().parent / "model.pth"
    parser.add_argument("--model", type=Path, default=default_model, help="default: model.pth beside this script")
    parser.add_argument(
        "--size", choices=("image", "model"), default="image", help="of the PNGs; model: as in training"
    )
    parser.add_argument(
        "--overlay", action="store_true", help="also the images with the colours of the classes on them"
    )
    parser.add_argument("--alpha", type=_fraction, default=0.5, help="of --overlay: 0 the image, 1 the colours alone")
    parser.add_argument("--colour", "--color", action="store_true", help="also the colours of the classes, as RGB PNGs")
    parser.add_argument(
        "--device", choices=("cpu", "cuda", "auto"), default="cpu", help="auto: a GPU where there is one"
    )
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="default: as trained")
    return parser.parse_args(arguments)


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Predicts what the command line names, and returns the exit status."""
    options = parse_arguments(arguments)
    torch.set_flush_denormal(True)
    try:
        jobs = plan(options.inputs, options.out, overlay=options.overlay, colour=options.colour)
        predictor = load_predictor(options.model, options.precision, options.device)
    except PredictError as error:
        complain(str(error))
        return 1
    with closing(SourceReader()) as reader:
        failures = sum(not _is_predicted(predictor, reader, job, options) for job in jobs)
    if failures:
        complain(f"{failures} of {len(jobs)} could not be predicted")
    return 1 if failures else 0


def _is_predicted(predictor: Predictor, reader: SourceReader, job: Job, options: argparse.Namespace) -> bool:
    """Whether an image could be predicted; says so, or why not."""
    try:
        line = predict_file(predictor, reader, job, at_model_size=options.size == "model", alpha=options.alpha)
    except PredictError as error:
        complain(str(error))
        return False
    except OSError as error:
        complain(f"{error.filename or job.mask}: {error.strerror or error}")
        return False
    print(line, flush=True)
    return True


def complain(text: str) -> None:
    """Writes a line to standard error."""
    print(f"predict.py: {text}", file=sys.stderr)


def run() -> int:
    """Runs ``main`` as a command: a reader that has gone (``| head``), a full disk and Ctrl-C are no tracebacks."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # any name can be shown in any locale
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        return main()
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        complain(f"{error.filename or 'the output'}: {error.strerror or error}")
        return 1


if __name__ == "__main__":
    status = run()
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)
