"""The frames of a video, by PyAV (the libraries of FFmpeg), which is imported when the first video is met.

Only containers that hold one file are opened, from bytes that we read ourselves: a playlist that is called ``.mp4``
could name other files of this machine, or addresses in the network. Sources: FFmpeg, "Formats" (``format_whitelist``)
and "Codecs" (``max_pixels``); libavutil, display.h.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from segdrop import regular_files
from segdrop.codes import Code, Severity
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.dataset.unlabelled.source import Begin, untold
from segdrop.dataset.unlabelled.stems import readable
from segdrop.errors import DataError, Issue
from segdrop.spec import Limits

MISSING = "it is a video, and what reads those is not installed: `pip install 'segdrop[video]'` on this machine"
#: FFmpeg's names of the containers that are opened
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo,mpegts,asf,flv,ogg,m4v,h264,hevc"
#: the sound may last so much longer than the pictures
_SURPLUS_SECONDS, _SURPLUS_SHARE = 2.0, 0.1
_MATRIX = struct.Struct("=9i")
#: the beginnings of display matrices, by the number of right angles
_TURNED_CLOCKWISE = ((1, 0, 0, 0, 1), (0, 1, 0, -1, 0), (-1, 0, 0, 0, -1), (0, -1, 0, 1, 0))


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a container says of its video, and its first frame of how it is displayed."""

    width: int  #: as displayed
    height: int
    frames: int | None  #: as promised, or as duration and rate make likely; None where neither is known
    is_promise: bool  #: whether the container itself counts its frames
    fps: float | None  #: frames a second, on average
    duration_seconds: float | None
    has_audio: bool
    codec: str


