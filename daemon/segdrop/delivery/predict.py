#!/usr/bin/env python3
"""Predict with a trained model: images in, class-index PNGs out.

    python predict.py IMAGE_OR_FOLDER... -o OUT [--model model.pth]

Each PNG holds one class id a pixel (0 is the first line of labels.txt) and has a palette to look at. It has the
size of its image, turned as the EXIF orientation says; with ``--size model`` the size that the model was trained
at, which is how the metrics were measured. Needs what requirements.txt names, and nothing else.

Exit status: 0 all predicted, 1 something could not be (the rest was), 2 wrong usage.
"""

import argparse
import importlib
import pickle
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pnm"}
#: CPUs that compute in bf16 natively say one of these in /proc/cpuinfo; others would be slower, not faster
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
MAX_LISTED_CLASSES = 4
COARSE_STRIDE = 16


class PredictError(Exception):
    """Something that the person at the keyboard can put right."""


def import_torchvision(name: str) -> Any:  # noqa: ANN401  (a module)
    """Import torchvision beside whichever torch is installed.

    torchvision's wheels from PyPI expect a CUDA torch. Beside a CPU-only one, their library does not load, and the
    import stops with "operator torchvision::nms does not exist". Declaring two detection operators, which
    segmentation never calls, is enough to go on.
    """
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for operator in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, operator):
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{operator}", schema)
    return importlib.import_module(name)


@dataclass(frozen=True)
class Predictor:
    """A model in evaluation mode, and how its input is made."""

    network: torch.nn.Module
    classes: list[str]
    image_size: tuple[int, int]  # height, width
    scale: torch.Tensor  # (3,): what a pixel value is multiplied by
    offset: torch.Tensor  # (3,): and what is added then
    bf16: bool

    def class_ids(self, image: Image.Image, *, at_model_size: bool) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Class ids (H, W) of an RGB image: of its own size, or of the model's."""
        height, width = self.image_size
        resized = image
        if image.size != (width, height):
            resized = image.resize((width, height), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).float()
        batch = pixels.mul_(self.scale).add_(self.offset).permute(2, 0, 1).unsqueeze(0)
        with torch.inference_mode():
            with self._autocast():
                features = self.network.get_submodule("backbone")(batch)["out"]
                logits = self.network.get_submodule("classifier")(features).float()
            if at_model_size:
                return _upsampled(logits, (height, width)).argmax(dim=1)[0].to(torch.uint8).numpy()
            return _largest(logits, (image.height, image.width)).numpy()

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16) if self.bf16 else nullcontext()


