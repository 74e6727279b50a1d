"""``class_map``: merged, renamed and left-out classes, and the presets against the tables they were made from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import check, write_dataset
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import class_map
from segdrop.dataset.classes.assignment import IGNORE, ClassReading, read_keys
from segdrop.dataset.classes.presets import PRESETS
from segdrop.errors import DataError
from segdrop.request import TrainRequest

TABLES = Path(__file__).parents[3] / "shared" / "data" / "labeldefs.json"


def mapped(names: list[str], wanted: dict[str, Any] | str) -> ClassReading:
    """The reading of masks that hold one pixel of each of these names."""
    request = TrainRequest(class_map=wanted)
    reading = read_keys(dict.fromkeys(range(len(names)), 1), ClassNames("labels.txt", ordered=tuple(names)), request)
    return class_map.apply(reading, request)


def test_classes_are_merged_renamed_and_left_out_and_others_stay() -> None:
    reading = mapped(
        ["background", "cat", "dog", "car", "sky"], {"cat": "animal", "dog": "animal", "4": "air", "car": None}
    )
    assert reading.names == ("background", "animal", "air")
    assert reading.values == (0, -1, 4)
    assert reading.lookup == {0: 0, 1: 1, 2: 1, 3: IGNORE, 4: 2}
    assert "makes 3 classes of 5 and leaves out car" in reading.assumptions[-1]


def test_names_are_found_in_any_case_and_before_values() -> None:
    assert mapped(["background", "Cat", "1"], {"cat": "x", "1": "y"}).names == ("background", "x", "y")


def test_class_that_does_not_exist_is_a_fault_that_lists_those_that_do() -> None:
    with pytest.raises(DataError, match=r"cow.*background, cat, dog") as caught:
        mapped(["background", "cat", "dog"], {"cow": "animal", "cat": "animal"})
    assert [issue.code for issue in caught.value.issues] == ["classes.map_unknown"]


def test_map_that_leaves_nothing_is_a_fault() -> None:
    with pytest.raises(DataError) as caught:
        mapped(["background", "cat"], {"background": None, "cat": None})
    assert [issue.code for issue in caught.value.issues] == ["classes.map_unknown"]


def tables() -> dict[str, list[dict[str, Any]]]:
    if not TABLES.is_file():
        pytest.skip("the label tables are not at hand")
    return json.loads(TABLES.read_text())


def test_cityscapes_presets_are_the_categories_and_the_train_classes() -> None:
    labels = tables()["cityscapes"]
    categories = {x["name"]: None if x["category"] == "void" else x["category"] for x in labels}
    assert PRESETS["cityscapes-8"] == categories
    assert len(set(categories.values()) - {None}) == 7  # and void, which is left out
    assert PRESETS["cityscapes-19"] == {x["name"]: x["name"] if 0 <= x["trainId"] < 255 else None for x in labels}


def test_bdd100k_preset_covers_its_table_and_leaves_fourteen() -> None:
    preset = PRESETS["bdd100k-14"]
    for label in tables()["bdd100k"]:
        is_trained = label["trainId"] != 255 and label["name"] != "train"
        assert (preset[label["name"]] is not None) == is_trained
    assert len(set(preset.values()) - {None}) == 14
    assert preset["truck"] == preset["bus"] == preset["car"]
    assert preset["wall"] == preset["fence"]
    assert preset["rider"] == preset["person"]


def test_camvid_preset_makes_eleven_of_thirty_two() -> None:
    preset = PRESETS["camvid-11"]
    assert len(set(preset.values()) - {None}) == 11
    assert {"Void", "Sky", "Truck_Bus", "LaneMkgsDriv", "CartLuggagePram"} <= set(preset)


def test_request_with_a_map_changes_what_is_trained_on(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "data.zip", values=(0, 1, 2, 3), labels=["cat", "dog", "car"])
    report = check(path, {"class_map": {"cat": "animal", "dog": "animal", "car": None}})
    assert report.dataset is not None, report.issues
    assert report.dataset.classes == ["background", "animal"]
    with CacheReader(tmp_path / "cache") as reader:
        assert set(np.unique(reader.masks(range(6)))) == {0, 1, 255}


def test_preset_that_does_not_exist_is_answered_by_the_cheap_check(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip"), {"class_map": "cityscapes-7"})
    assert [(issue.code, "cityscapes-8" in issue.message) for issue in report.issues] == [
        ("request.invalid_value", True)
    ]
