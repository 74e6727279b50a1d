"""Layouts that are met less often: every export read back pixel by pixel, and inputs that are nearly one."""

import importlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders.archives import encoded
from builders.exports import cityscapes, datumaro, isat, mapillary, rle_csv, superannotate, voc_xml
from builders.exports.boxes import SIZE, corners, damaged_xml, painted, photo
from builders.exports.reading import codes, damaged_json, read_back, same, survives, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts.rle_order import Order, Votes, decide
from segdrop.errors import DataError

CLASSES = {
    "mapillary-v1": {"alone": ["Bird", "Road"], "flat": ["Bird", "Road"]},
    "mapillary-v2": {"alone": ["Bird", "Road", "Sand"]},
    "datumaro": {"sides": ["background", "zebra", "ape"], "flat": ["background", "car"]},
    "rle-csv": {
        "class column": ["background", "class_1", "class_2", "class_4"],
        "joined": ["background", "Fish", "Sugar"],
        "objects": ["background", "foreground"],
        "along rows": ["background", "cort"],
        "relative": ["background", "foreground"],
    },
    "segment-anything": {"images": ["background", "object"]},
    "superannotate": {
        "pixel": ["background", "Truck", "Asphalt"],
        "vector": ["background", "Truck", "Asphalt"],
        "newer": ["background", "Truck", "Asphalt"],
    },
    "voc-xml": {"sides": ["background", "bolt", "weld"]},
    "isat": {"images": ["__background__", "grass", "sheep"]},
    "eiseg": {"images": ["background", "weed", "crop"]},
    "darwin": {"second": ["background", "lime", "plum"], "first": ["background", "fig"]},
    "hasty": {"project": ["background", "yard", "roof"]},
    "segments-ai": {"release": ["background", "pipe", "valve"]},
}
EXPORTS = [(layout, name) for layout, exports in CLASSES.items() for name in exports]
#: what an export of these is warned of, beyond how few pairs there are
SAID = {
    ("segment-anything", "images"): {"annotation.unnamed"},
    ("superannotate", "vector"): {"annotation.no_area"},
    ("superannotate", "newer"): {"annotation.no_area"},
    ("darwin", "first"): {"annotation.no_area"},
    ("datumaro", "sides"): {"annotation.no_area"},
}


def built(layout: str, name: str) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    module = importlib.import_module(f"builders.exports.{layout.replace('-', '_')}")
    content, expected = module.EXPORTS[name]()
    return content, expected


@pytest.mark.parametrize(("layout", "name"), EXPORTS)
def test_export_is_read_back_pixel_by_pixel(layout: str, name: str, tmp_path: Path) -> None:
    content, expected = built(layout, name)
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == (layout, CLASSES[layout][name])
    assert same(found, expected)


@pytest.mark.parametrize(("layout", "name"), EXPORTS)
def test_good_export_is_not_warned_of(layout: str, name: str) -> None:
    reading = layouts.read(tree_of(built(layout, name)[0]))
    assert {issue.code for issue in reading.issues} - {"layout.stray_file"} == SAID.get((layout, name), set())


@pytest.mark.parametrize(("layout", "name"), EXPORTS)
def test_no_content_breaks_the_reader(layout: str, name: str) -> None:
    content, _ = built(layout, name)
    text = next((path for path in content if path.endswith((".json", ".xml")) and "classes" not in path), None)
    if text is None:
        pytest.skip("it has neither JSON nor XML")
    damage = damaged_json if text.endswith(".json") else damaged_xml
    for damaged in damage(content[text]):
        survives(layouts.LAYOUTS[layout], content | {text: damaged})


# Mapillary Vistas


def test_both_versions_in_one_zip_are_refused_and_the_key_decides(tmp_path: Path) -> None:
    content, _ = mapillary.release("v1.2", "v2.0")
    with pytest.raises(DataError) as raised:
        layouts.read(tree_of(content))
    (issue,) = raised.value.issues
    assert issue.code == "layout.ambiguous"
    assert all(word in issue.message for word in ("v1.2", "v2.0"))
    assert all(f'"format": "mapillary-v{number}"' in issue.fix for number in (1, 2))
    for number, version in ((1, "v1.2"), (2, "v2.0")):
        folder = tmp_path / version
        folder.mkdir()
        _, expected = mapillary.release(version)
        report, found, sides = read_back(content, folder, SIZE, {"format": f"mapillary-v{number}"})
        assert report.dataset is not None, report.issues
        assert same(found, expected)
        assert sides["validation/images/2.jpg"] == "val"


def test_folders_alone_make_no_mapillary_of_other_datasets() -> None:
    content, _ = mapillary.release("")
    content["config.json"] = b'{"labels": ["a", "b"], "learning_rate": 1}'
    assert layouts.read(tree_of(content)).layout == "paired"


