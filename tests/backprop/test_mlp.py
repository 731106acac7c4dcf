"""The hand-derived gradients train an MLP exactly as torch does, and cost what the lecture counts."""

from __future__ import annotations

import itertools

import pytest
import torch

from nnlab.backprop import EXAMPLES, backward_cost, forward_cost, layer_costs, read
from nnlab.backprop.mlp import Layer, Mlp
from nnlab.errors import UserError

WIDTHS = (5, 7, 6, 3)
ACTIVATIONS = {"sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}


def batch(generator: torch.Generator, loss: str, examples: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.randn(examples, WIDTHS[0], generator=generator, dtype=torch.float64)
    if loss == "squared_error":
        return inputs, torch.randn(examples, WIDTHS[-1], generator=generator, dtype=torch.float64)
    classes = torch.randint(WIDTHS[-1], (examples,), generator=generator)
    return inputs, torch.nn.functional.one_hot(classes, WIDTHS[-1]).double()


def layers_of(generator: torch.Generator) -> list[Layer]:
    return [
        Layer(
            torch.randn(outputs, inputs, generator=generator, dtype=torch.float64) / inputs**0.5,
            torch.randn(outputs, generator=generator, dtype=torch.float64) * 0.1,
        )
        for inputs, outputs in itertools.pairwise(WIDTHS)
    ]


def torch_twin(layers: list[Layer], activation: str) -> torch.nn.Sequential:
    modules: list[torch.nn.Module] = []
    for layer in layers:
        outputs, inputs = layer.weight.shape
        linear = torch.nn.Linear(inputs, outputs, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(layer.weight)
            linear.bias.copy_(layer.bias)
        modules += [linear, ACTIVATIONS[activation]()]
    return torch.nn.Sequential(*modules[:-1])


def torch_loss(y: torch.Tensor, targets: torch.Tensor, loss: str) -> torch.Tensor:
    if loss == "squared_error":
        return torch.nn.functional.mse_loss(y, targets, reduction="sum") / (2 * len(y))
    return torch.nn.functional.cross_entropy(y, targets)


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_training_by_hand_follows_torch_for_100_steps(activation, loss):
    generator = torch.Generator().manual_seed(0)
    layers = layers_of(generator)
    twin = torch_twin(layers, activation)
    mlp = Mlp(layers, activation, loss)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    start = mlp.layers[0].weight.clone()
    for _ in range(100):
        inputs, targets = batch(generator, loss)
        value = torch_loss(twin(inputs), targets, loss)
        torch.testing.assert_close(mlp.loss(inputs, targets), value.detach(), rtol=1e-9, atol=1e-12)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        mlp.step(inputs, targets, learning_rate=0.1)
    for layer, linear in zip(mlp.layers, twin[::2], strict=True):
        torch.testing.assert_close(layer.weight, linear.weight.detach(), rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(layer.bias, linear.bias.detach(), rtol=1e-9, atol=1e-12)
    assert (mlp.layers[0].weight - start).abs().max() > 0.001


def test_members_of_a_population_are_those_trained_alone():
    generator = torch.Generator().manual_seed(1)
    alone = [layers_of(generator) for _ in range(3)]
    stacked = [
        Layer(torch.stack([one.weight for one in layers]), torch.stack([one.bias for one in layers]))
        for layers in zip(*alone, strict=True)
    ]
    together = Mlp(stacked, "tanh")
    nets = [Mlp(layers, "tanh") for layers in alone]
    for _ in range(20):
        inputs, targets = batch(generator, "squared_error")
        together.step(inputs, targets, 0.2)
        for net in nets:
            net.step(inputs, targets, 0.2)
    for member, net in enumerate(nets):
        for many, one in zip(together.layers, net.layers, strict=True):
            torch.testing.assert_close(many.weight[member], one.weight, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(many.bias[member], one.bias, rtol=1e-9, atol=1e-12)


def test_gradients_for_one_example_are_those_of_the_computation_graph():
    chosen = EXAMPLES["mlp_vector"]
    graph = read(*chosen.program, *(f"{name} = {value}" for name, value in chosen.values.items()))
    graph.backward()
    layers = [Layer(torch.tensor(graph[f"W{i}"].value), torch.tensor(graph[f"b{i}"].value).squeeze(1)) for i in (1, 2)]
    mlp = Mlp(layers, "sigmoid")
    inputs, targets = torch.tensor(graph["x"].value.T), torch.tensor(graph["t"].value.T)
    for i, gradient in enumerate(mlp.gradients(inputs, targets), start=1):
        expected = torch.tensor(graph[f"W{i}"].error_signal)
        torch.testing.assert_close(gradient.weight, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("arguments", [{"activation": "sigmod"}, {"loss": "hinge"}])
def test_unknown_choices_are_refused(arguments):
    with pytest.raises(UserError, match="has no option"):
        Mlp(layers_of(torch.Generator()), **arguments)


def test_layers_that_do_not_fit_are_refused():
    first, second, _ = layers_of(torch.Generator())
    with pytest.raises(UserError, match="a layer with 6 outputs is followed by one with 5 inputs"):
        Mlp([second, first])


def test_the_count_is_that_of_the_products_torch_performs():
    from torch.utils.flop_counter import FlopCounterMode

    widths, examples = (784, 256, 64, 10), 8
    net = torch.nn.Sequential(*(torch.nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
    inputs = torch.randn(examples, widths[0], generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        loss = net(inputs).sum()
    forward = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        loss.backward()
    # torch counts a multiply-add as two operations
    assert forward == 2 * forward_cost(widths, examples)
    assert counter.get_total_flops() == 2 * backward_cost(widths, examples)


def test_the_backward_pass_approaches_twice_the_forward_pass_with_depth():
    for depth in (1, 2, 50):
        widths = [64] * (depth + 1)
        assert backward_cost(widths) / forward_cost(widths) == pytest.approx(2 - 1 / depth)


def test_cost_is_linear_in_layers_and_quadratic_in_width():
    assert forward_cost([64] * 21) == 2 * forward_cost([64] * 11)
    assert forward_cost([128] * 11) == 4 * forward_cost([64] * 11)
    assert [layer.input_gradient for layer in layer_costs([3, 4, 5])] == [0, 20]


@pytest.mark.parametrize("widths", [[], [3], [3, 0]])
def test_impossible_widths_are_refused(widths):
    with pytest.raises(UserError, match="`widths` must be at least two numbers"):
        layer_costs(widths)
