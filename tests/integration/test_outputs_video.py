"""The overlaid video: the frames, the times and the sound of its source, whatever happens to the process."""

import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import clips
from builders.predictions import prediction, setting, written
from segdrop import child_runtime, durable, environment
from segdrop.errors import CorruptError, DeferredError
from segdrop.inference.outputs import encoder, muxing, packets, video
from segdrop.inference.outputs.measures import record_of
from segdrop.inference.outputs.muxing import MuxSpec
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.protocol import Setting
from segdrop.inference.outputs.video import OverlaidVideo
from segdrop.inference.prediction import Prediction

TESTS = Path(__file__).parents[1]


def frame(index: int, seconds: float | None, size: tuple[int, int] = (48, 64)) -> Prediction:
    """A grey frame, a little lighter than the one before, without any object in it."""
    made = prediction(index, f"frame_{index:06}", size, seconds=seconds, class_ids=np.zeros(size, np.uint16))
    made.item.image[:] = 20 * index % 256
    return made


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Muxing in this process: starting another one takes a second."""

    def run(spec_path: Path, _log_path: Path) -> int:
        spec = MuxSpec.load(spec_path)
        durable.write_json(spec.answer_path, muxing.mux(spec).to_json())
        return 0

    monkeypatch.setattr(video, "_ran", run)


def job(tmp_path: Path) -> Setting:
    return setting(tmp_path / "out", background=0)


def output(of: Setting, source: Path | None) -> OverlaidVideo:
    return OverlaidVideo(of, Pictures(of), source)


def overlaid(tmp_path: Path, source: Path | None, frames: list[Prediction]) -> tuple[Path, list[Any]]:
    of = job(tmp_path)
    _, issues = written([output(of, source)], frames)
    (made,) = (of.folder / "video").iterdir()
    return made, issues


def of_clip(source: Path) -> list[Prediction]:
    return [frame(index, seconds) for index, seconds in enumerate(clips.times(source))]


@pytest.mark.parametrize(
    ("name", "rate", "sound", "made"),
    [
        ("a.mp4", Fraction(24_000, 1001), "aac", "overlay.mp4"),
        ("a.mkv", Fraction(30_000, 1001), "aac", "overlay.mp4"),  # whose times are milliseconds
        ("a.ts", 25, "aac", "overlay.mp4"),  # which begins at 1.4 s, with another packaging of AAC
        ("a.avi", 25, "libmp3lame", "overlay.mp4"),  # whose tags of codecs are its own
        ("a.mov", 30, "pcm_s16le", "overlay.mkv"),
        ("a.webm.mkv", 50, "libopus", "overlay.mp4"),
    ],
)
@pytest.mark.usefixtures("here")
def test_frame_count_rate_and_sound_are_those_of_the_source(
    tmp_path: Path, name: str, rate: Fraction | int, sound: str, made: str
) -> None:
    source = clips.write_clip(tmp_path / name, rate=rate, sound=sound)
    path, issues = overlaid(tmp_path, source, of_clip(source))
    assert (path.name, issues) == (made, [])
    found = clips.facts(path)
    assert (found["codec"], found["sounds"]) == ("h264", 1)
    if name in {"a.mp4", "a.mkv", "a.ts"}:  # the others have a gap, or become a file that counts milliseconds
        assert found["rate"] == rate
    expected = [20 * index for index in range(12)]
    assert clips.greys(path) == pytest.approx(expected, abs=3)
    begin, *_ = shown = clips.times(source)
    assert clips.times(path) == pytest.approx([one - begin for one in shown], abs=2e-3)
    (codec, copied), (source_codec, original) = clips.sound(path), clips.sound(source)
    assert codec == source_codec
    assert b"".join(copied) == b"".join(one[7:] if name == "a.ts" else one for one in original)  # less ADTS's header


@pytest.mark.usefixtures("here")
def test_times_that_vary_are_kept(tmp_path: Path) -> None:
    given = [0.0, 0.04, 0.1, 0.3, 0.31]
    path, _ = overlaid(tmp_path, None, [frame(index, 7 + seconds) for index, seconds in enumerate(given)])
    assert clips.times(path) == pytest.approx(given, abs=1e-4)


@pytest.mark.usefixtures("here")
def test_frames_are_the_overlays_also_at_odd_sides_and_other_sizes(tmp_path: Path) -> None:
    of = setting(tmp_path / "out")
    given = [prediction(index, size=(63, 47), seconds=index / 25) for index in range(2)]
    given.append(prediction(2, size=(20, 30), seconds=0.08))
    for one in given:
        one.item.image[:] = 100
    written([output(of, None)], given)
    path = of.folder / "video/overlay.mp4"
    assert clips.facts(path)["size"] == (64, 48)
    expected = Pictures(of).overlay(given[0]).astype(float)
    with clips.av.open(str(path)) as container:
        frames = [one.to_ndarray(format="rgb24").astype(float) for one in container.decode(video=0)]
    assert np.abs(frames[0][:63, :47] - expected).mean() < 12  # colours have half the resolution
    assert np.abs(frames[0][10, 3] - expected[10, 3]).max() < 8
    assert len(frames) == 3


@pytest.mark.usefixtures("here")
def test_sound_ends_with_the_last_frame_where_that_is_long_before_the_source_ends(tmp_path: Path) -> None:
    source = clips.write_clip(tmp_path / "a.mp4", count=75)
    path, _ = overlaid(tmp_path, source, of_clip(source)[:10])
    assert clips.facts(path)["seconds"] == pytest.approx(0.4, abs=0.1)


@pytest.mark.usefixtures("here")
def test_source_without_sound_or_damaged_gives_a_video_without_and_only_the_latter_is_told(tmp_path: Path) -> None:
    source = clips.write_clip(tmp_path / "a.mp4", sound=None)
    path, issues = overlaid(tmp_path, source, of_clip(source))
    assert (clips.facts(path)["sounds"], issues) == (0, [])
    frames = of_clip(source)
    source.write_bytes(b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/passwd\n")
    path, (issue,) = overlaid(tmp_path, source, frames)
    assert issue.code == "output.no_sound"
    assert (clips.facts(path)["sounds"], len(clips.times(path))) == (0, 12)


@pytest.mark.usefixtures("here")
def test_without_an_encoder_for_h264_the_video_is_mpeg4_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "CODECS", ("no-such-encoder", "mpeg4"))
    path, (issue,) = overlaid(tmp_path, None, [frame(index, index / 25) for index in range(5)])
    assert (clips.facts(path)["codec"], issue.code) == ("mpeg4", "output.video_codec")
    assert clips.greys(path) == pytest.approx([0, 20, 40, 60, 80], abs=3)


@pytest.mark.usefixtures("here")
def test_players_can_jump_every_two_seconds(tmp_path: Path) -> None:
    of = job(tmp_path)
    made = output(of, None)
    for index in range(130):
        one = frame(index, index / 25)
        one.item.image[:] = 90  # a cut is a key frame, too
        made.write(one)
    keys = [one.index for one in packets.all_packets(of.scratch / "video") if one.is_key]
    assert keys == [0, 50, 100]


def records(frames: list[Prediction]) -> Any:
    return lambda: (record_of(one, {}) for one in frames)


def test_finishing_again_gives_the_same_video_by_a_child_of_its_own(tmp_path: Path) -> None:
    source = clips.write_clip(tmp_path / "a.mp4")
    of, frames = job(tmp_path), of_clip(source)
    made = output(of, source)
    for one in frames:
        made.write(one)
    assert made.finish(records(frames)) == []
    first = (of.folder / "video/overlay.mp4").read_bytes()
    assert output(of, source).finish(records(frames)) == []
    assert [(path.name, path.read_bytes()) for path in (of.folder / "video").iterdir()] == [("overlay.mp4", first)]


def test_child_that_dies_of_the_source_costs_the_sound_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = video._ran

    def dying(spec_path: Path, log_path: Path) -> int:
        if MuxSpec.load(spec_path).source is not None:
            log_path.write_text("Segmentation fault\n")
            return -signal.SIGSEGV
        return run(spec_path, log_path)

    monkeypatch.setattr(video, "_ran", dying)
    path, (issue,) = overlaid(tmp_path, tmp_path / "a.mp4", [frame(index, index / 25) for index in range(3)])
    assert issue.code == "output.no_sound"
    assert "Segmentation fault" in issue.message
    assert len(clips.times(path)) == 3


def test_full_disk_in_the_child_is_the_environments_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(spec_path: Path, _log_path: Path) -> int:
        fault = environment.Fault.of(OSError(28, "No space left on device"))
        answer = child_runtime.ErrorAnswer(fault=fault).model_dump(mode="json")
        durable.write_json(MuxSpec.load(spec_path).error_path, answer)
        return 74

    monkeypatch.setattr(video, "_ran", full)
    with pytest.raises(DeferredError, match="No space left"):
        overlaid(tmp_path, None, [frame(0, 0.0)])


def test_frames_that_are_lost_are_not_passed_over(tmp_path: Path) -> None:
    of, frames = job(tmp_path), [frame(index, index / 25) for index in range(3)]
    made = output(of, None)
    for one in frames[:2]:
        made.write(one)
    with pytest.raises(CorruptError, match="2 of 3 frames"):
        made.finish(records(frames))


def test_input_without_any_frame_gives_no_video(tmp_path: Path) -> None:
    of = job(tmp_path)
    assert output(of, None).finish(lambda: iter(())) == []
    assert not (of.folder / "video").exists()


def test_without_the_package_the_first_frame_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match="av"):
        output(job(tmp_path), None).write(frame(0, 0.0))


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_outputs_video import frame, job, output
made = output(job(Path(sys.argv[2])), None)
for index in range(int(sys.argv[3]), 12):
    made.write(frame(index, index / 25))
    print(index, flush=True)
    sys.stdin.readline()
"""


