"""The way from a mask file to class ids that survey, overlays and conversion share."""

import numpy as np

from builders import encoded
from segdrop.dataset import shapes
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.dataset.labelling import Labeller, class_ids
from segdrop.dataset.masks.mask_keys import BETWEEN, COLOUR
from segdrop.dataset.masks.placing import View
from segdrop.dataset.masks.snapping import Snapper
from segdrop.dataset.samples import Drawing, MaskFile
from segdrop.dataset.shapes import Polygon

RED, GREEN = COLOUR + 0xFF0000, COLOUR + 0x00FF00


def keys_of(labeller: Labeller, mask: np.ndarray, image_format: str = "PNG", **options: object) -> np.ndarray:
    content = encoded(mask.astype(np.uint8), image_format, **options)
    return labeller.read(lambda _: content, MaskFile(0), None).keys


def test_values_are_kept_where_nothing_else_is_known() -> None:
    mask = np.array([[0, 1, 7], [255, 7, 7]])
    assert keys_of(Labeller(), mask).tolist() == mask.tolist()


def test_colours_near_the_legends_are_the_legends_and_are_counted() -> None:
    mask = np.array([[[255, 0, 0], [250, 4, 3], [0, 0, 90]]])
    found = Labeller([0xFF0000, 0x00FF00]).read(lambda _: encoded(mask.astype(np.uint8)), MaskFile(0), None)
    assert found.keys.tolist() == [[RED, RED, COLOUR + 90]]
    assert found.num_snapped == 1


def test_blurred_values_are_those_that_were_meant_or_lie_between() -> None:
    labeller = Labeller(snapper=Snapper([0, 255]))
    assert labeller.has_snapped
    assert not Labeller([0xFF0000]).has_snapped
    assert keys_of(labeller, np.array([[3, 128, 250]])).tolist() == [[0, BETWEEN, 255]]


def test_jpeg_is_reported_as_lossy() -> None:
    content = encoded(np.zeros((8, 8), np.uint8), "JPEG")
    assert Labeller().read(lambda _: content, MaskFile(0), None).is_lossy


def test_areas_are_drawn_at_the_size_of_the_image() -> None:
    area = Polygon(5, (shapes.ring([(0, 0), (1, 0), (1, 1), (0, 1)]),))
    found = Labeller().read(lambda _: b"", Drawing(0, (area,)), View((4, 3)))
    assert found.keys.tolist() == [[5, 5, 0, 0], [5, 5, 0, 0], [0, 0, 0, 0]]


def test_class_ids_are_bytes_and_what_has_no_class_is_ignored() -> None:
    keys = np.array([[0, RED, 300], [RED, GREEN, 0]])
    ids = class_ids(keys, {0: 0, RED: 2, GREEN: IGNORE})
    assert ids.dtype == np.uint8
    assert ids.tolist() == [[0, 2, IGNORE], [2, IGNORE, 0]]
