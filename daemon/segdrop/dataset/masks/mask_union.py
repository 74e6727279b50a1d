"""Binary masks of one image painted over each other: one for each object, or for each class."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from segdrop.codes import Code
from segdrop.dataset.masks import decode
from segdrop.dataset.samples import MaskUnion

#: grey levels this near to black or white are blurred black or white
_NEAR = 16
_MOSTLY = 0.98
_WHITE = 255

Read = Callable[[int], bytes]
Area = npt.NDArray[np.bool_]


def read(read: Read, truth: MaskUnion) -> tuple[decode.Values, int]:
    """Returns the value of each pixel, (height, width), and how many pixels masks of two values claim.

    Raises DecodeError where a mask cannot be decoded, is not binary, or has another size than the first.
    """
    if not truth.is_smaller_on_top:
        return _in_order(read, truth), 0
    shape: tuple[int, ...] | None = None
    packed: list[tuple[int, int, npt.NDArray[np.uint8]]] = []
    for member, value in truth.parts:
        area = _area(read(member), shape, truth)
        shape = area.shape
        packed.append((int(area.sum()), value, np.packbits(area)))  # an eighth of the memory: there may be many
    keys = np.zeros(shape or (0, 0), np.uint16)
    num_overlapping = 0
    for _, value, bits in sorted(packed, key=lambda part: -part[0]):
        area = np.unpackbits(bits, count=keys.size).reshape(keys.shape).astype(bool)
        num_overlapping += int(np.count_nonzero(area & (keys != 0) & (keys != value)))
        keys[area] = value
    for member in truth.valid:
        keys[~_area(read(member), shape, truth)] = MaskUnion.IGNORED
    return keys, num_overlapping


def _in_order(read: Read, truth: MaskUnion) -> decode.Values:
    keys: npt.NDArray[np.uint16] | None = None
    for member, value in truth.parts:
        area = _area(read(member), None if keys is None else keys.shape, truth)
        if keys is None:
            keys = np.zeros(area.shape, np.uint16)
        keys[area] = value
    return np.zeros((0, 0), np.uint16) if keys is None else keys


def _area(content: bytes, shape: tuple[int, ...] | None, truth: MaskUnion) -> Area:
    """Returns the pixels of a mask that are not 0."""
    values = decode.read_mask(content).values
    if shape is not None and values.shape != shape:
        sizes = f"{values.shape[1]}x{values.shape[0]}, another {shape[1]}x{shape[0]}"
        raise decode.DecodeError(Code.PAIR_SIZE_MISMATCH, f"one of the masks of its image is {sizes}")
    return _binary(values) if truth.must_be_binary else np.asarray(values > 0)


def _binary(values: decode.Values) -> Area:
    """Returns the pixels of a binary mask that are not 0; of one that was blurred, those that are nearer to white."""
    lit: Area = np.asarray(values > 0)
    if not lit.any():
        return lit
    top = int(values.max())
    # the least of all values that are not 0, without sorting any
    if int(np.where(lit, values, top).min()) == top:
        return lit
    # colours of a grey picture have three equal channels, of which the last will do
    levels = values & _WHITE if top > _WHITE else values
    near = np.count_nonzero((levels <= _NEAR) | (levels >= _WHITE - _NEAR))
    if near < _MOSTLY * levels.size or int(levels.max()) < _WHITE - _NEAR:
        shown = ", ".join(map(str, np.unique(levels)[:6].tolist()))
        reason = f"it is one of several masks of its image and not binary: its values are {shown}, …"
        raise decode.DecodeError(Code.MASK_UNSUPPORTED_MODE, reason)
    return np.asarray(levels > _WHITE // 2)
