"""Every activation: forward against torch, derivative against autograd, gain against the integral that defines it."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import nn
from torch.func import functional_call, vmap

import nnlab.activation
from nnlab.activation import ELU, Activation, HardThreshold, LeakyReLU, PReLU, Softplus
from nnlab.errors import UserError

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "activation").glob("*.yaml"))

REFERENCES = {
    "elu": nn.ELU(),
    "gelu": nn.GELU(),
    "hard_threshold": lambda z: torch.heaviside(z, torch.zeros((), dtype=z.dtype)),
    "identity": nn.Identity(),
    "leaky_relu": nn.LeakyReLU(0.1),
    "mish": nn.Mish(),
    "prelu": lambda z: nn.PReLU(dtype=z.dtype)(z),
    "relu": nn.ReLU(),
    "selu": nn.SELU(),
    "sigmoid": nn.Sigmoid(),
    "silu": nn.SiLU(),
    "softplus": nn.Softplus(),
    "tanh": nn.Tanh(),
}


def load(path: Path) -> Activation:
    return instantiate(OmegaConf.load(path))


@pytest.fixture(params=CONFIGS, ids=[path.stem for path in CONFIGS])
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def phi(path: Path) -> Activation:
    return load(path).double()


def grid() -> torch.Tensor:
    """Both tails, fine steps in between, and exactly zero."""
    return torch.cat([torch.linspace(-30, 30, 1201, dtype=torch.float64), torch.linspace(-1, 1, 201).double()])


def expectation(phi: Activation) -> float:
    """E[phi(z)^2] for z ~ N(0, 1) by Gauss-Legendre on pieces that end at the kink."""
    nodes, weights = np.polynomial.legendre.leggauss(120)
    total = 0.0
    for low, high in ((-14, -7), (-7, 0), (0, 7), (7, 14)):
        z = (high - low) / 2 * nodes + (high + low) / 2
        y = phi(torch.from_numpy(z)).detach().numpy()
        total += (high - low) / 2 * np.sum(weights * y**2 * np.exp(-(z**2) / 2)) / math.sqrt(2 * math.pi)
    return total


def test_every_public_activation_has_a_config_and_a_reference() -> None:
    classes = {name for name in nnlab.activation.__all__ if name != "Activation"}
    targets = {OmegaConf.load(path)["_target_"].rpartition(".")[2] for path in CONFIGS}
    assert targets == classes
    assert {path.stem for path in CONFIGS} == set(REFERENCES)


def test_config_states_every_argument_with_its_default(path: Path) -> None:
    config = OmegaConf.to_container(OmegaConf.load(path))
    signature = inspect.signature(getattr(nnlab.activation, config.pop("_target_").rpartition(".")[2]))
    assert config == {name: parameter.default for name, parameter in signature.parameters.items()}
    assert path.read_text().startswith("# ")


def test_forward_equals_torch(path: Path, phi: Activation) -> None:
    tolerance = 3e-9 if path.stem == "softplus" else 1e-15  # torch's softplus is linear from 20 on
    torch.testing.assert_close(phi(grid()), REFERENCES[path.stem](grid()), rtol=0, atol=tolerance)


def test_derivative_equals_autograd_also_at_zero_and_in_the_tails(phi: Activation) -> None:
    z = grid().requires_grad_()
    y = phi(z)
    (expected,) = torch.autograd.grad(y.sum(), z)
    torch.testing.assert_close(phi.derivative(z, y), expected, rtol=1e-12, atol=1e-13)


def test_gradcheck_passes_away_from_the_kink(phi: Activation) -> None:
    z = torch.tensor([-3.0, -1.2, -0.4, 0.3, 1.1, 2.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(phi, (z,))


def test_derivative_is_the_limit_of_differences(phi: Activation) -> None:
    z, step = torch.tensor([-5.0, -1.2, -0.4, 0.3, 1.1, 6.0], dtype=torch.float64), 1e-6
    slope = (phi(z + step) - phi(z - step)) / (2 * step)
    torch.testing.assert_close(phi.derivative(z, phi(z)).detach(), slope.detach(), rtol=1e-7, atol=1e-9)


def test_gain_times_activation_has_second_moment_one(phi: Activation) -> None:
    assert phi.gain**2 * expectation(phi) == pytest.approx(1, abs=1e-8)


@given(parameter=st.floats(0.01, 1))
@settings(max_examples=10, deadline=None)
def test_gain_follows_the_parameter(parameter: float) -> None:
    for phi in (LeakyReLU(parameter), PReLU(parameter).double(), ELU(3 * parameter)):
        assert phi.gain**2 * expectation(phi) == pytest.approx(1, rel=1e-6)


def test_saturation_names_the_limits_and_only_those(phi: Activation) -> None:
    ends = phi(torch.tensor([-200.0, 200.0], dtype=torch.float64)).tolist()
    assert len(phi.saturation) == 2
    for end, limit in zip(ends, phi.saturation, strict=True):
        if limit is None:
            assert abs(end) > 10
        else:
            assert end == pytest.approx(limit, abs=1e-12)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (4, 2, 3), (2, 3, 4, 5), (2, 2, 3, 4, 5)], ids=str)
def test_any_shape_is_kept_elementwise(phi: Activation, shape: tuple[int, ...]) -> None:
    z = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before, y = z.clone(), phi(z)
    assert y.shape == phi.derivative(z, y).shape == z.shape
    assert torch.equal(z, before)
    torch.testing.assert_close(y.flatten(), phi(z.flatten()), rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_dtype_is_kept(path: Path, dtype: torch.dtype) -> None:
    phi, z = load(path).to(dtype), torch.tensor([-1.0, 0.0, 2.0], dtype=dtype)
    assert phi(z).dtype == phi.derivative(z, phi(z)).dtype == dtype


def test_vmap_over_members_equals_each_alone(phi: Activation) -> None:
    z = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    parameters = {name: value.detach() + torch.arange(3.0).double()[:, None] for name, value in phi.named_parameters()}

    def member(own: dict[str, torch.Tensor], z: torch.Tensor) -> torch.Tensor:
        return functional_call(phi, own, (z,))

    alone = [member({name: value[m] for name, value in parameters.items()}, z[m]) for m in range(3)]
    torch.testing.assert_close(vmap(member)(parameters, z), torch.stack(alone), rtol=0, atol=1e-15)
    derivative = vmap(phi.derivative)(z, phi(z))
    torch.testing.assert_close(derivative, phi.derivative(z, phi(z)), rtol=0, atol=1e-15)


def test_forward_keeps_the_graph_connected(phi: Activation) -> None:
    z = torch.randn(4, dtype=torch.float64, requires_grad=True)
    phi(z).sum().backward()
    assert z.grad is not None


def test_autocast_is_accepted(path: Path) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = load(path)(nn.Linear(3, 2)(torch.ones(4, 3)))
    assert y.isfinite().all()


def test_hard_threshold_solves_xor_and_passes_no_gradient_on() -> None:
    phi, inputs = HardThreshold(), torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    hidden = phi(inputs @ torch.ones(2, 2) - torch.tensor([0.5, 1.5]))  # or, and
    assert phi(hidden @ torch.tensor([1.0, -1.0]) - 0.5).tolist() == [0, 1, 1, 0]
    z = torch.tensor([-1.0, 0.0, 1.0], requires_grad=True)
    phi(z).sum().backward()
    assert z.grad.tolist() == [0, 0, 0]


def test_softplus_is_exact_in_float64_beyond_torchs_threshold() -> None:
    assert Softplus()(torch.tensor(21.0).double()).item() == pytest.approx(21 + math.log1p(math.exp(-21)), rel=1e-15)


def test_prelu_starts_at_a_quarter_with_one_slope() -> None:
    phi = PReLU()
    assert [(name, tuple(value.shape), value.item()) for name, value in phi.named_parameters()] == [
        ("slope", (1,), 0.25)
    ]


def test_prelu_takes_stacked_slopes_of_members() -> None:
    phi, z = PReLU(), torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(2))
    slopes = torch.tensor([0.0, 0.5, 2.0]).reshape(3, 1, 1)
    stacked = functional_call(phi, {"slope": slopes}, (z,))
    expected = torch.stack([torch.where(row > 0, row, slope * row) for row, slope in zip(z, slopes, strict=True)])
    torch.testing.assert_close(stacked, expected)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: LeakyReLU(-0.1), r"`slope` must be in \[0, 1\], got -0.1"),
        (lambda: LeakyReLU(1.5), r"`slope` must be in \[0, 1\], got 1.5"),
        (lambda: PReLU(float("nan")), r"`slope` must be in \(-inf, inf\), got nan"),
        (lambda: ELU(0.0), r"`alpha` must be in \(0, inf\), got 0.0"),
    ],
)
def test_values_out_of_range_are_refused(make: object, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        make()


def test_backward_multiplies_the_error_by_the_derivative(phi: Activation) -> None:
    z = grid()
    error = torch.sin(z) + 2
    y = phi(z).detach()
    torch.testing.assert_close(phi.backward(error, z, y), error * phi.derivative(z, y), rtol=1e-12, atol=1e-14)
