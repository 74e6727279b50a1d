"""Small videos in code, in any container that PyAV writes."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_CODECS = {"webm": "libvpx", "avi": "mpeg4", "mpg": "mpeg2video", "ts": "mpeg2video", "wmv": "msmpeg4v3"}
RATE = 25


def picture(number: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A frame (height, width, 3) that knows its number by its grey, with red at the top left."""
    height, width = size
    pixels = np.full((height, width, 3), (40 + 9 * number) % 256, np.uint8)
    pixels[: height // 4, : width // 4] = (255, 0, 0)
    return pixels


def write_video(
    path: Path,
    count: int = 8,
    *,
    size: tuple[int, int] = (48, 64),
    times: list[int] | None = None,
    turned: int | None = None,
    audio: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """``times`` are in frames, ``turned`` is in degrees against the clock, ``options`` are the container's."""
    codec = _CODECS.get(path.suffix[1:], "libx264")
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 4
        stream.codec_context.max_b_frames = 0
        if turned is not None:
            stream.set_display_rotation(turned)
        sound = (
            container.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48_000, layout="mono")
            if audio
            else None
        )
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, size), "rgb24")
            frame.pts, frame.time_base = (times or range(count))[number], Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            container.mux(_silence(sound))
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        container.mux(_silence(container.add_stream("aac", rate=48_000, layout="mono")))
    return path


def _silence(stream: "av.AudioStream") -> list["av.Packet"]:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), "fltp", "mono")
    frame.sample_rate = 48_000
    return [*stream.encode(frame), *stream.encode()]
