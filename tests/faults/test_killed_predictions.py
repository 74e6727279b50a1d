"""A prediction that is killed goes on at the image after the last one that it told of: one result, and a whole one."""

import io
import json
import os
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders.colour_model import scene, write_colour_model
from builders.daemons import Daemon, Root, is_alive, verified_zip, wait_until
from builders.videos import write_video

pytestmark = pytest.mark.faults

IMAGES = 200
FRAMES = 400
SIZE = (64, 96)
KILLED_AT = (30, 90)  #: images in the journal


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = Root(tmp_path)
    root.layout.models.mkdir(parents=True)
    write_colour_model(root.layout.models / "colours.onnx")
    return root


def journal_lines(root: Root) -> int:
    found = list(root.layout.work.glob("*/predicted.jsonl"))
    return found[0].read_bytes().count(b"\n") if found else 0


def kill_at(root: Root, daemon: Daemon, count: int, *, with_daemon: bool) -> None:
    """Kills the child that predicts once so many images are done; the daemon first, if that is to die as well."""
    pid = wait_until(lambda: [event["pid"] for event in daemon.events("job.started")], "the start")[-1]
    wait_until(lambda: journal_lines(root) >= count, f"{count} images")
    if with_daemon:
        daemon.kill()
    else:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "the child's death")
    assert journal_lines(root) < IMAGES, "it was done before it was killed"


def drop(root: Root, source: Path, **request: object) -> None:
    (root.layout.inbox / f"{source.stem}.json").write_text(
        json.dumps({"task": "predict", "model": "colours"} | request)
    )
    (root.layout.inbox / source.name).write_bytes(source.read_bytes())


def test_two_hundred_images_come_back_once_each_although_child_and_daemon_are_killed(root: Root) -> None:
    source = root.folder / "many.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for number in range(IMAGES):
            stream = io.BytesIO()
            Image.fromarray(scene(number, SIZE)[0]).save(stream, "PNG")
            archive.writestr(f"{number % 7}/{number:03}.png", stream.getvalue())
    drop(root, source, outputs=["masks", "overlay", "confidence"])
    with root.daemon(standin=False) as daemon:
        kill_at(root, daemon, KILLED_AT[0], with_daemon=False)
        wait_until(lambda: len(daemon.events("job.started")) == 2, "another attempt")
        kill_at(root, daemon, KILLED_AT[1], with_daemon=True)
    with root.daemon(standin=False):
        answer = root.answer("many.zip")
        assert (answer["status"], answer["attempts"]) == ("succeeded", 3)
        assert (answer["predictions"]["images"], answer["predictions"]["skipped"]) == (IMAGES, 0)
        with zipfile.ZipFile(verified_zip(root, answer)) as archive:
            assert archive.testzip() is None
            assert len(archive.namelist()) == len(set(archive.namelist()))
            for number in range(IMAGES):
                with Image.open(io.BytesIO(archive.read(f"masks/{number % 7}/{number:03}.png"))) as mask:
                    assert (np.asarray(mask) == scene(number, SIZE)[1]).all(), number
            rows = archive.read("summary.csv").decode("utf-8-sig").splitlines()
        assert len(rows) == len(set(rows)) == IMAGES + 1, "each image once"


def test_a_video_comes_back_with_each_frame_once_although_it_is_killed_in_the_middle(root: Root) -> None:
    import av  # noqa: PLC0415  (one test needs it)

    source = write_video(root.folder / "clip.mp4", FRAMES, size=SIZE, audio=True)
    drop(root, source)
    with root.daemon(standin=False) as daemon:
        kill_at(root, daemon, KILLED_AT[1], with_daemon=False)
        answer = root.answer("clip.mp4")
    assert (answer["status"], answer["attempts"]) == ("succeeded", 2)
    assert answer["predictions"]["images"] == FRAMES
    with zipfile.ZipFile(verified_zip(root, answer)) as archive:
        (name,) = (name for name in archive.namelist() if name.startswith("video/"))
        (root.folder / "back.mp4").write_bytes(archive.read(name))
    with av.open(str(root.folder / "back.mp4")) as container:
        times = [frame.time for frame in container.decode(container.streams.video[0])]
    assert len(times) == FRAMES
    assert np.diff(times) == pytest.approx(np.full(FRAMES - 1, 1 / 25), abs=1e-3)
