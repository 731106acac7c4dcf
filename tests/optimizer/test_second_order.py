"""Second-order methods: quadratics, Rosenbrock's function, references of scipy and torch, exact continuation."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.optimizer import BFGS, LBFGS, HessianClosure, Newton, SecondOrder
from nnlab.optimizer.line_search import Point, StrongWolfe

Loss = Callable[[Tensor], Tensor]


class Differentiated(HessianClosure):
    """A closure by automatic differentiation; hands out the same memory every time, as an engine may."""

    def __init__(self, loss: Loss) -> None:
        self.loss, self.calls, self.memory = loss, 0, torch.empty(0)

    def __call__(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        theta = theta.detach().requires_grad_()
        loss = self.loss(theta)
        (gradient,) = torch.autograd.grad(loss, theta)
        if self.memory.shape != gradient.shape:
            self.memory = torch.empty_like(gradient)
        return loss.detach(), self.memory.copy_(gradient)

    def hessian(self, theta: Tensor) -> Tensor:
        return torch.autograd.functional.hessian(self.loss, theta)


def rosenbrock(theta: Tensor) -> Tensor:
    return (100 * (theta[1:] - theta[:-1] ** 2) ** 2 + (1 - theta[:-1]) ** 2).sum()


@functools.cache
def quadratic_matrix() -> Tensor:
    factor = torch.randn(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return factor @ factor.t() + 0.1 * torch.eye(8, dtype=torch.float64)


def quadratic(theta: Tensor) -> Tensor:
    """Minimum 3 at 1."""
    return 3 + 0.5 * (theta - 1) @ quadratic_matrix().to(theta.dtype) @ (theta - 1)


METHODS: dict[str, Callable[..., SecondOrder]] = {"bfgs": BFGS, "lbfgs": LBFGS, "newton": Newton}


def state_of(optimizer: SecondOrder, theta: Tensor) -> dict[str, Tensor]:
    """State of one network (P,) as the engine hands it to `step`."""
    return {name: tensor[0] for name, tensor in optimizer.initial_state(theta.unsqueeze(0)).items()}


def run(
    optimizer: SecondOrder, loss: Loss, theta: Tensor, steps: int, rate: float | None = None
) -> tuple[Tensor, list[float], Differentiated]:
    theta, closure = theta.clone(), Differentiated(loss)
    state, losses = state_of(optimizer, theta), []
    for k in range(1, steps + 1):
        rate_now = optimizer.learning_rate if rate is None else rate
        losses.append(float(optimizer.step(theta, closure, state, rate_now, k)))
    return theta, losses, closure


@pytest.mark.parametrize(
    ("name", "steps", "line_search"),
    [
        ("newton", 1, "strong_wolfe"),
        ("newton", 1, "none"),
        ("bfgs", 40, "strong_wolfe"),
        ("bfgs", 60, "none"),
        ("lbfgs", 40, "strong_wolfe"),
        ("lbfgs", 60, "none"),
    ],
)
def test_a_quadratic_is_solved_in_few_steps(name: str, steps: int, line_search: str) -> None:
    optimizer = METHODS[name](line_search=line_search)
    theta, losses, _ = run(optimizer, quadratic, torch.zeros(8, dtype=torch.float64), steps)
    torch.testing.assert_close(theta, torch.ones_like(theta), rtol=0, atol=1e-6)
    assert losses[0] == pytest.approx(float(quadratic(torch.zeros(8, dtype=torch.float64))), rel=1e-14)


@pytest.mark.parametrize(("name", "steps"), [("newton", 40), ("bfgs", 110), ("lbfgs", 110)])
@pytest.mark.parametrize("size", [2, 10])
def test_the_valley_of_rosenbrock_is_followed_to_its_end(name: str, steps: int, size: int) -> None:
    theta = torch.full((size,), -1.2, dtype=torch.float64)
    theta[1::2] = 1.0
    end, losses, _ = run(METHODS[name](), rosenbrock, theta, steps)
    assert rosenbrock(end) < 1e-10 or (end[0] < 0 and name == "newton")  # for size > 2 there is a local minimum
    assert all(later <= earlier for earlier, later in itertools.pairwise(losses))


@pytest.mark.parametrize("name", ["bfgs", "lbfgs"])
def test_quasi_newton_needs_about_as_many_steps_as_scipy(name: str) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    begin = np.array([-1.2, 1.0] * 3)
    closure = Differentiated(rosenbrock)

    def value_and_gradient(x: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        loss, gradient = closure(torch.from_numpy(x))
        return float(loss), gradient.numpy().copy()

    method = {"bfgs": "BFGS", "lbfgs": "L-BFGS-B"}[name]
    reference = optimize.minimize(value_and_gradient, begin, jac=True, method=method, tol=1e-9)
    theta, losses, _ = run(METHODS[name](), rosenbrock, torch.from_numpy(begin), 100)
    steps = next(i for i, loss in enumerate(losses) if loss <= max(reference.fun, 1e-12))
    assert steps <= 1.5 * reference.nit
    torch.testing.assert_close(theta, torch.from_numpy(reference.x), rtol=0, atol=1e-4)


def test_the_two_loops_compute_the_product_with_the_matrix_of_bfgs() -> None:
    generator = torch.Generator().manual_seed(1)
    lbfgs, bfgs, theta = LBFGS(memory=10), BFGS(), torch.zeros(8, dtype=torch.float64)
    short, full = state_of(lbfgs, theta), state_of(bfgs, theta)
    gamma = None
    for count in range(5):
        s = torch.randn(8, dtype=torch.float64, generator=generator)
        y = quadratic_matrix() @ s
        lbfgs.remember(s, y, s @ y, short)
        if count == 0:
            gamma = (s @ y) / (y @ y)
        bfgs.remember(s, y, s @ y, full)
    # L-BFGS begins from the newest scale and BFGS from the first, so compare on a rebuilt matrix.
    newest = 1 / (short["rho"][4] * (short["y"][4] @ short["y"][4]))
    h = newest * torch.eye(8, dtype=torch.float64)
    for s, y in zip(short["s"][:5], short["y"][:5], strict=True):
        v = torch.eye(8, dtype=torch.float64) - torch.outer(y, s) / (y @ s)
        h = v.t() @ h @ v + torch.outer(s, s) / (y @ s)
    g = torch.randn(8, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(lbfgs.direction(g, short), -h @ g, rtol=1e-10, atol=1e-10)
    first = gamma * torch.eye(8, dtype=torch.float64)
    for s, y in zip(short["s"][:5], short["y"][:5], strict=True):
        v = torch.eye(8, dtype=torch.float64) - torch.outer(y, s) / (y @ s)
        first = v.t() @ first @ v + torch.outer(s, s) / (y @ s)
    torch.testing.assert_close(full["inverse_hessian"], first, rtol=1e-10, atol=1e-10)


def test_bfgs_satisfies_the_secant_equation_and_stays_symmetric() -> None:
    bfgs, theta = BFGS(), torch.zeros(8, dtype=torch.float64)
    state, generator = state_of(bfgs, theta), torch.Generator().manual_seed(2)
    for _ in range(20):
        s = torch.randn(8, dtype=torch.float64, generator=generator)
        y = quadratic_matrix() @ s
        bfgs.remember(s, y, s @ y, state)
        h = state["inverse_hessian"]
        torch.testing.assert_close(h @ y, s, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(h, h.t(), rtol=1e-10, atol=1e-10)
        assert torch.linalg.eigvalsh(h).min() > 0


def test_old_pairs_fall_out_of_the_memory() -> None:
    lbfgs, theta = LBFGS(memory=3), torch.zeros(8, dtype=torch.float64)
    fresh, generator = state_of(lbfgs, theta), torch.Generator().manual_seed(3)
    used = state_of(lbfgs, theta)
    for count in range(7):
        s = torch.randn(8, dtype=torch.float64, generator=generator)
        y = quadratic_matrix() @ s
        lbfgs.remember(s, y, s @ y, used)
        if count >= 4:
            lbfgs.remember(s, y, s @ y, fresh)
    g = torch.randn(8, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(lbfgs.direction(g, used), lbfgs.direction(g, fresh), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_state_alone_continues_a_run_exactly(name: str) -> None:
    begin = torch.tensor([-1.2, 1.0, -0.5, 0.3], dtype=torch.float64)
    expected, _, _ = run(METHODS[name](), rosenbrock, begin, 16)
    theta, optimizer, closure = begin.clone(), METHODS[name](), Differentiated(rosenbrock)
    state = state_of(optimizer, theta)
    for k in range(1, 17):
        if k == 9:
            optimizer, state = METHODS[name](), {key: value.clone() for key, value in state.items()}
        optimizer.step(theta, closure, state, 1.0, k)
    assert torch.equal(theta, expected)


@pytest.mark.parametrize("name", ["bfgs", "lbfgs"])
def test_several_iterations_a_step_spare_evaluations(name: str) -> None:
    begin = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    one, _, many_calls = run(METHODS[name](iterations=1), rosenbrock, begin, 20)
    all_at_once, losses, few_calls = run(METHODS[name](iterations=20), rosenbrock, begin, 1)
    assert torch.equal(one, all_at_once)
    assert many_calls.calls == few_calls.calls + 19
    assert losses == [float(rosenbrock(begin))]


@pytest.mark.parametrize("name", METHODS)
def test_a_rate_of_zero_does_not_move(name: str) -> None:
    begin = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    end, _, _ = run(METHODS[name](), rosenbrock, begin, 2, rate=0.0)
    assert torch.equal(end, begin)


@pytest.mark.parametrize("name", METHODS)
def test_the_bottom_is_not_left(name: str) -> None:
    begin = torch.ones(2, dtype=torch.float64)
    end, _, _ = run(METHODS[name](), rosenbrock, begin, 3)
    assert torch.equal(end, begin)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_returned_not_hidden(name: str, bad: float) -> None:
    _, losses, closure = run(METHODS[name](), lambda x: x.sum() * bad, torch.ones(2), 1)
    assert not math.isfinite(losses[0])
    assert closure.calls <= 2


@pytest.mark.parametrize("name", METHODS)
def test_the_search_steps_back_from_where_the_loss_is_not_finite(name: str) -> None:
    def barrier(theta: Tensor) -> Tensor:  # defined for theta < 1 only; minimum at 0.5
        return (-torch.log(1 - theta) - 2 * theta).sum()

    end, losses, _ = run(METHODS[name](learning_rate=5.0), barrier, torch.tensor([0.0, -3.0], dtype=torch.float64), 30)
    torch.testing.assert_close(end, torch.full((2,), 0.5, dtype=torch.float64), rtol=0, atol=1e-5)
    assert all(map(math.isfinite, losses))


@pytest.mark.parametrize("name", METHODS)
def test_float32_ends_where_rounding_begins(name: str) -> None:
    end, losses, _ = run(METHODS[name](), quadratic, torch.zeros(8), 60)
    assert losses[-1] == pytest.approx(3, abs=1e-5)
    assert end.isfinite().all()


def saddle(theta: Tensor) -> Tensor:
    """Saddle point at 0, minima of -1/4 at (0, +-1)."""
    return 0.5 * theta[0] ** 2 - 0.5 * theta[1] ** 2 + 0.25 * theta[1] ** 4


def test_newton_goes_downhill_from_a_saddle_and_the_lectures_step_into_it() -> None:
    begin = torch.tensor([0.5, 0.1], dtype=torch.float64)
    down, losses, _ = run(Newton(), saddle, begin, 30)
    torch.testing.assert_close(down.abs(), torch.tensor([0.0, 1.0], dtype=torch.float64), rtol=0, atol=1e-8)
    assert losses[-1] == pytest.approx(-0.25)
    for line_search in ("none", "strong_wolfe"):
        into, _, _ = run(Newton(positive_definite=False, line_search=line_search), saddle, begin, 30)
        torch.testing.assert_close(into, torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-8)


def test_damping_turns_newton_towards_the_gradient() -> None:
    begin = torch.zeros(8, dtype=torch.float64)
    _, gradient = Differentiated(quadratic)(begin)
    end, _, _ = run(Newton(damping=1e6, line_search="none"), quadratic, begin, 1)
    torch.testing.assert_close(end, -gradient / 1e6, rtol=1e-3, atol=0)
    expected = -torch.linalg.solve(quadratic_matrix() + 0.7 * torch.eye(8, dtype=torch.float64), gradient)
    end, _, _ = run(Newton(damping=0.7, line_search="none"), quadratic, begin, 1)
    torch.testing.assert_close(end, expected, rtol=1e-10, atol=1e-12)


def test_a_singular_hessian_is_refused_only_when_it_may_not_be_changed() -> None:
    def flat(theta: Tensor) -> Tensor:
        return (theta.sum() - 1) ** 2

    end, _, _ = run(Newton(), flat, torch.zeros(3, dtype=torch.float64), 30)
    assert flat(end) < 1e-12
    with pytest.raises(UserError, match="singular"):
        run(Newton(positive_definite=False), flat, torch.zeros(3, dtype=torch.float64), 1)


@pytest.mark.parametrize("name", ["bfgs", "newton"])
def test_networks_too_large_for_a_matrix_are_refused(name: str) -> None:
    METHODS[name](max_parameters=10).initial_state(torch.zeros(1, 10))
    with pytest.raises(UserError, match=r"11 x 11 .* allows 10: .*optimizer=lbfgs"):
        METHODS[name](max_parameters=10).initial_state(torch.zeros(1, 11))


def test_newton_without_a_hessian_is_our_bug() -> None:
    with pytest.raises(TypeError, match="HessianClosure"):
        Newton().step(torch.ones(2), lambda theta: (theta.sum(), torch.ones(2)), {}, 1.0, 1)


@pytest.mark.parametrize("name", METHODS)
def test_methods_ask_for_the_full_batch_and_one_network(name: str) -> None:
    assert METHODS[name].full_batch  # type: ignore[attr-defined]
    assert not METHODS[name].stackable  # type: ignore[attr-defined]


@pytest.mark.parametrize("first_step", [1e-3, 0.1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize(
    ("phi", "slope", "curvature"),
    [  # the first two: More and Thuente 1994, eq. (5.1) and (5.2)
        (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2, 0.1),
        (lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3, 0.9),
        (lambda a: (a - 3) ** 2, lambda a: 2 * (a - 3), 0.01),
        (lambda a: math.cosh(a - 2), lambda a: math.sinh(a - 2), 0.01),
    ],
)
def test_the_search_ends_at_a_strong_wolfe_point(
    phi: Callable[[float], float], slope: Callable[[float], float], curvature: float, first_step: float
) -> None:
    def evaluate(step: float) -> Point:
        try:
            return Point(step, phi(step), slope(step), torch.zeros(1, dtype=torch.float64))
        except OverflowError:
            return Point(step, math.inf, math.nan, torch.zeros(1, dtype=torch.float64))

    point = StrongWolfe(evaluate, evaluate(0.0), curvature=curvature).search(first_step)
    assert point.step > 0
    assert point.loss <= phi(0) + 1e-4 * point.step * slope(0)
    assert abs(point.slope) <= curvature * abs(slope(0))


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: LBFGS(memory=0), "`memory` must be in [1, inf), got 0"),
        (lambda: BFGS(iterations=0), "`iterations` must be in [1, inf), got 0"),
        (lambda: LBFGS(line_search="wolfe"), "`line_search` has no option 'wolfe'"),  # type: ignore[arg-type]
        (lambda: Newton(damping=-1.0), "`damping` must be in [0, inf), got -1.0"),
    ],
)
def test_values_out_of_range_are_refused(make_it: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_it()
    assert message in str(caught.value)
