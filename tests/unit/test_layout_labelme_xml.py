from pathlib import Path

import pytest

from builders.exports import labelme_xml as exports
from builders.exports.boxes import SIZE, damaged_xml, photo
from builders.exports.reading import codes, read_back, same, survives, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts import labelme_xml
from segdrop.dataset.samples import Reading

BOX = exports.thing(0, "car", exports.polygon((2, 2, 9, 9)))


def made(*objects: str) -> dict[str, bytes]:
    """Three images, the first of them with these objects."""
    content = {f"{i}.png": photo(i) for i in range(3)} | {f"{i}.xml": exports.document(BOX, f"{i}.png") for i in (1, 2)}
    return content | {"0.xml": exports.document("".join(objects), "0.png")}


def read(content: dict[str, bytes]) -> Reading:
    return layouts.read(tree_of(content))


@pytest.mark.parametrize(
    ("name", "classes", "issues"),
    [
        ("web tool", ["background", "car", "road", "tree"], set()),
        ("cvat", ["background", "car"], {"annotation.no_area"}),
    ],
)
def test_export_is_read_back_pixel_by_pixel(name: str, classes: list[str], issues: set[str], tmp_path: Path) -> None:
    content, expected = exports.EXPORTS[name]()
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == ("labelme-xml", classes)
    assert issues <= {issue.code for issue in report.issues}
    assert same(found, expected)


def test_mask_of_an_object_is_that_of_its_own_collection(tmp_path: Path) -> None:
    content, expected = exports.web_tool()
    content["Masks/rooms/0_mask_2.png"] = b"broken"
    report, _, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is None
    (issue,) = [issue for issue in report.issues if issue.code == "image.unreadable"]
    assert issue.files == ("Annotations/rooms/0.xml",)
    assert len(expected) == 3


@pytest.mark.parametrize(
    ("thing", "found"),
    [
        (exports.thing(1, "car", ""), {"annotation.no_area": "warning"}),
        (exports.thing(1, "car", "<polygon><pt><x>1</x><y>2</y></pt></polygon>"), {"annotation.no_area": "warning"}),
        (exports.thing(1, "car", "<polygon><pt><x>1</x></pt></polygon>"), {"annotation.invalid": "fault"}),
        (exports.thing(1, "car", exports.segment("gone.png")), {"annotation.invalid": "fault"}),
        (exports.thing(1, "", exports.polygon((1, 1, 5, 5))), {"annotation.unnamed": "warning"}),
        (exports.thing(1, "car", "<polygon/>", deleted=1), {}),
    ],
)
def test_finding_has_its_code(thing: str, found: dict[str, str]) -> None:
    assert codes(read(made(BOX, thing))) == found


def test_boxes_alone_are_a_fault() -> None:
    box = exports.thing(1, "car", exports.polygon((1, 1, 5, 5)), kind="<type>bounding_box</type>")
    content = {f"{i}.xml": exports.document(box, f"{i}.png") for i in range(3)}
    assert codes(read(content | {f"{i}.png": photo(i) for i in range(3)})) == {"annotation.boxes_only": "fault"}


def test_all_that_is_wrong_is_reported_together() -> None:
    content = made(BOX, exports.thing(1, "car", "<polygon><pt/></polygon>"))
    content |= {"3.xml": b"<annotation>", "4.xml": exports.document(BOX, "gone.png"), "5.png": photo(5)}
    assert codes(read(content)) == {
        "annotation.invalid": "fault", "annotation.missing_image": "warning", "pair.missing_mask": "warning",
    }  # fmt: skip


def test_boxes_of_pascal_voc_are_not_taken_for_it() -> None:
    voc = (
        b"<annotation><folder>VOC</folder><filename>a.jpg</filename><size><width>3</width></size><object>"
        b"<name>cat</name><bndbox><xmin>1</xmin></bndbox></object></annotation>"
    )
    assert not labelme_xml.signature(tree_of({"Annotations/a.xml": voc, "JPEGImages/a.jpg": b""}))


@pytest.mark.parametrize("name", exports.EXPORTS)
def test_no_content_breaks_the_reader(name: str) -> None:
    content, _ = exports.EXPORTS[name]()
    file = next(path for path in content if path.endswith(".xml"))
    ends = {survives(labelme_xml, content | {file: damaged}) for damaged in damaged_xml(content[file])}
    assert True in ends
