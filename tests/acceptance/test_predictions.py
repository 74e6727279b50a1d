"""Predictions and evaluations through the inbox: every kind of input comes back, right to the pixel."""

import base64
import csv
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from builders import write_zip
from builders.colour_model import COLOURS, scene, write_colour_model
from builders.daemons import Root, verified_zip
from builders.exports.reading import read_back
from builders.prelabels import KINDS, ious, sent_back
from builders.videos import write_video

SIZE = (32, 64)
PREDICT = {"task": "predict", "model": "colours"}
NAMES = list(COLOURS)
#: for all of them, one after the other; reached only by what hangs
DEADLINE_SECONDS = 600.0


def png(pixels: npt.NDArray[np.uint8], suffix: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, suffix, **options)
    return stream.getvalue()


def drop(root: Root, name: str, content: bytes, request: dict[str, Any] | None = None) -> None:
    """As people copy: the request first."""
    stem, _, suffix = name.rpartition(".")
    beside = f"{stem}.request.json" if suffix == "json" else f"{stem}.json"
    if request is not None:
        (root.layout.inbox / beside).write_text(json.dumps(request))
    (root.layout.inbox / name).write_bytes(content)


@dataclass
class Answered:
    """What came back."""

    answer: dict[str, Any]
    archive: zipfile.ZipFile
    names: set[str] = field(default_factory=set)

    def read(self, name: str) -> bytes:
        return self.archive.read(name)

    def picture(self, name: str) -> npt.NDArray[np.uint8]:
        with Image.open(io.BytesIO(self.read(name))) as opened:
            return np.asarray(opened)

    def rows(self, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.read(name).decode("utf-8-sig"))))


@contextmanager
def answered(root: Root, name: str) -> Iterator[Answered]:
    answer = root.answer(name)
    assert answer["status"] == "succeeded", answer["issues"]
    with zipfile.ZipFile(verified_zip(root, answer)) as archive:
        yield Answered(answer, archive, set(archive.namelist()))


LABELS = "background\nsky\nroad\ntree\n"


def dataset(count: int = 3) -> bytes:
    """Images with their truth, one pixel of which is ignored."""
    members: dict[str, bytes] = {"labels.txt": "\n".join(NAMES[1:]).encode()}
    for number in range(count):
        pixels, ids = scene(number, SIZE)
        ids[0, 0] = 255
        members[f"images/{number}.png"], members[f"masks/{number}.png"] = png(pixels), png(ids)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """All inputs at once, and one daemon until all of them are answered."""
    folder = tmp_path_factory.mktemp("predictions")
    root = Root(folder)
    root.layout.models.mkdir(parents=True, exist_ok=True)
    write_colour_model(root.layout.models / "colours.onnx")
    scenes = [scene(number, SIZE)[0] for number in range(4)]
    drop(root, "street.png", png(scenes[0]), PREDICT)
    drop(
        root,
        "photos.zip",
        write_zip(
            folder / "photos.zip",
            {
                "a/one.png": png(scenes[0]),
                "a/two.png": png(np.dstack([scenes[1], np.full(SIZE, 128, np.uint8)])),
                "b/deep/one.bmp": png(scenes[2], "BMP"),
                "b/turned.tif": png(np.rot90(scenes[3]).copy(), "TIFF", tiffinfo={274: 6}),
                "b/broken.jpg": b"\xff\xd8\xff this is none",
                "__MACOSX/a/._one.png": b"junk",
                "notes.txt": b"taken in May",
            },
        ).read_bytes(),
        PREDICT | {"outputs": ["masks", "colour", "overlay", "confidence", "json", "originals"]},
    )
    batch = {"image_names": ["x/y.png", "bad.png", "../z.png"], "images": [png(scenes[0]), b"", png(scenes[1])]}
    batch["images"] = [base64.b64encode(each).decode() or "%%%" for each in batch["images"]]
    drop(root, "batch.json", json.dumps(batch).encode(), PREDICT)
    clip = write_video(folder / "clip.mp4", 12, size=(32, 64), audio=True)
    drop(root, "clip.mp4", clip.read_bytes(), PREDICT | {"outputs": ["video", "frames"]})
    drop(root, "measured.zip", dataset(), {"task": "evaluate", "model": "colours", "outputs": ["masks"]})
    labels = {f"{number}.png": png(scene(number, SIZE)[0]) for number in range(3)}
    prelabels = PREDICT | {"outputs": list(KINDS)}
    drop(root, "labels.zip", write_zip(folder / "labels.zip", labels).read_bytes(), prelabels)
    merged = {"class_map": {"sky": "above", "tree": "above", "road": None}}
    drop(root, "merged.png", png(scenes[0]), PREDICT | merged)
    with root.daemon(command="once", standin=False) as daemon:
        assert daemon.process.wait(DEADLINE_SECONDS) == 0
    return root