def _upsampled(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def _largest(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Class ids (H, W) uint8. One class at a time: all planes of a large photograph would not fit into memory."""
    class_ids = torch.zeros(size, dtype=torch.uint8)
    highest = torch.full(size, -torch.inf)
    for class_id in range(logits.shape[1]):
        plane = _upsampled(logits[:, class_id : class_id + 1], size)[0, 0]
        class_ids[plane > highest] = class_id
        highest = torch.maximum(highest, plane)
    return class_ids


def load_predictor(path: Path, precision: str) -> Predictor:
    """The model of a ``model.pth``. ``precision``: auto, fp32 or bf16; auto is as trained, where this CPU can."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise PredictError(f"{path}: there is no such file; name it with --model") from error
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise PredictError(f"{path}: cannot be read ({type(error).__name__})") from error
    if not isinstance(content, dict) or (content.get("format"), content.get("format_version")) != ("segdrop-model", 1):
        raise PredictError(f"{path}: is not a model.pth of this format")
    if content["architecture"] != "deeplabv3_resnet50":
        raise PredictError(f"{path}: has the architecture {content['architecture']}, which this script does not know")
    segmentation = import_torchvision("torchvision.models.segmentation")
    network = segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=content["num_classes"], aux_loss=True
    )
    network.load_state_dict(content["state_dict"])
    if content.get("output_stride") == COARSE_STRIDE:
        halve_resolution(network)
    height, width = content["image_size"]
    mean, std = content["normalize"]["mean"], content["normalize"]["std"]
    return Predictor(
        network=network.eval().to(memory_format=torch.channels_last),
        classes=content["classes"],
        image_size=(height, width),
        scale=torch.tensor([1 / (255 * deviation) for deviation in std]),
        offset=torch.tensor([-middle / deviation for middle, deviation in zip(mean, std, strict=True)]),
        bf16=precision == "bf16" or (precision == "auto" and content["precision"] == "bf16" and has_native_bf16()),
    )


def halve_resolution(network: torch.nn.Module) -> None:
    """From torchvision's output stride of 8 to 16, as the model was trained: atrous rates halve, no weight changes."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.dilation[0] > 1:
            module.dilation = module.padding = (module.dilation[0] // 2, module.dilation[0] // 2)
    for name in ("conv2", "downsample.0"):
        convolution: Any = network.get_submodule(f"backbone.layer3.0.{name}")
        convolution.stride = (2, 2)


def has_native_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    return bool(BF16_FLAGS & set(flags.split()))


def read_image(path: Path) -> Image.Image:
    """An image as it was read for training: upright, RGB, 8 bits a channel."""
    try:
        with Image.open(path) as opened:
            opened.load()
            image = ImageOps.exif_transpose(opened)
    except Exception as error:  # a decoder may raise anything
        raise PredictError(f"{path}: cannot be read as an image ({error})") from error
    if image.mode == "F":
        raise PredictError(f"{path}: its pixels are floating-point numbers")
    if image.mode.startswith("I"):  # 16 bits: the upper 8
        return Image.fromarray(np.clip(np.asarray(image) >> 8, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "P":  # by way of RGBA: Pillow warns about palettes with transparency otherwise
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def voc_palette() -> list[int]:
    """The colour map of PASCAL VOC: the bits of a class id, dealt out to red, green and blue in turn."""
    palette = []
    for class_id in range(256):
        for channel in range(3):
            bits = (class_id >> (3 * step + channel) & 1 for step in range(3))
            palette.append(sum(bit << (7 - step) for step, bit in enumerate(bits)))
    return palette


def find_images(inputs: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Every image with the relative path of its prediction, less ``.png``. Folders are searched in depth."""
    for given in inputs:
        if given.is_dir():
            for path in sorted(given.rglob("*")):
                if path.suffix.lower() in SUFFIXES and path.is_file():
                    yield path, path.relative_to(given).with_suffix("")
        else:
            yield given, Path(given.stem)


def plan(inputs: list[Path], out_dir: Path) -> list[tuple[Path, Path]]:
    """Each image with the path of its PNG. Where ``a.jpg`` and ``a.png`` would share one, both keep their suffix."""
    found = list(dict.fromkeys(find_images(inputs)))
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
    """Write one prediction; a line about it."""
    class_ids = predictor.class_ids(read_image(source), at_model_size=at_model_size)
    mask = Image.fromarray(class_ids)
    mask.putpalette(voc_palette())
    target.parent.mkdir(parents=True, exist_ok=True)
    mask.save(target)
    counts = np.bincount(class_ids.ravel(), minlength=len(predictor.classes)) / class_ids.size
    largest = [class_id for class_id in np.argsort(-counts, kind="stable")[:MAX_LISTED_CLASSES] if counts[class_id]]
    shares = ", ".join(f"{predictor.classes[class_id]} {counts[class_id]:.1%}" for class_id in largest)
    return f"{source} -> {target} ({mask.width}x{mask.height}): {shares}"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
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
    options = parse_arguments(arguments)
    torch.set_flush_denormal(True)
    failures = 0
    try:
        targets = plan(options.inputs, options.out)
        predictor = load_predictor(options.model, options.precision)
    except PredictError as error:
        print(f"predict.py: {error}", file=sys.stderr)
        return 1
    for source, target in targets:
        try:
            line = predict_file(predictor, source, target, at_model_size=options.size == "model")
        except (PredictError, OSError) as error:
            failures += 1
            print(f"predict.py: {error}", file=sys.stderr)
        else:
            print(line, flush=True)
    if failures:
        print(f"predict.py: {failures} of {len(targets)} could not be predicted", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
