"""Adafactor: Adam's denominator from the row and column means of squared gradients, so that memory is small.

    alpha_k = max(eps_2, rms(W)) rho_k,    rho_k = min(eta, 1 / sqrt(k)),    beta_k = 1 - k^decay
    R = beta_k R + (1 - beta_k) mean over columns of G^2,    C = the same over rows,    V = R C / mean(R)
    W_{k+1} = W_k - alpha_k U / max(1, rms(U) / d),    U = G / sqrt(V)

over the last two axes of each weight; vectors keep all of V. Rates and clipping are relative to each parameter's own
root mean square. The same as `torch.optim.Adafactor`.

Source: Shazeer and Stern 2018, "Adafactor: adaptive learning rates with sublinear memory cost", arXiv:1804.04235,
Algorithm 5, without momentum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nnlab.members import Hyper
from nnlab.optimizer.base import FirstOrder, Place, State
from nnlab.optimizer.places import whole
from nnlab.validation import check


class Adafactor(FirstOrder):
    """Factored second moments, and steps relative to the size of what they change.

    Args:
        learning_rate: eta, the largest relative step, (0, inf).
        decay: exponent of the averages' weights, (-inf, 0].
        eps: least root mean square that steps are relative to, [0, inf).
        clip: d, bound of the root mean square of a step before its rate, [1, inf).
        weight_decay: lambda, [0, inf); weights lose the share eta lambda in every step.
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate", "decay", "eps", "clip", "weight_decay")
    recordable: ClassVar[bool] = False

    def __init__(
        self,
        learning_rate: float = 0.01,
        decay: float = -0.8,
        eps: float = 0.001,
        clip: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate)
        self.decay: Hyper = check("decay", decay, "(-inf, 0]")
        self.eps: Hyper = check("eps", eps, "[0, inf)")
        self.clip: Hyper = check("clip", clip, "[1, inf)")
        self.weight_decay: Hyper = check("weight_decay", weight_decay, "[0, inf)")
        self._places: tuple[Place, ...] = ()

    def place(self, places: Sequence[Place]) -> None:
        """Keep where the parameters lie: weights are factored."""
        self._places = tuple(places)

    def initial_state(self, theta: Tensor) -> State:
        state: State = {}
        for place in self._parameters(theta):
            shape = (len(theta), *place.shape)
            if len(place.shape) > 1:
                state[f"rows {place.name}"] = theta.new_zeros(*shape[:-1], 1)
                state[f"columns {place.name}"] = theta.new_zeros(*shape[:-2], 1, shape[-1])
            else:
                state[f"all {place.name}"] = theta.new_zeros(shape)
        return state

    def _parameters(self, theta: Tensor) -> Sequence[Place]:
        return self._places or [whole(theta[0])]

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        for place in self._parameters(theta):
            part = slice(place.start, place.start + math.prod(place.shape))
            shape = (len(theta), *place.shape)
            g = gradient[:, part].reshape(shape)
            step = self._estimate(g, state, place.name, k).rsqrt_().mul_(g).flatten(1)
            own = theta[:, part]
            relative = _root_mean_square(own).clamp(min=self.eps) * _bounded(learning_rate, float(k) ** -0.5)
            own.sub_(relative / (_root_mean_square(step) / self.clip).clamp(min=1.0) * step)

    def _estimate(self, g: Tensor, state: State, name: str, k: int | Tensor) -> Tensor:
        """The mean square of the gradient (M, *shape) at each place."""
        share = torch.as_tensor(float(k) ** self.decay, dtype=g.dtype, device=g.device)
        share = share.view(-1, *(1,) * (g.ndim - 1)) if share.ndim else share
        least: float = torch.finfo(g.dtype).eps
        if f"all {name}" in state:
            whole_square = state[f"all {name}"]
            whole_square.lerp_(g * g, share)
            return whole_square.clamp(min=least * least)
        rows, columns = state[f"rows {name}"], state[f"columns {name}"]
        rows.lerp_(torch.linalg.vector_norm(g, dim=-1, keepdim=True).square_().div_(g.shape[-1]), share)
        columns.lerp_(torch.linalg.vector_norm(g, dim=-2, keepdim=True).square_().div_(g.shape[-2]), share)
        product: Tensor = rows * columns / rows.mean(dim=-2, keepdim=True).clamp(min=least)
        return product.clamp_(min=least * least)


def _root_mean_square(rows: Tensor) -> Tensor:
    """Of each row (M, size), as a column (M, 1)."""
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return norms / math.sqrt(rows.shape[1])


def _bounded(rate: Hyper, most: float) -> Hyper:
    return rate.clamp(max=most) if isinstance(rate, Tensor) else min(rate, most)