def test_an_image_comes_back_as_mask_colours_and_overlay(root: Root) -> None:
    with answered(root, "street.png") as back:
        pixels, ids = scene(0, SIZE)
        assert (back.picture("masks/street.png") == ids).all()
        assert (back.picture("colour/street.png") == colours(back)[ids]).all()
        blended = 0.5 * pixels + 0.5 * colours(back)[ids]
        inner = ids == 0
        assert abs(back.picture("overlay/street.png").astype(float) - blended)[inner].mean() < 30
        assert {"legend.json", "legend.png", "summary.csv", "review.csv", "review.html"} <= back.names
        assert back.read("labels.txt").decode() == LABELS
        answer = back.answer
        assert (answer["task"], answer["model"]["id"], answer["model"]["kind"]) == ("predict", "colours.onnx", "onnx")
        assert answer["model"]["classes"] == NAMES
        assert "metrics" not in answer
        assert answer["predictions"]["images"] == 1
        assert json.loads(back.read("metrics.json")) == answer | {"result": None}


def colours(back: Answered) -> npt.NDArray[np.uint8]:
    legend = json.loads(back.read("legend.json"))["classes"]
    return np.asarray([[int(entry["colour"][i : i + 2], 16) for i in (1, 3, 5)] for entry in legend], np.uint8)


def test_a_zip_keeps_names_and_folders_and_says_what_it_left_out(root: Root) -> None:
    with answered(root, "photos.zip") as back:
        for stem, number in (("a/one", 0), ("a/two", 1), ("b/deep/one", 2), ("b/turned", 3)):
            assert (back.picture(f"masks/{stem}.png") == scene(number, SIZE)[1]).all(), stem
        assert {name for name in back.names if name.startswith("masks/")} == {
            f"masks/{stem}.png" for stem in ("a/one", "a/two", "b/deep/one", "b/turned")
        }
        assert back.answer["predictions"]["images"] == 4
        assert back.answer["predictions"]["skipped"] == 1
        assert any(issue["files"] == ["b/broken.jpg"] for issue in back.answer["issues"]), back.answer["issues"]
        assert [row["name"] for row in back.rows("summary.csv")] == [
            "a/one.png",
            "a/two.png",
            "b/deep/one.bmp",
            "b/turned.tif",
        ]
        assert (back.picture("confidence/a/one.png") > 128).mean() > 0.9
        told = json.loads(back.read("json/a/one.json"))
        ids = scene(0, SIZE)[1]
        shares = {found["name"]: found["share"] for found in told["classes"]}
        assert shares["sky"] == pytest.approx((ids == 1).mean(), abs=1e-4)


def test_a_json_of_images_comes_back_as_a_json_of_masks(root: Root) -> None:
    with answered(root, "batch.json") as back:
        told = json.loads(back.read("predictions.json"))
        assert told["image_names"] == ["x/y.png", "../z.png"], "its own names, as labels"
        masks = [np.asarray(Image.open(io.BytesIO(base64.b64decode(mask)))) for mask in told["masks"]]
        assert [(mask == scene(number, SIZE)[1]).all() for number, mask in enumerate(masks)] == [True, True]
        assert all(".." not in name for name in back.names)
        assert back.answer["predictions"]["skipped"] == 1


