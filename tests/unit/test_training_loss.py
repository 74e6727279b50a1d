"""Each loss against a slow reference, pixel by pixel, and its gradients against differences."""

import math
import weakref
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from segdrop.dataset.classes.assignment import IGNORE
from segdrop.modeling.architectures import upsampled
from segdrop.modeling.architectures.deeplabv3 import AUXILIARY_WEIGHT, DeepLabV3
from segdrop.training.loss import (
    build_criterion,
    cross_entropy,
    dice,
    dice_cross_entropy,
    ohem,
)

NUM_CLASSES = 4
WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 10.0])
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "weighted_cross_entropy": partial(cross_entropy, class_weights=WEIGHTS.double()),
    "ohem": ohem,
    "dice": dice,
    "dice_cross_entropy": dice_cross_entropy,
}
NAMES = sorted(LOSSES)

Pixel = tuple[npt.NDArray[np.float64], int]  # probabilities (C,), truth


class GivenLogits(DeepLabV3):
    """Its images are the logits of its heads."""

    def forward_heads(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images[0], images[1]


def both_heads(name: str, class_weights: Tensor | None = None) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The loss of a batch, of both heads of DeepLabV3."""
    model, criterion = GivenLogits(nn.Module()), build_criterion(name, class_weights)
    return lambda logits, auxiliary, masks: model.loss((logits, auxiliary), masks, criterion)


def batch(seed: int = 0, *, scale: float = 2.0) -> tuple[Tensor, Tensor]:
    """Class 3 is never true; a third of the pixels is ignored."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(2, NUM_CLASSES, 5, 6, generator=generator, dtype=torch.float64)
    masks = torch.randint(0, 3, (2, 5, 6), generator=generator)
    masks[torch.rand(masks.shape, generator=generator) < 1 / 3] = IGNORE
    return logits, masks


def labelled_pixels(logits: Tensor, masks: Tensor) -> list[Pixel]:
    pixels = []
    for image, mask in zip(logits.numpy(), masks.numpy(), strict=True):
        for row, column in np.ndindex(mask.shape):
            if mask[row, column] != IGNORE:
                powers = np.exp(image[:, row, column])
                pixels.append((powers / powers.sum(), int(mask[row, column])))
    return pixels


def slow_cross_entropy(pixels: list[Pixel]) -> float:
    return sum(-math.log(p[truth]) for p, truth in pixels) / len(pixels)


def slow_weighted(pixels: list[Pixel]) -> float:
    weights = WEIGHTS.tolist()
    return sum(-math.log(p[truth]) * weights[truth] for p, truth in pixels) / sum(weights[truth] for _, truth in pixels)


def slow_ohem(pixels: list[Pixel]) -> float:
    losses = sorted((-math.log(p[truth]) for p, truth in pixels), reverse=True)
    hard = [loss for loss in losses if loss > -math.log(0.7)]
    kept = hard if len(hard) >= len(losses) / 16 else losses[: math.ceil(len(losses) / 16)]
    return sum(kept) / len(kept)


def slow_dice(pixels: list[Pixel]) -> float:
    scores = []
    for class_id in {truth for _, truth in pixels}:
        overlap = sum(p[class_id] for p, truth in pixels if truth == class_id)
        sizes = sum(p[class_id] + (truth == class_id) for p, truth in pixels)
        scores.append(2 * overlap / sizes)
    return 1 - sum(scores) / len(scores)


REFERENCES: dict[str, Callable[[list[Pixel]], float]] = {
    "cross_entropy": slow_cross_entropy,
    "weighted_cross_entropy": slow_weighted,
    "ohem": slow_ohem,
    "dice": slow_dice,
    "dice_cross_entropy": lambda pixels: slow_dice(pixels) + slow_cross_entropy(pixels),
}


@pytest.mark.parametrize("scale", [0.1, 2.0, 6.0])
@pytest.mark.parametrize("name", NAMES)
def test_loss_equals_its_slow_reference_for_both_heads(name: str, scale: float) -> None:
    (logits, masks), (auxiliary, _) = batch(1, scale=scale), batch(2, scale=scale)
    reference = REFERENCES[name]
    expected = reference(labelled_pixels(logits, masks))
    expected += AUXILIARY_WEIGHT * reference(labelled_pixels(auxiliary, masks))
    measured = both_heads(name, WEIGHTS.double())(logits, auxiliary, masks)
    assert measured.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_loss(name: str) -> None:
    logits, masks = batch(3)
    criterion = both_heads(name, WEIGHTS.double())
    assert torch.autograd.gradcheck(lambda given: criterion(given, 0.5 * given, masks), logits.requires_grad_())


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_smaller_logits_are_those_of_autograd_and_nothing_larger_waits_for_them(name: str) -> None:
    _, masks = batch(8)
    logits = torch.randn(2, 2, NUM_CLASSES, 2, 3, dtype=torch.float64, requires_grad=True)
    criterion = both_heads(name, WEIGHTS.double())
    saved: list[weakref.ref[Tensor]] = []

    def note(kept: Tensor) -> Tensor:
        saved.append(weakref.ref(kept))
        return kept

    with torch.autograd.graph.saved_tensors_hooks(note, lambda kept: kept):
        loss = criterion(logits[0], logits[1], masks)
    waiting = [kept for reference in saved if (kept := reference()) is not None and kept is not masks]
    assert max(kept.numel() for kept in waiting) == logits[0].numel()
    measured = torch.autograd.grad(loss, logits)[0]
    pixel_loss = LOSSES[name]
    main, auxiliary = (pixel_loss(upsampled(given, masks.shape[-2:]), masks) for given in logits)
    expected = torch.autograd.grad(main + AUXILIARY_WEIGHT * auxiliary, logits)[0]
    torch.testing.assert_close(measured, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_ignored_pixels_count_for_nothing_and_get_no_gradient(name: str) -> None:
    logits, masks = batch(4)
    criterion, ignored = both_heads(name, WEIGHTS.double()), (masks == IGNORE).unsqueeze(1)
    loss = criterion(logits.requires_grad_(), logits, masks)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad * ignored).abs().max() == 0
    assert (logits.grad * ~ignored).abs().max() > 0
    with torch.no_grad():
        changed = logits + 50 * torch.randn_like(logits) * ignored
        assert criterion(changed, changed, masks).item() == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_batch_without_any_label_gives_zero_with_a_graph(name: str) -> None:
    logits = torch.randn(2, NUM_CLASSES, 4, 4, requires_grad=True)
    loss = both_heads(name, WEIGHTS)(logits, logits * 2, torch.full((2, 4, 4), IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_computed_in_float32_whatever_autocast_says(name: str) -> None:
    logits, masks = batch(5)
    criterion, coarse = both_heads(name, WEIGHTS), logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = criterion(coarse, coarse, masks)
    assert loss.dtype is torch.float32
    assert torch.equal(loss, criterion(coarse.float(), coarse.float(), masks))


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_answer_costs_almost_nothing_and_a_confident_mistake_much(name: str) -> None:
    _, masks = batch(6)
    truth = torch.nn.functional.one_hot(masks.where(masks != IGNORE, 0), NUM_CLASSES).movedim(-1, 1).float()
    criterion = both_heads(name, WEIGHTS)
    assert criterion(50 * truth, 50 * truth, masks).item() < 1e-6
    assert criterion(-50 * truth, -50 * truth, masks).item() > 0.9


def test_classes_that_the_labels_lack_do_not_count_against_dice() -> None:
    logits, masks = batch(7)
    masks[masks != IGNORE] = 1
    assert dice(logits, masks).item() == pytest.approx(slow_dice(labelled_pixels(logits, masks)), rel=1e-9)
    sure = torch.full((1, NUM_CLASSES, 2, 2), -50.0)
    sure[:, 1] = 50.0
    assert dice(sure, torch.ones(1, 2, 2).long()).item() < 1e-6


def test_hard_pixels_alone_count_while_there_are_enough() -> None:
    """64 pixels, all easy but some: those are what the loss is a mean of, down to a sixteenth."""
    logits = torch.zeros(1, 2, 8, 8)
    logits[:, 0] = torch.linspace(3, 5, 64).reshape(8, 8)
    masks = torch.zeros(1, 8, 8).long()
    losses = cross_entropy_of_each(logits, masks)
    assert ohem(logits, masks).item() == pytest.approx(losses.sort(descending=True).values[:4].mean().item())
    logits[0, 0, 0, :6] = -4.0
    assert ohem(logits, masks).item() == pytest.approx(math.log(1 + math.exp(4)), rel=1e-5)


def test_equally_easy_pixels_are_all_kept_so_that_no_order_decides() -> None:
    logits = torch.tensor([4.0, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 8, 8).clone().requires_grad_()
    ohem(logits, torch.zeros(1, 8, 8).long()).backward()
    assert logits.grad is not None
    assert logits.grad[:, 0].unique().numel() == 1


def cross_entropy_of_each(logits: Tensor, masks: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(logits, masks, reduction="none").flatten()


def test_dice_and_cross_entropy_are_added_as_equals() -> None:
    logits, masks = batch(8)
    assert torch.equal(dice_cross_entropy(logits, masks), dice(logits, masks) + cross_entropy(logits, masks))


def test_loss_that_is_not_built_is_never_silently_another() -> None:
    with pytest.raises(KeyError):
        both_heads("focal")
