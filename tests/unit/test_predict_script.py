import ast
import errno
import os
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segdrop.dataset.archive.safety import is_junk
from segdrop.results import predict_script
from segdrop.results.templates import predict, sources


def image_file(path: Path, size: tuple[int, int] = (9, 7), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def zipped(path: Path, folder: Path) -> Path:
    """A ZIP of the files in a folder."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def test_script_needs_nothing_but_what_requirements_name() -> None:
    imported = set()
    for node in ast.walk(ast.parse(predict_script.render("deeplabv3_resnet50"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported - sys.stdlib_module_names == {"numpy", "PIL", "torch"}


def test_script_defines_all_that_the_template_imports() -> None:
    script: dict[str, object] = {"__name__": "predict", "__file__": "predict.py"}
    exec(compile(predict_script.render("deeplabv3_resnet50"), "predict.py", "exec"), script)
    assert not [name for name in vars(predict) if name not in script and not name.startswith("__")]


def test_no_two_parts_of_the_script_define_the_same_name() -> None:
    """The later would take the place of the earlier, which relies on its own."""
    nodes = ast.parse(predict_script.render("deeplabv3_resnet50")).body
    defined = [node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    for node in nodes:
        targets = node.targets if isinstance(node, ast.Assign) else ()
        defined += [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    assert [name for name, count in Counter(defined).items() if count > 1] == []


def test_palette_is_that_of_pascal_voc() -> None:
    palette = predict.voc_palette()
    colours = {class_id: tuple(palette[3 * class_id : 3 * class_id + 3]) for class_id in (0, 1, 2, 3, 15, 20, 255)}
    assert colours == {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }


@pytest.mark.parametrize("size", [(13, 29), (40, 40), (3, 5)])
def test_class_by_class_equals_the_arg_max_of_all(size: tuple[int, int]) -> None:
    logits = torch.randn(1, 5, 6, 8, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(logits, size=size, mode="bilinear").argmax(dim=1)[0]
    found = predict._largest(logits, size)
    assert found.dtype is torch.uint8
    assert (found == expected).float().mean() == 1.0


def test_equal_logits_give_the_first_class_as_arg_max_does() -> None:
    assert predict._largest(torch.zeros(1, 3, 2, 2), (4, 4)).max() == 0


def test_plan_keeps_subfolders_and_finds_images_only(tmp_path: Path) -> None:
    for name in ("in/a.jpg", "in/sub/b.PNG"):
        image_file(tmp_path / name)
    (tmp_path / "in/notes.txt").touch()
    jobs = predict.plan([tmp_path / "in"], tmp_path / "out")
    assert [job.written for job in jobs] == [[tmp_path / "out/a.png"], [tmp_path / "out/sub/b.png"]]


@pytest.mark.parametrize(
    "name",
    [
        "._a.jpg",
        ".DS_Store",
        "Thumbs.db",
        "thumbs.DB.jpg",
        "@eaDir/a.jpg",
        "sub/@EADIR/a.jpg/SYNO.jpg",
        "__MACOSX/a.jpg",
        *("#recycle/a.jpg", "@Recycle/a.jpg", "$RECYCLE.BIN/a.jpg", "lost+found/a.jpg", "Icon\r"),
        *("~$a.jpg", ".hidden/a.jpg", "sub/.a.jpg", "desktop.ini", "a.jpg", "sub/a.jpg", "a~.jpg"),
    ],
)
def test_prediction_leaves_out_the_same_files_as_the_check(tmp_path: Path, name: str) -> None:
    image_file(tmp_path / "in/good.png")
    image_file(tmp_path / "in/file.png").rename(made_parent(tmp_path / "in" / name))
    archive = zipped(tmp_path / "in.zip", tmp_path / "in")
    expected = {"good.png"} | ({name} if not is_junk(name) and name.endswith("jpg") else set())
    in_folder = predict.plan([tmp_path / "in"], tmp_path / "out")
    assert {job.source.path.relative_to(tmp_path / "in").as_posix() for job in in_folder} == expected
    assert {job.source.member for job in predict.plan([archive], tmp_path / "out")} == expected
    by_pattern = predict.plan([tmp_path / "in/**"], tmp_path / "out")
    assert {job.source for job in by_pattern} == {job.source for job in in_folder}
    assert sources.is_junk(Path(name)) is is_junk(name)


def made_parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_images_in_a_folder_whose_own_name_is_hidden_are_predicted(tmp_path: Path) -> None:
    image_file(tmp_path / ".cache/a.png")
    assert len(predict.plan([tmp_path / ".cache"], tmp_path / "out")) == 1


def test_a_folder_that_cannot_be_searched_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_file(tmp_path / "in/a.png")
    (tmp_path / "in/closed").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "listdir", lambda path: [entry.name for entry in os.scandir(path)])
    for given in ("in", "in/**/*.png", "in/*/*.png", "in/*"):
        with pytest.raises(predict.PredictError, match="closed: Permission denied"):
            predict.plan([tmp_path / given], tmp_path / "out")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_is_said_and_never_waited_for(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "a.png")
    with pytest.raises(predict.PredictError, match="there is no such file"):
        predict.read_image(tmp_path / "a.png")
    with pytest.raises(predict.PredictError, match="there is no such file"):
        predict.load_predictor(tmp_path / "a.png")


def test_images_that_differ_in_their_suffix_never_share_a_prediction(tmp_path: Path) -> None:
    for name in ("in/a.jpg", "in/a.png", "in/b.png"):
        image_file(tmp_path / name)
    jobs = predict.plan([tmp_path / "in"], tmp_path / "out", overlay=True, colour=True)
    assert [job.mask.name for job in jobs] == ["a.jpg.png", "a.png.png", "b.png"]
    assert [job.overlay.name for job in jobs if job.overlay] == ["a.jpg.jpg", "a.png.png", "b.png"]
    assert len({path for job in jobs for path in job.written}) == 9


def test_folders_that_would_write_the_same_files_are_refused(tmp_path: Path) -> None:
    for name in ("one/a.png", "two/a.png"):
        image_file(tmp_path / name)
    with pytest.raises(predict.PredictError, match="several images"):
        predict.plan([tmp_path / "one", tmp_path / "two"], tmp_path / "out")


def test_input_is_never_overwritten(tmp_path: Path) -> None:
    image_file(tmp_path / "in/a.png")
    with pytest.raises(predict.PredictError, match="overwritten"):
        predict.plan([tmp_path / "in"], tmp_path / "in")
    image_file(tmp_path / "overlay/a.png")
    predict.plan([tmp_path / "overlay/a.png"], tmp_path)
    with pytest.raises(predict.PredictError, match=r"overlay/a.png is an image.*overwritten"):
        predict.plan([tmp_path / "overlay/a.png"], tmp_path, overlay=True)


def test_missing_model_is_said_clearly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = image_file(tmp_path / "a.png")
    assert predict.main([str(image), "-o", str(tmp_path / "out"), "--model", str(tmp_path / "absent.pth")]) == 1
    printed = capsys.readouterr()
    assert "absent.pth: there is no such file" in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 cut"])
def test_damaged_model_is_said_clearly(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    image, model = image_file(tmp_path / "a.png"), tmp_path / "model.pth"
    model.write_bytes(content)
    assert predict.main([str(image), "-o", str(tmp_path / "out"), "--model", str(model)]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_other_torch_files_are_no_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, model = image_file(tmp_path / "a.png"), tmp_path / "model.pth"
    torch.save({"state_dict": {}}, model)
    assert predict.main([str(image), "-o", str(tmp_path / "out"), "--model", str(model)]) == 1
    assert "not a model.pth of this format" in capsys.readouterr().err


def test_folder_without_images_is_said_clearly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main([str(tmp_path), "-o", str(tmp_path / "out")]) == 1
    assert "no images" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "expected"), [("fpu avx512_bf16", True), ("fpu avx2", False)])
def test_bf16_only_where_the_cpu_has_it(tmp_path: Path, flags: str, *, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags\t: {flags}\n")
    assert predict.has_native_bf16(tmp_path / "cpuinfo") is expected
