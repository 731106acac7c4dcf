"""Claims about all architectures: shapes, names, parameter counts, stacking, configs, and the user's mistakes."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from nnlab.architecture import MLP, ConvNet, Perceptron, RealMLP, ResNet
from nnlab.architecture.resnet import BasicBlock
from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs" / "architecture"
CLASSES = 3
VECTOR, DIGIT, MNIST, COLOR = (13,), (1, 8, 8), (1, 28, 28), (3, 32, 32)

Make = Callable[[tuple[int, ...]], nn.Module]


def head(features: int) -> nn.Module:
    return nn.Linear(features, CLASSES)


def maker(architecture: Callable[..., nn.Module], **settings: object) -> Make:
    return lambda shape: architecture(shape, head, nn.ELU, **settings)


ANY_INPUT: dict[str, Make] = {
    "perceptron": maker(Perceptron),
    "mlp": maker(MLP, widths=[16, 8]),
    "mlp with batch norm": maker(MLP, widths=[16, 8], batch_norm=True),
    "mlp without hidden layers": maker(MLP, widths=[]),
    "realmlp": maker(RealMLP, widths=[16, 8]),
    "realmlp without embedding": maker(RealMLP, widths=[16, 8], frequencies=0),
}
IMAGES: dict[str, Make] = {
    "lenet": maker(ConvNet, channels=[4, 6], hidden=10),
    "lenet with batch norm": maker(ConvNet, channels=[4, 6], hidden=10, batch_norm=True, kernel_size=5),
    "all convolutional": maker(ConvNet, variant="all_convolutional", channels=[4, 6]),
    "all convolutional with batch norm": maker(ConvNet, variant="all_convolutional", channels=[4, 6], batch_norm=True),
    "resnet": maker(ResNet, blocks=1, width=4),
}
ALL = ANY_INPUT | IMAGES


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def weight_layers(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]


@pytest.mark.parametrize("shape", [DIGIT, MNIST, COLOR, (1, 9, 7)])
@pytest.mark.parametrize("name", ALL)
def test_images_of_every_size_become_one_row_of_outputs_each(name: str, shape: tuple[int, ...]) -> None:
    assert ALL[name](shape)(torch.randn(5, *shape)).shape == (5, CLASSES)


@pytest.mark.parametrize("name", ANY_INPUT)
def test_vectors_need_no_flatten_layer(name: str) -> None:
    network = ALL[name](VECTOR)
    assert network(torch.randn(5, *VECTOR)).shape == (5, CLASSES)
    assert "flatten" not in dict(network.named_children())
    assert next(iter(dict(ALL[name](DIGIT).named_children()))) == "flatten"


@pytest.mark.parametrize("shape", [VECTOR, (4, 20)])
@pytest.mark.parametrize("name", IMAGES)
def test_convolutional_networks_refuse_what_is_not_an_image(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="needs images of shape"):
        ALL[name](shape)


@pytest.mark.parametrize("name", ALL)
def test_every_layer_owns_its_activation(name: str) -> None:
    network = ALL[name](DIGIT)
    activations = [module for module in network.modules() if isinstance(module, nn.ELU)]
    assert len(activations) == len(weight_layers(network)) - 1


@pytest.mark.parametrize("name", ALL)
def test_stacked_members_in_training_equal_each_network_alone(name: str) -> None:
    """Outputs, gradients and the running statistics that batch norm updates in place, in float64."""
    torch.manual_seed(0)
    members = [ALL[name](DIGIT).double() for _ in range(3)]
    x = torch.randn(3, 6, *DIGIT, dtype=torch.float64)
    parameters, buffers = stack_module_state(members)
    template = copy.deepcopy(members[0]).to("meta")

    def forward(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(template, (parameters, buffers), (x,))

    outputs = vmap(forward)(parameters, buffers, x)
    gradients = torch.autograd.grad(outputs.square().sum(), list(parameters.values()))
    for row, network in enumerate(members):
        alone = network(x[row])
        expected = torch.autograd.grad(alone.square().sum(), list(network.parameters()))
        torch.testing.assert_close(outputs[row], alone, rtol=1e-12, atol=1e-13)
        for key, stacked, own in zip(parameters, gradients, expected, strict=True):
            torch.testing.assert_close(stacked[row], own, rtol=1e-10, atol=1e-11, msg=key)
        for key, value in network.named_buffers():
            torch.testing.assert_close(buffers[key][row], value, rtol=1e-12, atol=1e-13, msg=key)


def test_mlp_computes_the_lecture_formula() -> None:
    network = MLP(VECTOR, head, nn.Tanh, widths=[7])
    x = torch.randn(4, *VECTOR)
    hidden = torch.tanh(x @ network.linear1.weight.T + network.linear1.bias)
    torch.testing.assert_close(network(x), hidden @ network.output.weight.T + network.output.bias)


def test_mlp_is_a_flat_chain_with_speaking_names() -> None:
    names = list(dict(MLP(DIGIT, head, nn.ReLU, widths=[5, 4], batch_norm=True).named_children()))
    assert names == ["flatten", "linear1", "norm1", "activation1", "linear2", "norm2", "activation2", "output"]
    assert list(dict(MLP(VECTOR, head, nn.ReLU, widths=[5]).named_children())) == ["linear1", "activation1", "output"]


def test_lenet_is_a_flat_chain_with_speaking_names() -> None:
    names = list(dict(ConvNet(DIGIT, head, nn.ReLU, channels=[4, 4]).named_children()))
    convolutions = ["conv1", "activation1", "pool1", "conv2", "activation2", "pool2"]
    assert names == [*convolutions, "flatten", "linear1", "activation3", "output"]


def test_lenet_halves_the_image_once_a_stage() -> None:
    network = ConvNet(MNIST, head, nn.ReLU, channels=[4, 6], hidden=10)
    assert network.linear1.in_features == 6 * 7 * 7


def test_all_convolutional_network_has_no_pooling_and_no_fully_connected_layer() -> None:
    network = ConvNet(MNIST, head, nn.ReLU, variant="all_convolutional", channels=[4, 6])
    assert not any(isinstance(module, nn.MaxPool2d) for module in network.modules())
    assert [name for name, module in network.named_modules() if isinstance(module, nn.Linear)] == ["output"]
    assert [module.stride[0] for module in network.modules() if isinstance(module, nn.Conv2d)] == [1, 2, 1, 2, 1, 1]


def test_output_after_the_mean_equals_the_paper_s_order_of_convolution_and_mean() -> None:
    network = ConvNet(MNIST, head, nn.ReLU, variant="all_convolutional", channels=[4, 6])
    x = torch.randn(2, *MNIST)
    features = nn.Sequential(*list(network.children())[:-2])(x)
    maps = functional.conv2d(features, network.output.weight[:, :, None, None], network.output.bias)
    torch.testing.assert_close(network(x), maps.mean((2, 3)))


@pytest.mark.parametrize(("blocks", "millions"), [(3, 0.27), (5, 0.46), (7, 0.66), (9, 0.85), (18, 1.7)])
def test_resnets_have_the_depth_and_the_parameters_of_the_paper(blocks: int, millions: float) -> None:
    """He et al. 2016, Table 6."""
    with torch.device("meta"):
        network = ResNet(COLOR, partial(nn.Linear, out_features=10), nn.ReLU, blocks=blocks)
    assert len(weight_layers(network)) == 6 * blocks + 2
    assert count(network) / 1e6 == pytest.approx(millions, abs=0.005 if millions < 1 else 0.05)


def test_residual_block_adds_a_change_to_its_subsampled_input() -> None:
    block = BasicBlock(3, 5, 2, nn.ReLU).eval()
    x = torch.rand(2, 3, 7, 7)
    nn.init.zeros_(block.conv2.weight)
    y = block(x)
    torch.testing.assert_close(y[:, :3], x[:, :, ::2, ::2])
    assert y.shape == (2, 5, 4, 4)
    assert not y[:, 3:].any()


def test_layers_before_batch_norm_have_no_bias() -> None:
    for name in ("mlp with batch norm", "lenet with batch norm", "all convolutional with batch norm", "resnet"):
        network = ALL[name](DIGIT)
        biased = [n for n in weight_layers(network) if network.get_submodule(n).bias is not None]
        assert biased == ["output"], name


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (maker(MLP, widths=[8, 0]), r"`widths` must be in \[1, inf\), got 0"),
        (maker(ConvNet, variant="lenett"), "`variant` has no option 'lenett'; did you mean `lenet`?"),
        (maker(ConvNet, channels=[]), "at least one stage"),
        (maker(ConvNet, channels=[4, -1]), r"`channels` must be in \[1, inf\), got -1"),
        (maker(ConvNet, kernel_size=4), "must be odd"),
        (maker(ConvNet, hidden=0), r"`hidden` must be in \[1, inf\), got 0"),
        (maker(ConvNet, channels=[4, 4, 4, 4]), "images are only 8x8"),
        (maker(ResNet, blocks=0), r"`blocks` must be in \[1, inf\), got 0"),
        (maker(ResNet, width=0), r"`width` must be in \[1, inf\), got 0"),
    ],
)
def test_a_wrong_setting_is_named_with_its_range(make: Make, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        make(DIGIT)


def test_a_wrong_setting_of_a_run_is_named_as_its_key() -> None:
    for overrides, key in (
        (["architecture.widths=[0]"], "widths"),
        (["architecture=resnet", "architecture.width=0"], "width"),
    ):
        with pytest.raises(UserError, match=rf"^`architecture.{key}` must be in \[1, inf\), got 0"):
            build_trainer([compose(*overrides)])


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_config_lists_every_argument_with_its_default(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    config = yaml.safe_load(text)
    module, _, name = config.pop("_target_").rpartition(".")
    signature = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    arguments = list(signature.values())
    assert [argument.name for argument in arguments[:3]] == ["input_shape", "head", "activation"]
    from_data = 4 if "columns" in signature else 3
    assert config == {argument.name: argument.default for argument in arguments[from_data:]}


def test_default_mlp_learns_the_digits() -> None:
    """97.8% of 397 held-out 8x8 digits are right after 20 epochs of Adam, on average; one standard error is 0.7%."""
    from sklearn.datasets import load_digits
    from torch.optim import Adam

    digits = load_digits()
    inputs = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    inputs = (inputs - inputs.mean()) / inputs.std()
    targets = torch.tensor(digits.target)
    torch.manual_seed(0)
    order = torch.randperm(len(targets))
    train, test = order[:1400], order[1400:]
    network = MLP(DIGIT, partial(nn.Linear, out_features=10), nn.ReLU)
    optimizer = Adam(network.parameters(), 1e-3, foreach=True)
    for _ in range(20):
        for batch in train[torch.randperm(len(train))].split(32):
            optimizer.zero_grad()
            functional.cross_entropy(network(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    assert (network(inputs[test]).argmax(1) == targets[test]).float().mean() >= 0.97
