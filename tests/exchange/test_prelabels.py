"""Pre-labels are the masks that were predicted to the code of the tools that people correct them in.

The tools live in an environment of their own (``make test-exchange``): datumaro (CVAT's own importer of COCO and CVAT),
labelme, label-studio-sdk.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from builders.prelabels import CLASSES, KINDS, ious, prelabels, scenes, sent_back

pytestmark = pytest.mark.exchange

PYTHON = Path(os.environ.get("DATUMARO_PYTHON", Path(__file__).parents[2] / ".venv" / "exchange" / "bin" / "python"))
LEAST_IOU = 0.995


def read(kind: str, folder: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """The labels of a tool, and masks of places among them, from 1, by the image's name."""
    if not PYTHON.exists():
        if os.environ.get("REQUIRE_EXCHANGE_TESTS") == "1":
            pytest.fail(f"required here: {PYTHON}", pytrace=False)
        pytest.skip(f"there is no {PYTHON} (make test-exchange)")
    found = folder.parent / "masks.npz"
    done = subprocess.run(
        [PYTHON, Path(__file__).with_name("prelabels_read.py"), kind, folder, found],
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"QT_QPA_PLATFORM": "offscreen"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    with np.load(found) as content:
        return content["labels"].tolist(), dict(zip(content["names"].tolist(), content["masks"], strict=True))


@pytest.mark.parametrize("background", [0, None])
@pytest.mark.parametrize("kind", KINDS)
def test_the_tools_own_code_sees_the_masks_that_were_predicted(
    kind: str, background: int | None, tmp_path: Path
) -> None:
    classes = CLASSES if background == 0 else ("sky", *CLASSES[1:])
    written = prelabels(kind, tmp_path / "out", scenes(), classes, background=background)
    folder = tmp_path / "data"
    for name, content in sent_back(kind, written, scenes()).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    labels, masks = read(kind, folder)
    assert labels == list(classes if background is None else classes[1:])
    assert set(masks) == set(scenes())
    for name, expected in scenes().items():
        values = ious(masks[name], expected + (background is None), num_classes=5)
        assert min(value for number, value in values.items() if number or background == 0) >= LEAST_IOU, name
