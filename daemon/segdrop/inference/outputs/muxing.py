"""The child that makes a video of encoded frames and of the sound of its source, which is copied as it is.

The source is somebody's file: it is opened in a process of its own, under limits, and never decoded here.
``python -m segdrop.inference.outputs.muxing SPEC`` runs it by hand.
"""

import heapq
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from segdrop import child_runtime, durable, environment, regular_files
from segdrop.inference.outputs import encoder, packets
from segdrop.inference.outputs.packets import TICKS_A_SECOND, Packet
from segdrop.record import Record
from segdrop.spec import Spec, SpecPath

#: Containers that hold one file: a playlist that is called ``.mp4`` could name other files of this machine.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo,mpegts,asf,flv,ogg"
#: Codecs of sound that players expect in an MP4. What has another one becomes a Matroska file, which takes nearly all.
_MP4_SOUND = frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "opus", "flac", "alac"})
#: Times in milliseconds, as Matroska has them, are half a millisecond from the true ones, to either side.
_MOST_JITTER_TICKS = TICKS_A_SECOND // 1000
_USUAL_RATES = tuple(
    Fraction(rate) for rate in ("25", "30", "30000/1001", "24", "24000/1001", "50", "60", "60000/1001")
)
#: Frames that were asked for end so much before their source, or it is taken for their end.
_SHORT_SECONDS = 1.0


class MuxSpec(Spec):
    """The making of one video. The answers are the video, and ``answer_path`` with a :class:`MuxAnswer`, last."""

    packets_dir: SpecPath  #: see :mod:`segdrop.inference.outputs.packets`
    source: SpecPath | None  #: its sound is copied; None: none
    target: SpecPath  #: the video is written here, whatever its container
    answer_path: SpecPath
    error_path: SpecPath
    memory_bytes: int
    cpu_seconds: int


class MuxAnswer(Record):
    """What became of a video."""

    suffix: str  #: ``.mp4`` or ``.mkv``
    frames: int
    sounds: int  #: streams of sound that were copied
    no_sound: str | None = None  #: why the source's sound could not be copied, where it has some


@dataclass(frozen=True, slots=True)
class Timing:
    """When each frame of a video is shown: at multiples of a rate, or at times of its own."""

    first_ticks: int
    last_ticks: int
    last_duration_ticks: int
    rate: Fraction | None  #: frames a second; None where the frames keep to none

    @property
    def time_base(self) -> Fraction:
        """The unit of :meth:`time`."""
        return Fraction(1, self.rate.numerator if self.rate else TICKS_A_SECOND)

    @property
    def end_seconds(self) -> float:
        """The time at which the last frame has been shown, on the clock of the source."""
        return (self.last_ticks + self.last_duration_ticks) / TICKS_A_SECOND

    def time(self, ticks: int) -> int:
        """Returns when a frame is shown after the first one, in units of ``time_base``."""
        elapsed = ticks - self.first_ticks
        if self.rate is None:
            return elapsed
        return round(Fraction(elapsed, TICKS_A_SECOND) * self.rate) * self.rate.denominator

    @property
    def last_duration(self) -> int:
        """For how long the last frame is shown, in units of ``time_base``."""
        return self.rate.denominator if self.rate else self.last_duration_ticks


def timing(ticks: Callable[[], Iterator[int]], rates: tuple[Fraction, ...]) -> Timing:
    """Returns the timing of frames at the times that ``ticks`` yields, of which there is at least one.

    They are at multiples of the first of ``rates`` which they all keep to within a millisecond.
    """
    first = last = next(ticks())
    duration = TICKS_A_SECOND // 25
    kept = list(dict.fromkeys(rates))
    for now in ticks():
        if now > last:
            duration = now - last
        last = now
        kept = [rate for rate in kept if _is_near(now - first, rate)]
    return Timing(first, last, duration, kept[0] if kept else None)


def _is_near(elapsed: int, rate: Fraction) -> bool:
    steps = round(Fraction(elapsed, TICKS_A_SECOND) * rate)
    return abs(elapsed - steps / rate * TICKS_A_SECOND) <= _MOST_JITTER_TICKS


