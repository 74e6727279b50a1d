"""Muon: the update's direction, length and memory, against singular value decompositions and torch's AdamW."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segdrop.training.optim import muon
from segdrop.training.optim.muon import Muon, orthogonalized, turn

GROUP = {"lr": 0.1, "momentum": 0.95, "weight_decay": 0.0}


def matrix_of(singular_values: Tensor, rows: int, columns: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    count = len(singular_values)
    left = torch.linalg.qr(torch.randn(rows, count, generator=generator)).Q
    right = torch.linalg.qr(torch.randn(columns, count, generator=generator)).Q
    return left * singular_values @ right.mT


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(64, 200), (200, 64), (100, 100)], ids=str)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_singular_values_become_about_one_whatever_they_were(
    shape: tuple[int, int], precision: torch.dtype, scale: float
) -> None:
    given = matrix_of(scale * torch.logspace(0, -1, min(shape)), *shape)
    result = orthogonalized(given, precision)
    assert result.shape == shape
    assert result.dtype == torch.float32
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.7
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(given, full_matrices=False)
    cosine = (result * (left @ right)).sum() / result.norm() / min(shape) ** 0.5
    assert cosine > 0.97


def test_large_matrices_are_orthogonal_block_by_block() -> None:
    given = torch.randn(600, 700, generator=torch.Generator().manual_seed(0))
    together = orthogonalized(given, torch.float32)
    for start in (0, 256, 512):
        rows = slice(start, start + 256)
        torch.testing.assert_close(together[rows], orthogonalized(given[rows], torch.float32))
    torch.testing.assert_close(orthogonalized(given.mT, torch.float32), together.mT)


def stepped(weight: nn.Parameter, *gradients: Tensor, **group: Any) -> Muon:
    optimizer = Muon([{"params": [weight]} | GROUP | group], torch.float32)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
        assert weight.grad is None
    return optimizer


def kernel(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_weights_take_turns_and_each_one_moves_once_and_four_times_as_far_in_four_steps() -> None:
    weights = [nn.Parameter(kernel(8, 4, 3, 3, seed=seed)) for seed in range(8)]
    optimizer = Muon([{"params": weights} | GROUP | {"lr": 0.01}], torch.float32)
    moves = []
    for _ in range(4):
        before = [weight.detach().clone() for weight in weights]
        for number, weight in enumerate(weights):
            weight.grad = kernel(8, 4, 3, 3, seed=100 + number)
        optimizer.step()
        moves.append([float((w.detach() - b).norm() / b.norm()) for w, b in zip(weights, before, strict=True)])
    assert [sum(move > 0 for move in step) for step in moves] == [2, 2, 2, 2]
    assert [sum(column) for column in zip(*moves, strict=True)] == pytest.approx([0.04] * 8, rel=1e-4)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_move_is_a_share_of_the_weights_however_large_the_gradient(memory_format: torch.memory_format) -> None:
    moves = []
    for scale in (1e-5, 1.0, 1e5):
        weight = nn.Parameter(kernel(16, 8, 3, 3).contiguous(memory_format=memory_format))
        before = weight.detach().clone()
        turn(weight.data, scale * kernel(16, 8, 3, 3, seed=1), 0.1, torch.float32)
        moves.append(weight.detach() - before)
        assert moves[-1].norm() == pytest.approx(0.1 * float(before.norm()), rel=1e-4)
        assert weight.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(moves[0], moves[1], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(moves[1], moves[2], rtol=1e-3, atol=1e-6)


def test_it_goes_downhill_in_every_direction_alike() -> None:
    """The loss is a tenth as steep in one half of the outputs, which SGD would learn later."""
    target = kernel(8, 4, 3, 3, seed=2)
    weight = nn.Parameter(kernel(8, 4, 3, 3))
    optimizer = Muon([{"params": [weight]} | GROUP | {"lr": 0.02}], torch.float32)
    steepness = torch.tensor([1.0] * 4 + [0.1] * 4).view(8, 1, 1, 1)
    first = (weight - target).detach().flatten(1).norm(dim=1)
    for _ in range(60):
        optimizer.zero_grad()
        (steepness * (weight - target) ** 2).sum().backward()
        optimizer.step()
    left = (weight - target).detach().flatten(1).norm(dim=1) / first
    assert left[4:].mean() < 0.6
    assert left[4:].mean() < 1.5 * left[:4].mean() + 0.1


def test_taps_that_only_read_padding_stay_as_they_are_and_do_not_count() -> None:
    weight, gradient = kernel(6, 5, 3, 3), kernel(6, 5, 3, 3, seed=1)
    dead = torch.ones(3, 3, dtype=torch.bool)
    dead[1, 1] = False
    gradient[:, :, dead] = 0
    alone, whole = weight[:, :, 1:2, 1:2].clone(), weight.clone()
    turn(whole, gradient, 0.1, torch.float32)
    turn(alone, gradient[:, :, 1:2, 1:2], 0.1, torch.float32)
    assert torch.equal(whole[:, :, dead], weight[:, :, dead])
    torch.testing.assert_close(whole[:, :, 1:2, 1:2], alone)
    assert not torch.equal(alone, weight[:, :, 1:2, 1:2])


def test_no_gradient_at_all_changes_nothing() -> None:
    weight = nn.Parameter(kernel(6, 5, 3, 3))
    before = weight.detach().clone()
    stepped(weight, *[torch.zeros(6, 5, 3, 3)] * 5)
    assert torch.equal(weight, before)


def test_momentum_is_nesterovs_of_all_steps() -> None:
    weight, gradients = nn.Parameter(kernel(6, 5, 1, 1)), [kernel(6, 5, 1, 1, seed=seed) for seed in range(1, 5)]
    expected, average = weight.detach().clone(), torch.zeros(6, 5, 1, 1)
    stepped(weight, *gradients)
    for gradient in gradients:
        average = 0.95 * average + 0.05 * gradient
    turn(expected, 0.05 * gradients[-1] + 0.95 * average, 4 * 0.1, torch.float32)
    torch.testing.assert_close(weight.detach(), expected)


def test_weight_decay_is_apart_from_the_gradient() -> None:
    weight, before = nn.Parameter(kernel(6, 5, 3, 3)), kernel(6, 5, 3, 3)
    stepped(weight, *[torch.zeros(6, 5, 3, 3)] * 4, weight_decay=0.5)
    torch.testing.assert_close(weight.detach(), before * (1 - 4 * 0.1 * 0.5))


def test_other_parameters_get_torchs_adamw_to_the_bit_and_a_loaded_state_goes_on() -> None:
    starts = [kernel(4, 3, 3, 3), kernel(4), kernel(4, 4, 1, 1, seed=3)]
    ours, theirs, resumed = ([nn.Parameter(value.clone()) for value in starts] for _ in range(3))

    def built(weights: list[nn.Parameter]) -> Muon:
        rest = {"params": weights[1:], "lr": 0.01, "weight_decay": 0.1}
        return Muon([{"params": weights[:1]} | GROUP, rest], torch.float32)

    optimizer, reference = built(ours), torch.optim.AdamW(theirs[1:], lr=0.01, weight_decay=0.1, fused=True)
    for step in range(8):
        for weights in (ours, theirs):
            for number, weight in enumerate(weights):
                weight.grad = kernel(*weight.shape, seed=10 * step + number)
        optimizer.step()
        reference.step()
        if step == 1:
            state, halfway = copy.deepcopy(optimizer.state_dict()), [weight.detach().clone() for weight in ours]
    assert all(torch.equal(mine, other) for mine, other in zip(ours[1:], theirs[1:], strict=True))

    for weight, value in zip(resumed, halfway, strict=True):
        weight.data.copy_(value)
    second = built(resumed)
    second.load_state_dict(state)
    for step in range(2, 8):
        for number, weight in enumerate(resumed):
            weight.grad = kernel(*weight.shape, seed=10 * step + number)
        second.step()
    assert all(torch.equal(mine, other) for mine, other in zip(ours, resumed, strict=True))


def one_step_of_torchs(weight: Tensor, gradients: list[Tensor], decay: float) -> Tensor:
    """The direction of torch's Muon after these gradients, with its own polynomial and Nesterov's momentum."""
    theirs = nn.Parameter(weight.clone())
    optimizer = torch.optim.Muon([theirs], lr=0.0, momentum=GROUP["momentum"], weight_decay=decay)
    for gradient in gradients[:-1]:
        theirs.grad = gradient.clone()
        optimizer.step()
    optimizer.param_groups[0]["lr"] = 1.0
    theirs.grad = gradients[-1].clone()
    optimizer.step()
    return weight * (1 - decay) - theirs.detach()


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("shape", [(16, 40), (40, 16)], ids=str)
def test_matrices_move_as_by_torchs_muon_if_its_settings_are_ours(
    shape: tuple[int, int], decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its polynomial, five times, in bf16, and every weight in every step; ours is as long as a share of the weight."""
    monkeypatch.setattr(muon, "_POLYNOMIALS", ((3.4445, -4.7750, 2.0315),) * 5)
    monkeypatch.setattr(muon, "_SAFETY", 1.0)
    monkeypatch.setattr(muon, "_TURNS", 1)
    weight = nn.Parameter(kernel(*shape, 1, 1))
    gradients = [kernel(*shape, seed=seed) for seed in range(1, 6)]
    optimizer = Muon([{"params": [weight]} | GROUP | {"weight_decay": decay}], torch.bfloat16)
    for step, gradient in enumerate(gradients, 1):
        before = weight.detach()[..., 0, 0].clone()
        weight.grad = gradient[..., None, None].clone()
        optimizer.step()
        direction = one_step_of_torchs(before, gradients[:step], decay)
        kept = before * (1 - GROUP["lr"] * decay)
        expected = kept - GROUP["lr"] * kept.norm() * direction / direction.norm()
        torch.testing.assert_close(weight.detach()[..., 0, 0], expected, rtol=1e-4, atol=1e-5)


