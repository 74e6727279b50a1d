"""``python datumaro_export.py SCENES.npz FOLDER FORMAT``, by the Python of an environment that has datumaro.

SCENES: images (N, H, W, 3), masks (N, H, W) of class ids, names, colours (classes, 3), sides (N).
"""

import sys

import numpy as np
from datumaro.components.annotation import AnnotationType, LabelCategories, Mask, MaskCategories
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image

#: formats that have a label table of their own, which is not used
_WITH_TABLE = frozenset({"voc_segmentation", "camvid", "cityscapes", "kitti_segmentation"})
_WITHOUT_BACKGROUND = frozenset({"coco_instances"})


def main() -> None:
    scenes, folder, kind = np.load(sys.argv[1]), sys.argv[2], sys.argv[3]
    colours = {number: tuple(colour) for number, colour in enumerate(scenes["colours"].tolist())}
    categories = {
        AnnotationType.label: LabelCategories.from_iterable(scenes["names"].tolist()),
        AnnotationType.mask: MaskCategories(colours),
    }
    items = [
        DatasetItem(
            id=f"scene_{number:02}",
            subset=str(scenes["sides"][number]),
            media=Image.from_numpy(data=image),
            annotations=annotations(ids, with_background=kind not in _WITHOUT_BACKGROUND),
        )
        for number, (image, ids) in enumerate(zip(scenes["images"], scenes["masks"], strict=True))
    ]
    dataset = Dataset.from_iterable(items, categories=categories, media_type=Image)
    options = {"label_map": "source"} if kind in _WITH_TABLE else {}
    dataset.export(folder, kind, save_media=True, **options)


def annotations(ids: np.ndarray, *, with_background: bool) -> list[Mask]:
    return [
        Mask(image=ids == class_id, label=int(class_id), id=int(class_id) + 1, group=int(class_id) + 1)
        for class_id in np.unique(ids)
        if class_id or with_background
    ]


main()
