"""Every initialization: moments, determinism, and the lecture's picture of the signal going through the layers."""

from __future__ import annotations

import copy
import inspect
import math
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

import nnlab.initialization
from nnlab.activation import ELU, GELU, Activation, LeakyReLU, PReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from nnlab.errors import UserError
from nnlab.initialization import Constant, Gaussian, He, Initialization, Orthogonal, PyTorch, Xavier, fans
from nnlab.members import merge
from nnlab.randomness import generator

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "initialization").glob("*.yaml"))
DRAWING = [path for path in CONFIGS if path.stem != "given"]
RANDOM = [
    Gaussian(),
    Xavier(),
    Xavier(fan="average"),
    Xavier(distribution="uniform"),
    He(),
    He("uniform"),
    Orthogonal(),
]


def load(path: Path, **overrides: float | str) -> Initialization:
    return instantiate(OmegaConf.load(path), **overrides)


@pytest.fixture(params=DRAWING, ids=[path.stem for path in DRAWING])
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def convnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 5), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 20, bias=False), nn.Linear(20, 4)
    )


def values(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def layers(width: int, depth: int) -> nn.Sequential:
    """Layers without torch's own (slow) initialization, the last one tiny so that the others count as hidden."""
    hidden = [nn.utils.skip_init(nn.Linear, width, width) for _ in range(depth)]
    return nn.Sequential(*hidden, nn.Linear(1, 1))


def signal(
    initialization: Initialization, phi: Activation, width: int, depth: int, examples: int, seed: int = 0
) -> list[Tensor]:
    """The outputs of each hidden layer for inputs N(0, 1)."""
    network = layers(width, depth)
    initialization(network, phi.gain, generator(seed, "weights"))
    y, outputs = torch.randn(examples, width, generator=generator(seed, "inputs")), []
    with torch.no_grad():
        for layer in network[:-1]:
            y = phi(layer(y))
            outputs.append(y)
    return outputs


def test_every_public_initialization_has_a_config() -> None:
    classes = {
        name
        for name in nnlab.initialization.__all__
        if inspect.isclass(value := getattr(nnlab.initialization, name)) and not inspect.isabstract(value)
    }
    assert {OmegaConf.load(path)["_target_"].rpartition(".")[2] for path in CONFIGS} == classes


def test_config_states_every_argument_with_its_default(path: Path) -> None:
    config = OmegaConf.to_container(OmegaConf.load(path))
    signature = inspect.signature(getattr(nnlab.initialization, config.pop("_target_").rpartition(".")[2]))
    assert config == {name: parameter.default for name, parameter in signature.parameters.items()}
    assert {"scale", "bias"} <= config.keys()
    assert path.read_text().startswith("# ")


def test_the_same_generator_gives_the_same_weights_whatever_the_global_state(path: Path) -> None:
    first, second, other = convnet(), convnet(), convnet()
    torch.manual_seed(1)
    load(path)(first, 1.3, generator(5, "weights"))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    load(path)(second, 1.3, generator(5, "weights"))
    assert torch.equal(torch.get_rng_state(), before)
    load(path)(other, 1.3, generator(6, "weights"))
    assert all(torch.equal(value, values(second)[name]) for name, value in values(first).items())
    assert torch.equal(first[0].weight, other[0].weight) == (path.stem == "constant")


def test_float64_networks_start_from_the_same_weights(path: Path) -> None:
    single, double = convnet(), convnet().double()
    for network in (single, double):
        load(path, scale=0.7)(network, 1.3, generator(0))
    for name, value in values(single).items():
        assert torch.equal(value.double(), values(double)[name])


def test_scale_multiplies_every_weight_and_bias_sets_or_shifts_the_biases(path: Path) -> None:
    plain, changed = convnet(), convnet()
    load(path)(plain, 1.3, generator(0))
    load(path, scale=2.0, bias=0.5)(changed, 1.3, generator(0))
    for before, after in zip(plain, changed, strict=True):
        if isinstance(before, nn.Linear | nn.Conv2d):
            torch.testing.assert_close(after.weight, 2 * before.weight)
            if before.bias is not None:
                drawn = 2 * before.bias if path.stem == "pytorch" else torch.zeros_like(before.bias)
                torch.testing.assert_close(after.bias, drawn + 0.5)


def test_other_modules_keep_their_values(path: Path) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), PReLU(), nn.Linear(4, 2))
    before = values(network)
    load(path)(network, 1.3, generator(0))
    kept = {name for name, value in values(network).items() if torch.equal(value, before[name])}
    assert {"1.weight", "1.bias", "2.slope"} <= kept
    assert not {"0.weight", "3.weight"} & kept