def lengths_remembered(*scales: float) -> tuple[Tensor, Tensor]:
    """The momentum after gradients of these lengths, in ``grad_scale`` too; and what it is of gradients of length 1."""
    momenta = []
    for lengths in (scales, (1.0,) * len(scales)):
        weight = nn.Parameter(kernel(6, 5, 3, 3))
        optimizer = Muon([{"params": [weight]} | GROUP], torch.float32)
        for seed, length in enumerate(lengths):
            weight.grad = length * kernel(6, 5, 3, 3, seed=seed)
            optimizer.grad_scale = torch.tensor(length)
            optimizer.step()
        momenta.append(optimizer.state[weight]["exp_avg"])
    return momenta[0], momenta[1]


def test_an_outlier_is_clipped_before_the_momentum_remembers_it() -> None:
    unclipped, _ = lengths_remembered(1.0, 9.9, 1.0)
    clipped, ordinary = lengths_remembered(1.0, 1e6, 1.0)
    assert clipped.norm() < 1.1 * unclipped.norm()
    assert not torch.equal(clipped, ordinary)


def test_gradients_of_ordinary_lengths_reach_the_momentum_to_the_bit() -> None:
    scales = (1.0, 4.0, 9.0, 2.0)
    found, _ = lengths_remembered(*scales)
    expected = torch.zeros(6, 5, 3, 3)
    for seed, length in enumerate(scales):
        expected.lerp_(length * kernel(6, 5, 3, 3, seed=seed), 1 - GROUP["momentum"])
    assert torch.equal(found, expected)
