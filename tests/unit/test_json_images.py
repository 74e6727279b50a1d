"""The commands images-to-json and json-to-images: what one writes, the other and the inbox read back, byte by byte."""

import base64
import io
import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders.records import prediction
from segdrop.cli import commands, edge
from segdrop.dataset.unlabelled import json_packing, json_unpacking
from segdrop.dataset.unlabelled.json_images import JsonImages
from segdrop.dataset.unlabelled.stems import free_names
from segdrop.errors import Exit
from segdrop.inference.outputs import measures
from segdrop.inference.outputs.image_json import ImageJson
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.protocol import Setting
from segdrop.settings import LimitSettings

Command = Callable[..., int]


@pytest.fixture
def segdrop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs a command in the current folder, which is empty, to its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")

    def run(*arguments: str | Path) -> int:
        monkeypatch.setattr("sys.argv", ["segdrop", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            edge.run(commands.app)
        return int(str(end.value.code))

    return run


def image_bytes(seed: int = 0, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 7 + seed, 3), np.uint8)).save(stream, form)
    return stream.getvalue()


def write_files(folder: str, *names: str) -> None:
    for seed, name in enumerate(names):
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image_bytes(seed))


def files_in(folder: str | Path) -> dict[str, bytes]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def zipped(name: str, folder: str) -> None:
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        for inner, content in files_in(folder).items():
            archive.writestr(inner, content)


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def write_json(names: Any, images: Any, key: str = "images", **more: Any) -> None:
    Path("in.json").write_text(json.dumps({"image_names": names, key: images, **more}))


NAMES = ("a.png", "sub/a.png", "sub/deep/Größe ☃ 日本.webp", "b c's.JPG", "x.tar.png", "50%.bmp")


# images to JSON, and back


@pytest.mark.parametrize("given", ["photos", "photos.zip", "photos/../photos/", "."])
def test_a_folder_or_zip_comes_back_byte_by_byte(segdrop: Command, given: str) -> None:
    Path("here").mkdir()
    os.chdir("here")
    write_files("photos", *NAMES)
    zipped("photos.zip", "photos")
    packed = Path("packed.json").absolute()
    if given == ".":
        os.chdir("photos")
    assert segdrop("images-to-json", given, "-o", packed) == 0
    assert segdrop("json-to-images", packed, "-o", "../out/new") == 0
    assert files_in("../out/new") == {name: image_bytes(seed) for seed, name in enumerate(NAMES)}


def test_what_is_written_is_the_json_that_the_inbox_reads(segdrop: Command) -> None:
    write_files("photos", *NAMES)
    assert segdrop("images-to-json", "photos", "-o", "packed.json") == 0
    content = json.loads(Path("packed.json").read_text(encoding="utf-8"))
    assert list(content) == ["image_names", "images"]
    originals = files_in("photos")
    assert {name: base64.b64decode(image, validate=True) for name, image in zip(*content.values(), strict=True)} == (
        originals
    )
    with JsonImages(Path("packed.json"), "packed.json", LimitSettings().for_child()) as images:
        assert images.names == content["image_names"]
        assert len(list(images.items())) == len(NAMES)
        assert images.issues() == []


