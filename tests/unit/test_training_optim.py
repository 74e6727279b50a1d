import itertools

import pytest
import torch
from torch import nn

from builders.networks import TinyModel, tiny_network
from segdrop.training.optim import recipes

OPTIMIZERS = ["adamw", "sgd"]
MUON, ADAMW, SGD = (recipes.RECIPES[name] for name in ("muon", "adamw", "sgd"))


def names_in(network: nn.Module, optimizer: torch.optim.Optimizer, group: int) -> set[str]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {names[id(parameter)] for parameter in optimizer.param_groups[group]["params"]}


def test_auto_rate_of_sgd_scales_with_the_batch_and_a_given_value_wins() -> None:
    assert recipes.peak_learning_rate("auto", SGD, 32) == 0.02
    assert recipes.peak_learning_rate("auto", SGD, 4) == pytest.approx(0.0025)
    assert recipes.peak_learning_rate("auto", ADAMW, 4) == recipes.peak_learning_rate("auto", ADAMW, 32) == 4e-4
    assert recipes.peak_learning_rate("auto", MUON, 8) == 4e-4
    for recipe in recipes.RECIPES.values():
        assert recipes.peak_learning_rate(0.01, recipe, 3) == 0.01


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_what_is_asked_for_is_taken_and_auto_goes_by_the_start_and_the_schedule(name: str) -> None:
    for is_pretrained, schedule in itertools.product((False, True), ("one_cycle", "constant")):
        assert recipes.choose_recipe(name, schedule, is_pretrained=is_pretrained).name == name
    assert recipes.choose_recipe("auto", "one_cycle", is_pretrained=False) is MUON
    assert recipes.choose_recipe("auto", "constant", is_pretrained=False) is ADAMW
    assert recipes.choose_recipe("auto", "one_cycle", is_pretrained=True) is ADAMW


@pytest.mark.parametrize("name", recipes.RECIPES)
@pytest.mark.parametrize("is_pretrained", [False, True])
def test_norms_and_biases_do_not_decay_and_nothing_is_left_out(name: str, *, is_pretrained: bool) -> None:
    network = tiny_network()
    optimizer = recipes.build_optimizer(TinyModel(network), recipes.RECIPES[name], 0.5, is_pretrained=is_pretrained)
    groups = range(len(optimizer.param_groups))
    kept = {n for n, parameter in network.named_parameters() if parameter.ndim == 1}
    assert kept >= {"backbone.norm.weight", "backbone.norm.bias", "classifier.4.bias"}
    found = [name for group in groups for name in names_in(network, optimizer, group)]
    assert sorted(found) == sorted(name for name, _ in network.named_parameters())
    for group in groups:
        if names := names_in(network, optimizer, group):
            assert optimizer.param_groups[group]["weight_decay"] == (0.0 if names <= kept else 0.5)


