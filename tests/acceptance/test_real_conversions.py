"""Real datasets, converted and read again, where they are at hand beside the repository."""

import shutil
from pathlib import Path

import pytest

from builders.conversion import assert_same_after_conversion

DATA = Path(__file__).parents[3] / "shared" / "data"
ARCHIVES = (
    "bdd100k_layout_standin", "camvid_paired_small", "coco_cvat_cars6", "coco_labelme", "coco_roboflow_facade_test",
    "labelme", "membrane_0_255", "roboflow_masks_dhcn_small", "via_kudzu", "voc_cvat_export",
    "wbc1_samefolder_0_128_255",
)  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_real_zip_is_the_same_after_conversion(name: str, tmp_path: Path) -> None:
    source = DATA / f"{name}.zip"
    if not source.is_file():
        pytest.skip(f"{source.name} is not at hand")
    shutil.copyfile(source, tmp_path / "data.zip")
    assert_same_after_conversion(tmp_path / "data.zip")
