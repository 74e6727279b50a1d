"""The decoding of an input in a child of its own: nothing is lost on the way, and a crash costs one image at most."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from builders import encoded, limits, members, write_dataset, write_zip
from builders.daemons import BUILDERS
from segdrop.child_runtime import StopFlag
from segdrop.dataset import convert
from segdrop.dataset.unlabelled import messages
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.dataset.unlabelled.sources import open_source
from segdrop.errors import CorruptError, DataError, StoppedError
from segdrop.inference.decoding import Decoder
from segdrop.input_kinds import InputKind
from segdrop.spec import ConvertSpec, DecodeOrder, DecodeSpec

PICTURES = [
    np.random.default_rng(number).integers(0, 256, (20, 30 + number, 3)).astype(np.uint8) for number in range(6)
]


def order(path: Path, kind: InputKind = InputKind.ARCHIVE, start: int = 0, **caps: int) -> DecodeOrder:
    return DecodeOrder(job=None, input_path=path, name=path.name, kind=kind, limits=limits(**caps), start=start)


def images(path: Path, marks: dict[int, bytes] | None = None) -> Path:
    content = {
        f"{number}.png": encoded(pixels) + (marks or {}).get(number, b"") for number, pixels in enumerate(PICTURES)
    }
    return write_zip(path, content)


def decoder(told: DecodeOrder, module: str = "segdrop.dataset", item_seconds: float = 60.0) -> Decoder:
    folder = told.input_path.parent
    return Decoder(told, folder / "decoding", folder / "log", module=module, item_seconds=item_seconds)


@pytest.fixture
def _fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(BUILDERS), str(BUILDERS.parents[1] / "daemon")]))


def assert_whole(found: list[Item | SkippedItem], without: tuple[int, ...] = ()) -> None:
    """Every image is there once, in order, with its own pixels."""
    assert [item.index for item in found] == list(range(len(PICTURES)))
    assert [item.index for item in found if isinstance(item, SkippedItem)] == list(without)
    for item, pixels in zip(found, PICTURES, strict=True):
        assert isinstance(item, SkippedItem) or np.array_equal(item.image, pixels)


def test_all_images_arrive_whole_and_belong_to_their_receiver(tmp_path: Path) -> None:
    path = images(tmp_path / "a.zip")
    with decoder(order(path)) as source:
        source.wait_until_open()
        assert source.count == len(PICTURES)
        assert_whole(list(source))  # the first ones are still what they were when the slots were filled anew
        assert source.issues == []
    assert not (tmp_path / "log").read_text()
    with open_source(path, "a.zip", InputKind.ARCHIVE, limits()) as source:
        assert_whole(list(source.items()))


@pytest.mark.usefixtures("_fragile")
def test_an_image_that_crashes_the_decoder_costs_itself_alone(tmp_path: Path) -> None:
    path = images(tmp_path / "a.zip", {1: b"!crash"})
    with decoder(order(path), "fragile_decoder") as source:
        found = list(source)
    assert_whole(found, without=(1,))
    assert (found[1].issue.code, found[1].issue.severity) == ("input.decoder_died", "warning")
    assert "SIGSEGV" in found[1].issue.message


@pytest.mark.usefixtures("_fragile")
def test_an_image_that_hangs_the_decoder_is_left_out_in_time(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.png": encoded(PICTURES[0]) + b"!hang", "b.png": encoded(PICTURES[1])})
    with decoder(order(path), "fragile_decoder", item_seconds=3.0) as source:
        found = list(source)
    assert [type(item) for item in found] == [SkippedItem, Item]
    assert "3 s" in found[0].issue.message


def test_a_kill_from_outside_costs_nothing(tmp_path: Path) -> None:
    with decoder(order(images(tmp_path / "a.zip"), start=1)) as source:
        found = []
        for item in source:
            found.append(item)
            if item.index == 2:
                os.kill(source.pid, signal.SIGKILL)
    assert [item.index for item in found] == [1, 2, 3, 4, 5]
    assert all(np.array_equal(item.image, PICTURES[item.index]) for item in found)


def test_what_is_wrong_is_told_by_whose_fault_it_is(tmp_path: Path) -> None:
    broken = tmp_path / "a.json"
    broken.write_bytes(b'{"images": 3}')
    with decoder(order(broken, InputKind.JSON)) as source, pytest.raises(DataError, match=r"input\.json_broken"):
        list(source)
    with decoder(order(tmp_path / "gone.zip")) as source, pytest.raises(CorruptError, match=r"gone\.zip"):
        list(source)
    with decoder(order(images(tmp_path / "b.zip"))) as source, pytest.raises(StoppedError):
        _stop_at_the_first(source)


def _stop_at_the_first(source: Decoder) -> None:
    for _ in source:
        os.kill(source.pid, signal.SIGTERM)


def peaks(told: DecodeOrder, places: tuple[int, int]) -> list[int]:
    """The child's peak memory in KiB, when images at these places were taken."""
    found = []
    with decoder(told) as source:
        for item in source:
            assert isinstance(item, Item)
            if item.index in places:
                status = Path(f"/proc/{source.pid}/status").read_text().split()
                found.append(int(status[status.index("VmHWM:") + 1]))
    return found


