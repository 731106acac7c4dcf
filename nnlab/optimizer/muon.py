"""Muon: momentum whose matrices are made orthogonal, for hidden layers; Adam for all else.

    B_k = mu B_{k-1} + (1 - mu) g_k,    D_k = g_k + mu (B_k - g_k),    W_{k+1} = W_k - eta s NS(D_k)

NS is the Newton-Schulz iteration (5 steps, in bfloat16 as in its source), which replaces the singular values of a
matrix by about 1; s = sqrt(max(1, rows / columns)). Convolutions count as matrices (channels out, all else). Biases,
norm parameters and the output layer move by Adam with `adam_rate`, which the schedule multiplies as it does eta.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the same as `torch.optim.Muon`
with `torch.optim.Adam` for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nnlab.members import Hyper
from nnlab.optimizer.arithmetic import average, average_square, bias_correction, descend_ratio
from nnlab.optimizer.base import FirstOrder, Place, State, zeros
from nnlab.optimizer.places import gaps, hidden_matrices
from nnlab.validation import check

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
EPS = 1e-7
ADAM = (0.9, 0.999, 1e-8)  # beta_1, beta_2, eps


class Muon(FirstOrder):
    """Orthogonal steps for hidden matrices.

    Args:
        learning_rate: the rate eta of the hidden matrices, (0, inf).
        momentum: mu, [0, 1).
        weight_decay: lambda, [0, inf); weights lose the share eta lambda in every step.
        adam_rate: the rate of Adam, for all other parameters, (0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate", "momentum", "weight_decay", "adam_rate", "base_rate")
    recordable: ClassVar[bool] = False

    def __init__(
        self,
        learning_rate: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        adam_rate: float = 0.001,
    ) -> None:
        super().__init__(learning_rate)
        self.momentum: Hyper = check("momentum", momentum, "[0, 1)")
        self.weight_decay: Hyper = check("weight_decay", weight_decay, "[0, inf)")
        self.adam_rate: Hyper = check("adam_rate", adam_rate, "(0, inf)", largest=math.inf)
        self.base_rate: Hyper = learning_rate
        self._matrices: tuple[Place, ...] = ()

    def place(self, places: Sequence[Place]) -> None:
        """The hidden matrices are the weights of all layers but the last."""
        self._matrices = tuple(hidden_matrices(places))

    def initial_state(self, theta: Tensor) -> State:
        return zeros(theta, "momentum", "m", "v")

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        for place in self._matrices:
            part = slice(place.start, place.start + math.prod(place.shape))
            self._move_matrix(theta[:, part], gradient[:, part], state["momentum"][:, part], learning_rate, place.shape)
        rate = self.adam_rate * learning_rate / self.base_rate
        for part in gaps(self._matrices, theta.shape[1]):
            self._move_others(theta[:, part], gradient[:, part], state["m"][:, part], state["v"][:, part], rate, k)

    def _move_matrix(
        self, theta: Tensor, gradient: Tensor, momentum: Tensor, rate: Hyper, shape: tuple[int, ...]
    ) -> None:
        """Move one matrix of every member, given as (M, size)."""
        average(momentum, gradient, self.momentum)
        directions = torch.lerp(gradient, momentum, self.momentum)
        rows, columns = shape[0], math.prod(shape[1:])
        # Member by member: batched products would round otherwise than those of a network alone.
        steps = torch.stack([orthogonal(each.view(rows, columns)).to(theta.dtype) for each in directions])
        theta.sub_(steps.flatten(1) * (math.sqrt(max(1, rows / columns)) * rate))

    def _move_others(self, theta: Tensor, g: Tensor, m: Tensor, v: Tensor, rate: Hyper, k: int | Tensor) -> None:
        """Adam, with its usual numbers."""
        beta1, beta2, eps = ADAM
        average(m, g, beta1)
        average_square(v, g, beta2)
        root = (v / bias_correction(beta2, k)).sqrt_().add_(eps)
        descend_ratio(theta, m, root, rate / bias_correction(beta1, k))


def orthogonal(matrix: Tensor) -> Tensor:
    """The Newton-Schulz iteration on a matrix (rows, columns): its singular values become about 1, in bfloat16."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.bfloat16()
    x = x.T if tall else x
    x = x / x.norm().clamp(min=EPS)
    for _ in range(STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
