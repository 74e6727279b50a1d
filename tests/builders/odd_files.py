"""Oddities of images, of lists of classes, of the files beside them, and of annotations."""

import numpy as np
from PIL import Image

from builders.archives import encoded
from builders.generated import VOID, Coding, Draft, Naming, annotations, box_of, coco, colours, labelme, lines, stem
from builders.oddity_table import has_list, has_masks, is_black_and_white, is_coded, is_numbered, oddity, with_ids

# images


@oddity("images", lambda draft: True)
def turned_by_exif(draft: Draft) -> None:
    """Photographs are stored upside down, and shown upright by their EXIF tag; truth is as stored."""
    exif = Image.Exif()
    exif[0x0112] = 3
    images, ids, write_mask = draft.images, draft.ids, draft.write_mask
    draft.write_image = lambda _, i: encoded(images[i], exif=exif)
    draft.write_mask = lambda draft, i: with_ids(draft, ids, write_mask, i)
    draft.images, draft.ids, draft.free = (
        [np.ascontiguousarray(one[::-1, ::-1]) for one in each] for each in (images, ids, draft.free)
    )


@oddity("images", lambda draft: True)
def grey_of_16_bits(draft: Draft) -> None:
    """Values use a byte of two, or twelve bits."""
    factor = int(draft.rng.choice([1, 16]))
    grey = [image.mean(axis=2) for image in draft.images]
    draft.images = [np.stack([pixels] * 3, axis=-1).astype(np.uint8) for pixels in grey]
    draft.write_image = lambda _, i: encoded((grey[i] * factor).astype(np.uint16))


@oddity("images", has_masks)
def fourth_band(draft: Draft) -> None:
    band = draft.rng.integers(0, 255, draft.size).astype(np.uint8)
    draft.image_path = "images/{}.tif"
    draft.write_image = lambda draft, i: encoded(np.dstack([draft.images[i], band]), "TIFF")


# lists


@oddity("lists", has_list)
def list_one_short(draft: Draft) -> None:
    name = next(iter(draft.lists))
    draft.lists[name] = b"".join(draft.lists[name].splitlines(keepends=True)[:-1]) or b"\n"


@oddity("lists", has_list)
def list_one_long(draft: Draft) -> None:
    """The last class happens to be in no mask."""
    draft.lists["labels.txt"] += b"zebra\n"


@oddity("lists", is_numbered)
def list_with_numbers_out_of_order(draft: Draft) -> None:
    order = draft.rng.permutation(draft.num_classes).tolist()
    between = [": ", " ", ",", "\t"][int(draft.rng.integers(4))]
    draft.lists = {"labels.txt": lines([f"{i}{between}{draft.names[i]}" for i in order])}


@oddity("lists", lambda draft: is_numbered(draft) and draft.num_classes > 2)
def list_with_numbers_from_one(draft: Draft) -> None:
    draft.lists = {"labels.txt": lines([f"{i} {name}" for i, name in enumerate(draft.names) if i])}


@oddity("lists", lambda draft: has_list(draft) and draft.num_classes > 3)
def lists_that_contradict(draft: Draft) -> None:
    """A second list has two names in the other order; which one is right, nothing tells."""
    names = [*draft.names[:-2], draft.names[-1], draft.names[-2]]
    other = lines(names if draft.naming is Naming.WITH_BACKGROUND else names[1:])
    both = [draft.lists["labels.txt"], other]
    is_first = int(draft.rng.integers(2))
    draft.lists = {"labels.txt": both[is_first], "classes.txt": both[1 - is_first]}


@oddity("lists masks", lambda draft: is_numbered(draft) and draft.num_classes > 3)
def class_called_void(draft: Draft) -> None:
    """The last class of the list is what nobody labelled."""
    word = ["void", "unlabeled", "ignore"][int(draft.rng.integers(3))]
    draft.lists = {"labels.txt": draft.lists["labels.txt"].replace(draft.names[-1].encode(), word.encode())}
    last = draft.num_classes - 1
    stored = [ids.copy() for ids in draft.ids]
    write = draft.write_mask
    draft.write_mask = lambda draft, i: with_ids(draft, stored, write, i)
    for ids in draft.ids:
        ids[ids == last] = VOID


@oddity("lists", lambda draft: is_numbered(draft) and draft.naming is Naming.LABELS)
def list_of_labelme(draft: Draft) -> None:
    draft.lists = {"labels.txt": lines(["__ignore__", "_background_", *draft.names[1:]])}


