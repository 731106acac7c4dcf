"""Claims about where noise goes, in chains, in nested networks and in those that somebody else wrote."""

from __future__ import annotations

import importlib
import inspect
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from nnlab.regularizer import DropConnect, DropConnectLinear, Dropout, DropoutLayer, Noise, Regularizer

CONFIGS = Path(__file__).parents[2] / "configs" / "regularizer"
OWN = [path for path in sorted(CONFIGS.glob("*.yaml")) if "_target_: nnlab.regularizer." in path.read_text()]


class Chain(nn.Sequential):
    """A class of its own, as nnlab's MLP is."""


class Foreign(nn.Module):
    """As in torchvision: features, and a classifier that is called by name."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Sigmoid(), nn.MaxPool2d(2))
        self.fc = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(self.features(x).flatten(1))
        return y


class Backwards(nn.Sequential):
    """A container whose forward pass is not that of `nn.Sequential`."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        for layer in reversed(self):
            x = layer(x)
        return x


def mlp() -> Chain:
    layers = {"flatten": nn.Flatten(), "linear1": nn.Linear(64, 8), "activation1": nn.ReLU(),
              "linear2": nn.Linear(8, 6), "activation2": nn.ReLU(), "output": nn.Linear(6, 3)}  # fmt: skip
    return Chain(OrderedDict(layers))


def lenet() -> Chain:
    layers = {"conv1": nn.Conv2d(1, 2, 3, padding=1), "activation1": nn.ReLU(), "flatten": nn.Flatten(),
              "linear1": nn.Linear(128, 8), "activation2": nn.ReLU(), "output": nn.Linear(8, 3)}  # fmt: skip
    return Chain(OrderedDict(layers))


def perceptron() -> Chain:
    return Chain(OrderedDict(flatten=nn.Flatten(), output=nn.Linear(64, 3)))


def backwards() -> Backwards:
    return Backwards(nn.Linear(8, 3), nn.Linear(64, 8), nn.Flatten())


def nested() -> nn.Module:
    return nn.Sequential(mlp(), nn.ReLU(), nn.Linear(3, 3))


NETWORKS = {f.__name__: f for f in (mlp, lenet, perceptron, backwards, nested, Foreign)}


def names(network: nn.Module) -> list[str]:
    return list(dict(network.named_children()))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("noise", [Dropout(), Dropout(input_p=0.2), DropConnect()], ids=["hidden", "input", "weights"])
def test_parameters_keep_identity_and_order_and_evaluation_the_outputs(name: str, noise: Noise) -> None:
    network, x = NETWORKS[name](), torch.randn(4, 1, 8, 8)
    parameters, expected = list(network.parameters()), network.eval()(x)
    noisy = noise.apply(network).eval()
    assert [id(p) for p in noisy.parameters()] == [id(p) for p in parameters]
    torch.testing.assert_close(noisy(x), expected)


def test_dropout_stands_before_every_linear_layer_except_the_first_weight_layer() -> None:
    network = Dropout().apply(mlp())
    assert type(network) is Chain
    assert names(network) == ["flatten", "linear1", "activation1", "dropout1", "linear2", "activation2", "dropout2",
                              "output"]  # fmt: skip
    # In a convnet the first weight layer is a convolution, so every linear layer gets its dropout.
    assert names(Dropout().apply(lenet())) == ["conv1", "activation1", "flatten", "dropout1", "linear1", "activation2",
                                               "dropout2", "output"]  # fmt: skip


def test_dropout_of_inputs_stands_in_front_of_the_network() -> None:
    assert names(Dropout(input_p=0.2).apply(perceptron())) == ["input_dropout", "flatten", "output"]
    network = Dropout(0.5, input_p=0.2).apply(Foreign())
    assert names(network) == ["input_dropout", "network"]
    assert network.input_dropout.p.item() == pytest.approx(0.2)
    assert network.network.fc.dropout1.p.item() == 0.5


def test_a_network_of_one_layer_has_no_hidden_units_to_drop() -> None:
    assert names(Dropout().apply(perceptron())) == ["flatten", "output"]


def test_outside_a_chain_the_layer_becomes_a_pair() -> None:
    network = Dropout().apply(Foreign())
    assert names(network.fc) == ["dropout1", "fc"]
    pairs = Dropout().apply(backwards())
    assert [type(child) for child in pairs] == [nn.Linear, nn.Sequential, nn.Flatten]


def test_links_inside_chains_of_chains_are_numbered_through() -> None:
    network = Dropout().apply(nested())
    found = [name for name, module in network.named_modules() if isinstance(module, DropoutLayer)]
    assert found == ["0.dropout1", "0.dropout2", "dropout3"]


def test_training_drops_what_enters_the_linear_layer() -> None:
    network = Dropout(0.5).apply(Foreign())
    seen: list[Tensor] = []
    network.fc.fc.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    x = torch.rand(8, 1, 8, 8)
    network.train()(x)
    network.eval()(x)
    dropped, whole = seen
    torch.testing.assert_close(dropped, torch.where(dropped == 0, 0, 2 * whole))
    active = whole > 0
    assert 0.3 < (dropped[active] == 0).float().mean() < 0.7


def test_dropconnect_takes_every_linear_layer_except_the_output_layer() -> None:
    def taken(network: nn.Module) -> list[str]:
        noisy = DropConnect().apply(network)
        return [name for name, module in noisy.named_modules() if isinstance(module, DropConnectLinear)]

    assert taken(mlp()) == ["linear1", "linear2"]
    assert taken(lenet()) == ["linear1"]
    assert taken(perceptron()) == ["output"]
    assert taken(Foreign()) == ["fc"]
    assert taken(nn.Linear(3, 2)) == [""]


@pytest.mark.parametrize("both", [(Dropout(), DropConnect()), (DropConnect(), Dropout())])
def test_dropout_and_dropconnect_go_together_in_either_order(both: tuple[Noise, Noise]) -> None:
    network: nn.Module = mlp()
    for noise in both:
        network = noise.apply(network)
    assert names(network)[3:5] == ["dropout1", "linear2"]
    assert isinstance(network.linear2, DropConnectLinear)
    assert isinstance(network, Chain)


def test_linear_layers_inside_attention_are_left_alone() -> None:
    network = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    noisy = DropConnect().apply(Dropout().apply(network))
    assert noisy.train()(torch.randn(2, 3, 8)).shape == (2, 3, 8)
    assert type(noisy.self_attn.out_proj) is not DropConnectLinear


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_config_lists_every_argument_with_its_default(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0] == f"# @package regularizer.{path.stem}"
    assert lines[1].startswith("# ")
    config = yaml.safe_load(path.read_text())
    component = getattr(importlib.import_module("nnlab.regularizer"), config.pop("_target_").rpartition(".")[2])
    assert issubclass(component, Regularizer)
    signature = inspect.signature(component).parameters.values()
    assert config == {argument.name: argument.default for argument in signature}


def test_every_regularizer_has_a_config() -> None:
    assert {path.stem for path in OWN} >= {"weight_decay", "l1", "max_norm", "dropout", "dropconnect"}
