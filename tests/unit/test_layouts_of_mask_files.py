"""Layouts with a mask file for each image, or each object: exports read back, and everything that can be wrong."""

from pathlib import Path

import pytest

from builders.exports import (
    ade20k,
    bdd100k,
    camvid,
    cityscapes,
    huggingface,
    instances,
    isprs,
    kitti,
    nnunet,
    oxford_pet,
    paired,
    retina,
    roboflow_masks,
    several_masks,
    twins,
    voc,
)
from builders.exports.reading import codes, damaged_json, read_back, same, survives, tree_of
from builders.exports.scenes import SIZE, Export, areas, grey, photo
from segdrop.codes import Severity
from segdrop.dataset import layouts
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.samples import Reading
from segdrop.errors import DataError

BUILDERS = {
    "ade20k": ade20k, "bdd100k": bdd100k, "camvid": camvid, "cityscapes": cityscapes, "instances": instances,
    "kitti": kitti, "paired": paired, "roboflow-masks": roboflow_masks, "voc": voc, "huggingface": huggingface,
    "isprs": isprs, "nnunet": nnunet, "oxford-pet": oxford_pet, "retina": retina, "twins": twins,
    "several-masks": several_masks,
}  # fmt: skip
ALL = [(layout, variant) for layout, builder in BUILDERS.items() for variant in builder.EXPORTS]
#: classes of the variants (the first few) and the pairs on each side, where the archive says
TRUTH = {
    ("ade20k", "benchmark"): (["wall", "building", "sky"], 150, (3, 3, 0)),
    ("ade20k", "full"): (["box", "floor", "wall"], 3, (3, 3, 0)),
    ("bdd100k", "bdd100k"): (["road", "sidewalk", "building"], 19, (2, 1, 0)),
    ("bdd100k", "seg"): (["road", "sidewalk", "building"], 19, (2, 1, 0)),
    ("camvid", "segnet"): (["Sky", "Building", "Pole"], 11, (3, 1, 1)),
    ("camvid", "original"): (["Animal", "Archway", "Bicyclist"], 31, None),
    ("camvid", "kaggle"): (["Bicyclist", "Road", "Wall"], 3, (3, 1, 1)),
    ("cityscapes", "fine"): (["road", "sidewalk", "building"], 19, (4, 2, 0)),
    ("cityscapes", "ids_only"): (["road", "sidewalk", "parking"], 27, (4, 2, 0)),
    ("cityscapes", "packages"): (["road", "sidewalk", "parking"], 27, (4, 2, 0)),
    ("cityscapes", "instances_only"): (["road", "sidewalk", "parking"], 27, (3, 1, 0)),
    ("cityscapes", "colours_only"): (["road", "sidewalk", "parking"], 27, (3, 1, 0)),
    ("cityscapes", "polygons_only"): (["road", "sidewalk", "parking"], 27, (3, 1, 0)),
    ("huggingface", "jsonl"): (["class_0", "class_1", "class_2"], 3, (4, 2, 2)),
    ("huggingface", "table"): (["class_0", "class_1", "class_2"], 3, None),
    ("isprs", "vaihingen"): (["impervious surfaces", "building", "low vegetation"], 5, None),
    ("isprs", "potsdam"): (["impervious surfaces", "building", "tree"], 4, None),
    ("nnunet", "version2"): (["background", "door", "wheel"], 3, None),
    ("nnunet", "version1"): (["background", "door", "wheel"], 3, None),
    ("oxford-pet", "pet"): (["pet", "background", "border"], 3, None),
    ("retina", "drive"): (["background", "foreground"], 2, None),
    ("retina", "hrf"): (["background", "foreground"], 2, None),
    ("retina", "chase"): (["background", "foreground"], 2, None),
    ("twins", "plain"): (["class_0", "class_1", "class_2"], 3, None),
    ("twins", "sides"): (["class_0", "class_1", "class_2"], 3, (5, 2, 0)),
    ("instances", "named"): (["background", "cat", "dog"], 3, None),
    ("instances", "folders"): (["background", "dog", "cat"], 3, (2, 1, 0)),
    ("instances", "bowl"): (["background", "object"], 2, None),
    ("kitti", "semantics"): (["road", "sidewalk", "parking"], 27, None),
    ("kitti", "instances"): (["road", "sidewalk", "parking"], 27, None),
    ("kitti", "deep"): (["road", "sidewalk", "parking"], 27, None),
    ("paired", "plain"): (["background", "cat", "dog"], 3, None),
    ("paired", "carvana"): (["background", "cat", "dog"], 3, None),
    ("paired", "keras"): (["background", "cat", "dog"], 3, None),
    ("paired", "deepglobe"): (["background", "cat", "dog"], 3, None),
    ("roboflow-masks", "roboflow"): (["background", "tree", "wall"], 3, (2, 1, 1)),
    ("roboflow-masks", "undivided"): (["background", "tree", "wall"], 3, None),
    ("several-masks", "by_ending"): (["background", "bone", "fat"], 4, None),
    ("several-masks", "by_folder"): (["background", "Drusen", "Scars"], 3, None),
    ("several-masks", "numbered"): (["background", "foreground"], 2, None),
    ("several-masks", "observers"): (["class_0", "class_1", "class_2"], 3, None),
    ("several-masks", "validity"): (["background", "standing_water", "waterway"], 3, (3, 1, 0)),
    ("voc", "voc2012"): (["background", "aeroplane", "bicycle"], 21, (3, 2, 0)),
    ("voc", "deeplab"): (["background", "aeroplane", "bicycle"], 21, (3, 2, 0)),
    ("voc", "cvat"): (["background", "road", "car"], 3, None),
    ("voc", "labelme2voc"): (["_background_", "cat", "dog"], 3, None),
}


