#!/usr/bin/env python3
"""Predict with a trained model: images in, class-index PNGs out.

    python predict.py IMAGE_OR_FOLDER... -o OUT [--model model.pth]

Each PNG holds one class id a pixel (0 is the first line of labels.txt) and has a palette to look at. It has the
size of its image, turned as the EXIF orientation says; with ``--size model`` the size that the model was trained
at, which is how the metrics were measured. Needs what requirements.txt names, and nothing else.

Exit status: 0 all predicted, 1 something could not be (the rest was), 2 wrong usage.
"""

import argparse
import io
import os
import pickle
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
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

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pnm"}
JUNK_NAMES = {"__macosx", "@eadir", "thumbs.db", "ehthumbs.db", "desktop.ini"}
#: in each PNG: so that predictions are not predicted again where they lie among the images
SOFTWARE = "segdrop predict.py"
MAX_LISTED_CLASSES = 4
BYTE = 8


class PredictError(Exception):
    """Something that the person at the keyboard can put right."""


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

    def class_ids(self, image: Image.Image, *, at_model_size: bool = False) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Returns the class ids (H, W) uint8 of an RGB image: of its own size, or of the model's."""
        height, width = self.image_size
        resized = image
        if image.size != (width, height):
            resized = image.resize((width, height), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).float()
        batch = pixels.mul_(self.scale).add_(self.offset).permute(2, 0, 1).unsqueeze(0)
        with torch.inference_mode():
            with self._autocast():
                logits = class_logits(self.network, batch)
            if at_model_size:
                return _upsampled(logits, (height, width)).argmax(dim=1)[0].to(torch.uint8).numpy()
            return _largest(logits, (image.height, image.width)).numpy()

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16) if self.bf16 else nullcontext()