def test_the_standard_output_gets_the_json_and_nothing_else(
    segdrop: Command, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    write_files("photos", *NAMES)
    assert segdrop("images-to-json", "photos", "-o", "packed.json") == 0
    capfdbinary.readouterr()
    assert segdrop("images-to-json", "photos", "-o", "-") == 0
    assert capfdbinary.readouterr().out == Path("packed.json").read_bytes()
    assert not Path("-").exists()


def test_junk_and_other_files_in_folders_are_left_out_and_named_files_are_taken(segdrop: Command) -> None:
    write_files("photos", "a.png", "._a.png", "@eaDir/a.png", ".hidden/b.png", "Thumbs.db", "notes.txt")
    os.mkfifo("photos/fifo.png")
    Path("photos/link.png").symlink_to("a.png")
    Path("photos/around").symlink_to("..")
    Path("scan").write_bytes(image_bytes(9))
    assert segdrop("images-to-json", "photos", "scan", "-o", "packed.json") == 0
    names = json.loads(Path("packed.json").read_bytes())["image_names"]
    assert names == ["photos/a.png", "photos/link.png", "scan"], "of several paths, folders keep their names"


def test_a_file_name_that_is_no_utf8_is_a_label_all_the_same(segdrop: Command) -> None:
    Path("photos").mkdir()
    Path("photos", os.fsdecode(b"caf\xe9.png")).write_bytes(image_bytes())
    assert segdrop("images-to-json", "photos", "-o", "packed.json") == 0
    assert json.loads(Path("packed.json").read_bytes())["image_names"] == ["caf?.png"]


def test_images_of_the_same_name_are_refused_and_their_folder_is_asked_for(
    segdrop: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(".", "one/a.png", "two/a.png")
    assert segdrop("images-to-json", "one/a.png", "two/a.png", "-o", "packed.json") == Exit.USAGE
    assert "several images would be called a.png" in capsys.readouterr().err
    assert segdrop("images-to-json", "one", "two", "-o", "packed.json") == 0
    assert json.loads(Path("packed.json").read_bytes())["image_names"] == ["one/a.png", "two/a.png"]


@pytest.mark.parametrize("limit", ["images", "bytes"])
def test_no_more_is_packed_than_an_inbox_takes(
    segdrop: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    write_files("photos", "a.png", "ü.png", "c.png")
    assert segdrop("images-to-json", "photos", "-o", "packed.json") == 0
    most = 3 if limit == "images" else Path("packed.json").stat().st_size
    monkeypatch.setenv(f"SEGDROP_LIMITS__MAX_JSON_{limit.upper()}", str(most))
    assert segdrop("images-to-json", "photos", "-o", "exact.json") == 0
    monkeypatch.setenv(f"SEGDROP_LIMITS__MAX_JSON_{limit.upper()}", str(most - 1))
    assert segdrop("images-to-json", "photos", "-o", "over.json") == Exit.DATA
    assert f"the limit is {most - 1}" in capsys.readouterr().err
    assert set(files_in(".")) == {"photos/a.png", "photos/ü.png", "photos/c.png", "packed.json", "exact.json"}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5000])
def test_the_size_is_known_before_anything_is_written(count: int, size: int) -> None:
    files = [json_packing.ImageFile(f'"{n}"\\ü', size, lambda: iter([b"x" * size])) for n in range(count)]
    stream = io.BytesIO()
    json_packing.write(stream, files)
    assert len(stream.getvalue()) == json_packing.size_bytes(files)


def test_a_folder_without_images_is_said(segdrop: Command, capsys: pytest.CaptureFixture[str]) -> None:
    write_files("photos", "notes.txt")
    assert segdrop("images-to-json", "photos", "-o", "packed.json") == Exit.DATA
    assert "input.no_images" in capsys.readouterr().err
    assert not Path("packed.json").exists()


def test_nothing_is_overwritten_unasked(segdrop: Command, capsys: pytest.CaptureFixture[str]) -> None:
    write_files("photos", "a.png")
    Path("packed.json").write_text("mine")
    assert segdrop("images-to-json", "photos", "-o", "packed.json") == Exit.USAGE
    assert "packed.json exists" in capsys.readouterr().err
    assert Path("packed.json").read_text() == "mine"
    assert segdrop("images-to-json", "photos", "-o", "packed.json", "--force") == 0
    Path("out").mkdir()
    Path("out/a.png").write_text("mine")
    assert segdrop("json-to-images", "packed.json", "-o", "out") == Exit.USAGE
    assert Path("out/a.png").read_text() == "mine"
    assert segdrop("json-to-images", "packed.json", "-o", "out", "--force") == 0
    assert files_in("out") == files_in("photos")
    assert segdrop("images-to-json", "photos/a.png", "-o", "photos/a.png", "--force") == Exit.USAGE
    assert files_in("out") == files_in("photos")


def damage(name: str) -> None:
    content = bytearray(Path(name).read_bytes())
    content[60] ^= 0xFF
    Path(name).write_bytes(content)


def lead_out(name: str) -> None:
    with zipfile.ZipFile(name, "a") as archive:
        archive.writestr("../up.png", b"x")


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (damage, "archive.corrupt"),
        (lambda name: Path(name).write_bytes(b"no ZIP"), "archive.not_a_zip"),
        (lambda name: os.truncate(name, 100), "archive.truncated"),
        (lead_out, "archive.unsafe_path"),
    ],
)
def test_a_zip_that_is_at_fault_is_told_by_its_code_and_leaves_nothing(
    segdrop: Command, capsys: pytest.CaptureFixture[str], harm: Callable[[str], None], code: str
) -> None:
    write_files("photos", "a.png", "b.png")
    zipped("photos.zip", "photos")
    harm("photos.zip")
    assert segdrop("images-to-json", "photos.zip", "-o", "packed.json") == Exit.DATA
    assert code in capsys.readouterr().err
    assert not list(Path().glob("packed*"))


# JSON to images


