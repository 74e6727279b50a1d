"""Which image and which mask belong together, by names alone."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import check, encoded, members, write_zip
from segdrop.codes import Severity
from segdrop.dataset import layouts
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.layouts.shared import affixes, folders
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.samples import Reading, Split

TRAIN, VAL, TEST = Split.TRAIN, Split.VAL, Split.TEST


def read(names: list[str]) -> Reading:
    return layouts.read(Tree(names), "paired")


def pairs(names: list[str]) -> set[tuple[str, str, Split | None]]:
    return {(names[sample.image], names[sample.truth.member], sample.split) for sample in read(names).samples}


IMAGE_FOLDERS = "images imgs img Image JPEGImages rgb photos Pictures inputs x frames"
MASK_FOLDERS = (
    "masks Mask labels label labels_png annotations annots annot gt ground_truth GroundTruth SegmentationClass "
    "segmentation segmentations seg targets y"
)


@pytest.mark.parametrize("folder", IMAGE_FOLDERS.split())
def test_folder_of_images_has_any_usual_name(folder: str) -> None:
    assert pairs([f"{folder}/a.jpg", "masks/a.png"]) == {(f"{folder}/a.jpg", "masks/a.png", None)}


@pytest.mark.parametrize("folder", MASK_FOLDERS.split())
def test_folder_of_masks_has_any_usual_name(folder: str) -> None:
    assert pairs(["images/a.jpg", f"{folder}/a.png"]) == {("images/a.jpg", f"{folder}/a.png", None)}


@pytest.mark.parametrize(
    ("image", "mask", "split"),
    [
        ("train_images/a.png", "train_masks/a.png", TRAIN),
        ("images-val/a.png", "Labels Val/a.png", VAL),
        ("testimages/a.png", "testannot/a.png", TEST),
        ("train/a.png", "trainannot/a.png", TRAIN),
        ("train/a.jpg", "train_labels/a_L.png", TRAIN),
        ("x_train/a.png", "y_train/a.png", TRAIN),
        ("training/images/a.png", "training/masks/a.png", TRAIN),
        ("images/img/a.png", "masks/img/a.png", None),
        ("site1/images/a.png", "site1/masks/a.png", None),
        ("ISIC2018_Task1-2_Training_Input/a.jpg", "ISIC2018_Task1_Training_GroundTruth/a_segmentation.png", TRAIN),
        ("cell_images/a.jpg", "cell-masks-v2/a.png", None),
        ("images/a.jpg", "kidney_labels/a.png", None),
        ("a.jpg", "masks/a.png", None),
        ("material/a.jpg", "masks/a.png", None),
    ],
)
def test_split_and_role_are_read_from_folders(image: str, mask: str, split: Split | None) -> None:
    assert pairs([image, mask]) == {(image, mask, split)}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        *(("a", f"a{end}") for end in ("_mask", "_masks", "-mask", "_label", "_labels", "_gt", "_L", "_seg")),
        *(("a", f"a{end}") for end in ("_segmentation", "_labelIds", " mask", ".mask", "_MASK", "_groundtruth")),
        *((f"a{end}", "a") for end in ("_image", "_img", "_rgb")),
        *((start + "a", other + "a") for start, other in (("image_", "mask_"), ("img_", "gt_"), ("", "label_"))),
        ("a_sat", "a_mask"),
        ("b_leftImg8bit", "b_gtFine_labelIds"),
        ("a_l", "a_l_mask"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_usual_affix_is_taken_off(image: str, mask: str, together: bool) -> None:
    first = f"{'data' if together else 'images'}/{image}.jpg"
    second = f"{'data' if together else 'masks'}/{mask}.png"
    if together and mask == "a":  # nothing says mask
        assert layouts.paired.signature(Tree([first.replace("jpg", "png"), second])) == ""
        return
    assert pairs([first, second]) == {(first, second, None)}


def test_affixes_never_make_a_pair_of_different_numbers() -> None:
    numbers = [1, 10, 11, 100, 101]
    names = [f"images/{n}.jpg" for n in numbers] + [f"masks/{n}_mask.png" for n in reversed(numbers)]
    assert pairs(names) == {(f"images/{n}.jpg", f"masks/{n}_mask.png", None) for n in numbers}


def test_equal_name_is_preferred_to_one_with_an_affix() -> None:
    names = ["images/a.png", "images/a_gt.png", "masks/a.png", "masks/a_gt.png"]
    assert pairs(names) == {(names[0], names[2], None), (names[1], names[3], None)}


def test_two_masks_for_one_image_are_ambiguous_and_both_named() -> None:
    names = ["images/a.jpg", "images/b.jpg", "masks/a_mask.png", "masks/a_gt.png", "masks/b_gt.png"]
    reading = read(names)
    assert [issue.code for issue in reading.issues] == ["pair.ambiguous"]
    assert set(reading.issues[0].files) == {names[2], names[3]}
    assert [names[sample.image] for sample in reading.samples] == ["images/b.jpg"]


@pytest.mark.parametrize(
    ("image", "mask"),
    [("{}", "{}_drawn_by_ann"), ("{}", "v2-{}"), ("{}_photo3", "{}"), ("frame{}", "tissue{}"), ("cam_{}_a", "t_{}_b")],
)
def test_affix_that_nobody_listed_is_learned_and_stated(image: str, mask: str) -> None:
    stems = ["001", "002", "010", "100"]
    names = [f"images/{image.format(s)}.jpg" for s in stems] + [f"masks/{mask.format(s)}.png" for s in stems]
    assert pairs(names) == set(zip(names[:4], names[4:], [None] * 4, strict=True))
    assert any("4 masks belong to images whose names differ" in said for said in read(names).assumptions)


def test_affix_is_not_learned_from_a_part_of_the_masks() -> None:
    names = [f"images/{n}.jpg" for n in range(10)] + [f"masks/zz{n}.png" for n in range(5, 15)]
    assert pairs(names) == set()
    assert {issue.code for issue in read(names).issues} == {"pair.missing_mask", "pair.missing_image"}


def test_affix_is_not_learned_where_two_fit_equally() -> None:
    names = ["images/a1.jpg", "images/a2.jpg", "images/1.jpg", "images/2.jpg", "masks/xa1.png", "masks/xa2.png"]
    assert pairs(names) == set()


@pytest.mark.parametrize(
    ("image_kind", "mask_kind"), [("jpg", "png"), ("bmp", "png"), ("jpeg", "bmp"), ("tif", "png"), ("png", "gif")]
)
def test_of_two_kinds_in_one_folder_the_less_photographic_is_the_mask(image_kind: str, mask_kind: str) -> None:
    names = [f"Dataset 1/{n:03}.{kind}" for n in range(3) for kind in (mask_kind, image_kind)]
    assert pairs(names) == {(names[2 * n + 1], names[2 * n], None) for n in range(3)}
    assert f"once as {image_kind}, the image, and once as {mask_kind}, the mask" in read(names).assumptions[0]


def test_one_folder_may_be_divided() -> None:
    names = [
        "train/a.jpg",
        "train/a_mask.png",
        "valid/a.jpg",
        "valid/a_mask.png",
        "train/x/a.jpg",
        "train/x/a_mask.png",
    ]
    assert pairs(names) == {
        ("train/a.jpg", "train/a_mask.png", TRAIN),
        ("train/x/a.jpg", "train/x/a_mask.png", TRAIN),
        ("valid/a.jpg", "valid/a_mask.png", VAL),
    }


@pytest.mark.parametrize("names", [["a.png", "b.png"], ["a.jpg", "a.png", "b.png", "c.png", "d.png"], ["x_mask.png"]])
def test_images_of_which_too_few_look_like_masks_are_not_taken_for_pairs(names: list[str]) -> None:
    assert layouts.paired.signature(Tree(names)) == ""


def test_words_in_longer_names_of_folders_decide_only_where_there_is_one_of_each() -> None:
    assert layouts.paired.signature(Tree(["cell_images/a.jpg", "cell_masks/a.png", "rough_masks/a.png"])) == ""


def test_test_images_without_any_mask_are_no_fault() -> None:
    names = ["images/train/a.png", "masks/train/a.png", *(f"images/test/{n}.png" for n in range(20))]
    (issue,) = read(names).issues
    assert (issue.code, issue.severity, issue.count) == ("pair.missing_mask", Severity.WARNING, 20)
    names.append("masks/test/0.png")
    assert read(names).issues[0].severity is Severity.FAULT


def test_pairs_of_one_folder_are_read_pixel_by_pixel(tmp_path: Path) -> None:
    given_files = members(count=5, labels=("cat", "dog"), size=(40, 48))
    content = {
        name.replace("images/", "set/")
        .replace("masks/", "set/")
        .replace(".png", ".png" if name.startswith("images") else "_mask.png"): data
        for name, data in given_files.items()
    }
    report = check(write_zip(tmp_path / "data.zip", content), {"image_size": [40, 48]})
    assert report.dataset is not None, report.issues
    assert report.dataset.classes == ["background", "cat", "dog"]
    with CacheReader(tmp_path / "cache") as reader:
        for number, mask in enumerate(reader.masks(range(5))):
            stripes = (np.arange(48) * 3 // 48 + number) % 3
            assert np.array_equal(mask, np.tile(stripes, (40, 1)))


@pytest.mark.parametrize(
    ("name", "word", "role", "split"),
    [
        ("Train_Images", "image", Role.IMAGE, TRAIN),
        ("SegmentationClass", "segmentationclass", Role.MASK, None),
        ("validation", "", None, VAL),
        ("stage1_train", "stage1", None, TRAIN),
        ("trainer", "trainer", None, None),
        ("contest", "contest", None, None),
        ("---", "", None, None),
    ],
)
def test_folder_means_a_role_and_a_side(name: str, word: str, role: Role | None, split: Split | None) -> None:
    found = folders.meaning(name)
    assert (found.role, found.split) == (role, split)
    assert found.word == word


STEMS = st.lists(st.text("ab01_", min_size=1, max_size=4), min_size=1, max_size=8, unique=True)


@settings(deadline=None)
@given(STEMS, STEMS)
def test_nothing_is_paired_twice_whatever_the_names(images: list[str], masks: list[str]) -> None:
    found = affixes.match(images, masks)
    assert set(found.masks) <= set(images)
    assert len(set(found.masks.values())) == len(found.masks)
    assert set(found.masks.values()) <= set(masks)
    assert not found.rival_masks & set(found.masks.values())
    assert all(found.masks[key] == key for key in set(images) & set(masks))


@settings(deadline=None)
@given(STEMS, STEMS, st.randoms(use_true_random=False))
def test_order_of_the_files_changes_no_pair(images: list[str], masks: list[str], random: object) -> None:
    expected = affixes.match(images, masks)
    random.shuffle(images)
    random.shuffle(masks)
    assert affixes.match(images, masks) == expected


@settings(deadline=None)
@given(st.lists(st.text("ab/._- Mask1é", min_size=1, max_size=12), max_size=12))
def test_any_names_are_read_or_refused(names: list[str]) -> None:
    tree = Tree([f"{name}.{kind}" for name in names for kind in ("png", "jpg")])
    if layouts.paired.signature(tree):
        layouts.paired.read(tree)


@pytest.mark.parametrize(
    "names",
    [
        [f"images/a{'_' * n}img.png" for n in range(2000)] + [f"masks/a{'_' * n}mask.png" for n in range(2000)],
        [f"images/{'a' * n}.png" for n in range(1, 250)] + [f"masks/{'a' * 240}{n}{'a' * 9}.png" for n in range(5000)],
        [f"images/{'_' * 200}{n}.png" for n in range(9000)] + [f"masks/{'_.' * 100}{n}x.png" for n in range(9000)],
    ],
)
def test_names_made_to_be_ambiguous_end_in_an_answer(names: list[str]) -> None:
    """Without bounds each of these is millions of candidates."""
    reading = read(names)
    assert reading.samples or reading.issues


def test_greyscale_images_are_pairs_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    content = {f"imgs/{n}.png": encoded(rng.integers(0, 255, (32, 32)).astype(np.uint8)) for n in range(4)}
    content |= {f"gt/gt_{n}.png": encoded(np.eye(32, dtype=np.uint8) * 255) for n in range(4)}
    report = check(write_zip(tmp_path / "data.zip", content))
    assert report.dataset is not None, report.issues
    assert report.dataset.pairs == 4


@pytest.mark.parametrize("folder", ["SegmentationObject", "vis", "Overlays", "mask_color"])
def test_pictures_of_masks_are_never_taken_for_images(folder: str) -> None:
    tree = Tree([f"{folder}/a.jpg", "masks/a.png", "masks/b.png", f"{folder}/b.jpg"])
    assert layouts.paired.signature(tree) == ""
    assert [issue.code for issue in layouts.paired.explain(tree)] == ["layout.no_images"]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("trainImages", "trainMasks"),
        ("ImageFiles", "MaskFiles"),
        ("RGB", "SemSeg"),
        ("original", "segmented"),
        ("Bilder", "Masken"),
        ("Originalbilder", "Segmentierungsmasken"),
        ("imágenes", "máscaras"),
        ("Imagenes", "Mascaras"),
        ("photos", "étiquettes"),
        ("immagini", "maschere"),
        ("imagens", "rótulos"),
        ("画像", "マスク"),
        ("入力画像", "正解ラベル画像"),
        ("图像", "标签"),
        ("原始图像", "标签图"),
        ("原图", "分割图像"),
        ("訓練画像", "訓練ラベル"),
        ("원본 이미지", "마스크"),
        ("изображения", "маски"),
        ("\uff29\uff2d\uff27", "\uff2d\uff21\uff33\uff2b"),
        ("ima\u0301genes", "ma\u0301scaras"),
    ],
)
def test_folders_are_named_in_other_words_and_languages(images: str, masks: str) -> None:
    found = {(image, mask) for image, mask, _ in pairs([f"{images}/a.jpg", f"{masks}/a.png", "docs/cover.jpg"])}
    assert found == {(f"{images}/a.jpg", f"{masks}/a.png")}


def test_usual_names_are_preferred_to_rare_ones() -> None:
    names = ["images/a.jpg", "original/a.jpg", "masks/a.png", "segmented/a.png", "semantic/a.png"]
    assert pairs(names) == {("images/a.jpg", "masks/a.png", None)}


@pytest.mark.parametrize("folder", ["SegmentationObject", "InstanceMasks/Color", "segmentation_class_visualization"])
def test_pictures_of_masks_are_no_masks_in_camel_case_either(folder: str) -> None:
    assert folders.loosely(folder.rpartition("/")[2]).role is None


@pytest.mark.parametrize(
    ("image", "mask"),
    [("a.jpg", "a.jpg.png"), ("a.tif", "a.tif_mask.png"), ("a.jpg", "a_mask.jpg.png"), ("a.b.png", "a.b.png.png")],
)
@pytest.mark.parametrize("masks", ["masks/", ""])
def test_mask_is_named_after_the_file_of_its_image(masks: str, image: str, mask: str) -> None:
    folder = "images/" if masks else ""
    names = [f"{folder}{image}", f"{folder}b.bmp", f"{masks}{mask}", f"{masks}b.bmp.png"]
    assert len(pairs(names)) == 2


def test_tiles_of_landcover_lie_beside_their_masks() -> None:
    names = [f"output/N-34_{number}{end}" for number in range(3) for end in (".jpg", "_m.png")]
    assert pairs(names) == {(f"output/N-34_{n}.jpg", f"output/N-34_{n}_m.png", None) for n in range(3)}


def test_sides_that_only_images_have_are_their_masks_sides_too() -> None:
    names = ["images/train/a.jpg", "images/val/b.jpg", "images/test/c.jpg", "masks/a_mask.png", "masks/b_mask.png"]
    assert {split for *_, split in pairs(names)} == {TRAIN, VAL}
    assert any("only the images are in folders" in said for said in read(names).assumptions)


def test_sides_that_only_masks_have_are_their_images_sides_too() -> None:
    names = ["images/a.jpg", "images/b.jpg", "masks/train/a.png", "masks/val/b.png"]
    assert {split for *_, split in pairs(names)} == {TRAIN, VAL}


def test_name_on_two_sides_is_a_fault() -> None:
    issues = read(["images/train/a.jpg", "images/val/a.jpg", "masks/a.png"]).issues
    assert Severity.FAULT in {issue.severity for issue in issues}


@pytest.mark.parametrize("wrapper", ["图像分割数据集", "医学影像", "图像", "Satellitenbilder"])
def test_folder_around_images_and_masks_is_neither(wrapper: str) -> None:
    names = [f"{wrapper}/images/a.jpg", f"{wrapper}/masks/a.png"]
    assert pairs(names) == {(names[0], names[1], None)}


@pytest.mark.parametrize("folder", ["数据集", "地图", "図", "Datenbilderrahmen", "분할"])
def test_word_that_only_begins_like_a_role_has_none(folder: str) -> None:
    assert folders.meaning(folder).role is None