def mux(spec: MuxSpec) -> MuxAnswer:
    """Writes the video, and returns what became of it.

    Where the source's sound cannot be had, the video has none, and the answer says why. Raises ``OSError`` where the
    environment is at fault.
    """
    import av  # noqa: PLC0415  (optional, and slow to load)

    if spec.source is None:
        return _muxed(spec, None)
    with regular_files.open_binary(spec.source) as stream:
        try:
            with av.open(stream, options={"format_whitelist": CONTAINERS}) as source:
                return _muxed(spec, source)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError) and environment.response_to(error) is not environment.Response.OWN:
                raise
            reason = error.strerror or type(error).__name__
    return _muxed(spec, None).model_copy(update={"no_sound": reason})


def _muxed(spec: MuxSpec, source: Any) -> MuxAnswer:  # noqa: ANN401  (PyAV's container)
    import av  # noqa: PLC0415  (optional, and slow to load)

    def frames() -> Iterator[Packet]:
        return encoder.in_order(packets.all_packets(spec.packets_dir))

    when = timing(lambda: (packet.ticks for packet in frames()), (*_rates(source), *_USUAL_RATES))
    sounds = list(source.streams.audio) if source else []
    is_mp4 = all(stream.codec_context.name in _MP4_SOUND for stream in sounds)
    options = {"movflags": "+faststart"} if is_mp4 else {}
    count = 0
    with (
        av.open(str(spec.target), "w", format="mp4" if is_mp4 else "matroska", options=options) as target,
        encoder.decoded(next(frames()).payload, next(packets.stretches(spec.packets_dir)).codec) as head,
    ):
        video: Any = target.add_stream_from_template(head.streams.video[0], opaque=True)
        video.time_base = when.time_base
        copies = {stream.index: target.add_stream_from_template(stream, opaque=True) for stream in sounds}
        for _, packet in heapq.merge(
            _pictures(frames(), when, video), _sound(source, sounds, copies, when), key=lambda timed: timed[0]
        ):
            count += packet.stream is video
            target.mux(packet)
    return MuxAnswer(suffix=".mp4" if is_mp4 else ".mkv", frames=count, sounds=len(sounds))


def _rates(source: Any) -> tuple[Fraction, ...]:  # noqa: ANN401  (PyAV's container)
    """Returns the frame rates that a source says it has."""
    streams = source.streams.video if source else ()
    return tuple(rate for stream in streams for rate in (stream.average_rate, stream.guessed_rate) if rate)


def _pictures(frames: Iterator[Packet], when: Timing, stream: Any) -> Iterator[tuple[float, Any]]:  # noqa: ANN401
    """Yields the packets of the pictures, with the seconds since the first."""
    import av  # noqa: PLC0415  (optional, and slow to load)

    for packet in frames:
        made: Any = av.Packet(packet.payload)
        made.stream, made.time_base, made.is_keyframe = stream, when.time_base, packet.is_key
        made.pts = made.dts = when.time(packet.ticks)
        made.duration = when.last_duration if packet.ticks == when.last_ticks else 0
        yield float(made.pts * when.time_base), made


def _sound(source: Any, sounds: list[Any], copies: dict[int, Any], when: Timing) -> Iterator[tuple[float, Any]]:  # noqa: ANN401
    """Yields the packets of the sound, with the seconds since the first picture.

    They end with the source, or with the last picture where that is long before the source's last one.
    """
    if not sounds:
        return
    end_seconds = when.end_seconds if _is_cut_short(source, when) else float("inf")
    origin_seconds = when.first_ticks / TICKS_A_SECOND
    for packet in source.demux(sounds):
        if packet.dts is None or packet.pts is None:  # the end of a stream
            continue
        seconds = float(packet.pts * packet.time_base)
        if seconds >= end_seconds:
            continue
        shift = round(Fraction(when.first_ticks, TICKS_A_SECOND) / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = copies[packet.stream.index]
        yield seconds - origin_seconds, packet


def _is_cut_short(source: Any, when: Timing) -> bool:  # noqa: ANN401  (PyAV's container)
    """Whether the frames end long before those of their source."""
    stream = source.streams.video[0] if source.streams.video else None
    if stream is None or stream.duration is None:
        return False
    end = float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    return when.end_seconds < end - _SHORT_SECONDS


def main(arguments: list[str]) -> int:
    """Runs the child; ``arguments`` is the path of its spec."""
    child_runtime.tie_to_parent()
    spec = child_runtime.ordered(MuxSpec.load, Path(arguments[0]))
    child_runtime.limit_resources(memory_bytes=spec.memory_bytes, cpu_seconds=spec.cpu_seconds)
    return child_runtime.run(
        lambda _stop: durable.write_json(spec.answer_path, mux(spec).to_json()),
        job=None,
        stage="mux",
        error_path=spec.error_path,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
