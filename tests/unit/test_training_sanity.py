"""``mode: sanity``: one image learnt by heart, or what is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.training import training_spec, write_cache
from segdrop.child_runtime import StopFlag
from segdrop.dataset.cache import CacheReader
from segdrop.errors import DataError
from segdrop.spec import TrainingSpec
from segdrop.training import loop, sanity

pytestmark = pytest.mark.usefixtures("tiny_model")


def sanity_spec(folder: Path, **request: Any) -> TrainingSpec:
    cache = write_cache(folder / "cache", train=5, val=2, test=2)
    return training_spec(folder / "run", cache, mode="sanity", **request)


def set_mask(spec: TrainingSpec, position: int, mask: "np.ndarray[Any, Any]") -> None:
    path = spec.cache_dir / "masks.u8"
    masks = np.fromfile(path, np.uint8).reshape(-1, 32, 32)
    masks[position] = mask
    masks.tofile(path)


def failure(spec: TrainingSpec) -> str:
    with pytest.raises(DataError) as error:
        loop.train(spec, StopFlag())
    (issue,) = error.value.issues
    assert issue.code == "train.sanity_failed"
    assert not spec.model_path.exists()
    return str(issue.message)


def test_the_training_image_with_most_classes_is_the_only_one(tmp_path: Path) -> None:
    spec = sanity_spec(tmp_path)
    three = np.zeros((32, 32), np.uint8)
    three[8:16], three[16:] = 1, 2
    set_mask(spec, 3, three)
    set_mask(spec, 6, np.arange(32 * 32, dtype=np.uint8).reshape(32, 32) % 7)  # of the validation split
    with CacheReader(spec.cache_dir) as reader:
        changed = sanity.simplify(spec, reader)
        assert set(reader.index.train) == set(reader.index.val) == {3}
        assert reader.index.test == []
    assert changed.request.time_budget_minutes == 2.0


def test_a_class_of_a_few_pixels_does_not_choose_the_image(tmp_path: Path) -> None:
    spec = sanity_spec(tmp_path)
    specks = np.zeros((32, 32), np.uint8)
    specks[0, :4] = (1, 2, 3, 4)
    set_mask(spec, 3, specks)
    with CacheReader(spec.cache_dir) as reader:
        sanity.simplify(spec, reader)
        assert set(reader.index.train) == {0}


def test_it_ends_as_soon_as_the_image_is_learnt_and_says_that_no_other_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sanity, "TARGET_MEAN_IOU", 0.5)  # the tiny model draws no sharp corner
    spec = sanity_spec(tmp_path, learning_rate=0.01)
    loop.train(spec, StopFlag())
    answer = json.loads(spec.result_path.read_bytes())
    assert answer["metrics"]["epochs"] < 30
    assert answer["metrics"]["mean_iou"] >= 0.5
    assert answer["metrics"]["counts"] == {"train": 1, "val": 1, "test": 0}
    (issue,) = [issue for issue in answer["issues"] if issue["code"] == "train.sanity"]
    assert "images/0.png" in issue["message"]


def test_mask_that_has_nothing_to_do_with_its_image_is_named_with_its_classes(tmp_path: Path) -> None:
    spec = sanity_spec(tmp_path, time_budget_minutes=0.05)
    noise = np.random.default_rng(0).integers(0, 2, (32, 32)).astype(np.uint8)
    for position in range(5):
        set_mask(spec, position, noise)
    message = failure(spec)
    assert "images/0.png alone" in message
    assert "square has an IoU of 0." in message
    assert f"of {noise.sum()} pixels in 32x32" in message


def test_a_learning_rate_that_moves_nothing_is_named(tmp_path: Path) -> None:
    message = failure(sanity_spec(tmp_path, learning_rate=1e-9, time_budget_minutes=0.05))
    assert "the loss hardly falls" in message
    assert "see learning_rate" in message


def test_too_little_time_is_named(tmp_path: Path) -> None:
    message = failure(sanity_spec(tmp_path, time_budget_minutes=0.0001))
    assert "a smaller image_size makes faster ones" in message


@pytest.mark.parametrize(("is_halved", "batch_size"), [(False, 4), (True, 2)])
def test_request_that_is_published_is_that_of_the_run_on_one_image(
    tmp_path: Path, *, is_halved: bool, batch_size: int
) -> None:
    """Half the batch where memory did not suffice, whatever was asked for."""
    asked = sanity_spec(tmp_path, batch_size=8)
    done = asked.request.with_half_the_batch() if is_halved else asked.request
    spec = asked.model_copy(update={"request": done, "asked": asked.request, "is_halved": is_halved})
    with CacheReader(spec.cache_dir) as reader:
        changed = sanity.simplify(spec, reader)
    assert changed.request.batch_size == batch_size
    assert changed.question == asked.request
