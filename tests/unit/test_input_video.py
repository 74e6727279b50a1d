"""Frames of a video: in order, upright, with their times; damage costs frames, and a container is held to its word."""

import itertools
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from builders import limits
from segdrop.dataset.report import InputSurvey
from segdrop.dataset.unlabelled import video
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.dataset.unlabelled.survey import survey
from segdrop.dataset.unlabelled.video import Video
from segdrop.errors import DataError
from segdrop.input_kinds import InputKind

av = pytest.importorskip("av")
from builders.videos import picture, write_sound, write_video  # noqa: E402  (they need PyAV)


def frames(path: Path, start: int = 0, **caps: int) -> tuple[list[Item | SkippedItem], list[str]]:
    with Video(path, path.name, limits(**caps)) as source:
        found = list(source.items(start))
        return found, [issue.code for issue in source.issues()]


def surveyed(path: Path, **caps: int) -> InputSurvey:
    return survey(path, path.name, InputKind.VIDEO, limits(**caps))


def numbers(found: list[Item | SkippedItem]) -> list[int]:
    """The numbers that the frames know of themselves."""
    return [round((float(item.image[-8:, -8:].mean()) - 40) / 9) for item in found if isinstance(item, Item)]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "m4v", "mkv", "webm", "avi", "mpg", "ts", "flv", "wmv"])
def test_all_frames_come_in_order_from_every_container(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"a.{suffix}")
    before = path.read_bytes()
    found, issues = frames(path)
    assert [(item.index, item.name, item.stem) for item in found] == [
        (index, f"frame_{index:06}", f"frame_{index:06}") for index in range(8)
    ]
    assert numbers(found) == list(range(8))
    assert not issues
    assert np.abs(found[3].image.astype(int) - picture(3)).mean() < 12
    times = [item.seconds for item in found]
    assert [round(b - a, 2) for a, b in itertools.pairwise(times)] == [0.04] * 7
    assert path.read_bytes() == before


def test_a_survey_tells_what_the_container_promises(tmp_path: Path) -> None:
    found = surveyed(write_video(tmp_path / "a.mp4", audio=True, turned=90))
    assert (found.count, found.is_promise, found.width, found.height) == (8, True, 48, 64)
    assert (found.fps, found.duration_seconds, found.has_audio, found.codec) == (25.0, 0.32, True, "h264")
    assert found.decoded_bytes == 8 * 48 * 64 * 3
    likely = surveyed(write_video(tmp_path / "a.mkv"))
    assert (likely.count, likely.is_promise, likely.has_audio) == (8, False, False)


@pytest.mark.parametrize(("degrees", "corner"), [(0, (0, 0)), (90, (1, 0)), (180, (1, 1)), (-90, (0, 1))])
def test_rotation_in_the_metadata_is_applied(tmp_path: Path, degrees: int, corner: tuple[int, int]) -> None:
    (first, *_), _ = frames(write_video(tmp_path / "a.mp4", 2, turned=degrees))
    image = first.image.astype(int)
    assert image.shape[:2] == ((48, 64) if degrees in (0, 180) else (64, 48))
    bottom, right = corner
    red = image[-6:, :] if bottom else image[:6, :]
    red = red[:, -6:] if right else red[:, :6]
    assert (red[..., 0] - red[..., 2]).mean() > 150


@pytest.mark.parametrize("turns", range(4))
def test_rotation_as_earlier_containers_say_it_is_clockwise(turns: int) -> None:
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    matrix = struct.pack("=9i", *video._TURNED_CLOCKWISE[turns], 0, 0, 0, 0)
    assert np.array_equal(video.displayed(pixels, matrix), np.rot90(pixels, -turns))


