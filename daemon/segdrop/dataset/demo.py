"""The generated demonstration dataset: small scenes that a network learns in minutes.

Classes differ in colour and texture as well as in shape; by shape alone, so few images would not do.
"""

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from segdrop import durable

if TYPE_CHECKING:
    from typing import BinaryIO

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Bytes = npt.NDArray[np.uint8]

#: value 0 is the background, a meadow
CLASSES = ("sun", "brick", "water")
_TIMESTAMP = (2026, 1, 1, 0, 0, 0)
_MIN_OBJECTS, _MAX_OBJECTS = 2, 4


def write_demo(path: Path, count: int = 100, size: int = 96, seed: int = 0) -> None:
    """Write ``count`` pairs of ``size`` x ``size`` pixels as a ZIP. The same arguments make the same bytes."""
    import numpy as np  # noqa: PLC0415  (the command line must start without numpy)
    from PIL import Image  # noqa: PLC0415

    def png(pixels: "Bytes") -> bytes:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        return stream.getvalue()

    def write(stream: "BinaryIO") -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("labels.txt", _TIMESTAMP), "\n".join(CLASSES) + "\n")
            for number in range(count):
                image, mask = scene(np.random.default_rng([seed, number]), size)
                archive.writestr(zipfile.ZipInfo(f"images/scene_{number:04}.png", _TIMESTAMP), png(image))
                archive.writestr(zipfile.ZipInfo(f"masks/scene_{number:04}.png", _TIMESTAMP), png(mask))

    durable.write(path, write)


def scene(rng: "np.random.Generator", size: int) -> tuple["Bytes", "Bytes"]:
    """Returns one scene: image (size, size, 3) and mask (size, size), both uint8. Later objects hide earlier ones."""
    import numpy as np  # noqa: PLC0415

    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size
    image = _meadow(rng, rows, columns)
    mask = np.zeros((size, size), np.uint8)
    number = int(rng.integers(_MIN_OBJECTS, _MAX_OBJECTS + 1))
    order = rng.permutation([0, 1, 2, int(rng.integers(3))])[:number]
    for kind in order:
        inside, colours = (_sun, _brick, _water)[kind](rng, rows, columns)
        image = np.where(inside[..., None], colours, image)
        mask[inside] = kind + 1
    light = 0.85 + 0.3 * rng.random()
    noise = rng.normal(0, 9, image.shape)
    return np.clip(image * light + noise, 0, 255).astype(np.uint8), mask


def _mix(first: tuple[int, int, int], second: tuple[int, int, int], share: "Floats") -> "Floats":
    """Returns a mixture (H, W, 3): ``second`` where ``share`` (H, W) is 1, ``first`` where it is 0."""
    import numpy as np  # noqa: PLC0415

    weights = share[..., None]
    return np.asarray(first, np.float32) * (1 - weights) + np.asarray(second, np.float32) * weights


def _meadow(rng: "np.random.Generator", rows: "Floats", columns: "Floats") -> "Floats":
    """Returns the background: green, darker towards the top, with tufts of grass."""
    import numpy as np  # noqa: PLC0415

    tufts = np.sin(columns * rng.uniform(90, 120) + 3 * np.sin(rows * 40)) * 0.15
    share = np.clip(rows * 0.7 + 0.15 + tufts, 0, 1)
    return _mix((34, 92, 40), (128, 176, 72), share)


def _centre(rng: "np.random.Generator") -> tuple[float, float]:
    """Returns a random centre as fractions of height and width."""
    return float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.2, 0.8))


def _sun(rng: "np.random.Generator", rows: "Floats", columns: "Floats") -> tuple["npt.NDArray[np.bool_]", "Floats"]:
    """Returns a disc of orange and yellow rings: where it is, and its colours."""
    import numpy as np  # noqa: PLC0415

    row, column = _centre(rng)
    distance = np.hypot(rows - row, columns - column)
    rings = 0.5 + 0.5 * np.sin(distance * rng.uniform(70, 90))
    return distance < rng.uniform(0.16, 0.26), _mix((244, 130, 24), (255, 222, 60), rings)


def _brick(rng: "np.random.Generator", rows: "Floats", columns: "Floats") -> tuple["npt.NDArray[np.bool_]", "Floats"]:
    """Returns an upright rectangle of dark red bricks with grey joints: where it is, and its colours."""
    import numpy as np  # noqa: PLC0415

    row, column = _centre(rng)
    height, width = rng.uniform(0.14, 0.24, 2)
    course = np.floor((rows - row) * 14)
    along = (columns - column) * 7 + 0.5 * (course % 2)
    joints = ((rows - row) * 14 % 1 < 0.2) | (along % 1 < 0.12)  # noqa: PLR2004
    inside = (np.abs(rows - row) < height) & (np.abs(columns - column) < width)
    return inside, _mix((150, 38, 34), (190, 170, 160), joints.astype(np.float32))


def _water(rng: "np.random.Generator", rows: "Floats", columns: "Floats") -> tuple["npt.NDArray[np.bool_]", "Floats"]:
    """Returns a tilted, wavy ellipse with pale blue ripples: where it is, and its colours."""
    import numpy as np  # noqa: PLC0415

    row, column = _centre(rng)
    tilt = rng.uniform(0, np.pi)
    along = (columns - column) * np.cos(tilt) + (rows - row) * np.sin(tilt)
    across = (rows - row) * np.cos(tilt) - (columns - column) * np.sin(tilt)
    angle = np.arctan2(across, along)
    reach = np.hypot(along / rng.uniform(0.24, 0.34), across / rng.uniform(0.13, 0.2))
    ripples = 0.5 + 0.5 * np.sin(across * rng.uniform(85, 105) + 2 * np.sin(along * 20))
    return reach < 1 + 0.12 * np.sin(angle * 5 + tilt), _mix((22, 66, 168), (96, 176, 232), ripples)
