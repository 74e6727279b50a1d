"""What predict.py takes and writes, with a network of one layer in place of a trained one."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segdrop.dataset.class_names import is_background
from segdrop.results.templates import predict, sources

CLASSES = ["__Background__", "dark", "light"]


class Brightness(torch.nn.Module):
    """Tells dark, middling and light pixels apart, by the red channel."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _Features()
        self.classifier = torch.nn.Conv2d(3, 3, 1)
        with torch.no_grad():
            self.classifier.weight.zero_()
            self.classifier.weight[:, 0, 0, 0] = torch.tensor([0.0, -10.0, 10.0])
            self.classifier.bias.copy_(torch.tensor([0.0, 3.0, -7.0]))  # type: ignore[operator]


class _Features(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": images}


@pytest.fixture(autouse=True)
def stub_model(monkeypatch: pytest.MonkeyPatch) -> predict.Predictor:
    place = torch.device("cpu")
    scale, offset = torch.full((3,), 1 / 255), torch.zeros(3)
    stub = predict.Predictor(Brightness().eval(), CLASSES, (8, 8), scale, offset, False, None, place)
    monkeypatch.setattr(predict, "load_predictor", lambda *_: stub)
    return stub


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with images in a folder ``photos``."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a.jpg", "b.jpg", "long.jpg", "c.png", "sub/a.jpg", "sub/deep/d.tif")):
        write_image(tmp_path / "photos" / name, number)
    (tmp_path / "photos/notes.txt").write_text("x")
    return tmp_path


def write_image(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    Image.fromarray(blocks.repeat(5, axis=0).repeat(5, axis=1)).save(path)
    return path


def zipped(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def run(*arguments: str | Path) -> int:
    return predict.main([str(argument) for argument in arguments])


def contents(folder: str | Path) -> dict[str, bytes]:
    """The files below a folder by their paths."""
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def picture(path: str | Path) -> Image.Image:
    with Image.open(path) as opened:
        opened.load()
        return opened


# ZIPs


def test_a_zip_gives_what_its_folder_gives_and_nothing_is_unpacked(photos: Path) -> None:
    archive = zipped(photos / "Photos.ZIP", photos / "photos")
    assert run("photos", "-o", "from-folder") == 0
    before = contents(".")
    assert run(archive, "-o", "from-zip") == 0
    assert contents("from-zip") == contents("from-folder")
    assert set(contents("from-zip")) == {"a.png", "b.png", "long.png", "c.png", "sub/a.png", "sub/deep/d.png"}
    assert {name for name in contents(".") if not name.startswith("from-zip/")} == set(before)


@pytest.mark.parametrize(
    "name", ["../evil.png", "a/../../evil.png", "/evil.png", "\\evil.png", "..\\evil.png", "C:evil.png", "c:/evil.png"]
)
def test_a_zip_whose_paths_lead_out_is_answered_and_the_rest_is_predicted(
    photos: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with zipfile.ZipFile("hostile.zip", "w") as archive:
        archive.write("photos/c.png", "innocent.png")
        info = zipfile.ZipInfo("placeholder")
        info.filename = name  # as a hostile tool stores it
        archive.writestr(info, Path("photos/c.png").read_bytes())
    before = set(contents("."))
    assert run("hostile.zip", "photos/a.jpg", "-o", "out/inner") == 1
    said = capsys.readouterr().err
    assert "hostile.zip: holds" in said
    assert "leads out" in said
    assert "1 of 2" in said
    assert set(contents(".")) - before == {"out/inner/a.png"}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def damage_a_member(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"\xff\xd8\xff") + 60] ^= 0xFF
    path.write_bytes(content)


def encrypt_a_member(path: Path) -> None:
    """Sets the flag of the first member, in its header and in the directory."""
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + flags] |= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "failed", "words"),
    [
        (lambda path: path.write_bytes(b""), 1, "zip: cannot be read as a ZIP"),
        (lambda path: path.write_bytes(b"PK\3\4 and no more"), 1, "zip: cannot be read as a ZIP"),
        (cut, 1, "zip: cannot be read as a ZIP"),
        (damage_a_member, 1, "photos.zip/a.jpg: cannot be read (Bad CRC"),
        (encrypt_a_member, 1, "photos.zip/a.jpg: cannot be read (File"),
    ],
)
def test_what_is_wrong_with_a_zip_or_a_member_is_said_and_the_rest_is_predicted(
    photos: Path, capsys: pytest.CaptureFixture[str], harm: Callable[[Path], object], failed: int, words: str
) -> None:
    harm(zipped(photos / "photos.zip", photos / "photos"))
    write_image(Path("single.png"))
    assert run("photos.zip", "single.png", "-o", "out") == 1
    said = capsys.readouterr().err
    assert words in said
    assert f"{failed} of" in said
    assert "Traceback" not in said
    assert Path("out/single.png").exists()


