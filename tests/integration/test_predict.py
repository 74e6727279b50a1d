"""predict.py as it is shipped: beside a model.pth, in a process of its own."""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from builders.results import compose, dataset, metrics, report, trained, training
from builders.tiffs import tiff
from builders.training import CLASSES, training_spec, write_cache
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.masks.image_reading import read_image
from segdrop.modeling.architectures import SegmentationModel, build_model
from segdrop.modeling.metrics import Matrix, confusion_matrix
from segdrop.modeling.precision import Host
from segdrop.request import ImageSize
from segdrop.results import predict_script, readme
from segdrop.results.templates import predict
from segdrop.spool.job import Outcome
from segdrop.training import result
from segdrop.training.checkpoint import Best
from segdrop.training.evaluation import evaluate

HEIGHT, WIDTH = 40, 48


@dataclass(frozen=True)
class Shipped:
    """An unpacked result, and the cache that its model was trained on."""

    folder: Path
    cache_dir: Path
    model: SegmentationModel

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """With an isolated interpreter, which has the packages and not this repository's folders."""
        return subprocess.run(
            [sys.executable, "-I", str(self.folder / "predict.py"), *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in the processes started here: another number of threads may add in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("result")
    cache_dir = write_cache(folder / "data" / "cache", train=1, val=5, height=HEIGHT, width=WIDTH)
    torch.manual_seed(0)
    model = build_model("deeplabv3_resnet50", len(CLASSES)).eval()
    spec = training_spec(folder, cache_dir, image_size=(HEIGHT, WIDTH))
    best = Best(1, {}, model.network.state_dict(), 8)
    result.write_model(spec.model_path, spec, best, {"mean_iou": 0.5}, Host("fp32", 1))
    (folder / "predict.py").write_text(predict_script.render("deeplabv3_resnet50"), encoding="utf-8")
    return Shipped(folder, cache_dir, model)


def write_images(shipped: Shipped, folder: Path) -> None:
    """The validation images of the cache as files."""
    folder.mkdir()
    with CacheReader(shipped.cache_dir) as reader:
        for position in reader.index.val:
            Image.fromarray(reader.images([position])[0]).save(folder / f"{position}.png")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_predictions_reproduce_the_confusion_matrix_of_the_validation(
    shipped: Shipped, tmp_path: Path, precision: str
) -> None:
    write_images(shipped, tmp_path / "images")
    finished = shipped.run(tmp_path / "images", "-o", tmp_path / "out", "--size", "model", "--precision", precision)
    assert finished.returncode == 0, finished.stderr
    assert len(finished.stdout.splitlines()) == 5

    host = Host("bf16" if precision == "bf16" else "fp32", 1)
    found: Matrix = np.zeros((2, 2), np.int64)
    with CacheReader(shipped.cache_dir) as reader:
        positions = reader.index.val
        expected = evaluate(shipped.model, host, reader, positions, 2, lambda: None).matrix
        for position in positions:
            prediction = np.asarray(Image.open(tmp_path / "out" / f"{position}.png"))
            found += confusion_matrix(reader.masks([position])[0], prediction, 2)
    assert np.array_equal(found, expected)
    assert (expected.sum(axis=0) > 0).all(), "a model that answers with one class proves nothing"


def test_model_of_stride_16_predicts_as_it_was_validated(shipped: Shipped, tmp_path: Path) -> None:
    write_images(shipped, tmp_path / "images")
    spec = training_spec(tmp_path / "run", shipped.cache_dir, image_size=(HEIGHT, WIDTH))
    best = Best(1, {}, shipped.model.network.state_dict(), 16)
    result.write_model(spec.model_path, spec, best, {"mean_iou": 0.5}, Host("fp32", 1))
    finished = shipped.run(
        *(tmp_path / "images", "-o", tmp_path / "out", "--size", "model", "--model", spec.model_path)
    )
    assert finished.returncode == 0, finished.stderr
    model = build_model("deeplabv3_resnet50", len(CLASSES))
    model.network.load_state_dict(best.state_dict)
    matrices = {}
    with CacheReader(shipped.cache_dir) as reader:
        for stride in (8, 16):
            model.set_output_stride(stride)
            matrices[stride] = evaluate(model, Host("fp32", 1), reader, reader.index.val, 2, lambda: None).matrix
        found: Matrix = np.zeros((2, 2), np.int64)
        for position in reader.index.val:
            prediction = np.asarray(Image.open(tmp_path / "out" / f"{position}.png"))
            found += confusion_matrix(reader.masks([position])[0], prediction, 2)
    assert np.array_equal(found, matrices[16])
    assert not np.array_equal(found, matrices[8])


def test_predictions_have_the_images_own_size_and_a_palette(shipped: Shipped, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (61, 97, 3), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned by a quarter
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=turned)
    Image.fromarray(pixels).save(tmp_path / "plain.png")
    finished = shipped.run(tmp_path / "turned.jpg", tmp_path / "plain.png", "-o", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    with Image.open(tmp_path / "out/turned.png") as turned_mask, Image.open(tmp_path / "out/plain.png") as mask:
        assert (turned_mask.size, mask.size) == ((61, 97), (97, 61))
        assert mask.mode == "P"
        assert np.asarray(mask).max() < len(CLASSES)
        palette = mask.getpalette()
        assert palette is not None
        assert palette[3:6] == [128, 0, 0]


def test_unreadable_image_is_reported_and_the_others_are_predicted(shipped: Shipped, tmp_path: Path) -> None:
    write_images(shipped, tmp_path / "images")
    (tmp_path / "images/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    finished = shipped.run(tmp_path / "images", tmp_path / "absent.png", "-o", tmp_path / "out")
    assert finished.returncode == 1
    assert "broken.png: cannot be read" in finished.stderr
    assert "absent.png: cannot be read" in finished.stderr
    assert "2 of 7" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_predictions_among_the_images_are_not_predicted_again(shipped: Shipped, tmp_path: Path) -> None:
    """Neither those in the folder that is written to, nor those of a run into another one."""
    write_images(shipped, tmp_path / "images")
    (tmp_path / "images/._0.png").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    for folder in ("predictions", "predictions", "others"):
        finished = shipped.run(".", "-o", folder, cwd=tmp_path / "images")
        assert finished.returncode == 0, finished.stderr
        assert len(finished.stdout.splitlines()) == 5
        assert len(list((tmp_path / "images" / folder).rglob("*.png"))) == 5
    named = shipped.run(tmp_path / "images/others/1.png", "-o", tmp_path / "named")
    assert named.returncode == 0, "a file that is named is taken"


def test_a_reader_that_has_gone_and_a_full_disk_are_no_tracebacks(shipped: Shipped, tmp_path: Path) -> None:
    write_images(shipped, tmp_path / "images")
    command = f"{sys.executable} -I {shipped.folder}/predict.py {tmp_path}/images -o {tmp_path}/out"
    for tail in ("| head -n 1", "> /dev/full"):
        finished = subprocess.run(
            ["bash", "-c", f"{command} {tail}"], capture_output=True, text=True, check=False, timeout=240
        )
        assert "Traceback" not in finished.stderr
        assert "Exception ignored" not in finished.stderr
    assert "No space left" in finished.stderr
    assert finished.returncode == 1


# README.txt

#: What the indented lines of each section of README.txt are. A new section has to be entered here.
SECTIONS = {
    "How to predict": "shell",
    "What to predict": "shell",
    "Pictures to look at, and a GPU": "shell",
    "Every epoch": "shell",
    "How to load it in your own code, in this folder": "python",
    "How to load it step by step": "python",
    "How to preprocess": "prose",
    "Per class (validation)": "table",
    "How the dataset was read": "prose",
    "Settings": "table",
}
#: The one line that is not executed: it needs a package index. The tests run in what it would make.
INSTALLING = "python -m venv venv && venv/bin/pip install -r requirements.txt"


def snippets(readme_text: str, kind: str) -> list[list[str]]:
    """The indented lines of each section of a kind, which is a paragraph whose first line is a title."""
    paragraphs = [part.strip("\n").splitlines() for part in readme_text.split("\n\n")]
    sections = [lines for lines in paragraphs if any(line.startswith("  ") for line in lines)]
    assert {lines[0] for lines in sections} <= set(SECTIONS), "a section of README.txt that no test knows"
    return [[line[2:] for line in lines if line.startswith("  ")] for lines in sections if SECTIONS[lines[0]] == kind]


@pytest.fixture
def unpacked(shipped: Shipped, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A result as it is unpacked, with the images that README.txt speaks of beside it."""
    stride = getattr(request, "param", 8)
    spec = training_spec(tmp_path / "run", shipped.cache_dir, image_size=(HEIGHT, WIDTH), keep_checkpoints=True)
    best = Best(1, {}, shipped.model.network.state_dict(), stride)
    folder = tmp_path / "unpacked"
    (folder / "checkpoints").mkdir(parents=True)
    result.write_model(spec.model_path, spec, best, {"mean_iou": 0.5}, Host("fp32", 1))
    (folder / "model.pth").hardlink_to(spec.model_path)
    (folder / "checkpoints/epoch-001.pth").hardlink_to(spec.model_path)
    (folder / "predict.py").write_text(predict_script.render("deeplabv3_resnet50"), encoding="utf-8")
    understood = dataset(num_classes=len(CLASSES), image_size=ImageSize(HEIGHT, WIDTH))
    learnt = training(metrics=metrics(output_stride=stride))
    checked = report(dataset=understood, request=spec.request)
    composed = compose(trained(), Outcome.SUCCEEDED, report=checked, answer=learnt)
    (folder / "README.txt").write_text(readme.render(composed), encoding="utf-8")
    write_images(shipped, folder / "photos")
    (folder / "scans/day/one").mkdir(parents=True)
    image = Image.open(folder / "photos" / "1.png")
    image.save(folder / "photo.jpg")
    image.save(folder / "scans/day/one/cells.tif")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(folder / "photo.jpg", "inner/photo2.jpg")
    return folder


def test_the_shell_lines_of_the_readme_work_literally(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell reads each line; the interpreter that it starts leaves word of its arguments, and the script of the
    result is run with them here, where torch is imported already.
    """
    python = unpacked / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word"; done > called\n')
    python.chmod(0o755)
    monkeypatch.chdir(unpacked)
    lines = [line for lines in snippets(Path("README.txt").read_text(encoding="utf-8"), "shell") for line in lines]
    assert lines[0] == INSTALLING
    assert len(lines) == 5
    script: dict[str, Any] = {"__name__": "predict", "__file__": str(unpacked / "predict.py")}
    exec(compile((unpacked / "predict.py").read_text(), "predict.py", "exec"), script)
    for line in lines[1:]:
        subprocess.run(["bash", "-c", line], check=True, timeout=60)
        called, *arguments = Path("called").read_text(encoding="utf-8").splitlines()
        assert called == "predict.py"
        assert script["main"](arguments) == 0
    assert sorted(path.as_posix() for path in Path("mixed").rglob("*.png")) == [
        *("mixed/day/one/cells.png", "mixed/inner/photo2.png", "mixed/photo.png"),
    ]
    masks = {path.name for path in Path("predictions").iterdir()}
    assert len(masks) == 5
    for folder in ("shown/overlay", "shown/colour", "epoch-001"):
        assert {path.name for path in Path(folder).iterdir()} == masks
    assert all(Path("shown", name).read_bytes() == Path("predictions", name).read_bytes() for name in masks)


@pytest.mark.parametrize("unpacked", [8, 16], indirect=True)
def test_the_python_lines_of_the_readme_work_literally(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each section by itself, in the folder of the result."""
    monkeypatch.chdir(unpacked)
    monkeypatch.syspath_prepend(str(unpacked))
    found = snippets(Path("README.txt").read_text(encoding="utf-8"), "python")
    assert len(found) == 2
    for lines in found:
        monkeypatch.delitem(sys.modules, "predict", raising=False)
        names: dict[str, Any] = {}
        exec("\n".join(lines), names)
        assert names["predict"].__file__ == str(unpacked / "predict.py")
        assert not names["model"].training
        monkeypatch.delitem(sys.modules, "predict")
    assert Path("overlay.png").exists()


def _saved(mode: str, suffix: str, *, orientation: int | None = None) -> bytes:
    """An image of a mode, with a gradient and noise, larger than the model's size and of another shape."""
    noise = np.random.default_rng(1).integers(0, 256, (70, 110, 4), np.uint8)
    image = Image.fromarray(noise, "RGBA")
    if mode == "I;16":
        image = Image.fromarray(noise[..., 0].astype(np.uint16) * 200)
    elif mode == "P+transparency":
        image = image.convert("RGB").quantize(40)
        image.info["transparency"] = 3
    elif mode != "RGBA":
        image = image.convert("RGB").convert(mode)
    stream = io.BytesIO()
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image.save(stream, suffix, exif=exif)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *(("RGB", suffix) for suffix in ("PNG", "JPEG", "BMP", "TIFF", "WEBP")),
        *((mode, "PNG") for mode in ("RGBA", "L", "LA", "P", "P+transparency", "1", "I;16")),
        *(("CMYK", suffix) for suffix in ("JPEG", "TIFF")),
        ("L", "JPEG"),
    ],
)
def test_images_are_read_as_they_were_for_training(tmp_path: Path, mode: str, suffix: str) -> None:
    content = _saved(mode, suffix)
    _assert_read_equally(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        lambda: tiff(_deep(3)),
        lambda: tiff(_deep(4), extra=[0], compression=5, is_planar=True),
        lambda: tiff(_deep(4), photometric=1, extra=[0, 0, 0], tile=(16, 32), compression=8, predictor=2),
        lambda: tiff(_deep(1), order=">", orientation=6),
        lambda: tiff(_deep(3).astype(np.float32) / 7, no_data="0"),
        lambda: tiff((_deep(5) // 16).astype(np.uint8), photometric=1, extra=[0] * 4),
    ],
)
def test_deep_images_are_scaled_as_they_were_for_training(tmp_path: Path, content: Callable[[], bytes]) -> None:
    (tmp_path / "image").write_bytes(content())
    script: dict[str, Any] = {"__name__": "predict", "__file__": "predict.py"}
    exec(compile(predict_script.render("deeplabv3_resnet50"), "predict.py", "exec"), script)
    trained_on = read_image(content(), deep_range=(100, 3333))
    for read in (predict.read_image, script["read_image"]):
        assert np.array_equal(np.asarray(read(tmp_path / "image", (100, 3333))), trained_on.pixels)


def test_the_range_of_deep_images_travels_with_the_model(shipped: Shipped, tmp_path: Path) -> None:
    spec = training_spec(tmp_path / "run", shipped.cache_dir, image_size=(HEIGHT, WIDTH))
    best = Best(1, {}, shipped.model.network.state_dict(), 8)
    result.write_model(spec.model_path, spec, best, {"mean_iou": 0.5}, Host("fp32", 1), (0, 3333))
    assert predict.load_predictor(spec.model_path).deep_range == (0, 3333)
    result.write_model(spec.model_path, spec, best, {"mean_iou": 0.5}, Host("fp32", 1))
    assert predict.load_predictor(spec.model_path).deep_range is None


def _deep(bands: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 4000, (60, 90, bands)).astype(np.uint16)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_they_were_for_training(tmp_path: Path, orientation: int) -> None:
    _assert_read_equally(tmp_path, _saved("RGB", "JPEG", orientation=orientation))


def _assert_read_equally(folder: Path, content: bytes) -> None:
    (folder / "image").write_bytes(content)
    ours = predict.read_image(folder / "image")
    trained_on = read_image(content, (HEIGHT, WIDTH))
    assert ours.mode == "RGB"
    assert ours.size == trained_on.size
    resized = np.asarray(ours.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))
    assert np.array_equal(resized, trained_on.pixels)
