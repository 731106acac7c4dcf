"""Claims about penalties and constraints: values, gradients, updates, and members with settings of their own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import vmap

from nnlab.errors import UserError
from nnlab.members import merge
from nnlab.regularizer import L1, MaxNorm, Penalty, WeightDecay

MASK = torch.tensor([1.0, 1, 0, 1, 0, 1], dtype=torch.float64)
PENALTIES: dict[str, type[Penalty]] = {"weight_decay": WeightDecay, "l1": L1}


def rows(members: int = 3) -> Tensor:
    return torch.randn(members, len(MASK), dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def gradient(penalty: Penalty, theta: Tensor) -> Tensor:
    """What the penalty adds to a gradient that is not zero."""
    weights = MASK.bool()
    part = torch.ones_like(theta[:, weights])
    penalty.add_gradient(part, theta[:, weights])
    total = torch.zeros_like(theta)
    total[:, weights] = part - 1
    return total


def test_weight_decay_is_half_the_sum_of_squares_of_the_weights() -> None:
    theta = torch.tensor([[3.0, 4, 100, 0, 100, 1]], dtype=torch.float64)
    assert WeightDecay(0.1).value(theta, MASK).item() == pytest.approx(0.05 * 26)
    torch.testing.assert_close(gradient(WeightDecay(0.1), theta), 0.1 * theta * MASK)


def test_l1_is_the_sum_of_absolute_weights() -> None:
    theta = torch.tensor([[3.0, -4, 100, 0, 100, 1]], dtype=torch.float64)
    assert L1(0.1).value(theta, MASK).item() == pytest.approx(0.1 * 8)
    expected = torch.tensor([[0.1, -0.1, 0, 0, 0, 0.1]], dtype=torch.float64)
    torch.testing.assert_close(gradient(L1(0.1), theta), expected)


@pytest.mark.parametrize("name", PENALTIES)
def test_gradient_is_the_derivative_of_the_value(name: str) -> None:
    penalty, theta = PENALTIES[name](0.3), rows().requires_grad_()
    (expected,) = torch.autograd.grad(penalty.value(theta, MASK).sum(), theta)
    torch.testing.assert_close(gradient(penalty, theta.detach()), expected)
    assert torch.autograd.gradcheck(lambda t: penalty.value(t, MASK), theta)


@pytest.mark.parametrize("name", PENALTIES)
def test_members_may_differ_in_strength(name: str) -> None:
    alone = [PENALTIES[name](strength) for strength in (0.0, 0.1, 2.0)]
    merged, theta = merge(alone, dtype=torch.float64), rows()
    values, gradients = merged.value(theta, MASK), gradient(merged, theta)
    assert values.shape == (3,)
    for row, penalty in enumerate(alone):
        own = theta[row : row + 1]
        torch.testing.assert_close(values[row : row + 1], penalty.value(own, MASK))
        torch.testing.assert_close(gradients[row : row + 1], gradient(penalty, own))


@pytest.mark.parametrize("name", PENALTIES)
def test_strength_zero_changes_nothing_even_where_weights_are_infinite(name: str) -> None:
    theta = torch.full((2, len(MASK)), torch.inf, dtype=torch.float64)
    assert PENALTIES[name](0.0).value(theta, MASK).tolist() == [0, 0]
    assert not gradient(PENALTIES[name](0.0), theta).any()


def test_decoupled_decay_shrinks_weights_and_leaves_loss_and_gradient_alone() -> None:
    theta, learning_rate = rows(), torch.tensor([[0.1], [0.2], [0.3]], dtype=torch.float64)
    decay, expected = WeightDecay(0.5, decoupled=True), theta.clone()
    for row, rate in enumerate((0.1, 0.2, 0.3)):
        expected[row, MASK.bool()] *= 1 - rate * 0.5
    assert not decay.value(theta, MASK).any()
    assert not gradient(decay, theta).any()
    decay.decay(theta, MASK, learning_rate)
    torch.testing.assert_close(theta, expected)


def test_decoupled_decay_is_that_of_torch_s_adamw() -> None:
    theta = rows(1)
    parameter = torch.nn.Parameter(theta[0].clone())
    parameter.grad = torch.zeros_like(parameter)
    torch.optim.AdamW([parameter], lr=0.01, weight_decay=0.4, foreach=True).step()
    WeightDecay(0.4, decoupled=True).decay(theta, torch.ones(len(MASK), dtype=torch.float64), 0.01)
    torch.testing.assert_close(theta[0], parameter.detach())


def test_coupled_decay_never_touches_the_weights() -> None:
    theta = rows()
    for penalty in (WeightDecay(0.5), L1(0.5)):
        penalty.decay(theta, MASK, 0.1)
    torch.testing.assert_close(theta, rows(), rtol=0, atol=0)


@given(
    st.integers(0, 2**31),
    st.floats(1e-3, 1e3),
    st.sampled_from([(2, 3, 4), (1, 3, 2, 3, 3), (3, 1, 5)]),
    st.floats(-6, 6),
)
def test_max_norm_projects_onto_the_ball_of_each_unit(
    seed: int, bound: float, shape: tuple[int, ...], magnitude: float
) -> None:
    """Inside, nothing changes; outside, the norm becomes the bound and the direction stays; twice is once."""
    before = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 10**magnitude
    before[0, 0] = 0
    after = before.clone()
    MaxNorm(bound).project([after])
    vectors, projected = before.flatten(0, 1).flatten(1), after.flatten(0, 1).flatten(1)
    norms = vectors.norm(dim=1)
    inside = norms <= bound
    torch.testing.assert_close(projected[inside], vectors[inside], rtol=0, atol=0)
    torch.testing.assert_close(projected[~inside], vectors[~inside] * (bound / norms[~inside]).unsqueeze(1))
    again = after.clone()
    MaxNorm(bound).project([again])
    torch.testing.assert_close(again, after, rtol=1e-14, atol=0)


def test_max_norm_agrees_with_torch_s_renorm() -> None:
    weight = torch.randn(1, 6, 20, dtype=torch.float64)
    expected = torch.renorm(weight[0], p=2, dim=0, maxnorm=3.0)
    MaxNorm(3.0).project([weight])
    torch.testing.assert_close(weight[0], expected, rtol=1e-6, atol=0)  # renorm adds 1e-7 to the norm


def test_members_may_differ_in_max_norm() -> None:
    alone = [MaxNorm(bound) for bound in (0.5, 1.0, 100.0)]
    for shape in ((3, 4, 5), (3, 4, 5, 2, 2)):
        weight = torch.randn(shape, dtype=torch.float64)
        expected = weight.clone()
        for row, constraint in enumerate(alone):
            constraint.project([expected[row : row + 1]])
        merge(alone, dtype=torch.float64).project([weight])
        torch.testing.assert_close(weight, expected)


def test_penalties_may_be_mapped_over_members() -> None:
    theta = rows()
    for penalty in (WeightDecay(0.3), L1(0.3)):
        mapped = vmap(lambda row, penalty=penalty: penalty.value(row.unsqueeze(0), MASK)[0])(theta)
        torch.testing.assert_close(mapped, penalty.value(theta, MASK))


@pytest.mark.parametrize("make", [WeightDecay, L1])
def test_a_negative_strength_is_refused(make: type[Penalty]) -> None:
    with pytest.raises(UserError, match=r"`strength` must be in \[0, inf\), got -0.1"):
        make(-0.1)


def test_a_max_norm_of_zero_is_refused() -> None:
    with pytest.raises(UserError, match=r"`max_norm` must be in \(0, inf\), got 0"):
        MaxNorm(0)
