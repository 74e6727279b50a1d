"""The parent's side of decoding: how often a child is started again, and what is concluded from its end."""

import json
import os
from pathlib import Path

import pytest

from builders import limits
from builders.daemons import BUILDERS
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.errors import DataError, DeferredError, InstallationError
from segdrop.inference import decoding
from segdrop.inference.decoding import Decoder
from segdrop.input_kinds import InputKind
from segdrop.spec import DecodeOrder


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(BUILDERS), str(BUILDERS.parents[1] / "daemon")]))


def decoder(
    folder: Path, ends: dict[str, str], kind: InputKind = InputKind.ARCHIVE, frames: int = 6, start: int = 0
) -> Decoder:
    path = folder / "script"
    path.write_text(json.dumps({"frames": frames, "ends": ends}))
    order = DecodeOrder(job=None, input_path=path, name="a", kind=kind, limits=limits(), start=start)
    return Decoder(order, folder / "decoding", folder / "log", module="scripted_decoder")


def test_slots_are_used_again_once_their_images_are_taken(tmp_path: Path) -> None:
    with decoder(tmp_path, {}, frames=20) as source:
        found = list(source)
    assert [item.image.tolist() for item in found] == [[[[index, 0, 0]]] for index in range(20)]


@pytest.mark.parametrize("end", ["kill", "nonsense"])
def test_an_image_that_ends_the_child_twice_is_left_out(tmp_path: Path, end: str) -> None:
    with decoder(tmp_path, {"2": end, "3": end}) as source:
        found = list(source)
        assert source.count == 6
    assert [item.index for item in found] == list(range(6))
    assert [item.index for item in found if isinstance(item, SkippedItem)] == [2, 3]
    assert source.issues == []


def test_a_video_ends_where_its_decoder_dies_and_that_is_told(tmp_path: Path) -> None:
    for start in (0, 2):
        with decoder(tmp_path, {"4": "kill"}, InputKind.VIDEO, start=start) as source:
            assert [item.index for item in source if isinstance(item, Item)] == list(range(start, 4))
            (issue,) = source.issues
        assert (issue.code, issue.severity) == ("input.decoder_died", "warning")
        assert "frame 4" in issue.message


def test_a_decoder_that_dies_of_everything_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_MAX_LOST_IN_A_ROW", 2)
    with decoder(tmp_path, {str(index): "kill" for index in range(6)}) as source, pytest.raises(DataError) as caught:
        list(source)
    (issue,) = caught.value.issues
    assert (issue.code, issue.severity) == ("input.decoder_died", "fault")
    assert "image 2" in issue.message


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        ({"start": "installation"}, InstallationError),
        ({"start": "kill"}, DeferredError),  # from outside, before it had begun
        ({"3": "environment"}, DeferredError),
    ],
)
def test_what_is_not_the_inputs_fault_is_not_held_against_it(
    tmp_path: Path, ends: dict[str, str], error: type[Exception]
) -> None:
    with decoder(tmp_path, ends) as source, pytest.raises(error):
        list(source)


def test_a_decoder_that_was_not_entered_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not entered"):
        decoder(tmp_path, {}).wait_until_open()