# Cityscapes without label ids


@pytest.mark.parametrize("name", ["instances_only", "colours_only", "polygons_only"])
def test_what_stands_in_for_label_ids_is_read_as_they_would_be(name: str, tmp_path: Path) -> None:
    content, expected = cityscapes.EXPORTS[name]()
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert report.dataset.layout == "cityscapes"
    assert same(found, expected)
    assert any("there are no labelIds" in line for line in report.dataset.assumptions)


def test_colour_that_is_not_in_the_table_is_refused(tmp_path: Path) -> None:
    content, _ = cityscapes.colours_only()
    name = next(name for name in content if name.endswith("_color.png"))
    report, _, _ = read_back(content | {name: photo(3)}, tmp_path, SIZE)
    assert report.dataset is None
    assert "mask.unknown_value" in {issue.code for issue in report.issues}


def test_colours_in_a_palette_are_colours(tmp_path: Path) -> None:
    content, expected = cityscapes.colours_only()
    for name in [name for name in content if name.endswith("_color.png")]:
        with Image.open(io.BytesIO(content[name])) as image:
            content[name] = encoded(image.convert("P", palette=Image.Palette.ADAPTIVE, colors=8))
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert same(found, expected)


def test_label_that_is_not_in_the_table_is_refused_by_name() -> None:
    content, _ = cityscapes.polygons_only()
    name = next(name for name in content if name.endswith("_polygons.json"))
    objects = [{"label": "igloo", "polygon": corners((1, 1, 9, 9))}]
    content[name] = json.dumps({"imgHeight": 32, "imgWidth": 40, "objects": objects}).encode()
    with pytest.raises(DataError, match="igloo"):
        layouts.read(tree_of(content))


# Datumaro


def test_labels_and_boxes_alone_are_no_background() -> None:
    entries = [datumaro.entry("label", 0), datumaro.entry("points", 0, points=[1, 2])]
    content = {f"images/default/{n}.png": photo(n) for n in range(3)}
    content["annotations/default.json"] = datumaro.document(["car"], {f"{n}.png": entries for n in range(3)})
    reading = layouts.read(tree_of(content))
    (issue,) = [issue for issue in reading.issues if issue.code == "layout.no_masks"]
    assert issue.severity == "fault"
    assert "Datumaro" in issue.message
    assert "3 label, 3 points" in issue.message


def test_image_of_another_side_is_never_taken() -> None:
    content, _ = datumaro.sides()
    del content["images/test/3.png"]
    content["images/train/3.png"] = photo(3)
    assert codes(layouts.read(tree_of(content)))["annotation.missing_image"] == "warning"


# Run lengths


def test_masks_that_are_there_as_pictures_are_read_and_not_the_run_lengths() -> None:
    content, _ = rle_csv.objects()
    images = [name for name in content if name.endswith(".png")]
    content = {name.replace("train_v2/", "images/"): data for name, data in content.items()}
    content |= {name.replace("train_v2/", "masks/"): photo(1) for name in images}
    assert layouts.read(tree_of(content)).layout == "paired"


def test_example_of_an_answer_alone_is_no_truth() -> None:
    content, _ = rle_csv.objects()
    rows = [[name.partition("/")[2], "1 1"] for name in content if name.endswith(".png")]
    del content["train_objects.csv"]
    content["sample_submission.csv"] = rle_csv.table("ImageId,EncodedPixels", rows)
    with pytest.raises(DataError):
        layouts.read(tree_of(content))


@pytest.mark.parametrize(
    ("cell", "code"),
    [("5 9 3 9", "annotation.invalid"), ("5 9 3", "annotation.invalid"), ("1 2 x 3", "annotation.invalid")],
)
def test_runs_that_are_none_are_refused(cell: str, code: str) -> None:
    content, _ = rle_csv.objects()
    rows = [["00000f", "-1"], *([f"0000{n}f", "1 5"] for n in range(1, 4))]
    rows += [["00001f", "9 9"]] * 60 + [["00001f", cell]]
    content["train_objects.csv"] = rle_csv.table("id,rle_mask", rows)
    assert codes(layouts.read(tree_of(content)))[code] == "fault"


def test_runs_beyond_the_image_are_a_fault(tmp_path: Path) -> None:
    content, _ = rle_csv.objects()
    content["train_objects.csv"] += b"00001f,1280 2\n"
    report, _, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is None
    assert "annotation.invalid" in {issue.code for issue in report.issues}