def test_a_mirrored_video_is_mirrored_back() -> None:
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    mirrored = struct.pack("=9i", -65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    assert np.array_equal(video.displayed(pixels, mirrored), pixels[:, ::-1])


def test_variable_frame_rates_keep_their_times(tmp_path: Path) -> None:
    found, _ = frames(write_video(tmp_path / "a.mp4", 5, times=[0, 1, 5, 6, 20]))
    assert [round(item.seconds * 25) for item in found] == [0, 1, 5, 6, 20]


def test_reading_goes_on_at_any_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    whole, _ = frames(path)
    rest, issues = frames(path, 5)
    assert [item.index for item in rest] == [5, 6, 7]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(rest, whole[5:], strict=True))
    assert not issues


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_video_that_was_cut_off_gives_what_it_has(tmp_path: Path, suffix: str) -> None:
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    path = write_video(tmp_path / f"a.{suffix}", 20, times=list(range(0, 500, 25)), options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    found, issues = frames(path)
    given = numbers(found)
    assert given == list(range(len(given)))
    assert 1 < len(given) < 20
    # MPEG-TS has no index: its end is wherever it ends
    assert issues == ([] if suffix == "ts" else ["input.video_incomplete"])


def test_damage_in_the_middle_costs_frames_and_not_the_numbers_of_others(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 12)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for start, size in places[4:6]:  # frame 4 is a key frame
        content[start + size // 2 : start + size] = np.random.default_rng(0).bytes(size - size // 2)
    path.write_bytes(content)
    found, _ = frames(path)
    skipped = [item for item in found if isinstance(item, SkippedItem)]
    assert [(item.index, item.issue.code) for item in skipped] == [
        (4, "input.frame_damaged"),
        (5, "input.frame_damaged"),
    ]
    assert [item.index for item in found] == list(range(12))
    assert numbers(found) == [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]


def test_more_frames_than_promised_are_left_out_and_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi")
    content = path.read_bytes()
    place = content.find(b"strh") + 40  # dwLength of the stream's header
    assert int.from_bytes(content[place : place + 4], "little") == 8
    path.write_bytes(content[:place] + (5).to_bytes(4, "little") + content[place + 4 :])
    found, issues = frames(path)
    assert len(found) == surveyed(path).count == 5
    assert issues == ["input.video_more_than_promised"]


def test_larger_frames_than_promised_are_left_out_and_told(tmp_path: Path) -> None:
    small, large = write_video(tmp_path / "a.h264", 4), write_video(tmp_path / "b.h264", 4, size=(96, 128))
    small.write_bytes(small.read_bytes() + large.read_bytes())
    found, issues = frames(small)
    assert [item.image.shape for item in found if isinstance(item, Item)] == [(48, 64, 3)] * 4
    assert issues == ["input.video_more_than_promised"]


def test_a_container_that_promises_nothing_is_held_to_the_limit(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv")
    found, issues = frames(path, max_video_frames=5)
    assert (len(found), issues) == (5, ["input.video_too_long"])
    assert frames(path, max_video_frames=8)[1] == []


@pytest.mark.parametrize(
    ("caps", "code"),
    [({"max_video_frames": 7}, "input.video_too_long"), ({"max_video_pixels": 3071}, "input.video_too_large")],
)
def test_a_video_beyond_the_limits_is_refused_before_the_first_frame(
    tmp_path: Path, caps: dict[str, int], code: str
) -> None:
    path = write_video(tmp_path / "a.mp4")
    assert [(issue.code, issue.severity) for issue in surveyed(path, **caps).issues] == [(code, "fault")]


def test_sound_alone_has_no_frames(tmp_path: Path) -> None:
    assert [issue.code for issue in surveyed(write_sound(tmp_path / "a.mp4")).issues] == ["input.video_no_frames"]


def test_a_video_whose_frames_are_all_damaged_has_none(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", 3)
    content = bytearray(path.read_bytes())
    start = content.find(b"movi")
    for place in range(start, len(content)):
        if content[place : place + 4] == b"00dc":
            size = int.from_bytes(content[place + 4 : place + 8], "little")
            content[place + 8 : place + 8 + size] = b"\xff" * size
    path.write_bytes(content)
    assert [issue.code for issue in surveyed(path).issues] == ["input.video_no_frames"]


@pytest.mark.parametrize("content", [b"", b"no video", b"\0\0\0\x18ftypisom" + b"\0" * 99, b"\x1a\x45\xdf\xa3" * 9])
def test_what_is_no_video_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert [issue.code for issue in surveyed(path).issues] == ["input.video_unreadable"]


def test_a_playlist_cannot_name_other_files(tmp_path: Path) -> None:
    secret = write_video(tmp_path / "secret.ts")
    for content in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret}\n",
    ):
        for name in ("a.mp4", "a.m3u8"):
            path = tmp_path / name
            path.write_text(content)
            assert [issue.code for issue in surveyed(path).issues] == ["input.video_unreadable"]


def test_without_pyav_a_video_is_refused_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    (issue,) = surveyed(path).issues
    assert (issue.code, issue.severity) == ("input.extra_missing", "fault")
    assert "pip install 'segdrop[video]'" in issue.message
    with pytest.raises(DataError, match="extra_missing"):
        Video(path, "a.mp4", limits())