class Video:
    """The frames of a video, in order; a :class:`~segdrop.dataset.unlabelled.source.Source`.

    Frames are called ``frame_000000`` and so on, as CVAT does. A part that cannot be decoded counts as a frame, so that
    the numbers of the others stay what they are.
    """

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        """Opens the video. Raises DataError where it cannot be read or is larger than allowed, and OSError."""
        self._name, self._limits = readable(name), limits
        self._issues: list[Issue] = []
        self._matrix = b""
        self._av = _library(self._name)
        self._file = regular_files.open_binary(path)
        try:
            self._open()
            self.facts = self._read_facts()
        except BaseException:
            self._file.close()
            raise

    @property
    def count(self) -> int | None:
        """Number of frames, where the container counts them."""
        return self.facts.frames if self.facts.is_promise else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._container.close()
        self._file.close()

    def issues(self) -> list[Issue]:
        """Returns why the video was not read to the end that it promises, where that is so."""
        return list(self._issues)

    def _open(self) -> None:
        """Opens the container at its beginning, and takes its first stream of pictures."""
        self._file.seek(0)
        try:
            self._container: Any = self._av.open(
                self._file, options={"format_whitelist": CONTAINERS, "max_pixels": str(self._limits.max_video_pixels)}
            )
        except self._av.error.FFmpegError as error:
            raise self._fault(Code.INPUT_VIDEO_UNREADABLE, f"it cannot be opened ({_reason(error)})") from error
        streams = [stream for stream in self._container.streams.video if not _is_cover(stream)]
        if not streams:
            self._container.close()
            raise self._fault(Code.INPUT_VIDEO_NO_FRAMES, "it has no stream of pictures")
        self._stream: Any = streams[0]
        self._stream.codec_context.thread_count = 1  # the other processors are for the model
        self._stream.codec_context.options = {"max_pixels": str(self._limits.max_video_pixels)}

    def _read_facts(self) -> VideoFacts:
        """Returns the facts, having decoded the first frame; the container is at its beginning again then."""
        stream = self._stream
        if stream.width * stream.height > self._limits.max_video_pixels:
            raise self._too_large(stream.width, stream.height)
        promised = stream.frames or None
        duration, rate = _duration_seconds(self._av, self._container, stream), _rate(stream)
        likely = math.ceil(duration * rate) if duration and rate else None
        if (promised or 0) > self._limits.max_video_frames:
            message = f"it has {promised} frames; the limit is {self._limits.max_video_frames}"
            raise self._fault(Code.INPUT_VIDEO_TOO_LONG, message)
        first = self._first_frame()
        self._container.close()
        self._issues.clear()
        self._open()
        return VideoFacts(
            width=first.shape[1],
            height=first.shape[0],
            frames=promised or likely,
            is_promise=promised is not None,
            fps=rate,
            duration_seconds=duration,
            has_audio=bool(self._container.streams.audio),
            codec=stream.codec_context.name,
        )

    def _first_frame(self) -> npt.NDArray[np.uint8]:
        """Returns the first frame that can be decoded. Raises DataError where there is none."""
        for frame in self._frames():
            if frame is not None:
                self._matrix = self._display_matrix(frame)
                return self._upright(frame)
        raise self._fault(Code.INPUT_VIDEO_NO_FRAMES, "not one frame of it can be decoded")

    def items(self, start: int = 0, begin: Begin = untold) -> Iterator[Item | SkippedItem]:
        """Yields the frames with their times.

        Frames before ``start`` are decoded as well, because the later ones rest on them, but not turned into pictures.
        """
        seconds: float | None = None
        begin(0, _frame_name(0))
        for index, frame in enumerate(self._frames()):
            if self._must_stop(index, frame):
                return
            seconds = frame.time if frame is not None else seconds
            if index >= start:
                yield self._item(index, frame)
            begin(index + 1, _frame_name(index + 1))
        self._compare_duration(seconds)

    def _compare_duration(self, seconds: float | None) -> None:
        """Notes where the last frame is much earlier than the end that the container promises.

        Sound may last a little longer than the pictures, and a container that counts no frames has no other promise.
        """
        duration = self.facts.duration_seconds
        if duration is None or seconds is None or self._issues:
            return
        if duration - seconds > max(_SURPLUS_SECONDS, _SURPLUS_SHARE * duration):
            self._say_incomplete(f"after {seconds:.1f} of {duration:.1f} seconds")

    def _frames(self) -> Iterator[Any]:
        """Yields the frames as they are decoded, and None for each part that cannot be."""
        num_packets = 0
        try:
            for packet in self._container.demux(self._stream):
                num_packets += packet.size > 0
                yield from self._decoded(packet)
        except self._av.error.FFmpegError as error:  # the container is damaged here: there is no going on
            self._say_incomplete(f"after {num_packets} packets ({_reason(error)})")
            return
        if num_packets < self._stream.frames:
            self._say_incomplete(f"after {num_packets} of {self._stream.frames} packets")

    def _decoded(self, packet: Any) -> Iterator[Any]:  # noqa: ANN401  (PyAV's)
        try:
            yield from packet.decode()
        except self._av.error.EOFError:
            return
        except self._av.error.FFmpegError:
            yield None

    def _must_stop(self, index: int, frame: Any) -> bool:  # noqa: ANN401  (PyAV's)
        """Whether the video has yielded what it promises, and what follows is too much; that is said then."""
        stream = self._stream
        if stream.frames and index >= stream.frames:
            message = f"it says that it has {stream.frames} frames, and yields more: the rest was left out"
            self._say(Code.INPUT_VIDEO_MORE_THAN_PROMISED, message)
            return True
        if index >= self._limits.max_video_frames:
            message = (
                f"it has more than the {self._limits.max_video_frames} frames that are allowed: it was read so far"
            )
            self._say(Code.INPUT_VIDEO_TOO_LONG, message)
            return True
        promised = self.facts.width * self.facts.height
        if frame is not None and frame.width * frame.height > promised:
            message = (
                f"frame {index} is {frame.width}x{frame.height}, more than the {self.facts.width}x{self.facts.height} "
                "of the first: it was read so far"
            )
            self._say(Code.INPUT_VIDEO_MORE_THAN_PROMISED, message)
            return True
        return False

    def _item(self, index: int, frame: Any) -> Item | SkippedItem:  # noqa: ANN401  (PyAV's)
        name = _frame_name(index)
        if frame is None or frame.is_corrupt:
            message = f"{name} of {self._name} cannot be decoded; it was left out"
            return SkippedItem(index, name, Issue.of(Code.INPUT_FRAME_DAMAGED, message, files=[name]))
        seconds = frame.time
        if seconds is None and self.facts.fps:
            seconds = index / self.facts.fps
        return Item(index, name, name, self._upright(frame), seconds=seconds)

    def _upright(self, frame: Any) -> npt.NDArray[np.uint8]:  # noqa: ANN401  (PyAV's)
        """Returns a frame (height, width, 3) as it is displayed."""
        return displayed(frame.to_ndarray(format="rgb24"), self._matrix)

    def _display_matrix(self, frame: Any) -> bytes:  # noqa: ANN401  (PyAV's)
        """Returns the display matrix of a frame.

        It is asked of the first frame alone: with what PyAV notes for that, a frame refers to itself, and its memory
        stays until the garbage collector comes, which knows nothing of its size.
        """
        for data in frame.side_data:
            if data.type.name == "DISPLAYMATRIX":
                return bytes(data)
        turns = round(float(self._stream.metadata.get("rotate", 0)) / 90) % 4  # of earlier versions, clockwise
        return _MATRIX.pack(*_TURNED_CLOCKWISE[turns], *[0] * 4)

    def _say(self, code: Code, message: str) -> None:
        message = f"{self._name}: {message}"
        self._issues = [Issue.of(code, message, files=[self._name], severity=Severity.WARNING)]

    def _say_incomplete(self, where: str) -> None:
        self._say(Code.INPUT_VIDEO_INCOMPLETE, f"it ends {where}")

    def _too_large(self, width: int, height: int) -> DataError:
        message = f"its frames are {width}x{height}; the limit is {self._limits.max_video_pixels} pixels"
        return self._fault(Code.INPUT_VIDEO_TOO_LARGE, message)

    def _fault(self, code: Code, message: str) -> DataError:
        return DataError([Issue.of(code, f"{self._name}: {message}", files=[self._name])])