def test_names_are_labels_and_never_lead_out_of_the_folder(segdrop: Command) -> None:
    names = [
        *("../../evil.png", "/etc/evil.png", "C:\\temp\\evil.png", "\\\\server\\share\\evil.png", "a/../../b.png"),
        *(
            "..",
            ".",
            "",
            "/",
            "...",
            ".bashrc",
            ".ssh/keys.png",
            "con.png",
            "aux",
            "a\0b.png",
            "a\nb.png",
            "\ud800.png",
        ),
        *("x" * 3000 + ".png", "d/" * 2000 + "e.png", "\u202egnp.exe.png", "a.png ", "a?.png", None, 7),
    ]
    contents = [image_bytes(number % 30) + bytes([number]) for number in range(len(names))]
    write_json(names, [text(content) for content in contents])
    before = set(files_in("."))
    assert segdrop("json-to-images", "in.json", "-o", "deep/out") == 0
    found = files_in("deep/out")
    assert sorted(found.values()) == sorted(contents)
    assert {name for name in files_in(".") if not name.startswith("deep/out/")} == before
    for name in found:
        assert not any(part.startswith(".") or part.endswith((".", " ")) for part in name.split("/")), name
        assert name.isprintable()


def test_labels_that_would_share_a_file_are_numbered(segdrop: Command) -> None:
    names = ["a.png", "A.png", "a.png", "a_2.png", "a.png/b.png", "é.png", "e\u0301.png", "a.jpg"]
    write_json(names, [text(bytes([number])) for number in range(len(names))])
    assert segdrop("json-to-images", "in.json", "-o", "out") == 0
    found = {name: content[0] for name, content in files_in("out").items()}
    assert sorted(found.values()) == list(range(8))
    assert len({name.casefold() for name in found}) == 8
    assert (found["a_2.png"], found["a.jpg"], found["a.png/b.png"]) == (3, 7, 4)


def test_free_names_leave_names_that_are_free_as_they_are() -> None:
    assert free_names(["a/b.png", "c.png", "a.png"]) == ["a/b.png", "c.png", "a.png"]
    assert free_names(["x.png", "x.png", "x.png"]) == ["x.png", "x_2.png", "x_3.png"]


@pytest.mark.parametrize(
    ("form", "suffix"),
    [*(("PNG", ".png"), ("JPEG", ".jpg"), ("GIF", ".gif"), ("BMP", ".bmp"), ("TIFF", ".tif"), ("WEBP", ".webp"))],
)
def test_a_label_without_a_suffix_gets_that_of_its_bytes(segdrop: Command, form: str, suffix: str) -> None:
    Path("in.json").write_text(json.dumps({"images": [text(image_bytes(0, form))], "image_names": ["scan.2024"]}))
    assert segdrop("json-to-images", "in.json", "-o", "out") == 0
    assert files_in("out") == {f"scan.2024{suffix}": image_bytes(0, form)}


@pytest.mark.parametrize(
    "spelt",
    [
        lambda encoded: f"data:image/png;base64,{encoded}",
        lambda encoded: "\n".join(encoded[place : place + 76] for place in range(0, len(encoded), 76)),
        lambda encoded: encoded.replace("+", "-").replace("/", "_"),
        lambda encoded: encoded.rstrip("="),
    ],
)
def test_base64_is_read_as_programs_write_it(segdrop: Command, spelt: Callable[[str], str]) -> None:
    images = [image_bytes(seed) for seed in range(3)]
    write_json([f"{seed}.png" for seed in range(3)], [spelt(text(image)) for image in images])
    content = Path("in.json").read_text().replace("/", "\\/")  # as PHP does
    Path("in.json").write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert segdrop("json-to-images", "in.json", "-o", "out") == 0
    assert [files_in("out")[f"{seed}.png"] for seed in range(3)] == images


BROKEN = [
    "not base64!",
    "",
    "QUJD=QUJD",
    "QUJDR",
    None,
    5,
    ["QUJD"],
    {"b64": "QUJD"},
    "data:image/png,raw",
    "\u00e9\u2603",
]


