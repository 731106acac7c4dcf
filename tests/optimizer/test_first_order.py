"""First-order rules: the references of torch and of the lecture, convergence, and populations."""

from __future__ import annotations

import copy
import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nnlab.errors import UserError
from nnlab.members import merge
from nnlab.optimizer import (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    FirstOrder,
    HeavyBall,
    Lion,
    Momentum,
    Muon,
    Nesterov,
    RMSProp,
)

Loss = Callable[[Tensor], Tensor]


def parabola(theta: Tensor) -> Tensor:
    """Ill-conditioned bowl with its minimum 0 at 1; rows are independent."""
    scale = torch.logspace(0, 1, theta.shape[-1], dtype=theta.dtype)
    return 0.5 * (scale * (theta - 1) ** 2).sum()


def rosenbrock(theta: Tensor) -> Tensor:
    """Curved valley with its minimum 0 at (1, 1); rows are independent."""
    x, y = theta[..., 0::2], theta[..., 1::2]
    return ((1 - x) ** 2 + 10 * (y - x**2) ** 2).sum()


def gradient_of(loss: Loss, theta: Tensor) -> Tensor:
    theta = theta.detach().requires_grad_()
    return torch.autograd.grad(loss(theta), theta)[0]


def run(optimizer: FirstOrder, theta: Tensor, loss: Loss, steps: int, learning_rate: Any = None) -> Tensor:
    """All iterates (steps, M, P), with the caller's part of decoupled weight decay, on all parameters."""
    theta, state, path = theta.clone(), optimizer.initial_state(theta), []
    rate = optimizer.learning_rate if learning_rate is None else learning_rate
    for k in range(1, steps + 1):
        gradient = gradient_of(loss, theta)
        if isinstance(optimizer.weight_decay, Tensor) or optimizer.weight_decay:
            theta.mul_(1 - rate * optimizer.weight_decay)
        optimizer.update(theta, gradient, state, rate, k)
        path.append(theta.clone())
    return torch.stack(path)


def run_torch(name: str, options: dict[str, Any], theta: Tensor, loss: Loss, steps: int) -> Tensor:
    parameter = torch.nn.Parameter(theta.clone())
    optimizer, path = getattr(torch.optim, name)([parameter], **options), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss(parameter).backward()
        optimizer.step()
        path.append(parameter.detach().clone())
    return torch.stack(path)


@dataclasses.dataclass(frozen=True)
class Case:
    """What each rule must show: torch's equal, a rate that converges, and values that members differ in."""

    make: Callable[..., FirstOrder]
    rate: float  # converges on the parabola and on Rosenbrock's function
    torch_name: str = ""
    torch_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    options: dict[str, Any] = dataclasses.field(default_factory=dict)  # under which torch is the same
    members: dict[str, list[Any]] = dataclasses.field(default_factory=dict)


