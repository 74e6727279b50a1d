"""Exports of other tools: each is named, with what to export instead; data that can be read are never called so."""

import importlib
import json
import pkgutil
from typing import Any

import pytest

from builders import exports
from builders.exports.boxes import photo
from builders.exports.reading import tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts import foreign
from segdrop.errors import DataError, Issue

IMAGES = {f"images/{i}.png": photo(i) for i in range(3)}
MASKS = {f"masks/{i}.png": photo(i) for i in range(3)}


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def voc(more: str = "") -> bytes:
    corners = "<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax>"
    thing = f"<object><name>leaf</name><bndbox>{corners}</bndbox>{more}</object>"
    return f"<annotation><filename>0.png</filename>{thing}</annotation>".encode()


#: words of the message, and the files beside the images
FOREIGN: list[tuple[str, dict[str, bytes]]] = [
    ("CVAT task", {"data/manifest.jsonl": b'{"version":"1.1"}\n', "task.json": b"{}", "annotations.json": b"[]"}),
    ("Labelbox", {"rows.ndjson": b'{"data_row": {"id": "c"}, "projects": {}}\n' * 2}),
    ("Labelbox", {"export.json": text([{"ID": "c", "DataRow ID": "d", "Label": {}}])}),
    ("V7", {"a/0.json": text({"version": "2.0", "schema_ref": "https://darwin-public.x", "annotations": []})}),
    ("V7", {"0.json": text({"image": {"workview_url": "https://x"}, "annotations": []})}),
    ("Segments.ai", {"r.json": text({"dataset": {"samples": [{"label": {"segmentation_bitmap": {"url": "x"}}}]}})}),
    ("ISAT", {"0.json": text({"info": {"description": "ISAT", "note": ""}, "objects": []})}),
    ("Segment Anything",
     {"0.json": text({"annotations": [{"segmentation": {"size": [9, 9], "counts": "x"}, "predicted_iou": 1}]})}),
    ("Hasty", {"h.json": text({"project_name": "x", "export_format_version": "1.1", "images": []})}),
    ("Encord", {"e.json": text([{"label_hash": "x", "data_units": {}}])}),
    ("Scale", {"s.json": text([{"task_id": "x", "response": {}, "params": {}}])}),
    ("FiftyOne", {"samples.json": text({"samples": []}), "metadata.json": b"{}"}),
    ("CreateML", {"c.json": text([{"image": "0.png", "annotations": [{"label": "leaf", "coordinates": {}}]}])}),
    ("Label Studio", {"p.csv": b"image,id,tag,annotator,annotation_id,lead_time\n"}),
    ("Open Images", {"validation-annotations-bbox.csv": b"ImageID,Source\n"}),
    ("DOTA", {"labelTxt-v1.5/0.txt": b"1 1 9 1 9 9 1 9 plane 0\n"}),
    ("DOTA", {"0.txt": b"imagesource:GoogleEarth\ngsd:0.14\n1 1 9 1 9 9 1 9 plane 0\n"}),
    ("DOTA", {"labels/0.txt": b"1 1 9.5 1 9 9 1 9 small-vehicle 0\n2 2 9 2 9 9 2 9 ship 1\n"}),
    ("MOT", {"gt/gt.txt": b"1,1,1,1,9,9,1,1,1.0\n"}),
    ("Dataloop", {"0.json": text({"annotations": [{"label": "leaf", "coordinates": [], "metadata": {}}]})}),
    ("Kili", {"k.json": text([{"labels": [{"jsonResponse": {}}], "externalId": "0"}])}),
    ("VoTT", {"p.json": text({"assets": {"x": {"asset": {}, "regions": [{"tags": ["leaf"]}]}}})}),
    ("Prodigy", {"p.jsonl": b'{"image": "0.png", "spans": [], "_task_hash": 1}\n'}),
    ("Azure", {"a.jsonl": b'{"image_url": "azureml://0.png", "label": []}\n'}),
    ("Supervisely", {"ds/ann/0.png.json": text({"objects": [{"classTitle": "leaf", "points": {}}], "size": {}})}),
    ("dlib", {"d.xml": b"<dataset><images><image file='0.png'><box top='1'/></image></images></dataset>"}),
    ("slides", {"0.xml": b"<ASAP_Annotations><Annotations/></ASAP_Annotations>"}),
    ("KITTI", {"label_2/0.txt": b"Car 0 0 0 1 1 9 9 0 0 0 0 0 0 0\n"}),
    ("Roboflow", {"train/_annotations.createml.json": b"[]"}),
    ("Roboflow", {"_annotations.csv": b"filename,width,height,class,xmin,ymin,xmax,ymax\n"}),
    ("boxes", {"Annotations/0.xml": voc()}),
    ("vector maps", {"fields.shp": b"\0", "fields.dbf": b"\0"}),
    ("ImageJ", {"rois/0.roi": b"Iout"}),
    ("Parquet", {"data/train-00000.parquet": b"PAR1"}),
    ("TFRecord", {"train.tfrecord": b"\0"}),
    ("NumPy", {"masks.npz": b"PK"}),
    ("MATLAB", {"truth/0.mat": b"MATLAB 5.0"}),
    ("HDF5", {"all.h5": b"\x89HDF"}),
]  # fmt: skip