def test_layers_are_drawn_independently() -> None:
    for initialization in [*RANDOM, PyTorch()]:
        network = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
        initialization(network, 1.0, generator(0))
        correlation = torch.corrcoef(torch.stack([layer.weight.detach().flatten() for layer in network]))
        assert abs(correlation[0, 1]) < 0.07


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (40, 20, 5, 5)], ids=str)
@pytest.mark.parametrize(
    ("initialization", "std"),
    [
        (Gaussian(), lambda fan_in, fan_out: 0.01),
        (Gaussian(std=0.05), lambda fan_in, fan_out: 0.05),
        (Xavier(), lambda fan_in, fan_out: fan_in**-0.5),
        (Xavier(distribution="uniform"), lambda fan_in, fan_out: fan_in**-0.5),
        (Xavier(fan="average"), lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5),
        (He(), lambda fan_in, fan_out: 1.5 * fan_in**-0.5),
        (He("uniform"), lambda fan_in, fan_out: 1.5 * fan_in**-0.5),
        (PyTorch(), lambda fan_in, fan_out: (3 * fan_in) ** -0.5),
    ],
)
def test_moments_are_those_of_the_formula(initialization: Initialization, std: object, shape: tuple[int, ...]) -> None:
    weight = torch.empty(shape)
    initialization.fill(weight, 1.5, generator(1))
    receptive = math.prod(shape[2:])
    expected = std(shape[1] * receptive, shape[0] * receptive)
    error = expected / math.sqrt(weight.numel())
    assert weight.mean().item() == pytest.approx(0, abs=4 * error)
    assert weight.std().item() == pytest.approx(expected, abs=4 * error)
    uniform = isinstance(initialization, PyTorch) or getattr(initialization, "distribution", "") == "uniform"
    kurtosis = (weight / weight.std()).pow(4).mean().item()
    assert kurtosis == pytest.approx(1.8 if uniform else 3.0, abs=0.15)


def test_fans_agree_with_torch() -> None:
    for shape in ((7, 5), (7, 5, 3), (7, 5, 3, 2), (7, 5, 3, 2, 4)):
        assert fans(torch.empty(shape)) == nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize("initialization", [He(), Orthogonal()], ids=["he", "orthogonal"])
def test_gain_is_for_hidden_layers_and_the_last_one_is_linear(initialization: Initialization) -> None:
    networks = [nn.Sequential(nn.Linear(50, 50), nn.Linear(50, 50)) for _ in range(2)]
    for network, gain in zip(networks, (1.0, 3.0), strict=True):
        initialization(network, gain, generator(0))
    torch.testing.assert_close(networks[1][0].weight, 3 * networks[0][0].weight)
    assert torch.equal(networks[1][1].weight, networks[0][1].weight)


@pytest.mark.parametrize("shape", [(30, 30), (20, 30), (30, 20), (12, 3, 5, 5)], ids=str)
def test_orthogonal_matrices_are_orthogonal_up_to_the_gain(shape: tuple[int, ...]) -> None:
    weight = torch.empty(shape)
    Orthogonal().fill(weight, 1.5, generator(0))
    matrix = weight.flatten(1)
    product = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(product, 2.25 * torch.eye(len(product)), rtol=0, atol=2e-6)


def test_pytorch_equals_torchs_own_constructors() -> None:
    torch.manual_seed(3)
    expected = convnet()
    network = copy.deepcopy(expected)
    PyTorch()(network, 1.7, torch.Generator().manual_seed(3))
    for name, value in values(expected).items():
        torch.testing.assert_close(values(network)[name], value)


