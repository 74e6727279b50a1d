"""PASCAL VOC and its imitators.

Sources: VOC2012 development kit (``devkit_doc.pdf``, ``VOClabelcolormap.m``); cvat-ai/datumaro
``plugins/voc_format/exporter.py`` (lists with quoted names, ``labelmap.txt``); wkentaro/labelme
``examples/semantic_segmentation/labelme2voc.py``.
"""

from builders.exports.scenes import VOID, Export, Exports, areas, class_ids, coloured, grey, indexed, photo, text_lines


def voc2012() -> Export:
    """The challenge's own archive: most images have no mask, 255 is a border, lists for each task."""
    root = "VOCdevkit/VOC2012"
    names = ["2007_000032", "2007_000039", "2008_000008", "2009_000001", "2009_000012"]
    content = {f"{root}/JPEGImages/2011_{number:06}.jpg": photo(number, "JPEG") for number in range(9)}
    expected = {}
    for number, name in enumerate(names):
        values = areas(number, (0, 1, 15, 255))
        content[f"{root}/JPEGImages/{name}.jpg"] = photo(number, "JPEG")
        content[f"{root}/SegmentationClass/{name}.png"] = indexed(values)
        content[f"{root}/SegmentationObject/{name}.png"] = indexed(areas(number, (0, 1, 2, 255)))
        content[f"{root}/Annotations/{name}.xml"] = b"<annotation><object><name>person</name></object></annotation>\n"
        expected[f"{root}/JPEGImages/{name}.jpg"] = values.astype("uint8")
    lists = f"{root}/ImageSets/Segmentation"
    content[f"{lists}/train.txt"] = text_lines(names[:3])
    content[f"{lists}/val.txt"] = text_lines(names[3:])
    content[f"{lists}/trainval.txt"] = text_lines(names)
    content[f"{root}/ImageSets/Main/person_train.txt"] = b"2011_000001 -1\n"
    return content, expected


def cvat() -> Export:
    """CVAT's "Segmentation mask 1.1": colours named by labelmap.txt, one list, names with folders and spaces."""
    colours = {0: 0x000000, 1: 0x808080, 2: 0xFA3253}
    content = {
        "labelmap.txt": b"# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,128,128::\ncar:250,50,83::\n"
    }
    expected, names = {}, ["a", "b c", "night/a", "night/d"]
    for number, name in enumerate(names):
        values = areas(number, (0, 1, 2))
        content[f"JPEGImages/{name}.jpg"] = photo(number, "JPEG")
        content[f"SegmentationClass/{name}.png"] = coloured(values, colours)
        content[f"SegmentationObject/{name}.png"] = coloured(values, {0: 0, 1: 0x800000, 2: 0x008000})
        expected[f"JPEGImages/{name}.jpg"] = values.astype("uint8")
    content["ImageSets/Segmentation/default.txt"] = text_lines([f'"{n}"' if " " in n else n for n in names])
    return content, expected


def labelme2voc() -> Export:
    """Palette masks with class_names.txt, arrays and drawings of the same beside them, no lists."""
    names = ["_background_", "cat", "dog"]
    content, expected = {"data_dataset_voc/class_names.txt": text_lines(names)}, {}
    for number in range(3):
        values = areas(number, (0, 1, 2, VOID))
        content[f"data_dataset_voc/JPEGImages/{number}.jpg"] = photo(number, "JPEG")
        content[f"data_dataset_voc/SegmentationClass/{number}.png"] = indexed(values)
        content[f"data_dataset_voc/SegmentationClassNpy/{number}.npy"] = b"\x93NUMPY"
        content[f"data_dataset_voc/SegmentationClassVisualization/{number}.jpg"] = photo(number, "JPEG")
        table = {0: 0, 1: 1, 2: 2, VOID: VOID}
        expected[f"data_dataset_voc/JPEGImages/{number}.jpg"] = class_ids(values, table)
    return content, expected


def deeplab() -> Export:
    """Raw indices alone, as Deeplab's script leaves them beside the masks that it read."""
    content, expected = voc2012()
    raw = {name.replace("SegmentationClass/", "SegmentationClassRaw/"): data for name, data in content.items()}
    for number, name in enumerate(name for name in raw if "ClassRaw/" in name):
        raw[name] = grey(areas(number, (0, 1, 15, 255)))
    return raw, expected


EXPORTS: Exports = {"voc2012": voc2012, "cvat": cvat, "labelme2voc": labelme2voc, "deeplab": deeplab}
