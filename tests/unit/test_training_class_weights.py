import math
from pathlib import Path

import numpy as np
import pytest

from builders.training import write_cache
from segdrop.dataset.cache import CacheReader
from segdrop.training.loss import training_pixels, weigh_classes


def test_weights_are_inverse_logarithms_of_the_shares_up_to_ten() -> None:
    weights = weigh_classes(np.array([890, 100, 10, 0])).tolist()
    assert weights[:2] == pytest.approx([1 / math.log(1.02 + 0.89), 1 / math.log(1.02 + 0.1)], rel=1e-6)
    assert weights[2:] == [10.0, 10.0]  # 1 / ln 1.03 is 34


def test_dataset_without_any_label_has_weights_too() -> None:
    assert weigh_classes(np.zeros(3, np.int64)).tolist() == [10.0] * 3


def test_only_labelled_pixels_of_the_training_split_are_counted(tmp_path: Path) -> None:
    seen = []
    with CacheReader(write_cache(tmp_path / "cache", train=3, val=2, test=1, height=32, width=40)) as reader:
        counts = training_pixels(reader, 2, lambda: seen.append(1))
        masks = reader.masks([0, 1, 2])
    assert counts.tolist() == [(masks == 0).sum(), (masks == 1).sum()]
    assert counts.sum() == 3 * 31 * 40  # the first row of each is ignored
    assert len(seen) == 3
