import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from builders.networks import build_tiny_model
from builders.training import write_cache
from segdrop.dataset.cache import CacheReader
from segdrop.modeling.architectures import SegmentationModel
from segdrop.modeling.metrics import confusion_matrix
from segdrop.modeling.normalize import to_input
from segdrop.modeling.precision import Host
from segdrop.training.evaluation import evaluate
from segdrop.training.loss import cross_entropy

HOST = Host("fp32", 1)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[CacheReader]:
    with CacheReader(write_cache(tmp_path / "cache", train=4, val=3)) as opened:
        yield opened


@pytest.fixture
def model() -> SegmentationModel:
    torch.manual_seed(0)
    return build_tiny_model("tiny", 2)


def ignore_call() -> None:
    pass


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_evaluation_equals_the_split_taken_at_once(reader: CacheReader, model: SegmentationModel) -> None:
    positions = reader.index.val
    measured = evaluate(model, HOST, reader, positions, 2, ignore_call)
    masks = reader.masks(positions)
    with torch.inference_mode():
        logits = model.eval()(to_input(reader.images(positions)))
    assert np.array_equal(measured.matrix, confusion_matrix(masks, logits.argmax(1).numpy(), 2))
    expected = cross_entropy(logits, torch.from_numpy(masks).long()).item()
    assert math.isclose(measured.loss, expected, rel_tol=1e-5)


def test_evaluation_changes_nothing_in_the_model(reader: CacheReader, model: SegmentationModel) -> None:
    before = state_of(model)
    evaluate(model.train(), HOST, reader, reader.index.val, 2, ignore_call)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