CASES = {
    "sgd": Case(SGD, 0.02, "SGD"),
    "momentum": Case(Momentum, 0.02, "SGD", {"momentum": 0.9}, members={"momentum": [0.0, 0.5, 0.9]}),
    "momentum_arithmetic": Case(lambda **kw: Momentum(average="arithmetic", **kw), 0.02),
    "heavy_ball": Case(HeavyBall, 0.005, "SGD", {"momentum": 0.9}, members={"momentum": [0.0, 0.5, 0.9]}),
    "nesterov": Case(
        Nesterov, 0.005, "SGD", {"momentum": 0.9, "nesterov": True}, members={"momentum": [0.1, 0.5, 0.9]}
    ),
    "adagrad": Case(Adagrad, 0.5, "Adagrad", members={"eps": [1e-10, 1e-3, 0.1]}),
    "rmsprop": Case(RMSProp, 0.002, members={"gamma": [0.5, 0.9, 0.99], "eps": [1e-8, 1e-3, 0.1]}),
    "rmsprop_torch": Case(
        RMSProp, 0.002, "RMSprop", {"alpha": 0.9}, {"eps_inside": False}, {"gamma": [0.5, 0.9, 0.99]}
    ),
    "adadelta": Case(
        Adadelta, 1.0, "Adadelta", {"rho": 0.95}, members={"rho": [0.5, 0.9, 0.95], "eps": [1e-6, 1e-3, 1]}
    ),
    "adam": Case(Adam, 0.02, "Adam", members={"betas": [(0.9, 0.999), (0.0, 0.9), (0.5, 0.0)], "eps": [1e-8, 1e-3, 1]}),
    "lion": Case(
        Lion, 0.002, members={"betas": [(0.9, 0.99), (0.0, 0.5), (0.5, 0.0)], "weight_decay": [0.0, 0.01, 0.3]}
    ),
    "muon": Case(Muon, 0.02, "Adam", {}, {"adam_rate": 0.02}, {"momentum": [0.0, 0.5, 0.9]}),  # vectors move by Adam
    "adafactor": Case(
        Adafactor, 0.05, members={"decay": [-0.8, -0.5, 0.0], "eps": [1e-3, 0.1, 0.0], "clip": [1.0, 2.0, 9.0]}
    ),
    "adamw": Case(AdamW, 0.02, "AdamW", members={"weight_decay": [0.0, 0.01, 0.3]}),
}
NAMES = list(CASES)


def make(name: str, **options: Any) -> FirstOrder:
    return CASES[name].make(**{**CASES[name].options, **options})


def start(members: int, parameters: int = 6, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(members, parameters, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.torch_name])
@pytest.mark.parametrize("loss", [parabola, rosenbrock])
def test_rule_takes_the_steps_of_torch(name: str, loss: Loss) -> None:
    case, theta = CASES[name], 0.5 * start(1)
    rate = case.rate * (1 - 0.9) if name == "momentum" else case.rate  # the lecture's m has the factor 1 - gamma
    expected = run_torch(case.torch_name, {"lr": rate, **case.torch_options}, theta, loss, 50)
    actual = run(make(name, learning_rate=case.rate), theta, loss, 50)
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-12)


def transcription(name: str, theta: list[float], loss: Loss, rate: float, steps: int) -> list[list[float]]:
    """The equations of the docstrings for one network, number by number."""
    n, path = len(theta), []
    m, v, u = [0.0] * n, [0.0] * n, [0.0] * n
    for k in range(1, steps + 1):
        g = gradient_of(loss, torch.tensor([theta], dtype=torch.float64))[0].tolist()
        if name == "adafactor":
            share = k**-0.8
            v = [v[i] + share * (g[i] ** 2 - v[i]) for i in range(n)]
            steps_ = [g[i] / math.sqrt(v[i]) for i in range(n)]
            clip = max(1.0, math.sqrt(sum(each**2 for each in steps_) / n))
            size = max(1e-3, math.sqrt(sum(each**2 for each in theta) / n)) * min(rate, k**-0.5)
            theta = [theta[i] - size / clip * steps_[i] for i in range(n)]
        for i in range(n):
            if name == "adafactor":
                break
            if name == "lion":
                c = 0.9 * m[i] + 0.1 * g[i]
                theta[i] -= rate * math.copysign(1, c)
                m[i] = 0.99 * m[i] + 0.01 * g[i]
            elif name == "sgd":
                theta[i] -= rate * g[i]
            elif name.startswith("momentum"):
                gamma = (k - 1) / k if name == "momentum_arithmetic" else 0.9
                m[i] = gamma * m[i] + (1 - gamma) * g[i]
                theta[i] -= rate * m[i]
            elif name in ("heavy_ball", "nesterov"):
                m[i] = 0.9 * m[i] + g[i]
                theta[i] -= rate * (m[i] if name == "heavy_ball" else g[i] + 0.9 * m[i])
            elif name == "adagrad":
                v[i] += g[i] ** 2
                theta[i] -= rate * g[i] / (math.sqrt(v[i]) + 1e-10)
            elif name.startswith("rmsprop"):
                v[i] = 0.9 * v[i] + 0.1 * g[i] ** 2
                root = math.sqrt(v[i] + 1e-8) if name == "rmsprop" else math.sqrt(v[i]) + 1e-8
                theta[i] -= rate * g[i] / root
            elif name == "adadelta":
                v[i] = 0.95 * v[i] + 0.05 * g[i] ** 2
                d = math.sqrt(u[i] + 1e-6) / math.sqrt(v[i] + 1e-6) * g[i]
                u[i] = 0.95 * u[i] + 0.05 * d**2
                theta[i] -= rate * d
            else:
                theta[i] *= 1 - rate * 0.01 if name == "adamw" else 1
                m[i] = 0.9 * m[i] + 0.1 * g[i]
                v[i] = 0.999 * v[i] + 0.001 * g[i] ** 2
                m_hat, v_hat = m[i] / (1 - 0.9**k), v[i] / (1 - 0.999**k)
                theta[i] -= rate * m_hat / (math.sqrt(v_hat) + 1e-8)
        path.append(list(theta))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_rule_is_its_own_equations(name: str) -> None:
    theta, rate = 0.5 * start(1), CASES[name].rate
    expected = torch.tensor(transcription(name, theta[0].tolist(), rosenbrock, rate, 30), dtype=torch.float64)
    actual = run(make(name, learning_rate=rate), theta, rosenbrock, 30)
    torch.testing.assert_close(actual[:, 0], expected, rtol=1e-11, atol=1e-12)


