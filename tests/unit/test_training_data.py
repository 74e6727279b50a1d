from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from builders.training import write_cache
from segdrop.architectures import DEEPLABV3_RESNET50
from segdrop.dataset.cache import CacheReader
from segdrop.training.data import Batch, TrainingData
from segdrop.training.transforms import Pair, Pixels, keep, transform_named

LIMITS = DEEPLABV3_RESNET50.input_limits


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[CacheReader]:
    with CacheReader(write_cache(tmp_path / "cache", train=7, val=2, height=16, width=16)) as opened:
        yield opened


def data(reader: CacheReader, batch_size: int, *, positions: int = 7, seed: int = 3) -> TrainingData:
    return TrainingData(
        reader, list(range(positions)), batch_size, seed, transform_named("standard", epochs=30), LIMITS
    )


def equal(first: Batch, second: Batch) -> bool:
    return torch.equal(first.images, second.images) and torch.equal(first.masks, second.masks)


def test_every_epoch_has_each_image_once_in_an_order_of_its_own(reader: CacheReader) -> None:
    orders = [data(reader, 2).order(epoch) for epoch in range(4)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 6, 7, 8])
@pytest.mark.parametrize("positions", [1, 2, 3, 7])
def test_no_batch_ever_holds_a_single_image(reader: CacheReader, batch_size: int, positions: int) -> None:
    given = data(reader, batch_size, positions=positions)
    sizes = [len(batch.images) for batch in given.batches(epoch=0)]
    assert min(sizes) >= 2
    assert max(sizes) <= max(batch_size, 2)
    assert len(sizes) == given.steps_per_epoch


def test_batches_from_a_step_on_are_those_of_the_whole_epoch(reader: CacheReader) -> None:
    whole = list(data(reader, 2).batches(epoch=1))
    for first_step in range(len(whole) + 1):
        rest = list(data(reader, 2).batches(epoch=1, first_step=first_step))
        assert len(rest) == len(whole) - first_step
        assert all(equal(*pair) for pair in zip(rest, whole[first_step:], strict=True))


def test_smaller_batches_are_the_same_ones_smaller(tmp_path: Path) -> None:
    with CacheReader(write_cache(tmp_path / "large", train=7, val=2, height=96, width=64)) as reader:
        whole, small = (list(data(reader, 3).batches(epoch=1, scale=scale)) for scale in (1.0, 0.5))
    assert len(whole) == len(small)
    for large, little in zip(whole, small, strict=True):
        shape = (len(large.masks), 48, 32)
        assert little.masks.shape == shape
        assert little.images.shape == (len(large.masks), 3, *shape[1:])
        shares = [(masks.masks == 1).float().mean().item() for masks in (large, little)]
        assert shares[1] == pytest.approx(shares[0], abs=0.05)


def test_another_seed_or_epoch_changes_the_images(reader: CacheReader) -> None:
    first = next(data(reader, 7).batches(epoch=0))
    assert equal(first, next(data(reader, 7).batches(epoch=0)))
    assert not equal(first, next(data(reader, 7).batches(epoch=1)))
    assert not equal(first, next(data(reader, 7, seed=4).batches(epoch=0)))


def test_an_image_is_changed_the_same_way_whatever_the_batch_size(reader: CacheReader) -> None:
    singly = torch.cat([batch.masks for batch in data(reader, 2).batches(epoch=0)])
    together = next(data(reader, 7).batches(epoch=0)).masks
    assert torch.equal(singly[:7], together)


def test_a_repeated_image_is_changed_differently_each_time(reader: CacheReader) -> None:
    seen = []

    def record(image: Pixels, mask: Pixels, random: np.random.Generator) -> Pair:
        seen.append(random.random())
        return image, mask

    next(TrainingData(reader, [5], 4, 0, record, LIMITS).batches(epoch=0))
    assert len(seen) == len(set(seen)) == 2


def test_torch_is_seeded_by_the_step_alone(reader: CacheReader) -> None:
    given = data(reader, 2)
    draws = {}
    for epoch, step in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        given.seed_step(epoch, step)
        draws[epoch, step] = torch.rand(1).item()
    assert len(set(draws.values())) == 4
    given.seed_step(0, 1)
    assert torch.rand(1).item() == draws[0, 1]


def test_batch_has_normalised_images_and_class_ids(reader: CacheReader) -> None:
    given = TrainingData(reader, [4, 4], 2, 0, keep, LIMITS)
    (batch,) = given.batches(epoch=0)
    assert batch.images.shape == (2, 3, 16, 16)
    assert batch.images.dtype == torch.float32
    assert batch.masks.dtype == torch.int64
    assert torch.equal(batch.masks[0], torch.from_numpy(reader.masks([4])[0]).long())


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_sample_is_a_fixed_choice_of_unchanged_images_never_one_alone(reader: CacheReader, limit: int) -> None:
    positions = reader.index.train
    batches = list(TrainingData(reader, positions, 2, 0, keep, LIMITS).sample(limit))
    assert all(len(batch) == 2 for batch in batches)
    assert len(batches) == -(-min(limit, len(positions)) // 2)
    again = TrainingData(reader, positions, 2, 0, keep, LIMITS).sample(limit)
    assert all(torch.equal(*pair) for pair in zip(batches, again, strict=True))
