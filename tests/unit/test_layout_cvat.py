from pathlib import Path

import numpy as np
import pytest

from builders.exports import cvat as exports
from builders.exports.boxes import SIZE, damaged_xml, painted, photo
from builders.exports.reading import codes, read_back, same, survives, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts import cvat
from segdrop.dataset.samples import Reading

BOX = exports.polygon("cat", (2, 2, 9, 9))


def made(*shapes: str, labels: str = exports.label("cat")) -> dict[str, bytes]:
    """Three images, the first of them with these shapes."""
    images = [exports.image(i, f"{i}.png", BOX if i else "".join(shapes)) for i in range(3)]
    content = {"annotations.xml": exports.document(labels, "".join(images))}
    return content | {f"images/{i}.png": photo(i) for i in range(3)}


def read(content: dict[str, bytes]) -> Reading:
    return layouts.read(tree_of(content))


@pytest.mark.parametrize(
    ("name", "classes"), [("task", ["background", "road", "car"]), ("project", ["background", "cat"])]
)
def test_export_is_read_back_pixel_by_pixel(name: str, classes: list[str], tmp_path: Path) -> None:
    content, expected = exports.EXPORTS[name]()
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == ("cvat", classes)
    assert same(found, expected)


def test_lines_and_boxes_beside_areas_are_left_out_with_a_warning() -> None:
    reading = read(exports.task()[0])
    assert codes(reading) == {"annotation.no_area": "warning"}
    assert reading.issues[0].count == 6
    assert "3 box, 3 polyline" in reading.issues[0].message


def test_subsets_are_the_split(tmp_path: Path) -> None:
    _, _, sides = read_back(exports.project()[0], tmp_path, SIZE)
    assert sides == {
        "images/Train/a.png": "train", "images/Train/b.png": "train", "images/Validation/a.png": "val",
    }  # fmt: skip


def test_subset_of_a_whole_task_is_its_side() -> None:
    content = made(BOX)
    images = "".join(exports.image(i, f"{i}.png", BOX) for i in range(3))
    content["annotations.xml"] = exports.document(exports.label("cat"), images, more="<subset>Test</subset>")
    assert {sample.split for sample in read(content).samples} == {"test"}


def test_tasks_in_folders_of_their_own_are_one_dataset() -> None:
    content = {f"task_{number}/{name}": data for number in (1, 2) for name, data in exports.task()[0].items()}
    names = list(content)
    reading = read(content)
    assert len(reading.samples) == 8
    for sample in reading.samples:
        assert names[sample.image].partition("/")[0] == names[sample.truth.member].partition("/")[0]


def test_ellipse_is_turned_clockwise_in_degrees(tmp_path: Path) -> None:
    ellipse = '<ellipse label="cat" cx="15.00" cy="10.00" rx="9.00" ry="3.00" rotation="{}" z_order="0"></ellipse>'
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    for number, angle in enumerate((0, 90, 30)):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, found, _ = read_back(made(ellipse.format(angle)), folder, SIZE)
        cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        along = (columns - 15) * cosine + (rows - 10) * sine
        across = (rows - 10) * cosine - (columns - 15) * sine
        mask = found["images/0.png"]
        assert (mask[(along / 8) ** 2 + (across / 2) ** 2 <= 1] == 1).all()
        assert (mask[(along / 10.5) ** 2 + (across / 4.5) ** 2 >= 1] == 0).all()