def test_broken_images_are_reported_and_the_others_are_written(
    segdrop: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [text(image_bytes(0)), *BROKEN, text(image_bytes(1))]
    write_json([f"{number}.png" for number in range(len(images))], images)
    assert segdrop("json-to-images", "in.json", "-o", "out") == Exit.DATA
    printed = capsys.readouterr()
    assert f"wrote 2 of {len(images)} images into out" in printed.out
    assert "input.json_image_broken" in printed.err
    assert f"{len(BROKEN)} of {len(images)} were not written; 1.png: it is no base64" in printed.err
    assert files_in("out") == {"0.png": image_bytes(0), f"{len(images) - 1}.png": image_bytes(1)}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"image_names": ["a.png"]}',
        b'{"images": []}',
        b'{"images": "QUJD"}',
        b'{"images": ["QUJD"], "images": ["QUJD"]}',
        b'{"images": ["QUJD"',
        b'{"images": ["QUJD"]} and more',
        '{"images": ["QUJD"]}'.encode("utf-16"),
        b"\x89PNG\r\n\x1a\n",
        b'{"images": ' + b"[" * 5000,
    ],
)
def test_what_is_no_json_of_images_is_told_and_nothing_is_written(
    segdrop: Command, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    Path("in.json").write_bytes(content)
    assert segdrop("json-to-images", "in.json", "-o", "out") == Exit.DATA
    assert "input.json_broken" in capsys.readouterr().err
    assert not Path("out").exists()


def test_another_number_of_names_is_a_warning(segdrop: Command, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(["a.png"], [text(image_bytes(0)), text(image_bytes(1))])
    assert segdrop("json-to-images", "in.json", "-o", "out") == 0
    assert "2 images, and 1 names" in capsys.readouterr().err
    assert files_in("out") == {"a.png": image_bytes(0), "image_0002.png": image_bytes(1)}


def test_the_masks_of_an_answer_become_pngs_called_like_their_images(segdrop: Command, tmp_path: Path) -> None:
    setting = Setting(tmp_path / "answer", ("road", "sky"), ((0, 0, 0), (9, 9, 9)), "street", "0" * 64)
    pictures = Pictures(setting)
    output = ImageJson(setting, pictures, with_masks=True)
    predictions = [
        prediction([[0, 1], [1, number % 2]], name, number)
        for number, name in enumerate(("a.jpg", "b.png", "sub/b.png"))
    ]
    for each in predictions:
        output.write(each)
    output.finish(lambda: iter([measures.record_of(each, {}) for each in predictions]))
    assert segdrop("json-to-images", "answer/predictions.json", "-o", "out") == 0
    found = files_in("out")
    assert set(found) == {"a.png", "b.png", "sub/b.png"}
    for each, name in zip(predictions, ("a.png", "b.png", "sub/b.png"), strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(found[name]))), each.class_ids)


def test_masks_of_images_that_differ_in_their_suffix_keep_it(segdrop: Command) -> None:
    write_json(["a.jpg", "a.png"], [text(image_bytes(0)), text(image_bytes(1))], key="masks")
    assert segdrop("json-to-images", "in.json", "-o", "out") == 0
    assert files_in("out") == {"a.jpg.png": image_bytes(0), "a.png.png": image_bytes(1)}


def test_images_and_masks_of_one_json_have_folders_of_their_own(segdrop: Command) -> None:
    write_json(["a.png"], [text(image_bytes(0))], masks=[text(image_bytes(1))])
    assert segdrop("json-to-images", "in.json", "-o", "out") == 0
    assert files_in("out") == {"images/a.png": image_bytes(0), "masks/a.png": image_bytes(1)}


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_links_below_the_folder_are_never_followed_out_of_it(segdrop: Command, force: list[str]) -> None:
    write_json(["sub/a.png"], [text(image_bytes())])
    Path("elsewhere").mkdir()
    Path("out").mkdir()
    Path("out/sub").symlink_to("../elsewhere")
    assert segdrop("json-to-images", "in.json", "-o", "out", *force) == Exit.USAGE
    assert list(Path("elsewhere").iterdir()) == []
    Path("precious").write_text("mine")
    write_json(["a.png"], [text(image_bytes())])
    Path("out/a.png").symlink_to("../precious")
    assert segdrop("json-to-images", "in.json", "-o", "out", *force) == (0 if force else Exit.USAGE)
    assert Path("precious").read_text() == "mine"
    assert Path("out/a.png").is_symlink() is not bool(force)


def test_of_a_file_that_cannot_be_written_to_its_end_nothing_remains(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        json_unpacking._write(tmp_path / "a.png", "no bytes", replace=False)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


# memory


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_holds_one_piece_when_packing_and_one_image_when_unpacking(tmp_path: Path) -> None:
    size, count = 300_000, 40

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield os.urandom(size // 3)

    def pack(count: int) -> None:
        files = [json_packing.ImageFile(f"{number}.png", size, chunks) for number in range(count)]
        with (tmp_path / "in.json").open("wb") as stream:
            json_packing.write(stream, files)

    assert peak_bytes(lambda: pack(count)) < 1_000_000
    contents: list[json_unpacking.Contents] = []
    assert peak_bytes(lambda: contents.append(json_unpacking.read_contents(tmp_path / "in.json"))) < 1_000_000
    assert peak_bytes(lambda: json_unpacking.unpack(tmp_path / "in.json", contents[0], tmp_path / "out")) < 4 * size
    assert len(list((tmp_path / "out").iterdir())) == count
