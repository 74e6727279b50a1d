"""Images through the whole daemon: what is rejected is answered and kept, what is no input of ours is left alone."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from builders.daemons import Root, wait_until

LABELME = {"version": "5.4.1", "flags": {}, "shapes": [], "imagePath": "photo.jpg", "imageData": "A" * 70_000}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "run")


def photograph() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 10)).save(stream, "JPEG")
    return stream.getvalue()


def ignored(root: Root) -> dict[str, str]:
    return {entry["name"]: entry["reason"] for entry in root.status()["ignored"]}


def codes(answer: dict[str, Any]) -> list[str]:
    return [issue["code"] for issue in answer["issues"]]


def test_a_photo_is_rejected_kept_and_tried_again_and_an_unpacked_dataset_stays_whole(root: Root) -> None:
    inbox, photo = root.layout.inbox, photograph()
    for number in range(50):
        (inbox / f"{number}.jpg").write_bytes(photo)
        (inbox / f"{number}.json").write_text(json.dumps(LABELME))
    (inbox / "alone.jpg").write_bytes(photo)
    (inbox / "Street.json").write_text(json.dumps({"task": "predict", "model": "m", "levl": 2}))
    (inbox / "street.JPG").write_bytes(photo)
    with root.daemon() as daemon:
        answer = root.answer("street.JPG")
        kept = root.archived(answer)
        assert (answer["status"], codes(answer)) == ("rejected", ["request.unknown_key"])
        assert answer["job"].startswith("street-")
        assert kept.read_bytes() == photo
        assert {"street.JPG", "Street.json", "error.json"} <= {path.name for path in kept.parent.iterdir()}
        assert json.loads((kept.parent / "error.json").read_bytes())["job"] == answer["job"]
        (inbox / f"{answer['job']}.retry").touch()
        again = wait_until(lambda: retried(root, answer["job"]), "it was tried again")
        assert (again["input"]["name"], codes(again)) == ("street.JPG", ["request.unknown_key"])
        assert daemon.events("file.ignored") == [], "no flood"
        assert "LabelMe" in ignored(root)["7.jpg"]
        assert "put NAME.json" in ignored(root)["alone.jpg"]
    assert len(list(inbox.iterdir())) == 101


def retried(root: Root, job: str) -> dict[str, Any] | None:
    answers = [json.loads(path.read_bytes()) for path in root.layout.outbox.glob("street-*.json")]
    return next((answer for answer in answers if answer.get("retry_of") == job), None)