def test_memory_of_the_child_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    picture = encoded(np.random.default_rng(0).integers(0, 256, (400, 600, 3)).astype(np.uint8))
    path = write_zip(tmp_path / "a.zip", {f"{number}.png": picture for number in range(30)})
    early, late = peaks(order(path), (5, 26))
    assert late - early < 1_500  # two pictures


def test_memory_of_the_child_does_not_grow_with_the_length_of_a_video(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from builders.videos import write_video  # noqa: PLC0415  (it needs PyAV)

    path = write_video(tmp_path / "a.mp4", 300, size=(120, 160))
    early, late = peaks(order(path, InputKind.VIDEO), (50, 296))
    assert late - early < 3_000  # the frames between take 14 000


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    path = images(tmp_path / "a.zip")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from segdrop.inference.decoding import Decoder; from segdrop.spec import DecodeOrder\n"
        "folder = Path(sys.argv[1])\n"
        "told = DecodeOrder.model_validate_json((folder / 'order').read_bytes())\n"
        "with Decoder(told, folder / 'decoding', folder / 'log') as source:\n"
        "    source.wait_until_open(); print(source.pid, flush=True); time.sleep(3600)\n"
    )
    (tmp_path / "order").write_text(order(path).model_dump_json())
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 30
    while _is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_child_runs_by_hand_with_files_as_memory(tmp_path: Path) -> None:
    path = images(tmp_path / "a.zip")
    slots = [tmp_path / f"slot{number}" for number in range(len(PICTURES))]
    for slot in slots:
        slot.touch()
    told = order(path).model_dump() | {"memory_paths": slots, "error_path": tmp_path / "error.json"}
    (tmp_path / "spec.json").write_text(DecodeSpec.model_validate(told).model_dump_json())
    command = [sys.executable, "-m", "segdrop.dataset", "decode", str(tmp_path / "spec.json")]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120)
    told = [messages.read(line) for line in result.stdout.splitlines()]
    assert [json.loads(line)["message"] for line in result.stdout.splitlines()] == [
        "opened",
        *["begun", "decoded"] * len(PICTURES),
        "ended",
    ]
    decoded = [message for message in told if isinstance(message, messages.Decoded)]
    for message, pixels in zip(decoded, PICTURES, strict=True):
        content = np.fromfile(slots[message.slot], np.uint8)
        assert np.array_equal(content.reshape(message.height, message.width, 3), pixels)


def test_pairs_of_an_evaluation_come_with_their_truth(tmp_path: Path) -> None:
    written = members(layout="with_test")
    path = write_dataset(tmp_path / "data.zip", layout="with_test")
    pairs = tmp_path / "pairs.zip"
    told = {"job": None, "archive": path, "name": path.name, "sidecar": None, "sidecar_name": None, "defaults": {}}
    told |= {"models_dir": tmp_path, "limits": limits(), "cache_dir": None, "report_path": tmp_path / "report.json"}
    told |= {"progress_path": None, "error_path": tmp_path / "error.json", "lock_path": None}
    convert.convert(ConvertSpec.model_validate(told | {"output_path": pairs, "skip_bad": False}), StopFlag())
    with decoder(order(pairs, InputKind.PAIRS)) as source:
        found = list(source)
    assert len(found) == source.count == 6
    for item in found:
        assert item.truth.shape == item.image.shape[:2]
        assert set(np.unique(item.truth)) == {0, 1, 2}
        assert item.name.count("/") == 1  # the side of the split, without images/
    first = next(item for item in found if item.name.endswith("scene_000.png"))
    assert first.stem == first.name.removesuffix(".png")
    original = next(content for name, content in written.items() if "images/" in name and "scene_000" in name)
    (tmp_path / "one.png").write_bytes(original)
    with open_source(tmp_path / "one.png", "one.png", InputKind.IMAGE, limits()) as source:
        assert np.array_equal(next(iter(source.items())).image, first.image)
