"""What another program writes of the same scenes is read back to the same masks: datumaro, CVAT's own exporter.

It lives in an environment of its own (``make test-exchange``), since it wants an older Pillow than we do.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from builders.exports.reading import read_back

pytestmark = pytest.mark.exchange

PYTHON = Path(os.environ.get("DATUMARO_PYTHON", Path(__file__).parents[2] / ".venv" / "exchange" / "bin" / "python"))
SIZE = (40, 60)
SIDES = ("train", "val", "train", "train", "val", "train")
CLASSES = (("background", (0, 0, 0)), ("cat", (128, 0, 0)), ("dog", (0, 128, 0)), ("road sign", (0, 0, 128)))


def scenes() -> np.ndarray:
    """Class ids (6, H, W)."""
    masks = np.zeros((len(SIDES), *SIZE), np.uint8)
    for number, mask in enumerate(masks):
        mask[5:20, 3 + number : 30 + number] = 1
        mask[15:35, 25 : 50 - number] = 2
        mask[2:6, 50:58] = 3
    return masks


def exported(folder: Path, kind: str) -> dict[str, bytes]:
    """The files that datumaro writes."""
    if not PYTHON.exists():
        if os.environ.get("REQUIRE_EXCHANGE_TESTS") == "1":
            pytest.fail(f"required here: {PYTHON}", pytrace=False)
        pytest.skip(f"there is no {PYTHON} (make test-exchange)")
    images = np.random.default_rng(0).integers(0, 255, (len(SIDES), *SIZE, 3)).astype(np.uint8)
    names, colours = zip(*CLASSES, strict=True)
    np.savez(
        folder / "scenes.npz",
        images=images,
        masks=scenes(),
        names=np.array(names),
        colours=colours,
        sides=np.array(SIDES),
    )
    script = Path(__file__).with_name("datumaro_export.py")
    done = subprocess.run(
        [PYTHON, script, folder / "scenes.npz", folder / "out", kind],
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    root = folder / "out"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("kind", "layout"),
    [
        ("voc_segmentation", "voc"),
        ("coco_instances", "coco"),
        ("coco_panoptic", "coco-panoptic"),
        ("camvid", "paired"),
        ("cityscapes", "cityscapes"),
        ("kitti_segmentation", "kitti"),
    ],
)
def test_masks_come_back_as_they_were(kind: str, layout: str, tmp_path: Path) -> None:
    content = exported(tmp_path, kind)
    report, masks, sides = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert report.dataset.layout == layout
    found = report.dataset.classes
    for number, (ids, side) in enumerate(zip(scenes(), SIDES, strict=True)):
        (name,) = [name for name in masks if f"scene_{number:02}" in name]
        assert np.array_equal(masks[name], [[found.index(CLASSES[i][0]) for i in row] for row in ids])
        assert sides[name] == side