def _upsampled(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def _largest(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Returns class ids (H, W) uint8, one class at a time: all planes of a large photograph would fill the memory."""
    class_ids = torch.zeros(size, dtype=torch.uint8)
    highest = torch.full(size, -torch.inf)
    for class_id in range(logits.shape[1]):
        plane = _upsampled(logits[:, class_id : class_id + 1], size)[0, 0]
        class_ids[plane > highest] = class_id
        highest = torch.maximum(highest, plane)
    return class_ids


def load_predictor(path: str | Path, precision: str = "auto") -> Predictor:
    """Loads the model of a ``model.pth``; raises ``PredictError`` where there is none.

    ``precision`` is auto, fp32 or bf16; auto is as trained, where this CPU can.
    """
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
    return Predictor(
        network=network.eval().to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        classes=content["classes"],
        image_size=(height, width),
        scale=torch.tensor([1 / (255 * deviation) for deviation in std]),
        offset=torch.tensor([-middle / deviation for middle, deviation in zip(mean, std, strict=True)]),
        bf16=precision == "bf16" or (precision == "auto" and content["precision"] == "bf16" and has_native_bf16()),
        deep_range=tuple(content["deep_range"]) if "deep_range" in content else None,
    )


def read_image(path: str | Path, deep_range: DeepRange | None = None) -> Image.Image:
    """Reads an image as for training: upright, RGB, 8 bits a channel; raises ``PredictError`` where it cannot.

    ``deep_range`` has the values of more than 8 bits that become black and white; ``None`` keeps the upper 8 of 16.
    """
    if not Path(path).is_file():
        raise PredictError(f"{path}: cannot be read as an image (there is no such file)")
    try:
        content = Path(path).read_bytes()
        values = deep_values(content)
        image = _upright(content) if values is None else Image.new("L", (1, 1))
    except Exception as error:  # a decoder may raise anything
        raise PredictError(f"{path}: cannot be read as an image ({error})") from error
    if values is not None:
        return _deep(path, values, deep_range)
    if image.mode == "F":
        raise PredictError(f"{path}: its pixels are floating-point numbers")
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


def _deep(path: str | Path, values: np.ndarray[Any, Any], deep_range: DeepRange | None) -> Image.Image:
    """Returns values of more than 8 bits as a picture, scaled as they were for training."""
    if values.dtype.kind == "f" and deep_range is None:
        raise PredictError(f"{path}: its pixels are floating-point numbers, and the model was trained on 8 bits")
    return deep_image(values, deep_range or FULL_RANGE)


def voc_palette() -> list[int]:
    """Returns the colour map of PASCAL VOC: the bits of a class id, dealt out to red, green and blue in turn."""
    palette = []
    for class_id in range(256):
        for channel in range(3):
            bits = (class_id >> (3 * step + channel) & 1 for step in range(3))
            palette.append(sum(bit << (7 - step) for step, bit in enumerate(bits)))
    return palette


def is_junk(path: Path) -> bool:
    """Whether a file manager left a file behind (``._a.jpg``, ``Thumbs.db``, ``@eaDir/``), as for training."""
    return any(part.startswith((".", "~")) or part.casefold() in JUNK_NAMES for part in path.parts)


def is_prediction(path: Path) -> bool:
    """Whether a PNG was written by this script."""
    if path.suffix.lower() != ".png":
        return False
    try:
        with Image.open(path) as opened:
            return opened.mode == "P" and opened.info.get("Software") == SOFTWARE
    except Exception:  # noqa: BLE001  (a decoder may raise anything: said when it is predicted)
        return False


def find_images(inputs: list[Path], left_out: set[Path]) -> Iterator[tuple[Path, Path]]:
    """Yields every image with the relative path of its prediction, less ``.png``.

    Folders are searched in depth, without what file managers and earlier runs of this script put there, and without
    the folders in ``left_out``. A file that is named is taken, whatever it is.
    """
    for given in inputs:
        if not given.is_dir():
            yield given, Path(given.stem)
            continue
        for path in sorted(_files(given, left_out)):
            inner = path.relative_to(given)
            if path.suffix.lower() in SUFFIXES and not is_junk(inner) and not is_prediction(path):
                yield path, inner.with_suffix("")


def _files(folder: Path, left_out: set[Path]) -> Iterator[Path]:
    """Yields the regular files below a folder; folders that are links are not followed."""

    def refuse(error: OSError) -> None:
        raise PredictError(f"{error.filename}: {error.strerror}") from error

    for name, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [inner for inner in folders if (Path(name) / inner).resolve() not in left_out]
        yield from (Path(name) / file for file in files if os.path.isfile(os.path.join(name, file)))  # noqa: PTH113, PTH118


def plan(inputs: list[Path], out_dir: Path) -> list[tuple[Path, Path]]:
    """Returns each image with the path of its PNG. ``a.jpg`` and ``a.png`` would share one: both keep their suffix."""
    samples = Path(__file__).resolve().parent / "samples"
    found = list(dict.fromkeys(find_images(inputs, {out_dir.resolve(), samples})))
    if not found:
        raise PredictError("there are no images in " + ", ".join(map(str, inputs)))
    stems = Counter(stem for _, stem in found)
    targets = [
        (path, out_dir / stem.parent / f"{path.name if stems[stem] > 1 else stem.name}.png") for path, stem in found
    ]
    taken = Counter(target for _, target in targets)
    clashing = sorted({str(target) for target in taken if taken[target] > 1})
    if clashing:
        raise PredictError(f"several images would be written to {', '.join(clashing)}: predict the folders separately")
    images = {path.resolve() for path, _ in targets}
    overwritten = [str(target) for _, target in targets if target.resolve() in images]
    if overwritten:
        raise PredictError(f"{overwritten[0]} is an image to predict and would be overwritten: choose another -o")
    return targets


def predict_file(predictor: Predictor, source: Path, target: Path, *, at_model_size: bool) -> str:
    """Writes one prediction; returns a line about it."""
    class_ids = predictor.class_ids(read_image(source, predictor.deep_range), at_model_size=at_model_size)
    mask = Image.fromarray(class_ids)
    mask.putpalette(voc_palette())
    target.parent.mkdir(parents=True, exist_ok=True)
    note = PngImagePlugin.PngInfo()
    note.add_text("Software", SOFTWARE)
    mask.save(target, pnginfo=note)
    counts = np.bincount(class_ids.ravel(), minlength=len(predictor.classes)) / class_ids.size
    largest = [class_id for class_id in np.argsort(-counts, kind="stable")[:MAX_LISTED_CLASSES] if counts[class_id]]
    shares = ", ".join(f"{predictor.classes[class_id]} {counts[class_id]:.1%}" for class_id in largest)
    return f"{source} -> {target} ({mask.width}x{mask.height}): {shares}"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parses the command line; ``None`` is that of the process."""
    parser = argparse.ArgumentParser(description="Predict class-index PNGs for images.")
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IMAGE_OR_FOLDER")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the PNGs")
    default_model = Path(__file__).resolve().parent / "model.pth"
    parser.add_argument("--model", type=Path, default=default_model, help="default: model.pth beside this script")
    parser.add_argument(
        "--size", choices=("image", "model"), default="image", help="of the PNGs; model: as in training"
    )
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="default: as trained")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Predicts what the command line names, and returns the exit status."""
    options = parse_arguments(arguments)
    torch.set_flush_denormal(True)
    failures = 0
    try:
        targets = plan(options.inputs, options.out)
        predictor = load_predictor(options.model, options.precision)
    except PredictError as error:
        complain(str(error))
        return 1
    for source, target in targets:
        try:
            line = predict_file(predictor, source, target, at_model_size=options.size == "model")
        except PredictError as error:
            failures += 1
            complain(str(error))
        except OSError as error:
            failures += 1
            complain(f"{error.filename or target}: {error.strerror or error}")
        else:
            print(line, flush=True)
    if failures:
        complain(f"{failures} of {len(targets)} could not be predicted")
    return 1 if failures else 0


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
