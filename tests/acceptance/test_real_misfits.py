"""Real masks against real images: no doubt as they are, and a warning in the right words once all are disturbed."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import check, encoded, write_zip
from builders.conversion import converted
from segdrop.codes import Code
from segdrop.dataset import misfit
from segdrop.dataset.masks.image_reading import GLANCE_SIDE
from segdrop.dataset.misfit import Laying, Turn

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no real datasets here")

SIZE = (320, 256)
Content = dict[str, bytes]
Masks = list[np.ndarray]


@pytest.fixture(
    scope="module", params=["camvid_paired_small", "membrane_0_255", "wbc1_samefolder_0_128_255", "via_kudzu"]
)
def content(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Content:
    """The files of a real dataset, converted, made small and all of one size."""
    folder = tmp_path_factory.mktemp(request.param)
    original = folder / "original.zip"
    original.write_bytes((DATA / f"{request.param}.zip").read_bytes())
    with zipfile.ZipFile(converted(original)[1]) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return {name: smaller(data) if "images/" in name or "masks/" in name else data for name, data in files.items()}


def smaller(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        is_mask = image.mode == "L" and image.format == "PNG"
        return encoded(image.resize(SIZE, Image.Resampling.NEAREST if is_mask else Image.Resampling.BILINEAR))


def each(laying: Laying) -> Callable[[Masks], Masks]:
    return lambda masks: [misfit.laid(mask, laying, int(mask[0, 0])) for mask in masks]


CHANGES: dict[str, Callable[[Masks], Masks]] = {
    "turned by 180°": each(Laying(Turn.HALF)),
    "mirrored left to right": each(Laying(Turn.MIRRORED)),
    "flipped upside down": each(Laying(Turn.FLIPPED)),
    "9 % to the left": each(Laying(move=(0, GLANCE_SIDE * 9 // 100 + 1))),
    "taken from the previous image in the order of names": lambda masks: [*masks[1:], masks[0]],
}


@pytest.mark.parametrize("words", [None, *CHANGES])
def test_real_masks_are_doubted_where_they_do_not_fit(tmp_path: Path, content: Content, words: str | None) -> None:
    names = sorted(name for name in content if "masks/" in name)
    masks = [np.asarray(Image.open(io.BytesIO(content[name]))) for name in names]
    if words is not None:
        masks = CHANGES[words](masks)
    files = content | {name: encoded(np.ascontiguousarray(mask)) for name, mask in zip(names, masks, strict=True)}
    report = check(write_zip(tmp_path / "data.zip", files), cache=False)
    assert report.dataset is not None, report.issues
    messages = [issue.message for issue in report.issues if issue.code is Code.MASK_MISFIT]
    assert [message.endswith(str(words)) for message in messages] == [True] * (words is not None), messages