def test_a_video_comes_back_with_its_frames_its_rate_and_its_sound(root: Root, tmp_path: Path) -> None:
    import av  # noqa: PLC0415  (one test needs it)

    with answered(root, "clip.mp4") as back:
        (name,) = (name for name in back.names if name.startswith("video/"))
        (tmp_path / "back.mp4").write_bytes(back.read(name))
        with av.open(str(tmp_path / "back.mp4")) as container:
            video = container.streams.video[0]
            assert (video.average_rate, len(container.streams.audio)) == (25, 1)
            frames = list(container.decode(video))
        assert len(frames) == 12
        assert len([name for name in back.names if name.startswith("frames/")]) >= 12
        assert back.answer["predictions"]["images"] == 12


@pytest.mark.parametrize("kind", KINDS)
def test_prelabels_are_what_our_own_reader_takes_for_the_masks(root: Root, tmp_path: Path, kind: str) -> None:
    masks = {f"{number}.png": scene(number, SIZE)[1].astype(np.uint16) for number in range(3)}
    with answered(root, "labels.zip") as back:
        back.archive.extractall(tmp_path)
    report, found, _ = read_back(sent_back(kind, tmp_path / kind, masks), tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    number = np.array([NAMES.index(name) for name in report.dataset.classes])
    for name, expected in masks.items():
        (ids,) = [ids for image, ids in found.items() if image.endswith(name)]
        assert min(ious(number[ids], expected).values()) >= 0.995, name


def test_in_the_foreground_it_is_the_same(root: Root, tmp_path: Path) -> None:
    """Several files, and a folder, are one job; the model may be a file anywhere."""
    pixels, ids = scene(0, SIZE)
    model = write_colour_model(tmp_path / "mine.onnx")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").write_bytes(png(pixels))
    (tmp_path / "two.png").write_bytes(png(scene(1, SIZE)[0]))
    out = tmp_path / "out"
    done = root.command("predict", model, tmp_path / "photos", tmp_path / "two.png", "-o", out, standin=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert (np.asarray(Image.open(out / "masks" / "photos" / "one.png")) == ids).all()
    assert (np.asarray(Image.open(out / "masks" / "two.png")) == scene(1, SIZE)[1]).all()
    (tmp_path / "labelled.zip").write_bytes(dataset(2))
    done = root.command("evaluate", "colours", tmp_path / "labelled.zip", standin=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "1.0000" in done.stdout


def test_an_evaluation_measures_every_labelled_pixel(root: Root) -> None:
    with answered(root, "measured.zip") as back:
        metrics = back.answer["metrics"]
        assert (metrics["mean_iou"], metrics["pixel_accuracy"], metrics["mean_dice"]) == (1.0, 1.0, 1.0)
        assert metrics["images"] == 3
        assert sum(map(sum, metrics["confusion_matrix"])) == 3 * SIZE[0] * SIZE[1] - 3, "the ignored ones left out"
        assert back.answer["dataset"]["test"] == 3
        assert (back.picture("masks/0.png") == scene(0, SIZE)[1]).all()
        assert any(issue["code"] == "model.classes_matched" for issue in back.answer["issues"])


def test_a_class_map_merges_and_leaves_out_classes_of_the_model(root: Root) -> None:
    with answered(root, "merged.png") as back:
        ids = scene(0, SIZE)[1]
        assert (back.picture("masks/merged.png") == np.asarray([0, 1, 255, 1])[ids]).all()
        assert back.answer["predictions"]["classes"] == ["background", "above"]


def test_the_inputs_are_kept_as_they_came(root: Root) -> None:
    for name in ("street.png", "photos.zip", "batch.json", "clip.mp4", "measured.zip"):
        assert root.archived(root.answer(name)).is_file()
    assert list(root.layout.inbox.iterdir()) == []