@oddity("lists", lambda draft: draft.naming is Naming.LEGEND)
def legend_with_numbers(draft: Draft) -> None:
    """Each line has an index, a colour and a name."""
    shown = [" ".join(map(str, colour.tolist())) for colour in colours(draft)]
    draft.lists = {"label_colors.txt": lines([f"{i + 1} {shown[i]} {name}" for i, name in enumerate(draft.names)])}


@oddity("lists", has_list)
def list_of_windows(draft: Draft) -> None:
    draft.lists = {"labels.txt": b"\xef\xbb\xbf" + draft.lists["labels.txt"].replace(b"\n", b"\r\n")}


# more files


@oddity("files", has_masks)
def second_folder_of_masks(draft: Draft) -> None:
    """A field of view stands beside the truth, under another word for masks."""
    view = np.zeros(draft.size, np.uint8)
    view[2:-2, 2:-2] = 255
    kept, other = [("masks/", "labels/"), ("labels/", "mask/"), ("annotations/", "mask/")][int(draft.rng.integers(3))]
    draft.mask_path = kept + "{}.png"
    draft.extra |= {f"{other}{stem(i)}.png": encoded(view) for i in range(len(draft.ids))}


@oddity("files", has_masks)
def split_lists(draft: Draft) -> None:
    """Lists say who trains and who validates."""
    count = len(draft.ids)
    draft.sides = {i: "val" if i >= count - 3 else "train" for i in range(count)}
    for side in ("train", "val"):
        draft.extra[f"{side}.txt"] = lines([stem(i) for i, of in draft.sides.items() if of == side])


@oddity("files", has_masks)
def image_without_a_mask(draft: Draft) -> None:
    draft.extra[draft.image_path.format(stem(900))] = encoded(draft.images[0][::-1])


@oddity("masks lists files", lambda draft: draft.coding is Coding.INDEX and draft.num_classes > 2)
def a_mask_for_each_class(draft: Draft) -> None:
    """Black and white, with the class behind the name of the image."""
    files = {}
    for i, ids in enumerate(draft.ids):
        for class_id in range(1, draft.num_classes):
            name = f"masks/{stem(i)}_{draft.names[class_id]}.png"
            files[name] = encoded(((ids == class_id) * 255).astype(np.uint8))
    draft.lists, draft.naming = {}, Naming.LABELS
    draft.extra |= files
    draft.mask_path = f"masks/{{}}_{draft.names[1]}.png"
    draft.write_mask = lambda draft, i: files[draft.mask_path.format(stem(i))]


@oddity("masks files", is_black_and_white)
def a_mask_for_each_object(draft: Draft) -> None:
    """The second object of some images stands in a file of its own, with a number behind the name."""
    draft.image_path, draft.mask_path = "data/{}.png", "data/{}_mask.png"
    firsts = [ids.copy() for ids in draft.ids]
    for i in range(0, len(draft.ids), 2):
        second = np.zeros(draft.size, np.uint8)
        second[-7:-2, -7:-2] = 1
        draft.ids[i] = np.maximum(draft.ids[i], second)
        draft.extra[f"data/{stem(i)}_mask_1.png"] = encoded(second * np.uint8(255))
    draft.write_mask = lambda _, i: encoded(firsts[i] * np.uint8(255))


# annotations


@oddity("annotations", is_coded(Coding.COCO))
def boxes_alone(draft: Draft) -> None:
    """Some images have boxes without an outline: what is in them is not background."""
    found = annotations(draft)
    for entry in found:
        if entry["image_id"] <= 3:
            del entry["segmentation"]
            entry["iscrowd"] = 0
    draft.lists = {"annotations.json": coco(draft, found)}


@oddity("annotations", is_coded(Coding.LABELME))
def spellings_of_a_class(draft: Draft) -> None:
    """One class is written in several ways."""

    def spelt(name: str) -> str:
        ways = (name, name.capitalize(), f"{name} ", f"{name}s", name.upper())
        return ways[int(draft.rng.integers(len(ways)))]

    draft.lists = {f"images/{stem(i)}.json": labelme(draft, i, spelt) for i in range(len(draft.ids))}


@oddity("annotations", is_coded(Coding.COCO))
def masks_beside_annotations(draft: Draft) -> None:
    """Masks of another truth stand beside the annotations."""
    for i, ids in enumerate(draft.ids):
        left, top, wide, tall = box_of(ids > 0)
        other = np.zeros_like(ids)
        other[top : top + tall, left : left + wide] = 1
        draft.extra[f"masks/{stem(i)}.png"] = encoded(other)
