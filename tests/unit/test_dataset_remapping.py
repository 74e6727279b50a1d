"""The classes of a model under ``class_map``, and the colours that lists of classes are known by."""

import json
from pathlib import Path

import numpy as np
import pytest

from segdrop.dataset.classes import official_colours, remapping
from segdrop.dataset.classes.official_colours import CITYSCAPES, CITYSCAPES_CATEGORIES, IGNORED, colours_for
from segdrop.dataset.classes.remapping import remap
from segdrop.dataset.masks import palette
from segdrop.errors import DataError

CITYSCAPES_19 = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
TABLES = Path(__file__).parents[3] / "shared" / "data" / "labeldefs.json"


def labels() -> list[dict[str, object]]:
    if not TABLES.is_file():
        pytest.skip("the label tables are not at hand")
    return json.loads(TABLES.read_text())["cityscapes"]


def test_pixels_of_nineteen_classes_become_their_categories_in_the_table_of_cityscapes() -> None:
    category = {label["name"]: label["category"] for label in labels()}
    class_ids = np.random.default_rng(0).integers(0, 19, (40, 60)).astype(np.uint16)
    found = remap(CITYSCAPES_19, "cityscapes-8")
    new_ids = found.apply(class_ids)
    assert new_ids.dtype == np.uint16
    assert [found.classes[new] for new in new_ids.ravel()] == [
        category[CITYSCAPES_19[old]] for old in class_ids.ravel()
    ]
    assert set(found.classes) == {*category.values()} - {"void"}  # no pixel of a trained class is void
    colours = np.array(colours_for(found.classes))[new_ids]
    assert [tuple(c) for c in colours.reshape(-1, 3)] == [
        CITYSCAPES_CATEGORIES[category[CITYSCAPES_19[old]]] for old in class_ids.ravel()
    ]


def test_colours_of_cityscapes_are_those_of_its_table() -> None:
    table = labels()
    assert {label["name"]: tuple(label["color"]) for label in table} == CITYSCAPES
    first = {}
    for label in table:
        first.setdefault(label["category"], tuple(label["color"]))
    assert first == CITYSCAPES_CATEGORIES


def test_left_out_classes_get_a_value_that_no_class_has_and_it_is_said() -> None:
    found = remap(["background", "Cat", "dog"], {"cat": None, "2": "animal"})
    assert found.classes == ("background", "animal")
    assert found.lookup.tolist() == [0, 255, 1]
    assert found.excluded == ("Cat",)
    assert "leaves out Cat" in found.said[0]
    assert "have the value 255" in found.said[1]


@pytest.mark.parametrize(("count", "value"), [(255, 255), (256, 65_535)])
def test_value_of_what_is_left_out_is_never_a_class(count: int, value: int) -> None:
    names = [f"class {number}" for number in range(count + 1)]
    assert remap(names, {"class 3": None}).lookup[3] == value
    assert remapping.ignored_id(count) == value


def test_class_that_the_model_does_not_have_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(DataError, match=r"Sidewlk \(did you mean Sidewalk\?\)") as caught:
        remap(["road", "Sidewalk"], {"Sidewlk": "flat", "road": "flat"})
    assert [issue.code for issue in caught.value.issues] == ["classes.map_unknown"]


def test_preset_for_other_classes_is_refused() -> None:
    with pytest.raises(DataError, match=r"none of the model's classes: cat, dog") as caught:
        remap(["cat", "dog"], "cityscapes-8")
    assert [issue.code for issue in caught.value.issues] == ["classes.map_unknown"]


def test_preset_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DataError, match="cityscapes-8") as caught:
        remap(["cat", "dog"], "cityscapes-9")
    assert [issue.code for issue in caught.value.issues] == ["request.invalid_value"]


def test_classes_that_a_preset_does_not_name_stay_and_it_is_said() -> None:
    found = remap(["road", "unicorn"], "cityscapes-8")
    assert found.classes == ("flat", "unicorn")
    assert "does not name unicorn" in found.said[-1]


def test_without_a_map_classes_stay_as_they_are() -> None:
    for wanted in (None, {}):
        found = remap(["a", "b"], wanted)
        assert (found.classes, found.lookup.tolist(), found.excluded) == (("a", "b"), [0, 1], ())


def test_merged_classes_keep_the_models_own_colour_of_the_first() -> None:
    found = remap(["a", "b", "c"], {"a": None, "b": "x", "c": "x"})
    assert found.colours([(1, 1, 1), (2, 2, 2), (3, 3, 3)]) == ((2, 2, 2),)
    assert found.colours(None) is None


def test_colours_are_the_models_own_then_the_lists_then_the_palette() -> None:
    own = tuple((number, 0, 0) for number in range(19))
    assert colours_for(CITYSCAPES_19, own) == own
    assert colours_for(CITYSCAPES_19, own[:5])[:2] == ((128, 64, 128), (244, 35, 232))  # too few are none
    assert colours_for([name.upper() for name in CITYSCAPES_19])[13] == (0, 0, 142)
    voc = tuple(tuple(colour) for colour in palette.colours().tolist())
    assert colours_for(["background", "person", "car"]) == voc[:3]
    assert colours_for(["person", "background", "cat", "dog", "sofa"]) == (voc[15], voc[0], voc[8], voc[12], voc[18])
    assert voc[255] == IGNORED


def test_every_class_of_many_has_a_colour_of_its_own() -> None:
    assert len(set(official_colours.voc_colours(1000))) == 1000


def test_official_colours_are_known_by_the_names_alone_in_any_order() -> None:
    turned = tuple(reversed(CITYSCAPES_19))
    assert official_colours.official(turned) == tuple(CITYSCAPES[name.casefold()] for name in turned)
    assert official_colours.official((*CITYSCAPES_19, "kiosk")) is None
    merged = remap(CITYSCAPES_19, {"road": "ground to drive on", "sidewalk": None})
    own = merged.colours(official_colours.official(CITYSCAPES_19))
    assert colours_for(merged.classes, own)[list(merged.classes).index("ground to drive on")] == CITYSCAPES["road"]
