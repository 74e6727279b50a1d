import math

import torch

from segdrop.dataset.classes import IGNORE
from segdrop.training.loss import AUXILIARY_WEIGHT, criterion, cross_entropy


def test_loss_is_the_mean_over_labelled_pixels() -> None:
    logits = torch.tensor([[[[2.0, 0.0, 5.0]], [[0.0, 1.0, -5.0]]]])  # (1, 2, 1, 3)
    masks = torch.tensor([[[0, 1, IGNORE]]])
    expected = (math.log(1 + math.exp(-2.0)) + math.log(1 + math.exp(-1.0))) / 2
    assert math.isclose(cross_entropy(logits, masks).item(), expected, rel_tol=1e-6)


def test_ignored_pixels_get_no_gradient() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    masks = torch.zeros(1, 4, 4, dtype=torch.int64)
    masks[0, 1:] = IGNORE
    cross_entropy(logits, masks).backward()
    assert logits.grad is not None
    assert logits.grad[:, :, 1:].abs().max() == 0
    assert logits.grad[:, :, 0].abs().min() > 0


def test_batch_without_any_label_gives_zero_with_a_graph() -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = criterion(logits, logits * 2, torch.full((2, 4, 4), IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_auxiliary_head_counts_by_its_weight() -> None:
    logits, auxiliary, masks = torch.randn(1, 2, 3, 3), torch.randn(1, 2, 3, 3), torch.ones(1, 3, 3).long()
    expected = cross_entropy(logits, masks) + AUXILIARY_WEIGHT * cross_entropy(auxiliary, masks)
    assert torch.equal(criterion(logits, auxiliary, masks), expected)