def export(layout: str, variant: str) -> Export:
    return BUILDERS[layout].EXPORTS[variant]()


def read(content: dict[str, bytes], wanted: str = "auto") -> Reading:
    return layouts.read(tree_of(content), wanted)


@pytest.mark.parametrize(("layout", "variant"), ALL)
def test_export_is_read_back_pixel_by_pixel(layout: str, variant: str, tmp_path: Path) -> None:
    first, count, sides = TRUTH[layout, variant]
    content, expected = export(layout, variant)
    report, found, _ = read_back(content, tmp_path, SIZE)
    dataset = report.dataset
    assert dataset is not None, report.issues
    assert (dataset.layout, dataset.classes[:3][: len(first)], dataset.num_classes) == (layout, first, count)
    assert same(found, expected)
    assert sides is None or (dataset.split, dataset.train, dataset.val, dataset.test) == ("given", *sides)


@pytest.mark.parametrize(("layout", "variant"), ALL)
def test_order_in_the_zip_and_a_wrapper_change_nothing(layout: str, variant: str) -> None:
    content, _ = export(layout, variant)
    turned = {f"wrapper/{name}": content[name] for name in sorted(content, reverse=True)}
    first, second = read(content), read(turned)
    assert (first.layout, second.layout) == (layout, layout)
    assert [sample.key for sample in second.samples] == [sample.key for sample in first.samples]
    names = list(turned)
    assert [names[sample.image] for sample in second.samples] == [
        f"wrapper/{list(content)[sample.image]}" for sample in first.samples
    ]


@pytest.mark.parametrize(("layout", "variant"), ALL)
def test_layout_may_be_asked_for_by_name(layout: str, variant: str) -> None:
    content, expected = export(layout, variant)
    assert len(read(content, layout).samples) == len(expected)
    with pytest.raises(DataError):
        read({"notes.txt": b"x", "x.pdf": b"x"}, layout)


@pytest.mark.parametrize(
    ("layout", "variant"),
    [case for case in ALL if case[0] not in ("paired", "instances", "several-masks", "twins")],
)
def test_lost_masks_are_a_warning_then_a_fault(layout: str, variant: str) -> None:
    content, _ = export(layout, variant)
    reading = read(content)
    names = list(content)
    masks = [names[sample.truth.member] for sample in reading.samples]
    less = {name: data for name, data in content.items() if name != masks[0]}
    lonely = read(less)
    assert len(lonely.samples) == len(reading.samples) - 1
    assert codes(lonely)["pair.missing_mask"] == "warning"
    least = {name: data for name, data in content.items() if name not in masks[1:]}
    # of three pairs, one mask and three images are not yet more than half alone; Cityscapes has other masks then
    if len(masks) > 3 and variant != "fine":
        assert codes(read(least, layout))["pair.missing_mask"] == "fault"


@pytest.mark.parametrize(("layout", "variant"), ALL)
def test_lost_image_is_a_warning(layout: str, variant: str) -> None:
    content, expected = export(layout, variant)
    lost = max(expected)
    reading = read({name: data for name, data in content.items() if name != lost})
    assert len(reading.samples) == len(expected) - 1
    # in one folder, a mask alone is as good as an image alone
    code = "pair.missing_mask" if variant == "deepglobe" else "pair.missing_image"
    code = "annotation.missing_image" if layout == "huggingface" else code
    assert codes(reading)[code] == "warning"


