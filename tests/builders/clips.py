"""Small videos with sound, and how others see a video."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

_SAMPLES = 1024
_SOUND_RATE = 48_000


def write_clip(
    path: Path,
    *,
    count: int = 12,
    rate: Fraction | int = 25,
    sound: str | None = "aac",
    size: tuple[int, int] = (48, 64),
) -> Path:
    """Writes a video of ``count`` grey frames, (height, width), each lighter than the last, with a tone as long."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=rate)
        video.height, video.width, video.pix_fmt = *size, "yuv420p"
        tone: Any = container.add_stream(sound, rate=_SOUND_RATE, layout="mono") if sound else None
        for index in range(count):
            frame: Any = av.VideoFrame.from_ndarray(np.full((*size, 3), 20 * index % 256, np.uint8), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for packet in _tone(tone, count / rate) if tone else ():
            container.mux(packet)
    return path


def _tone(stream: Any, seconds: float | Fraction) -> Iterator[Any]:
    size = stream.codec_context.frame_size or _SAMPLES
    for start in range(0, int(seconds * _SOUND_RATE), size):
        wave = np.sin(np.arange(start, start + size) / 20, dtype=np.float32)[None] / 4
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _SOUND_RATE, start, Fraction(1, _SOUND_RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def times(path: Path) -> list[float]:
    """The time of each frame, as a decoder tells it."""
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def greys(path: Path) -> list[int]:
    """The value in the middle of each frame."""
    with av.open(str(path)) as container:
        frames = (frame.to_ndarray(format="gray") for frame in container.decode(video=0))
        return [int(frame[frame.shape[0] // 2, frame.shape[1] // 2]) for frame in frames]


def sound(path: Path) -> tuple[str, list[bytes]]:
    """The codec of the sound, and what it is made of, undecoded."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
        return container.streams.audio[0].codec_context.name, packets


def facts(path: Path) -> dict[str, Any]:
    """What a player is told of a video."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return {
            "codec": stream.codec_context.name,
            "rate": stream.average_rate,
            "size": (stream.height, stream.width),
            "sounds": len(container.streams.audio),
            "seconds": container.duration / av.time_base if container.duration else None,
        }
