"""Pre-labels are the masks that were predicted, once this package reads them again."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from builders.exports.reading import read_back
from builders.prelabels import CLASSES, KINDS, NAMES, SIZE, ious, prelabels, scenes, sent_back

# pycocotools' decoder under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LEAST_IOU = 0.995
LAYOUTS = {"label_studio": "label-studio"}


def lowest(found: np.ndarray, expected: np.ndarray) -> float:
    return min(ious(found, expected).values())


@pytest.mark.parametrize("kind", KINDS)
def test_our_own_reader_sees_the_masks_that_were_predicted(kind: str, tmp_path: Path) -> None:
    content = sent_back(kind, prelabels(kind, tmp_path / "out", scenes()), scenes())
    report, masks, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert report.dataset.layout == LAYOUTS.get(kind, kind)
    assert set(report.dataset.classes) == set(CLASSES)
    number = np.array([CLASSES.index(name) for name in report.dataset.classes])
    assert len(masks) == len(NAMES)
    for name, expected in scenes().items():
        (found,) = [ids for image, ids in masks.items() if image.endswith(name)]
        assert lowest(number[found], expected) >= LEAST_IOU, name


@pytest.mark.parametrize("kind", KINDS)
def test_small_regions_beyond_the_most_are_read_back_too(kind: str, tmp_path: Path) -> None:
    masks = dict(list(scenes().items())[2:4])
    content = sent_back(kind, prelabels(kind, tmp_path / "out", masks, most_regions=3), masks)
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    number = np.array([CLASSES.index(name) for name in report.dataset.classes])
    for name, expected in masks.items():
        (ids,) = [ids for image, ids in found.items() if image.endswith(name)]
        assert lowest(number[ids], expected) >= LEAST_IOU, name


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_background_every_class_is_annotated(kind: str, tmp_path: Path) -> None:
    classes = ("sky", *CLASSES[1:])
    folder = prelabels(kind, tmp_path / "out", scenes(), classes, background=None)
    report, masks, _ = read_back(sent_back(kind, folder, scenes()), tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    known = ["background", *classes]
    number = np.array([known.index(name) for name in report.dataset.classes])
    for name, expected in scenes().items():
        (found,) = [ids for image, ids in masks.items() if image.endswith(name)]
        values = ious(number[found], expected + 1, num_classes=5)
        # between outlines a pixel may be left over, which is nothing else's
        assert min(value for class_id, value in values.items() if class_id) >= LEAST_IOU, name


@pytest.mark.parametrize("segmentation", ["polygons", "rle"])
def test_coco_is_read_by_pycocotools(segmentation: str, tmp_path: Path) -> None:
    folder = prelabels("coco", tmp_path / "out", scenes(), coco_segmentation=segmentation)
    coco = COCO(str(folder / "annotations" / "instances_default.json"))
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == list(CLASSES[1:])
    for number, (name, expected) in enumerate(scenes().items(), start=1):
        assert coco.imgs[number]["file_name"] == name
        found = np.zeros(SIZE, np.uint16)
        for annotation in coco.imgToAnns[number]:
            covered = coco.annToMask(annotation).astype(bool)
            found[covered] = annotation["category_id"]
            x, y, width, height = annotation["bbox"]
            assert covered[y : y + height, x : x + width].sum() == covered.sum()
            assert annotation["score"] == 0.8
            if isinstance(annotation["segmentation"], dict):
                assert annotation["area"] == covered.sum() == coco_masks.area(coco.annToRLE(annotation))
        assert lowest(found, expected) >= (1 if segmentation == "rle" else LEAST_IOU), name


def test_coco_writes_polygons_but_for_regions_with_holes(tmp_path: Path) -> None:
    ids = np.zeros((30, 40), np.uint16)
    ids[2:20, 2:20], ids[5:9, 5:9], ids[6, 6], ids[22:, :] = 1, 2, 3, 3
    folder = prelabels("coco", tmp_path / "out", {"a.png": ids})
    content = json.loads((folder / "annotations" / "instances_default.json").read_text())
    found = [(entry["id"], entry["area"], type(entry["segmentation"])) for entry in content["annotations"]]
    assert found == [(1, 18 * 18 - 16, dict), (2, 8 * 40, list), (3, 15, dict), (4, 1, list)]


def test_images_without_regions_are_listed_without_annotations(tmp_path: Path) -> None:
    masks = {"empty.png": np.zeros((5, 7), np.uint16), "full.png": np.ones((5, 7), np.uint16)}
    for kind in KINDS:
        prelabels(kind, tmp_path / "out", masks)
    content = json.loads((tmp_path / "out/coco/annotations/instances_default.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["empty.png", "full.png"]
    assert [entry["image_id"] for entry in content["annotations"]] == [2]
    images = ET.parse(tmp_path / "out/cvat/annotations.xml").getroot().findall("image")
    assert [len(image) for image in images] == [0, 1]
    assert (tmp_path / "out/yolo/labels/empty.txt").read_text() == ""
    assert json.loads((tmp_path / "out/labelme/empty.json").read_text())["shapes"] == []
    tasks = json.loads((tmp_path / "out/label_studio/tasks.json").read_text())
    assert [len(task["predictions"][0]["result"]) for task in tasks] == [0, 1]


def test_pixels_of_excluded_classes_are_annotated_no_more_than_the_background(tmp_path: Path) -> None:
    ids = np.ones((20, 30), np.uint16)
    ids[5:15, 5:15], ids[0, 0] = 255, 0
    folder = prelabels("coco", tmp_path / "out", {"a.png": ids})
    coco = COCO(str(folder / "annotations" / "instances_default.json"))
    (annotation,) = coco.anns.values()
    assert np.array_equal(coco.annToMask(annotation), ids == 1)


def test_names_that_xml_cannot_hold_do_not_break_the_file(tmp_path: Path) -> None:
    name = 'a "b" & <c>\x01.png'
    folder = prelabels("cvat", tmp_path / "out", {name: np.ones((4, 4), np.uint16)}, ("back", 'x<"&\x02'))
    root = ET.parse(folder / "annotations.xml").getroot()
    assert root.find("image").get("name") == 'a "b" & <c>_.png'
    assert root.find("image/polygon").get("label") == root.findtext("meta/task/labels/label/name") == 'x<"&_'


def test_labelme_names_its_image_relative_to_the_json(tmp_path: Path) -> None:
    folder = prelabels("labelme", tmp_path / "out", scenes())
    paths = {path.stem: json.loads(path.read_text())["imagePath"] for path in folder.rglob("*.json")}
    assert paths["blobs"] == "blobs.png"
    assert paths["ä b"] == "ä b.png"


def test_frames_of_videos_are_called_like_the_files_of_the_output_frames(tmp_path: Path) -> None:
    masks = {"frame_000001": np.ones((4, 4), np.uint16)}
    coco = json.loads((prelabels("coco", tmp_path / "out", masks) / "annotations/instances_default.json").read_text())
    assert coco["images"][0]["file_name"] == "frame_000001.jpg"
    labelme = json.loads((prelabels("labelme", tmp_path / "out", masks) / "frame_000001.json").read_text())
    assert labelme["imagePath"] == "frame_000001.jpg"


def test_writing_again_after_a_crash_changes_nothing(tmp_path: Path) -> None:
    def content(folder: Path) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    masks = {NAMES[0]: scenes()[NAMES[0]]}
    for kind in KINDS:
        first = content(prelabels(kind, tmp_path / "out", masks))
        assert content(prelabels(kind, tmp_path / "out", masks)) == first