def test_constant_units_never_differ() -> None:
    network = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1)).double()
    Constant(0.1, bias=0.2)(network, 1.0, generator(0))
    assert torch.equal(network[0].weight, torch.full((7, 5), 0.1).double())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    inputs, targets = torch.randn(20, 5, generator=generator(1)).double(), torch.ones(20, 1).double()
    start = network[0].weight.detach().clone()
    for _ in range(10):
        optimizer.zero_grad()
        (network(inputs) - targets).square().mean().backward()
        optimizer.step()
    rows = network[0].weight.detach()
    assert (rows - start).norm() > 1e-2
    torch.testing.assert_close(rows, rows[:1].expand(7, 5), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("initialization", "phi", "expected", "tolerance"),
    [
        (Gaussian(0.01), Tanh(), [0.492, 0.289, 0.179, 0.113, 0.072, 0.046], 0.01),
        (Gaussian(0.05), Tanh(), [0.872, 0.854, 0.850, 0.850, 0.849, 0.849], 0.01),
        (Xavier(), Tanh(), [0.628, 0.487, 0.409, 0.358, 0.322, 0.295], 0.01),
        (Xavier(), ReLU(), [0.583, 0.415, 0.294, 0.208, 0.146, 0.103], 0.01),
        (He(), ReLU(), [0.825] * 6, 0.03),
    ],
    ids=["tanh-0.01", "tanh-0.05", "tanh-xavier", "relu-xavier", "relu-he"],
)
def test_the_lectures_activation_statistics(
    initialization: Initialization, phi: Activation, expected: list[float], tolerance: float
) -> None:
    # A quarter of the lecture's 4096 units: the numbers depend on std sqrt(width) only; more examples and seeds make
    # up for the smaller layers.
    width, factor = 1024, 2.0 if isinstance(initialization, Gaussian) else 1.0
    wide = copy.copy(initialization)
    wide.scale = factor
    runs = [[y.std().item() for y in signal(wide, phi, width, 6, 64, seed)] for seed in range(3)]
    measured = [sum(column) / len(column) for column in zip(*runs, strict=True)]
    assert measured == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_he_preserves_the_second_moment_through_ten_layers_of_relu(distribution: str) -> None:
    runs = [[y.square().mean() for y in signal(He(distribution), ReLU(), 512, 10, 32, seed)] for seed in range(4)]
    averages = torch.tensor(runs).mean(0)
    assert ((averages > 0.8) & (averages < 1.25)).all()


@pytest.mark.parametrize(
    "phi", [Tanh(), Sigmoid(), ReLU(), LeakyReLU(), PReLU(), ELU(), Softplus(), GELU(), SiLU()], ids=repr
)
def test_he_keeps_the_second_moment_of_any_activation(phi: Activation) -> None:
    with torch.no_grad():
        y = phi(torch.randn(400, 512, generator=generator(0)))
        weight = torch.empty(512, 512)
        He().fill(weight, phi.gain, generator(1))
        after = phi(y @ weight.T)
    assert y.square().mean().item() == pytest.approx(phi.gain**-2, rel=0.02)
    assert after.square().mean().item() == pytest.approx(phi.gain**-2, rel=0.12)


def test_members_that_differ_in_numbers_merge_and_those_that_differ_in_kind_do_not() -> None:
    merged = merge([Gaussian(0.01, scale=1.0), Gaussian(0.05, scale=2.0)])
    torch.testing.assert_close(merged.std, torch.tensor([[0.01], [0.05]]))
    torch.testing.assert_close(merged.scale, torch.tensor([[1.0], [2.0]]))
    torch.testing.assert_close(merge([Constant(0.1), Constant(0.2)]).value, torch.tensor([[0.1], [0.2]]))
    with pytest.raises(TypeError, match=r"Xavier\.fan cannot differ"):
        merge([Xavier("in"), Xavier("average")])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Gaussian(std=-1.0), r"`std` must be in \[0, inf\), got -1.0"),
        (lambda: Constant(value=float("inf")), r"`value` must be in \(-inf, inf\), got inf"),
        (lambda: He(scale=0.0), r"`scale` must be in \(0, inf\), got 0.0"),
        (lambda: Xavier(fan="out"), "`fan` has no option 'out'"),
        (lambda: He(distribution="normals"), "did you mean `normal`"),
    ],
)
def test_values_out_of_range_are_refused(make: object, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        make()


def test_given_weights_stay_but_for_scale_and_bias() -> None:
    given = next(path for path in CONFIGS if path.stem == "given")
    network = convnet()
    before = values(network)
    load(given)(network, 1.3, generator(0))
    assert all(torch.equal(value, before[name]) for name, value in values(network).items())
    load(given, scale=2.0, bias=0.5)(network, 1.3, generator(0))
    torch.testing.assert_close(network[0].weight, 2 * before["0.weight"])
    torch.testing.assert_close(network[5].bias, before["5.bias"] + 0.5)
