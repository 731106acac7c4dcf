"""Gaussian output layer for regression: a mean for each input, with a variance or covariance; full normalisation.

    loss = 1/2 sum_c (log(2 pi v_c) + (mu_c - y_c)^2 / v_c)

    d loss / d mu = (mu - y) / v,    d loss / d v = 1/2 (1 / v - (mu - y)^2 / v^2)

with v predicted from the input (Nix and Weigend 1994; Lakshminarayanan et al. 2017, arXiv 1612.01474, equation 1) or
fixed. With a full covariance S, shared by all inputs, S^-1 = A^T A and A lower triangular (Williams 1996, "Using
neural networks to model conditional multivariate densities"), r = mu - y and z = A r:

    loss = 1/2 (C log(2 pi) + ||z||^2) - sum_c log A_cc

    d loss / d mu = A^T z,    d loss / d A = z r^T - diag(1 / A_cc)  in the lower triangle

A positive number v is written v(s) = softplus(s + b) + floor, where b makes v(0) = 1: it grows only linearly, never
vanishes, and the variance of a fresh network is 1, that of standardised targets.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection
from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnlab.loss.base import Loss
from nnlab.loss.metrics import gaussian_nll, regression_metrics
from nnlab.loss.targets import residual, widen
from nnlab.types import Task
from nnlab.validation import check, check_choice

Variance = Literal["predicted", "fixed", "covariance"]

# The smallest predicted variance, and the smallest diagonal element of A (standard deviations end near 1000).
VARIANCE_FLOOR = 1e-6
FACTOR_FLOOR = 1e-3
_LOG_2PI = math.log(2 * math.pi)


class GaussianNLL(Loss):
    """Negative log-likelihood of a Gaussian with mean mu(x).

    Args:
        variance: "predicted": outputs (mu, s) of 2 C numbers, the variance of each target is v(s). "fixed": outputs
            mu, the variance is `fixed_variance`. "covariance": outputs mu and the C + C (C - 1)/2 entries of A (its
            diagonal as v(s), then the rows below it), free parameters that the head repeats for every input.
        fixed_variance: the variance for "fixed", in the (standardised) units that the network sees.

    Predictions are moments (..., N, 2 C): the mean, then the variance of each target, in "covariance" the marginal
    one. The metric `nll` is computed from these moments, so it leaves out what the covariance says about correlation.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.REGRESSION})
    probabilistic: ClassVar[bool] = True

    def __init__(self, variance: Variance = "predicted", fixed_variance: float = 1.0) -> None:
        self.variance = check_choice("variance", variance, get_args(Variance))
        self.fixed_variance = check("fixed_variance", fixed_variance, "(0, inf)")

    def output_size(self, target_size: int) -> int:
        """2 C, C, or C + C (C + 1)/2 outputs."""
        extra = {"predicted": target_size, "fixed": 0, "covariance": target_size * (target_size + 1) // 2}
        return target_size + extra[self.variance]

    def head(self, features: int, target_size: int) -> nn.Module:
        """A linear layer; with "covariance" one for the mean, and the entries of A as parameters."""
        if self.variance == "covariance":
            return SharedCovarianceHead(features, target_size)
        return nn.Linear(features, self.output_size(target_size))

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """-log N(y; mu, v) or -log N(y; mu, S), (..., N)."""
        mean, rest = self._split(widen(outputs))
        error = residual(mean, targets)
        if self.variance == "covariance":
            factor = _factor(rest)
            logs = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
            return 0.5 * (mean.shape[-1] * _LOG_2PI + _times(factor, error).square().sum(-1)) - logs
        variance = self._variance(mean, rest)
        return 0.5 * (_LOG_2PI + variance.log() + error.square() / variance).sum(-1)

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Derivatives by mu and, where there are more outputs, by s or the entries of A, (..., N, O)."""
        mean, rest = self._split(widen(outputs))
        error = residual(mean, targets)
        if self.variance == "covariance":
            gradient = _covariance_gradient(error, rest)
        else:
            variance = self._variance(mean, rest)
            gradient = error / variance
            if self.variance == "predicted":
                by_variance = 0.5 * (1 / variance - gradient.square())
                gradient = torch.cat([gradient, by_variance * _slope(rest, VARIANCE_FLOOR)], -1)
        return gradient.to(outputs.dtype)

    def prediction(self, outputs: Tensor) -> Tensor:
        """Mean and (marginal) variance of each target, (..., N, 2 C)."""
        mean, rest = self._split(widen(outputs))
        if self.variance == "covariance":
            factor = _factor(rest)
            identity = torch.eye(mean.shape[-1], dtype=mean.dtype, device=mean.device)
            root = torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False)
            return torch.cat([mean, root.square().sum(-1)], -1)
        return torch.cat([mean, self._variance(mean, rest)], -1)

    def combine(self, predictions: Tensor) -> Tensor:
        """Moments of the uniform mixture of the members' Gaussians: E mu, and E v + Var mu (Lakshminarayanan 2.4)."""
        mean, variance = predictions.chunk(2, -1)
        return torch.cat([mean.mean(0), variance.mean(0) + mean.var(0, correction=0)], -1)

    def loss_of(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of independent Gaussians with these moments."""
        mean, variance = widen(prediction).chunk(2, -1)
        return gaussian_nll(mean, variance, targets)

    def metrics(
        self,
        prediction: Tensor,
        targets: Tensor,
        scale: Tensor | None = None,
        thorough: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """Metrics of the mean, and `nll` of the targets in their own units under independent Gaussians."""
        mean, variance = widen(prediction).chunk(2, -1)
        return regression_metrics(mean, targets, scale) | {"nll": gaussian_nll(mean, variance, targets, scale)}

    def loss_at_zero(self, targets: Tensor, target_size: int) -> float:
        """1/2 sum_c (log(2 pi v_0) + E y_c^2 / v_0), with v_0 = 1 or `fixed_variance`."""
        variance = self.fixed_variance if self.variance == "fixed" else 1.0
        constant = target_size * (_LOG_2PI + math.log(variance))
        return 0.5 * (constant + float(targets.square().sum(-1).mean()) / variance)

    def floor(self, targets: Tensor, target_size: int) -> float | None:
        """None: a density has no upper bound; with a fixed variance, that of targets met exactly."""
        if self.variance == "fixed":
            return 0.5 * target_size * (_LOG_2PI + math.log(self.fixed_variance))
        return None

    def _split(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The means (..., N, C), and the other outputs."""
        size = outputs.shape[-1]
        if self.variance == "predicted":
            size //= 2
        elif self.variance == "covariance":
            size = round((math.sqrt(9 + 8 * size) - 3) / 2)  # O = C (C + 3)/2
        return outputs[..., :size], outputs[..., size:]

    def _variance(self, mean: Tensor, rest: Tensor) -> Tensor:
        return (
            _positive(rest, VARIANCE_FLOOR)
            if self.variance == "predicted"
            else torch.full_like(mean, self.fixed_variance)
        )


class SharedCovarianceHead(nn.Module):
    """A linear layer for the mean, and one covariance for all inputs: entries (K,) of A, zero for the identity."""

    def __init__(self, features: int, target_size: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, target_size)
        self.entries = nn.Parameter(torch.zeros(target_size * (target_size + 1) // 2))

    def forward(self, features: Tensor) -> Tensor:
        """Outputs (..., N, C + K) from features (..., N, F)."""
        mean = self.mean(features)
        return torch.cat([mean, self.entries.expand(*mean.shape[:-1], -1)], -1)


def _shift(floor: float) -> float:
    """b, such that v(0) = 1."""
    return math.log(math.expm1(1 - floor))


def _positive(raw: Tensor, floor: float) -> Tensor:
    """v(s)."""
    soft: Tensor = F.softplus(raw + _shift(floor))
    return soft + floor


def _slope(raw: Tensor, floor: float) -> Tensor:
    """v'(s)."""
    return torch.sigmoid(raw + _shift(floor))


def _factor(entries: Tensor) -> Tensor:
    """A (..., C, C) from its entries (..., K): diagonal, rows below it; the triangle above reads an appended zero."""
    size = math.isqrt(2 * entries.shape[-1])  # K = C (C + 1)/2
    zero = entries.new_zeros(()).expand(*entries.shape[:-1], 1)
    flat = torch.cat([_positive(entries[..., :size], FACTOR_FLOOR), entries[..., size:], zero], -1)
    return flat.index_select(-1, _layout(size, entries.device)).reshape(*flat.shape[:-1], size, size)


@functools.lru_cache(maxsize=16)
def _layout(size: int, device: torch.device) -> Tensor:
    """Where each element of A, row by row, stands among the K entries and the zero behind them."""
    count = size * (size + 1) // 2
    with torch.inference_mode(False):  # it is kept for training, too
        position = torch.full((size, size), count)
        rows, columns = torch.tril_indices(size, size, -1)
        position[rows, columns] = torch.arange(size, count)
        return (position - torch.diag(count - torch.arange(size))).flatten().to(device)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix * vector.unsqueeze(-2)).sum(-1)


def _covariance_gradient(error: Tensor, entries: Tensor) -> Tensor:
    """Derivatives by the mean, the diagonal's raw numbers and the rows below it, (..., N, C + K)."""
    size = error.shape[-1]
    factor = _factor(entries)
    whitened = _times(factor, error)
    rows, columns = torch.tril_indices(size, size, -1, device=error.device)
    inner = whitened * error - 1 / factor.diagonal(dim1=-2, dim2=-1)
    diagonal = inner * _slope(entries[..., :size], FACTOR_FLOOR)
    below = whitened.index_select(-1, rows) * error.index_select(-1, columns)
    return torch.cat([_times(factor.mT, whitened), diagonal, below], -1)
