"""Output ``video``: the frames with their classes over them, as a video with the times and the sound of its source."""

import time
from pathlib import Path

from segdrop import child_runtime, durable
from segdrop.codes import Code
from segdrop.errors import CorruptError, DeferredError, Issue
from segdrop.execution.local import LocalRunner
from segdrop.execution.output import last_words, tail
from segdrop.execution.runner import Command
from segdrop.inference.outputs import encoder, packets
from segdrop.inference.outputs.encoder import Encoder
from segdrop.inference.outputs.muxing import MuxAnswer, MuxSpec
from segdrop.inference.outputs.packets import TICKS_A_SECOND, PacketLog, Stretch
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.prediction import Prediction

#: Name of the video, less the suffix of its container.
_STEM = "overlay"
_MEMORY_BYTES = 2 << 30
_CPU_SECONDS = 3_600
_MOST_SECONDS = 7_200.0
_POLL_SECONDS = 0.02
#: Frames a second of frames that have no times.
_DEFAULT_RATE = 25


class OverlaidVideo:
    """The overlaid frames as one video, ``video/overlay.mp4``.

    Each frame is encoded as it comes, and appended to a file that a crash cannot hurt: a process that goes on begins
    another such file, and frames that are there already are not encoded again. In the end they become one video.
    ``write`` is called in the order of the frames, by one thread at a time.

    A frame is shown when it was in the source, which keeps its rate, also where that varies. The sides are even, as
    H.264 needs them: odd ones get their last pixels twice. The sound is copied as it is; where MP4 is no place for it
    (PCM, Vorbis), the video is ``overlay.mkv``. Where FFmpeg was built without x264, MPEG-4 takes the place of H.264.
    """

    name = "video"

    def __init__(self, setting: Setting, pictures: Pictures, source: Path | None) -> None:
        """``source`` is the video whose sound is copied; None where there is none."""
        self._folder = setting.folder / self.name
        self._packets = setting.scratch / self.name
        self._pictures = pictures
        self._source = source
        self._log: PacketLog | None = None
        self._encoder: Encoder | None = None
        self._last_index: int | None = None

    def write(self, prediction: Prediction) -> None:
        """Encodes one frame, unless an earlier process has done so. Raises ``ImportError`` where PyAV is missing."""
        index = prediction.item.index
        if self._last_index is None:
            self._last_index = self._found_index()
        if index <= self._last_index:
            return
        pixels = self._pictures.overlay(prediction)
        if self._encoder is None or self._log is None:
            self._encoder, self._log = self._begun(*prediction.class_ids.shape)
        self._log.append(self._encoder.encoded(pixels, index, _ticks(prediction)))
        self._last_index = index

    def _found_index(self) -> int:
        """Returns the index of the last frame that was encoded by an earlier process, or -1."""
        return max((packet.index for packet in packets.all_packets(self._packets)), default=-1)

    def _begun(self, height: int, width: int) -> tuple[Encoder, PacketLog]:
        """Returns what encodes and keeps the frames of this process, in the size of the first frame of all."""
        self._packets.mkdir(parents=True, exist_ok=True)
        stretch = next(packets.stretches(self._packets), None) or Stretch(
            codec=encoder.codec_name(), width=encoder.even(width), height=encoder.even(height)
        )
        return Encoder(stretch), PacketLog(packets.next_path(self._packets), stretch)

    def finish(self, records: Records) -> list[Issue]:
        """Makes the video of what was encoded, and returns what there is to say of it.

        Raises ``CorruptError`` where frames are missing, and ``DeferredError`` where the environment is at fault.
        """
        if not self._is_complete(records):
            return []
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / f"{_STEM}{durable.TEMPORARY_SUFFIX}"
        answer, reason = self._muxed(target, self._source)
        if answer is None:
            answer, again = self._muxed(target, None)
            if answer is None:
                raise RuntimeError(f"the video could not be written: {again}")
            answer = answer.model_copy(update={"no_sound": reason})
        durable.sync_file(target)
        durable.move(target, self._folder / f"{_STEM}{answer.suffix}")
        return self._issues(answer)

    def _is_complete(self, records: Records) -> bool:
        """Whether all frames are there; False where there is none at all. Raises ``CorruptError`` where some are."""
        wanted = sum(1 for _ in records())
        found = sum(1 for _ in packets.all_packets(self._packets))
        if found < wanted:
            raise CorruptError(f"{self._packets} has {found} of {wanted} frames")
        return found > 0

    def _muxed(self, target: Path, source: Path | None) -> tuple[MuxAnswer | None, str]:
        """Returns what became of the video that a child was to make, or None and the reason."""
        paths = {name: self._packets / f"mux-{name}" for name in ("spec.json", "answer.json", "error.json", "log.txt")}
        for path in paths.values():
            path.unlink(missing_ok=True)
        spec = MuxSpec(
            packets_dir=self._packets,
            source=source,
            target=target,
            answer_path=paths["answer.json"],
            error_path=paths["error.json"],
            memory_bytes=_MEMORY_BYTES,
            cpu_seconds=_CPU_SECONDS,
        )
        durable.write_json(paths["spec.json"], spec.model_dump(mode="json"))
        status = _ran(paths["spec.json"], paths["log.txt"])
        if status == 0:
            return MuxAnswer.load(paths["answer.json"]), ""
        _raise_environment(paths["error.json"])
        return None, last_words(tail(paths["log.txt"])) or f"it ended with status {status}"

    def _issues(self, answer: MuxAnswer) -> list[Issue]:
        issues = []
        if answer.no_sound:
            issues.append(Issue.of(Code.OUTPUT_NO_SOUND, f"its sound could not be copied: {answer.no_sound}"))
        codec = next(packets.stretches(self._packets)).codec
        if codec != encoder.H264:
            issues.append(Issue.of(Code.OUTPUT_VIDEO_CODEC, f"the video is encoded by {codec}"))
        return issues


def _ticks(prediction: Prediction) -> int:
    item = prediction.item
    seconds = item.index / _DEFAULT_RATE if item.seconds is None else item.seconds
    return round(seconds * TICKS_A_SECOND)


def _ran(spec_path: Path, log_path: Path) -> int:
    """Runs the child that muxes, and returns its exit status; it is killed where it takes too long."""
    command = Command("segdrop.inference.outputs.muxing", (str(spec_path),), log_path, stage="mux", one_thread=True)
    started = time.monotonic()
    child = LocalRunner().submit(command, started)
    while (end := child.poll()) is None:
        if time.monotonic() - started > _MOST_SECONDS:
            return child.kill().status
        time.sleep(_POLL_SECONDS)
    return end.status


def _raise_environment(error_path: Path) -> None:
    """Raises ``DeferredError`` where a child was stopped by the environment, as it would have been here."""
    try:
        answer = child_runtime.ErrorAnswer.model_validate_json(error_path.read_bytes())
    except (OSError, ValueError):
        return
    if answer.fault is not None:
        raise DeferredError(answer.fault)