def test_a_member_that_would_fill_the_memory_is_not_unpacked(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped(photos / "photos.zip", photos / "photos")
    monkeypatch.setattr(sources, "MAX_MEMBER_BYTES", 10)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was unpacked"))
    assert run("photos.zip", "-o", "out") == 1
    assert "the limit is 10" in capsys.readouterr().err


def test_a_zip_of_nothing_but_junk_has_no_images(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(Path("litter/__MACOSX/a.png"))
    assert run(zipped(photos / "litter.zip", photos / "litter"), "-o", "out") == 1
    assert "there are no images in" in capsys.readouterr().err


def test_one_zip_is_open_at_a_time(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        zipped(photos / f"{number}.zip", write_image(photos / str(number) / f"{number}.png").parent)
    before, most = len(list(Path("/proc/self/fd").iterdir())), 0
    decoded = predict.decoded

    def watched(*arguments: object) -> Image.Image:
        nonlocal most
        most = max(most, len(list(Path("/proc/self/fd").iterdir())))
        return decoded(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(predict, "decoded", watched)
    assert run("?.zip", "-o", "out") == 0
    assert set(contents("out")) == {f"{number}.png" for number in range(5)}
    assert most == before + 1
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# patterns


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("photos/*.jpg", "a b long"),
        ("photos/?.jpg", "a b"),
        ("photos/[!a].*", "b c"),
        ("photos/**/*.jpg", "a b long sub/a"),
        ("photos/**/a.jpg", "a sub/a"),
        ("photos/**/deep/*", "sub/deep/d"),
        ("photos/*/*.jpg", "sub/a"),
        ("photos/**", "a b c long sub/a sub/deep/d"),
        ("photos/*", "a b c long sub/a sub/deep/d"),  # as where a shell names the folders
        ("*/a.jpg", "photos/a"),
        ("**/*.tif", "photos/sub/deep/d"),
        ("./photos/sub/../*.png", "c"),
    ],
)
def test_a_pattern_in_quotes_finds_images_and_keeps_their_folders(photos: Path, pattern: str, expected: str) -> None:
    write_image(Path("photos/.hidden/a.jpg"))
    Path("photos/sub/around").symlink_to("..")
    assert run(pattern, "-o", "out") == 0
    found = {name.removesuffix(".png") for name in contents("out")}
    assert found == set(expected.split())


def test_a_pattern_may_fit_zips(photos: Path) -> None:
    zipped(photos / "one.zip", photos / "photos/sub")
    zipped(photos / "other.zip", write_image(photos / "z/z.png").parent)
    assert run("*.zip", "-o", "out") == 0
    assert set(contents("out")) == {"a.png", "deep/d.png", "z.png"}


def test_a_pattern_that_nothing_fits_is_said_and_the_rest_is_predicted(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("photos/*.webp", "nowhere/*.png", "photos/c.png", "-o", "out") == 1
    said = capsys.readouterr().err
    assert "photos/*.webp: cannot be read as an image (no file fits this pattern)" in said
    assert "2 of 3" in said
    assert set(contents("out")) == {"c.png"}


def test_a_file_or_folder_whose_name_looks_like_a_pattern_is_itself(photos: Path) -> None:
    write_image(Path("photo[1].png"))
    write_image(Path("scans*/[x]/e.png"))
    assert run("photo[1].png", "scans*", "-o", "out") == 0
    assert set(contents("out")) == {"photo[1].png", "[x]/e.png"}


# overlays and colours


def test_overlays_and_colours_lie_beside_the_same_masks(photos: Path) -> None:
    assert run("photos", "-o", "plain") == 0
    assert run("photos", "-o", "out", "--overlay", "--colour") == 0
    found = contents("out")
    assert contents("plain") == {name: found[name] for name in contents("plain")}
    more = set(found) - set(contents("plain"))
    names = ("a.jpg", "b.jpg", "c.png", "long.jpg", "sub/a.jpg", "sub/deep/d.png")
    assert more == {f"overlay/{name}" for name in names} | {
        f"colour/{Path(name).with_suffix('.png')}" for name in names
    }
    mask, colour = picture("out/c.png"), picture("out/colour/c.png")
    assert set(np.unique(np.asarray(mask))) == {0, 1, 2}
    assert colour.mode == "RGB"
    assert np.array_equal(np.asarray(colour), np.asarray(mask.convert("RGB")))


@pytest.mark.parametrize("alpha", [0, 0.25, 1])
def test_an_overlay_mixes_the_colours_in_and_leaves_the_background(photos: Path, alpha: float) -> None:
    assert run("photos/c.png", "-o", "out", "--overlay", "--alpha", str(alpha)) == 0
    image, overlay = (np.asarray(picture(path), float) for path in ("photos/c.png", "out/overlay/c.png"))
    class_ids = np.asarray(picture("out/c.png"))
    colours = np.asarray(picture("out/c.png").convert("RGB"), float)
    expected = np.where(class_ids[..., None] == 0, image, (1 - alpha) * image + alpha * colours)
    assert np.abs(overlay - expected).max() <= 1


def test_an_overlay_of_the_models_size_fits_its_mask(photos: Path) -> None:
    assert run("photos/c.png", "-o", "out", "--overlay", "--colour", "--size", "model") == 0
    assert [picture(f"out/{kind}c.png").size for kind in ("", "overlay/", "colour/")] == [(8, 8)] * 3


def test_the_names_of_a_background_are_those_of_the_training() -> None:
    names = [*predict.BACKGROUND_NAMES, *map(str.upper, predict.BACKGROUND_NAMES), "_background_", "road", "sky"]
    image, mask = Image.new("RGB", (1, 1), (9, 9, 9)), Image.new("P", (1, 1))
    mask.putpalette(predict.voc_palette())
    for name in names:
        is_left = predict.overlaid(image, mask, [name], 1.0).getpixel((0, 0)) == (9, 9, 9)
        assert is_left is is_background(name)


def test_what_was_written_is_never_predicted_again_from_a_folder_a_zip_or_a_pattern(photos: Path) -> None:
    assert run("photos", "-o", "photos/out", "--overlay", "--colour") == 0
    zipped(photos / "photos.zip", photos / "photos")
    for number, given in enumerate(("photos", "photos.zip", "photos/**")):
        assert run(given, "-o", f"again-{number}", "--overlay", "--colour") == 0
        assert contents(f"again-{number}") == contents("photos/out")
    assert run("photos/**/*.png", "-o", "again") == 0
    assert set(contents("again")) == {"c.png"}


def test_images_in_a_folder_called_overlay_are_not_written_over(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("photos/overlay/c.png"))
    assert run("photos", "-o", "out", "--overlay") == 1
    assert "several images would be written to out/overlay/c.png" in capsys.readouterr().err
    assert not Path("out").exists()
    assert run("photos", "-o", "out", "--colour") == 0


@pytest.mark.parametrize("alpha", ["-0.1", "1.01", "nan", "half"])
def test_an_alpha_out_of_range_is_wrong_usage(photos: Path, alpha: str) -> None:
    with pytest.raises(SystemExit) as end:
        run("photos", "-o", "out", "--overlay", f"--alpha={alpha}")
    assert end.value.code == 2


# devices


@pytest.mark.parametrize(
    ("has_gpu", "asked", "given"),
    [
        (True, "auto", "cuda"),
        (True, "cuda", "cuda"),
        (True, "cpu", "cpu"),
        (False, "auto", "cpu"),
        (False, "cpu", "cpu"),
    ],
)
def test_a_gpu_is_used_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, has_gpu: bool, asked: str, given: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert predict._device(asked).type == given


def test_a_gpu_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(predict.PredictError, match="no GPU"):
        predict._device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
def test_a_gpu_predicts_what_the_cpu_predicts(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("photos", "-o", "cpu") == 0
    place = torch.device("cuda")
    scale, offset = torch.full((3,), 1 / 255, device=place), torch.zeros(3, device=place)
    stub = predict.Predictor(Brightness().eval().to(place), CLASSES, (8, 8), scale, offset, False, None, place)
    monkeypatch.setattr(predict, "load_predictor", lambda *_: stub)
    assert run("photos", "-o", "cuda") == 0
    assert contents("cuda") == contents("cpu")


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_an_image_too_large_for_the_memory_is_said_and_the_rest_is_predicted(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    predicted = predict.Predictor.class_ids

    def failing(self: predict.Predictor, image: Image.Image, **how: bool) -> np.ndarray:
        if np.array_equal(np.asarray(image), np.asarray(picture("photos/c.png"))):
            raise error
        return predicted(self, image, **how)

    monkeypatch.setattr(predict.Predictor, "class_ids", failing)
    assert run("photos", "-o", "out") == 1
    said = capsys.readouterr().err
    assert "photos/c.png: is too large for the memory" in said
    assert "1 of 6" in said
    assert len(contents("out")) == 5
