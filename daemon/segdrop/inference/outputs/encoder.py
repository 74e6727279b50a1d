"""Frames of a video as H.264, or as MPEG-4 where there is no encoder for that: each frame in gives one packet out.

PyAV is an optional dependency (extra ``video``), and is imported when the first frame comes.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from segdrop.inference.outputs.packets import TICKS_A_SECOND, Packet, Stretch

#: Encoders, the best first. H.264 is what browsers play.
CODECS = ("libx264", "mpeg4")
H264 = CODECS[0]
#: No frame waits for the next: neither for frames that are predicted from both sides, nor for a look ahead.
_OPTIONS = {"libx264": {"preset": "veryfast", "crf": "20", "tune": "zerolatency"}, "mpeg4": {}}
#: MPEG-4's quantiser, 2 to 31: little loss
_MPEG4_QUANTISER = 3
#: What the encoder is told; players go by the times in the container.
_NOMINAL_RATE = Fraction(30)
#: Players can jump to a key frame. There is one at least every two seconds.
_KEY_TICKS = 2 * TICKS_A_SECOND
_MOST_BETWEEN_KEYS = 240
#: Codes of ITU-T H.273: BT.709, which players take for granted in videos of today; values 16 to 235
_BT709, _LIMITED = 1, 1


def codec_name() -> str:
    """Returns the name of the best encoder there is. Raises ``ImportError`` where PyAV is missing."""
    import av  # noqa: PLC0415  (optional, and slow to load)

    for name in CODECS:
        try:
            av.Codec(name, "w")
        except ValueError:  # UnknownCodecError
            continue
        return name
    raise ImportError("this build of FFmpeg has no encoder for H.264 or MPEG-4")


def even(side: int) -> int:
    """Returns a side in pixels as the encoders need it: the next even number."""
    return side + side % 2


class Encoder:
    """Encodes the frames of one stretch of a video."""

    def __init__(self, stretch: Stretch) -> None:
        """Raises ``ImportError`` where PyAV is missing."""
        import av  # noqa: PLC0415  (optional, and slow to load)

        self._av = av
        context: Any = av.CodecContext.create(stretch.codec, "w")
        context.width, context.height, context.pix_fmt = stretch.width, stretch.height, "yuv420p"
        context.time_base, context.framerate = 1 / _NOMINAL_RATE, _NOMINAL_RATE
        context.gop_size, context.max_b_frames = _MOST_BETWEEN_KEYS, 0
        # one thread: the other cores predict, and further threads would hold frames back
        context.thread_count = 1
        context.options = _OPTIONS[stretch.codec]
        if stretch.codec != H264:
            context.qmin = context.qmax = _MPEG4_QUANTISER
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        self._context = context
        self._stretch = stretch
        self._count = 0
        self._key_ticks = 0

    def encoded(self, pixels: npt.NDArray[np.uint8], index: int, ticks: int) -> Packet:
        """Returns a frame (H, W, 3), fitted to the size of the video, as a packet."""
        fitted = fit(pixels, self._stretch.height, self._stretch.width)
        frame = self._av.VideoFrame.from_ndarray(fitted, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = self._count, 1 / _NOMINAL_RATE
        if self._count == 0 or ticks - self._key_ticks >= _KEY_TICKS:
            frame.pict_type = self._av.video.frame.PictureType.I
        packets = list(self._context.encode(frame))
        if len(packets) != 1:
            raise RuntimeError(f"{self._stretch.codec} gave {len(packets)} packets for one frame")
        self._count += 1
        if packets[0].is_keyframe:
            self._key_ticks = ticks
        return Packet(index, ticks, packets[0].is_keyframe, bytes(packets[0]))


def fit(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Returns a picture of the size of the video.

    A side that is a pixel short gets its last pixels twice; a picture of any other size is resized.
    """
    missing_rows, missing_columns = height - pixels.shape[0], width - pixels.shape[1]
    if missing_rows in (0, 1) and missing_columns in (0, 1):
        return np.pad(pixels, ((0, missing_rows), (0, missing_columns), (0, 0)), mode="edge")
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


def decoded(payload: bytes, codec: str) -> Any:  # noqa: ANN401  (PyAV's container)
    """Returns an open container with one key frame as its only packet: it tells a muxer what the stream is."""
    import io  # noqa: PLC0415

    import av  # noqa: PLC0415  (optional, and slow to load)

    return av.open(io.BytesIO(payload), format="h264" if codec == H264 else "m4v")


def in_order(packets: Iterator[Packet]) -> Iterator[Packet]:
    """Yields packets at times that rise: one that does not come after its predecessor comes a tick after it."""
    last: int | None = None
    for packet in packets:
        ticks = packet.ticks if last is None else max(packet.ticks, last + 1)
        yield Packet(packet.index, ticks, packet.is_key, packet.payload)
        last = ticks