def until_killed(tmp_path: Path, start: int, last: int) -> None:
    """Runs a process that writes frames from ``start`` on, and kills it after it has written ``last``."""
    environ = os.environ | {"PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent / 'daemon'}"}
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(tmp_path), str(start)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        for line in process.stdout:
            if int(line) == last:
                process.kill()
                break
            process.stdin.write("\n")
            process.stdin.flush()
        process.stdout.read()


@pytest.mark.usefixtures("here")
def test_killed_in_the_middle_it_becomes_one_whole_video_with_no_frame_twice(tmp_path: Path) -> None:
    """Killed after frame 4; whoever goes on does not know of the last two frames, as their records were not written."""
    until_killed(tmp_path, 0, 4)
    with (tmp_path / "out.scratch/video/000000.packets").open("ab") as stream:
        stream.write(b"\5\0\0\0\0\0")  # and in the middle of another one
    of = job(tmp_path)
    made = output(of, None)
    for index in range(3, 12):
        made.write(frame(index, index / 25))
    assert made.finish(records([frame(index, None) for index in range(12)])) == []
    path = of.folder / "video/overlay.mp4"
    assert clips.greys(path) == pytest.approx([20 * index for index in range(12)], abs=3)
    assert clips.times(path) == pytest.approx([index / 25 for index in range(12)], abs=1e-4)
    assert clips.facts(path)["rate"] == 25