@pytest.mark.parametrize(("name", "share"), [("adamw", 0.25), ("sgd", 0.1)])
def test_pretrained_backbone_learns_slower_than_its_heads(name: str, share: float) -> None:
    network = tiny_network()
    optimizer = recipes.build_optimizer(TinyModel(network), recipes.RECIPES[name], "auto", is_pretrained=True)
    recipes.set_learning_rate(optimizer, 0.2)
    rates = {
        name: optimizer.param_groups[group]["lr"] for group in range(4) for name in names_in(network, optimizer, group)
    }
    for parameter, rate in rates.items():
        assert rate == pytest.approx(0.2 * share if parameter.startswith("backbone.") else 0.2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_from_random_weights_everything_learns_at_one_rate(name: str) -> None:
    optimizer = recipes.build_optimizer(TinyModel(tiny_network()), recipes.RECIPES[name], "auto", is_pretrained=False)
    recipes.set_learning_rate(optimizer, 0.2)
    assert {group["lr"] for group in optimizer.param_groups} == {0.2}


def test_decay_is_the_optimizers_unless_a_value_is_given() -> None:
    for name, auto in (("adamw", 1e-2), ("sgd", 1e-4), ("muon", 0.0)):
        for asked, expected in (("auto", auto), (0.0, 0.0), (0.3, 0.3)):
            optimizer = recipes.build_optimizer(
                TinyModel(tiny_network()), recipes.RECIPES[name], asked, is_pretrained=False
            )
            assert optimizer.param_groups[0]["weight_decay"] == expected


def test_sgd_is_torchs_with_momentum_and_without_nesterov() -> None:
    weights = [nn.Parameter(torch.ones(3, 2)) for _ in range(2)]
    network = nn.Module()
    network.weight = weights[0]
    ours = recipes.build_optimizer(TinyModel(network), SGD, 0.1, is_pretrained=False)
    theirs = torch.optim.SGD([weights[1]], lr=0.2, momentum=0.9, weight_decay=0.1)
    recipes.set_learning_rate(ours, 0.2)
    for step in range(4):
        for parameter in weights:
            parameter.grad = torch.full_like(parameter, 0.1 * step)
        ours.step()
        theirs.step()
    torch.testing.assert_close(*weights)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_a_step_sees_gradients_of_at_most_the_norm_as_torchs_own_clipping_gives_them(name: str, scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = [scale * torch.randn(4, 3, generator=generator), scale * torch.randn(5, generator=generator)]
    networks = [nn.Module(), nn.Module()]
    optimizers = []
    for network in networks:
        network.first, network.second = nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(5))
        optimizers.append(recipes.build_optimizer(TinyModel(network), recipes.RECIPES[name], 0.1, is_pretrained=False))
        recipes.set_learning_rate(optimizers[-1], 0.1)
    for factor in (1.0, 0.003, 5.0):  # of the large ones, the middle step is not clipped, and must not remember
        for network in networks:
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter.grad = factor * gradient
        norm = recipes.clip_gradients(optimizers[0], 3.0)
        expected = nn.utils.clip_grad_norm_(list(networks[1].parameters()), 3.0)
        assert norm == pytest.approx(float(expected), rel=1e-5)
        for optimizer in optimizers:
            optimizer.step()
    for ours, theirs in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_an_optimizer_that_would_not_clip_is_refused() -> None:
    weight = nn.Parameter(torch.ones(3))
    with pytest.raises(TypeError, match="fused"):
        recipes.clip_gradients(torch.optim.AdamW([weight]), 1.0)


def test_norm_of_broken_gradients_is_not_finite() -> None:
    network = tiny_network()
    optimizer = recipes.build_optimizer(TinyModel(network), ADAMW, "auto", is_pretrained=False)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    network.backbone.conv.weight.grad[0] = torch.nan
    assert not recipes.clip_gradients(optimizer, 1.0) < float("inf")


def test_optimizer_that_is_not_built_is_never_silently_another() -> None:
    with pytest.raises(KeyError):
        recipes.choose_recipe("lion", "poly", is_pretrained=False)


def test_muon_turns_convolutions_before_norms_and_leaves_the_rest_to_adamw_at_its_own_rate() -> None:
    network = tiny_network()
    network.backbone.depthwise = nn.Conv2d(8, 8, 3, groups=8, bias=False)
    optimizer = recipes.build_optimizer(TinyModel(network), MUON, "auto", is_pretrained=False)
    recipes.set_learning_rate(optimizer, 4e-4)
    rates = {}
    for number, group in enumerate(optimizer.param_groups):
        for name in names_in(network, optimizer, number):
            rates[name] = ("muon" if "momentum" in group else "adamw", pytest.approx(group["lr"]))
    turned = {"backbone.conv.weight", "classifier.0.weight", "aux_classifier.0.weight"}
    assert rates == {name: ("muon", 0.02) if name in turned else ("adamw", 4e-4) for name in rates}