def test_arithmetic_momentum_is_the_mean_of_all_gradients() -> None:
    gradients, theta = start(5), torch.zeros(1, 6, dtype=torch.float64)
    optimizer = Momentum(average="arithmetic")
    state = optimizer.initial_state(theta)
    for k, gradient in enumerate(gradients, start=1):
        optimizer.update(theta, gradient[None].clone(), state, 1.0, k)
        torch.testing.assert_close(state["m"][0], gradients[:k].mean(0), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_rule_finds_the_bottom_of_a_parabola(name: str) -> None:
    theta = torch.zeros(1, 4, dtype=torch.float64)
    steps = 1500 if name == "adadelta" else 700
    # An average of everything is slow to come to rest, and a sign never does.
    left = {"momentum_arithmetic": 0.05, "lion": 0.01}.get(name, 1e-4)
    options = {"weight_decay": 0.0} if name == "adamw" else {}
    last = run(make(name, learning_rate=CASES[name].rate, **options), theta, parabola, steps)[-1]
    assert parabola(last) < left * parabola(theta)


@pytest.mark.parametrize("name", NAMES)
def test_rule_descends_in_the_valley_of_rosenbrock(name: str) -> None:
    theta = torch.tensor([[-1.0, 1.0]], dtype=torch.float64)
    options = {"weight_decay": 0.0} if name == "adamw" else {}
    last = run(make(name, learning_rate=CASES[name].rate, **options), theta, rosenbrock, 1000)[-1]
    assert rosenbrock(last) < 0.25 * rosenbrock(theta)


def members_of(name: str) -> list[dict[str, Any]]:
    """Three members that differ in everything that may differ."""
    case = CASES[name]
    rates = [case.rate, case.rate / 3, case.rate / 10]
    return [{"learning_rate": rates[i], **{key: value[i] for key, value in case.members.items()}} for i in range(3)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("differ", ["everything", "learning_rate", "nothing"])
def test_members_move_as_if_alone(name: str, differ: str) -> None:
    options = members_of(name)
    if differ == "nothing":
        options = options[:1] * 3
    elif differ == "learning_rate":
        options = [{**options[0], "learning_rate": member["learning_rate"]} for member in options]
    theta = 0.5 * start(3)
    components = [make(name, **member) for member in options]
    together = run(merge(components, dtype=torch.float64), theta, rosenbrock, 50)
    for i, member in enumerate(options):
        alone = run(make(name, **member), theta[i : i + 1], rosenbrock, 50)
        torch.testing.assert_close(together[:, i : i + 1], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_member_that_leaves_takes_its_rows_with_it(name: str) -> None:
    optimizer, theta = make(name, learning_rate=CASES[name].rate), 0.5 * start(3)
    whole = run(optimizer, theta, rosenbrock, 20)
    state, moving, kept = optimizer.initial_state(theta), theta.clone(), torch.tensor([0, 2])
    for k in range(1, 21):
        if k == 11:
            moving, state = moving[kept], {key: value[kept] for key, value in state.items()}
        gradient = gradient_of(rosenbrock, moving)
        if optimizer.weight_decay:
            moving.mul_(1 - optimizer.learning_rate * optimizer.weight_decay)
        optimizer.update(moving, gradient, state, optimizer.learning_rate, k)
    torch.testing.assert_close(moving, whole[-1, kept], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_state_alone_continues_a_run_exactly(name: str) -> None:
    options, theta = {"learning_rate": CASES[name].rate, "weight_decay": 0.0}, 0.5 * start(2)
    if name != "adamw":
        del options["weight_decay"]
    optimizer, moving = make(name, **options), theta.clone()
    state = optimizer.initial_state(moving)
    for k in range(1, 11):
        optimizer.update(moving, gradient_of(rosenbrock, moving), state, optimizer.learning_rate, k)
    optimizer, state = make(name, **options), {key: value.clone() for key, value in state.items()}
    for k in range(11, 21):
        optimizer.update(moving, gradient_of(rosenbrock, moving), state, optimizer.learning_rate, k)
    assert torch.equal(moving, run(make(name, **options), theta, rosenbrock, 20)[-1])


@pytest.mark.parametrize("name", NAMES)
def test_memory_that_is_not_contiguous_gives_the_same_steps(name: str) -> None:
    optimizer, theta, gradient = make(name), start(4, 6), start(4, 6, seed=1)
    transposed = theta.t().contiguous().t()
    expected, state = theta.clone(), optimizer.initial_state(theta)
    optimizer.update(expected, gradient.clone(), state, 0.1, 1)
    state = optimizer.initial_state(theta)
    optimizer.update(transposed, gradient.clone(), state, 0.1, 1)
    torch.testing.assert_close(transposed, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_has_a_row_for_every_member_and_the_dtype_of_theta(name: str, dtype: torch.dtype) -> None:
    theta = start(3).to(dtype)
    for tensor in make(name).initial_state(theta).values():
        assert tensor.shape[0] == 3
        assert tensor.dtype == dtype
        assert not tensor.any()


@pytest.mark.parametrize("name", NAMES)
def test_every_numeric_attribute_may_differ_between_members(name: str) -> None:
    optimizer = make(name)
    numbers = {key for key, value in vars(optimizer).items() if isinstance(value, float)}
    assert set(optimizer.per_member) == numbers


@pytest.mark.parametrize("name", NAMES)
def test_a_zero_gradient_never_gives_nan(name: str) -> None:
    optimizer, theta = make(name), start(2).float()
    moving, state = theta.clone(), optimizer.initial_state(theta)
    for k in range(1, 4):
        optimizer.update(moving, torch.zeros_like(theta), state, 0.1, k)
    assert torch.equal(moving, theta)


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 1000),
    name=st.sampled_from(["adagrad", "adam", "rmsprop"]),
)
def test_normalised_rules_do_not_see_the_scale_of_the_loss(scale: float, seed: int, name: str) -> None:
    theta, optimizer = start(1, seed=seed), make(name, eps=1e-30)
    expected = run(optimizer, theta, parabola, 5, 0.01)
    actual = run(optimizer, theta, lambda x: scale * parabola(x), 5, 0.01)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def test_fused_plain_and_scaled_adam_agree() -> None:
    theta, gradients = start(2, 40), start(50, 80, seed=1).view(50, 2, 40)

    def path(optimizer: Adam, rate: Any) -> Tensor:
        moving, state = theta.clone(), optimizer.initial_state(theta)
        for k, gradient in enumerate(gradients, start=1):
            optimizer.update(moving, gradient.clone(), state, rate, k)
        return moving

    column = torch.full((2, 1), 0.01, dtype=torch.float64)
    plain = Adam()
    plain.beta1, plain.beta2, plain.eps = (torch.full((2, 1), x, dtype=torch.float64) for x in (0.9, 0.999, 1e-8))
    fused = path(Adam(), 0.01)
    torch.testing.assert_close(path(Adam(), column), fused, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(path(plain, column), fused, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(path(plain, 0.01), fused, rtol=1e-12, atol=1e-12)


def test_bias_correction_keeps_float32_precision_when_betas_differ() -> None:
    theta = torch.zeros(2, 3)
    optimizer = merge([Adam(betas=(0.9, 0.999)), Adam(betas=(0.9, 0.9999))])
    optimizer.update(theta, torch.ones(2, 3), optimizer.initial_state(theta), 0.1, 1)
    torch.testing.assert_close(theta, torch.full((2, 3), -0.1), rtol=1e-6, atol=0)


def test_updates_do_not_load_the_compiler() -> None:
    names = "SGD Momentum HeavyBall Nesterov Adagrad RMSProp Adadelta Adam AdamW"
    program = f"""
import sys, torch, nnlab.optimizer as o
for name in "{names}".split():
    optimizer, theta = getattr(o, name)(), torch.zeros(1, 3)
    optimizer.update(theta, torch.ones(1, 3), optimizer.initial_state(theta), 0.1, 1)
    assert theta.any()
print("torch._dynamo" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: SGD(0.0), "`learning_rate` must be in (0, inf), got 0.0"),
        (lambda: Momentum(momentum=1.0), "`momentum` must be in [0, 1), got 1.0"),
        (lambda: Momentum(average="geometrical"), "did you mean `geometric`?"),  # type: ignore[arg-type]
        (lambda: HeavyBall(momentum=-0.1), "`momentum` must be in [0, 1), got -0.1"),
        (lambda: Nesterov(momentum=1.2), "`momentum` must be in [0, 1), got 1.2"),
        (lambda: Adagrad(eps=0.0), "`eps` must be in (0, inf), got 0.0"),
        (lambda: RMSProp(gamma=1.0), "`gamma` must be in [0, 1), got 1.0"),
        (lambda: Adadelta(rho=1.0), "`rho` must be in [0, 1), got 1.0"),
        (lambda: Adam(betas=(0.9, 1.0)), "`betas[1]` must be in [0, 1), got 1.0"),
        (lambda: Adam(betas=(0.9,)), "`betas` must be two numbers, got [0.9]"),
        (lambda: AdamW(weight_decay=-1.0), "`weight_decay` must be in [0, inf), got -1.0"),
    ],
)
def test_values_out_of_range_are_refused(make_it: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_it()
    assert message in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_can_be_copied_after_use(name: str) -> None:
    optimizer, theta = make(name), start(1)
    expected = run(optimizer, theta, parabola, 3)
    assert torch.equal(run(copy.deepcopy(optimizer), theta, parabola, 3), expected)


@pytest.mark.cuda
@pytest.mark.parametrize("name", NAMES)
def test_cuda_takes_the_steps_of_the_cpu(name: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    optimizer, gradients = make(name), start(20, 12, seed=1).view(20, 2, 6)
    for rate in (0.01, torch.tensor([[0.01], [0.02]], dtype=torch.float64)):
        ends = []
        for device in ("cpu", "cuda"):
            theta = start(2).to(device)
            state, there = optimizer.initial_state(theta), rate.to(device) if isinstance(rate, Tensor) else rate
            for k, gradient in enumerate(gradients, start=1):
                optimizer.update(theta, gradient.to(device, copy=True), state, there, k)
            ends.append(theta.cpu())
        torch.testing.assert_close(ends[0], ends[1], rtol=1e-10, atol=1e-12)
