"""What is said of files that do not fit is true, whatever the reason: no "missing" of what is there."""

import json

import pytest

from builders.exports import coco as coco_exports
from builders.exports import yolo as yolo_exports
from builders.exports.boxes import corners, photo
from builders.exports.labelme import document, shape
from builders.exports.reading import codes, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.masks import decode, image_reading
from segdrop.errors import DataError, Issue

BOX = shape("leaf", "polygon", corners((1, 1, 9, 9)))


def issues(content: dict[str, bytes]) -> list[Issue]:
    try:
        return layouts.read(tree_of(content)).issues
    except DataError as error:
        return error.issues


def of_pairs(*names: str) -> list[str]:
    """The messages on pairs of a dataset with two good pairs and these files."""
    good = [f"{folder}/{i}.png" for folder in ("images", "masks") for i in range(4)]
    return [issue.message for issue in layouts.read(Tree([*good, *names])).issues if issue.code.startswith("pair.")]


def test_mask_in_another_folder_is_not_said_to_be_missing() -> None:
    messages = of_pairs("images/north/7.png", "masks/south/7.png")
    assert "1 of 5 images have no mask at the same place" in messages[0]
    assert "masks/south/7.png" in messages[0]
    assert "images/north/7.png" in messages[1]


def test_mask_of_a_kind_that_is_not_read_is_not_said_to_be_missing() -> None:
    (message,) = of_pairs("images/7.dcm", "masks/7.png")
    assert "a file of that name which is no image that is read (images/7.dcm)" in message


def test_mask_that_is_nowhere_is_said_to_be_missing() -> None:
    assert of_pairs("images/7.png") == ["1 of 5 images have no mask of the same name; they are left out"]


def test_folder_without_images_is_called_by_its_name() -> None:
    found = issues({"photos/1.png": photo(1), "gt/1.weights": b"", "gt/2.weights": b""})
    assert [issue.message for issue in found] == ["gt/ holds no image file that is read (2 files: weights)"]
    found = issues({"images/1.png": photo(1), "images/2.png": photo(2)})
    assert [issue.message for issue in found] == ["there is no folder with files that is named for masks (masks/)"]


def test_image_that_is_there_twice_is_not_said_to_be_missing() -> None:
    content = {f"{i}.json": document([BOX], f"{i}.png") for i in range(3)}
    content |= {f"{i}.png": photo(i) for i in range(2)} | {"east/2.png": photo(2), "west/2.png": photo(3)}
    found = [issue for issue in issues(content) if issue.code == "annotation.missing_image"]
    assert len(found) == 1
    assert "not clear which file" in found[0].message
    assert "east/2.png, west/2.png" in found[0].message


def test_image_of_a_kind_that_is_not_read_is_not_said_to_be_missing() -> None:
    content = {f"{i}.json": document([BOX], f"{i}.png" if i else "IMG_0.DCM") for i in range(3)}
    content |= {f"{i}.png": photo(i) for i in range(1, 3)} | {"IMG_0.DCM": b"dicom"}
    assert [(issue.code, issue.severity) for issue in issues(content)] == [
        ("layout.unsupported", "warning"), ("layout.stray_file", "note"),
    ]  # fmt: skip


def test_boxes_in_two_layouts_are_boxes_and_no_choice() -> None:
    boxes = yolo_exports.plain([b"0 0.5 0.5 0.2 0.2\n"] * 3)
    whole = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 32} for i in range(3)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, 9, 9], "segmentation": []} for i in range(3)
        ],
    }
    found = issues(boxes | {"instances.json": json.dumps(whole).encode()})
    assert {issue.code for issue in found} == {"annotation.boxes_only"}


def test_of_two_layouts_the_one_with_areas_is_read() -> None:
    content, _ = coco_exports.labelme()
    images = [name for name in content if name.endswith((".png", ".jpg"))]
    boxes = {name.rpartition(".")[0] + ".txt": b"0 0.5 0.5 0.2 0.2\n" for name in images}
    reading = layouts.read(tree_of(content | boxes | {"classes.txt": b"cat\n"}))
    assert reading.layout == "coco"
    assert any("`yolo` hold boxes alone" in line for line in reading.assumptions)


def test_people_with_key_points_have_outlines_too() -> None:
    content, _ = coco_exports.labelme()
    name = next(path for path in content if path.endswith(".json"))
    content["annotations/person_keypoints_val2017.json"] = content.pop(name)
    assert layouts.read(tree_of(content)).layout == "coco"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"), (b"\0\0\0\x18ftypmif1", "HEIC"), (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"\0" * 128 + b"DICM", "DICOM"), (b"%PDF-1.7", "PDF"), (b"<!DOCTYPE html><p>Sign in", "web page"),
        (b"\0\0\0\x18ftypisom", "video"), (b"PK\3\4", "ZIP"), (b"who knows", "no image of a known format"),
    ],
)  # fmt: skip
def test_file_named_like_an_image_is_called_what_it_is(content: bytes, kind: str) -> None:
    with pytest.raises(decode.DecodeError, match=kind):
        image_reading.read_image(content)


@pytest.mark.parametrize("count", [1, 2])
def test_images_with_boxes_alone_among_areas_are_no_background(count: int) -> None:
    """LabelMe's rectangles are areas; CVAT's boxes, COCO's and YOLO's are not."""
    whole = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 32} for i in range(4)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, 9, 9],
             "segmentation": [] if i < count else [[1, 1, 5, 1, 9, 1, 9, 9, 1, 9]]} for i in range(4)
        ],
    }  # fmt: skip
    reading = layouts.read(tree_of({"c.json": json.dumps(whole).encode()} | {f"{i}.png": photo(i) for i in range(4)}))
    assert codes(reading) == {"annotation.no_area": "warning" if count == 1 else "fault"}
    assert [sample.key for sample in reading.samples] == [str(i) for i in range(count, 4)]
    assert any(f"{count} of 4 annotated images have boxes alone" in issue.message for issue in reading.issues)


def test_outlines_that_are_all_upright_boxes_are_said() -> None:
    whole = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 32} for i in range(3)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 8, 1, 8]]} for i in range(3)
        ],
    }
    pictures = {f"{i}.png": photo(i) for i in range(3)}
    reading = layouts.read(tree_of({"c.json": json.dumps(whole).encode()} | pictures))
    assert any("all 3 outlines are upright rectangles" in line for line in reading.assumptions)
    whole["annotations"][0]["segmentation"] = [[1, 1, 9, 1, 9, 8, 2, 8]]
    reading = layouts.read(tree_of({"c.json": json.dumps(whole).encode()} | pictures))
    assert not any("upright" in line for line in reading.assumptions)


def test_rectangles_among_outlines_are_said() -> None:
    rectangle = shape("leaf", "rectangle", [[1, 1], [9, 9]])
    content = {f"{i}.json": document([BOX if i else rectangle], f"{i}.png") for i in range(3)}
    reading = layouts.read(tree_of(content | {f"{i}.png": photo(i) for i in range(3)}))
    assert any("1 of 3 areas are rectangles" in line for line in reading.assumptions)