def test_mask_that_begins_with_a_pixel_that_is_on(tmp_path: Path) -> None:
    covered = np.ones((3, 4), bool)
    covered[1, 2] = False
    content = made(exports.mask("cat", covered, 37, 30))
    _, found, _ = read_back(content, tmp_path, SIZE)
    expected = painted(((37, 30, 39, 31), 1))
    expected[31, 39] = 0
    assert np.array_equal(found["images/0.png"], expected)


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ('<polygon label="cat" points="1,1;5,5"/>', {"annotation.no_area": "warning"}),
        ('<polygon label="cat" points="1,1;5,5;9"/>', {"annotation.invalid": "fault"}),
        ('<polygon label="cat"/>', {"annotation.invalid": "fault"}),
        ('<polygon points="1,1;5,1;5,5"/>', {"annotation.unnamed": "warning"}),
        ('<ellipse label="cat" cx="1" cy="1" rx="0" ry="3"/>', {"annotation.no_area": "warning"}),
        ('<ellipse label="cat" cx="1" rx="2" ry="3"/>', {"annotation.invalid": "fault"}),
        ('<mask label="cat" rle="1, 2" left="0" top="0" width="2" height="2"/>', {"annotation.invalid": "fault"}),
        ('<mask label="cat" rle="-1, 5" left="0" top="0" width="2" height="2"/>', {"annotation.invalid": "fault"}),
        ('<points label="cat" points="1,1"/>', {"annotation.no_area": "warning"}),
        ('<tag label="cat"/>', {}),
        ('<skeleton label="cat"><points label="1" points="1,1"/></skeleton>', {"annotation.no_area": "warning"}),
        ('<cuboid label="cat" xtl1="1"/>', {"annotation.no_area": "warning"}),
        ('<spline label="cat" points="1,1;5,1;5,5"/>', {"annotation.invalid": "fault"}),
    ],
)
def test_finding_has_its_code(shape: str, found: dict[str, str]) -> None:
    assert codes(read(made(BOX, shape))) == found


def test_boxes_alone_are_a_fault() -> None:
    box = '<box label="cat" xtl="1.00" ytl="1.00" xbr="9.00" ybr="9.00" z_order="0"></box>'
    images = "".join(exports.image(i, f"{i}.png", box) for i in range(3))
    content = made() | {"annotations.xml": exports.document(exports.label("cat"), images)}
    assert codes(read(content)) == {"annotation.boxes_only": "fault"}


def test_format_for_videos_is_answered_with_the_one_to_export() -> None:
    track = '<track id="0" label="cat"><polygon frame="0" points="1,1;5,1;5,5"/></track>'
    content = made() | {"annotations.xml": exports.document(exports.label("cat"), track)}
    reading = read(content)
    assert "CVAT for images 1.1" in reading.issues[0].message
    assert codes(reading)["annotation.invalid"] == "fault"


def test_images_that_are_not_packed_are_a_fault_where_they_are_most() -> None:
    content = made(BOX)
    del content["images/0.png"]
    assert codes(read(content)) == {"annotation.missing_image": "warning"}
    del content["images/1.png"]
    assert codes(read(content)) == {"annotation.missing_image": "fault"}


def test_mask_larger_than_any_image_is_answered_without_the_memory_for_it(tmp_path: Path) -> None:
    huge = f'<mask label="cat" rle="{2**32 - 1}, 1" left="0" top="0" width="65536" height="65536"/>'
    report, _, _ = read_back(made(BOX, huge), tmp_path, SIZE)
    assert report.dataset is None
    assert "image.too_large" in {issue.code for issue in report.issues}


@pytest.mark.parametrize("name", exports.EXPORTS)
def test_no_content_breaks_the_reader(name: str) -> None:
    content, _ = exports.EXPORTS[name]()
    whole = content["annotations.xml"]
    ends = {survives(cvat, content | {"annotations.xml": damaged}) for damaged in damaged_xml(whole)}
    assert True in ends


def test_kinds_of_shapes_that_are_not_known_are_counted() -> None:
    reading = read(made(BOX, '<spline label="cat"/>', '<spline label="cat"/>', '<blob label="cat"/>'))
    assert "3 annotations are of kinds that are not read (1 blob, 2 spline)" in reading.issues[0].message
    assert "polygons" in reading.issues[0].fix


def test_image_with_a_box_and_a_line_stays_and_is_said() -> None:
    """A line may be all that there is to label, a box never is."""
    box = '<box label="cat" xtl="1.00" ytl="1.00" xbr="9.00" ybr="9.00" z_order="0"></box>'
    reading = read(made(box, '<polyline label="cat" points="1,1;5,5"/>'))
    assert codes(reading) == {"annotation.no_area": "warning"}
    assert len(reading.samples) == 3
    assert any("1 of them in spite of boxes, lines or points" in line for line in reading.assumptions)
    assert len(read(made(box)).samples) == 2