def test_runs_of_images_of_another_size_are_a_fault() -> None:
    content, _ = rle_csv.objects()
    small = np.zeros((13, 40), np.uint8)
    small[2:9, 3:36] = 1
    rows = [[f"0000{n}f", rle_csv.coded(small)] for n in range(4)]
    content["train_objects.csv"] = rle_csv.table("id,rle_mask", rows)
    with pytest.raises(DataError, match="another size"):
        layouts.read(tree_of(content))


def test_no_run_at_all_is_said_in_many_ways(tmp_path: Path) -> None:
    content, _ = rle_csv.objects()
    cells = ("", "-1", "nan", "1 0")
    rows = [[f"0000{n}f", cell] for n, cell in enumerate(cells)] + [["00003f", "5 9"], ["00002f", "40 3"]]
    content["train_objects.csv"] = rle_csv.table("id,rle_mask", rows)
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert [int((ids > 0).sum()) for ids in found.values()] == [0, 0, 3, 9]


def test_pixels_are_counted_from_0_where_a_run_begins_there(tmp_path: Path) -> None:
    content, _ = rle_csv.objects()
    corner = painted(((0, 0, 5, 9), 1))
    rows = [[f"0000{n}f", rle_csv.coded(corner, first=0)] for n in range(4)]
    content["train_objects.csv"] = rle_csv.table("id,rle_mask", rows)
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert all(np.array_equal(ids, corner) for ids in found.values())
    assert any("from 0, since a run begins there" in line for line in report.dataset.assumptions)


@pytest.mark.parametrize(
    ("votes", "order"),
    [
        (Votes(), Order.COLUMNS),
        (Votes(both=50), Order.COLUMNS),
        (Votes(rows=1), Order.COLUMNS),
        (Votes(columns=40, rows=9), Order.COLUMNS),
        (Votes(columns=4, rows=90), Order.ROWS),
        (Votes(columns=3, none=25), Order.COLUMNS),
    ],
)
def test_order_is_the_one_that_runs_speak_for(votes: Votes, order: Order) -> None:
    assert decide(votes) is order


def test_table_of_other_things_is_none_of_run_lengths() -> None:
    content = {f"images/{n}.png": photo(n) for n in range(3)}
    content["train.csv"] = b"id,segmentation\n0,done\n1,open\n"
    assert not layouts.rle_csv.signature(tree_of(content))


def test_run_lengths_without_their_images_are_said_to_lack_them() -> None:
    content, _ = rle_csv.objects()
    reading = layouts.read(tree_of({name: data for name, data in content.items() if name.endswith(".csv")}))
    assert codes(reading)["annotation.missing_image"] == "fault"


# others


def test_masks_of_the_same_names_are_never_taken_for_the_images() -> None:
    content, _ = isat.images()
    content |= {f"masks/{number}.png": photo(20 + number) for number in range(3)}
    reading = layouts.read(tree_of(content), "isat")
    names = list(content)
    assert [names[sample.image] for sample in reading.samples] == [f"images/{number}.png" for number in range(3)]


def test_colour_of_no_object_is_refused(tmp_path: Path) -> None:
    content, _ = superannotate.pixel()
    content["p0.png___save.png"] = superannotate.save(((1, 1, 9, 9), 0xABCDEF))
    report, _, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is None
    (issue,) = [issue for issue in report.issues if issue.code == "mask.unknown_value"]
    assert "171, 205, 239" in issue.message


def test_boxes_among_voc_polygons_are_said_and_boxes_alone_are_another_matter() -> None:
    content, _ = voc_xml.sides()
    box = voc_xml.thing("weld", (1, 1, 9, 9), has_polygon=False)
    content["train/n0.xml"] = voc_xml.document("n0.png", voc_xml.thing("bolt", (2, 2, 9, 9)), box)
    assert codes(layouts.read(tree_of(content))) == {"annotation.no_area": "warning"}
    alone = {f"{n}.xml": voc_xml.document(f"{n}.png", box) for n in range(3)} | {f"{n}.png": photo(n) for n in range(3)}
    assert not layouts.voc_xml.signature(tree_of(alone))


def test_isat_file_without_objects_is_background(tmp_path: Path) -> None:
    content, _ = isat.images()
    content["annotations/0.json"] = isat.document("0.png")
    _, found, _ = read_back(content, tmp_path, SIZE)
    assert np.array_equal(found["images/0.png"], painted())


@pytest.mark.parametrize("layout", CLASSES)
def test_other_json_is_not_taken(layout: str) -> None:
    for content in (b"", b"{", b"[]", b"[1]", b'{"images": 1}', b'{"info": {}, "objects": []}', b"\xff" * 50):
        assert not layouts.LAYOUTS[layout].signature(tree_of({"a.json": content, "a.png": b""}))