@pytest.mark.parametrize(("layout", "variant"), ALL)
def test_garbage_in_every_text_file_is_answered(layout: str, variant: str) -> None:
    content, _ = export(layout, variant)
    texts = [name for name in content if name.endswith((".txt", ".csv", ".json", ".xml"))]
    for name in texts:
        kinds: tuple[bytes, ...] = (
            b"",
            b"\x00" * 50,
            b"\xff\xfe\x00",
            b'"' * 500,
            b"9" * 5000,
            b"a:b\n" * 400,
            b"\t" * 99 + b"\n1\t\n",
        )
        kinds += (b'a,"' + b"x" * 200_000, "a,\u00b2\n\u00b2,a\n".encode(), b"x,y\n" + b"9" * 5000 + b",a\n")
        for garbage in kinds:
            survives(_layout(layout), content | {name: garbage})


@pytest.mark.parametrize(("layout", "variant"), ALL)
def test_any_file_may_be_missing(layout: str, variant: str) -> None:
    content, _ = export(layout, variant)
    for gone in content:
        survives(_layout(layout), {name: data for name, data in content.items() if name != gone})
    survives(_layout(layout), {})


def _layout(name: str) -> layouts.Layout:
    return layouts.LAYOUTS[name]


# VOC


def test_list_of_training_images_alone_divides_nothing() -> None:
    content, _ = voc.voc2012()
    content.pop("VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt")
    assert {sample.split for sample in read(content).samples} == {None}


def test_images_of_other_tasks_are_left_out_of_voc_and_said() -> None:
    reading = read(voc.voc2012()[0])
    assert reading.issues == []
    assert any("9 images are in no list" in said for said in reading.assumptions)
    assert reading.names is not None
    assert reading.names.is_template


def test_raw_indices_beside_the_masks_that_they_are_from_are_not_needed() -> None:
    content, _ = voc.voc2012()
    whole = content | voc.deeplab()[0]
    first, second = read(content), read(whole)
    assert len(second.samples) == len(first.samples)
    assert all("SegmentationClass/" in list(whole)[sample.truth.member] for sample in second.samples)
    assert second.issues == []


def test_of_two_folders_of_masks_the_one_with_more_is_read_and_that_is_said() -> None:
    content, _ = voc.voc2012()
    more = {
        name.replace("SegmentationClass/", "SegmentationClassAug/"): data
        for name, data in content.items()
        if "SegmentationClass/" in name
    }
    more |= {name.replace("2007_000032", "2011_000001"): data for name, data in more.items()}
    reading = read(content | more)
    assert len(reading.samples) == 6
    assert any("segmentationclassaug/ has 6 masks" in said for said in reading.assumptions)


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 1, 2, 3), (0, 5, 40)])
def test_names_of_a_template_need_masks_that_agree_with_them(values: tuple[int, ...], tmp_path: Path) -> None:
    content = dict(voc.voc2012()[0])
    for number, name in enumerate(name for name in content if "SegmentationClass/" in name):
        content[name] = grey(areas(number, values))
    report, _, _ = read_back(content, tmp_path, SIZE)
    issue = next(issue for issue in report.issues if "PASCAL VOC" in issue.message)
    assert (issue.code, issue.severity) == ("classes.assumed", Severity.WARNING)
    assert report.dataset is not None
    assert report.dataset.num_classes == len(values)
    assert "aeroplane" not in report.dataset.classes


def test_indices_in_the_folders_of_coloured_camvid_do_not_number_its_colours(tmp_path: Path) -> None:
    content = dict(camvid.EXPORTS["original"]()[0])
    for number, name in enumerate(name for name in content if "LabeledApproved" in name):
        content[name] = grey(areas(number, (0, 1, 2)))
    report, _, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None
    assert report.dataset.classes == ["class_0", "class_1", "class_2"]


def test_classes_of_voc_are_not_guessed_for_other_images() -> None:
    content = {name.replace("/20", "/shot20"): data for name, data in voc.voc2012()[0].items()}
    assert read(content).names is None


def test_unreadable_list_is_named_and_the_rest_is_read() -> None:
    content, _ = voc.voc2012()
    name = "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"
    reading = read(content | {name: b"\xff\xfe\x00"})
    assert [issue.files for issue in reading.issues if issue.code == "annotation.invalid"] == [(name,)]


def test_export_without_its_images_is_told_so() -> None:
    content = {name: data for name, data in voc.cvat()[0].items() if not name.startswith("JPEGImages")}
    with pytest.raises(DataError) as caught:
        read(content)
    assert [issue.code for issue in caught.value.issues] == ["layout.no_images"]


# Roboflow