def displayed(pixels: npt.NDArray[np.uint8], matrix: bytes) -> npt.NDArray[np.uint8]:
    """Returns pixels (height, width, 3) turned and mirrored by the nearest right angle of a display matrix.

    The matrix has nine numbers in the machine's byte order; x' = a x + c y, and y' = b x + d y, with y downwards.
    """
    a, b, _, c, d, *_ = _MATRIX.unpack(matrix[: _MATRIX.size])
    if abs(b) > abs(a):
        pixels, across, down = pixels.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    return np.ascontiguousarray(pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def _library(name: str) -> Any:  # noqa: ANN401  (an optional module)
    """Returns PyAV. Raises DataError, with what to install, where it is not there."""
    try:
        import av  # noqa: PLC0415  (optional, and slow to load)
        import av.logging  # noqa: PLC0415
    except ImportError:
        message = f"{name}: {MISSING}"
        raise DataError([Issue.of(Code.INPUT_EXTRA_MISSING, message, files=[name])]) from None
    av.logging.set_level(None)  # what is wrong comes as an exception
    return av


def _is_cover(stream: Any) -> bool:  # noqa: ANN401  (PyAV's)
    """Whether a stream of pictures is the cover of a piece of music."""
    return "attached_pic" in str(getattr(stream, "disposition", "")).casefold()


def _rate(stream: Any) -> float | None:  # noqa: ANN401  (PyAV's)
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else None


def _duration_seconds(library: Any, container: Any, stream: Any) -> float | None:  # noqa: ANN401  (PyAV's)
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / library.time_base if container.duration else None


def _frame_name(index: int) -> str:
    return f"frame_{index:06}"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error)