PICTURES = [
    ("AVIF", "images/IMG_1.AVIF"), ("DICOM", "images/1.dcm"), ("volumes", "imagesTr/1.nii.gz"),
    ("volumes", "images/1.nrrd"), ("raw photographs", "images/1.CR3"), ("whole slides", "images/1.svs"),
    ("videos", "clips/1.MP4"), ("image editor", "images/1.psd"),
]  # fmt: skip


def answer(content: dict[str, bytes]) -> list[Issue]:
    """The faults of a dataset that is not read."""
    try:
        reading = layouts.read(tree_of(content))
    except DataError as error:
        return error.issues
    assert not reading.samples
    return reading.issues


@pytest.mark.parametrize("where", ["", "my export/"])
@pytest.mark.parametrize(("word", "files"), FOREIGN)
def test_tool_is_named_with_what_to_export_instead(word: str, files: dict[str, bytes], where: str) -> None:
    first = answer({where + name: content for name, content in (IMAGES | files).items()})[0]
    assert word in first.message
    assert first.severity == "fault"
    assert any(path.removeprefix(where) in first.message for path in files)
    assert len(first.fix) > 20


@pytest.mark.parametrize(("word", "path"), PICTURES)
def test_pictures_that_are_not_read_are_named(word: str, path: str) -> None:
    issues = answer({path: b"\0", path.replace("1.", "2."): b"\0"} | MASKS)
    assert word in issues[0].message
    assert "and 1 more" in issues[0].message
    assert not any("no image" in issue.message for issue in issues)


def test_truth_and_pictures_are_named_together() -> None:
    issues = answer({"images/1.avif": b"\0", "export.json": text([{"ID": "c", "DataRow ID": "d"}])})
    assert [issue.code for issue in issues] == ["layout.unsupported"] * 2
    assert "AVIF" in issues[1].message


def test_cvat_masks_without_images_say_how_to_get_them() -> None:
    content = {f"SegmentationClass/{i}.png": photo(i) for i in range(3)} | {"labelmap.txt": b"background:0,0,0::\n"}
    issue = answer(content)[0]
    assert issue.code == "layout.no_images"
    assert '"Save images"' in issue.fix


def every_export() -> dict[str, dict[str, bytes]]:
    found = {}
    for module in pkgutil.iter_modules(exports.__path__):
        built = importlib.import_module(f"builders.exports.{module.name}")
        for name, make in getattr(built, "EXPORTS", {}).items():
            found[f"{module.name}/{name}"] = make()[0]
    return found


@pytest.mark.parametrize("files", [{"train.csv": b"ImageId,EncodedPixels\n"}, {"a.nii.gz": b""}, {"b.mat": b""}])
def test_what_is_read_is_not_called_foreign_for_a_file_beside_it(files: dict[str, bytes]) -> None:
    reading = layouts.read(tree_of(IMAGES | MASKS | files))
    assert [issue.code for issue in reading.issues] == ["layout.stray_file"]


@pytest.mark.parametrize(("name", "content"), every_export().items())
def test_export_that_is_read_is_taken_for_no_other_tool(name: str, content: dict[str, bytes]) -> None:
    """Even were it asked: so a fault of such data never comes with the name of a tool that it is not from."""
    tree = tree_of(content)
    fitting = {layout for layout, one in layouts.LAYOUTS.items() if any(one.signature(view) for view in tree.views())}
    found = [issue.message for issue in foreign.issues(tree, fitting)]
    assert not found or name in ("ade20k/full", "oxford_pet/pet", "voc/labelme2voc")  # files that are not needed


def test_large_and_damaged_files_are_not_looked_into() -> None:
    content = IMAGES | {"a.json": b'{"label_hash": 1}' + b" " * (1 << 23), "b.json": b"\xff\0{"}
    assert not foreign.issues(tree_of(content))
