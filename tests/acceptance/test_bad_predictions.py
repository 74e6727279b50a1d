"""What cannot be predicted gets a code and a fix, whatever is wrong with it; and nothing of it is run."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders.colour_model import write_colour_model
from builders.daemons import Root
from builders.predicting_models import Evil
from builders.videos import write_sound

PREDICT = {"task": "predict", "model": "colours"}
#: for all of them, one after the other; reached only by what hangs
DEADLINE_SECONDS = 600.0


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def packed(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return stream.getvalue()


def unmatched() -> bytes:
    """A dataset with a class that the model does not know."""
    mask = io.BytesIO()
    Image.fromarray(np.asarray([[0, 1], [1, 0]], np.uint8).repeat(16, 0).repeat(16, 1)).save(mask, "PNG")
    return packed(images__a_dot_png=png(), masks__a_dot_png=mask.getvalue(), labels_dot_txt=b"elephant\n")


#: by the input's name: its content, its request, and the code that answers it
BAD: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "no images.zip": (packed(notes_dot_txt=b"none"), PREDICT, "input.no_images"),
    "none readable.zip": (packed(a_dot_jpg=b"\xff\xd8\xff", b_dot_png=b"x"), PREDICT, "input.none_readable"),
    "unknown model.png": (png(), PREDICT | {"model": "colors"}, "model.not_found"),
    "keys of another task.png": (png(), PREDICT | {"level": 2}, "request.unknown_key"),
    "no model.png": (png(), {"task": "predict"}, "model.not_named"),
    "unsafe model.png": (png(), PREDICT | {"model": "evil"}, "model.unsafe"),
    "video output of an image.png": (png(), PREDICT | {"outputs": ["video"]}, "output.needs_video"),
    "unmatched classes.zip": (unmatched(), {"task": "evaluate", "model": "colours"}, "model.classes_unmatched"),
    "no such job.png": (png(), PREDICT | {"model": "demo-20261122T060645Z-e97f"}, "model.not_found"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    root = Root(tmp_path_factory.mktemp("bad"))
    root.layout.models.mkdir(parents=True)
    write_colour_model(root.layout.models / "colours.onnx")
    import torch  # noqa: PLC0415  (this one file is written by it)

    torch.save({"format": "segdrop-model", "weights": Evil(root.folder / "executed")}, root.layout.models / "evil.pth")
    sound = write_sound(root.folder / "sound.mp4").read_bytes()
    for name, (content, request, _) in (BAD | {"no frames.mp4": (sound, PREDICT, "")}).items():
        (root.layout.inbox / f"{Path(name).stem}.json").write_text(json.dumps(request))
        (root.layout.inbox / name).write_bytes(content)
    with root.daemon(command="once", standin=False) as daemon:
        assert daemon.process.wait(DEADLINE_SECONDS) == 1, "jobs were rejected"
    return root


@pytest.mark.parametrize("name", BAD)
def test_bad_request_or_input_gets_its_code_and_what_to_do(root: Root, name: str) -> None:
    answer = root.answer(name)
    assert answer["status"] == "rejected"
    issues = {issue["code"]: issue for issue in answer["issues"] if issue["severity"] == "fault"}
    assert BAD[name][2] in issues, answer["issues"]
    assert all(issue["fix"] for issue in issues.values())
    assert root.archived(answer).read_bytes() == BAD[name][0], "it is kept as it came"


def test_a_video_without_a_frame_is_answered(root: Root) -> None:
    answer = root.answer("no frames.mp4")
    assert answer["status"] == "rejected"
    assert {issue["code"] for issue in answer["issues"]} == {"input.video_no_frames"}


def test_the_nearest_model_is_named(root: Root) -> None:
    (issue,) = root.answer("unknown model.png")["issues"]
    assert "colours" in issue["message"]


def test_nothing_of_a_model_was_executed(root: Root) -> None:
    assert root.answer("unsafe model.png")["status"] == "rejected"
    assert not (root.folder / "executed").exists()