def test_list_of_image_tags_is_not_one_of_pixel_values() -> None:
    content, _ = roboflow_masks.roboflow()
    tags = {name: b"filename, cat, dog\nx.jpg, 0, 1\n" for name in content if name.endswith("_classes.csv")}
    assert layouts.roboflow_masks.signature(tree_of(content | tags)) == ""


def test_folders_that_name_other_classes_are_a_fault() -> None:
    content, _ = roboflow_masks.roboflow()
    content["valid/_classes.csv"] = b"Pixel Value, Class\n0, background\n1, wall\n2, tree"
    (issue,) = read(content).issues
    assert (issue.code, issue.severity, issue.files) == (
        "classes.invalid", Severity.FAULT, ("valid/_classes.csv",),
    )  # fmt: skip


# Cityscapes


def test_one_kind_of_cityscapes_mask_is_read_and_said() -> None:
    for variant, said in (("fine", "gtFine/ and its labelTrainIds"), ("packages", "gtFine/ and its labelIds")):
        reading = read(cityscapes.EXPORTS[variant]()[0])
        assert reading.assumptions == [f"{said} are read, no other masks"]


def test_train_ids_of_a_few_images_do_not_displace_ids_of_all() -> None:
    content, expected = cityscapes.fine()
    kept = [name for name in content if name.endswith("TrainIds.png")][:1]
    content = {name: data for name, data in content.items() if "TrainIds" not in name or name in kept}
    assert len(read(content).samples) == len(expected)


# ADE20K


def test_benchmark_without_its_list_names_classes_by_number() -> None:
    content, _ = ade20k.benchmark()
    reading = read({name: data for name, data in content.items() if "objectInfo" not in name})
    assert codes(reading)["classes.assumed"] == "warning"
    assert reading.names is not None
    assert (reading.names.numbered[149], reading.names.ignored) == ((150, "class_150"), {0})


def test_classes_that_share_a_word_keep_all_their_words() -> None:
    names = read(ade20k.benchmark()[0]).names
    assert names is not None
    assert names.numbered[3:6] == ((4, "floor"), (5, "screen, silver screen"), (6, "screen, CRT screen"))


def test_any_shape_of_ade20k_json_is_answered() -> None:
    content, _ = ade20k.full()
    name = next(name for name in content if name.endswith(".json"))
    for damaged in damaged_json(content[name]):
        survives(layouts.ade20k, content | {name: damaged})


# instances


def test_names_that_say_no_class_make_one_class_and_say_so() -> None:
    reading = read(instances.bowl()[0])
    assert any("the masks' names say no class" in said for said in reading.assumptions)
    assert codes(reading) == {"pair.missing_mask": "warning"}


@pytest.mark.parametrize(
    "names",
    [
        ["images/a/1.png", "masks/a/1.png", "images/b/1.png", "masks/b/1.png"],
        ["a/images/1.png", "a/masks/1.png", "b/images/1.png", "b/masks/1.png"],
        ["images/a.png", "masks/a.png", "masks/a/x.png", "masks/a/y.png"],
        ["images/a.png", "images/b.png", "images/c.png", "masks/a/x.png", "masks/a/y.png"],
    ],
)
def test_masks_in_folders_are_not_always_objects(names: list[str]) -> None:
    assert layouts.instances.signature(Tree(names)) == ""


def test_masks_of_no_image_are_named() -> None:
    content, _ = instances.named()
    reading = read(content | {"masks/other/cat_01.png": photo(0)})
    assert [issue.files for issue in reading.issues] == [("masks/other/cat_01.png",)]
    assert codes(reading) == {"pair.missing_image": "warning"}


# CamVid


def test_own_films_in_segnet_folders_are_not_camvid() -> None:
    content = {name.replace("00", "shot"): data for name, data in camvid.segnet()[0].items() if "Seq" not in name}
    reading = read(content)
    assert (reading.layout, reading.names) == ("paired", None)


# KITTI


def test_testing_images_of_kitti_are_left_out_with_a_warning() -> None:
    (issue,) = read(kitti.semantics()[0]).issues
    assert (issue.code, issue.severity, issue.count) == ("pair.missing_mask", Severity.WARNING, 10)


def test_two_images_of_one_name_beside_masks_of_objects_are_a_fault_and_no_crash() -> None:
    members, _ = instances.EXPORTS["named"]()
    name = next(name for name in members if name.startswith("images/"))
    members[f"JPEGImages/{name.rpartition('/')[2]}"] = members[name]
    reading = layouts.read(tree_of(members))
    assert "pair.ambiguous" in {issue.code for issue in reading.issues}
