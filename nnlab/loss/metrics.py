"""Metrics of predictions (..., N, C), vectorised over leading axes: every result has shape (...).

Classes: accuracy; `nll`, -log p_t; Brier score, sum_c (p_c - [c = t])^2 (Brier 1950: between 0 and 2, so twice the
usual binary score); expected calibration error over 15 bins of equal width, sum_b |B_b|/N |acc(B_b) - conf(B_b)| (Guo
et al. 2017, arXiv 1706.04599, equation 3); and what `nnlab.loss.decisions` and `nnlab.loss.ranking` measure.
Regression: root mean squared and mean absolute error over all targets; R^2 averaged over targets.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor

from nnlab.loss import decisions, ranking
from nnlab.loss.targets import class_index, residual, widen
from nnlab.metric_names import THOROUGH

ECE_BINS = 15


def classification_metrics(
    prediction: Tensor, targets: Tensor, probabilistic: bool, thorough: Collection[str] = THOROUGH
) -> dict[str, Tensor]:
    """Metrics of probabilities or scores (..., N, C) for targets (..., N); some need probabilities.

    `thorough` are those to add that take longer; see `nnlab.metric_names`.
    """
    prediction = widen(prediction)
    highest, decided = prediction.max(-1)
    right = (decided == targets).to(prediction.dtype)
    metrics = {"accuracy": right.mean(-1)}
    if probabilistic:
        metrics["nll"] = negative_log_likelihood(prediction, targets)
        metrics["brier"] = residual(prediction, targets).square_().sum(-1).mean(-1)
        metrics["ece"] = calibration_error(highest, right)
    longer = {"balanced_accuracy": decisions.balanced_accuracy, "f1": decisions.f1}
    wanted = {name: measure for name, measure in longer.items() if name in thorough}
    if wanted:
        counts = decisions.count(decided, targets, prediction.shape[-1])
        metrics |= {name: measure(counts).to(prediction.dtype) for name, measure in wanted.items()}
    curves = [name for name in ranking.CURVES if name in thorough]
    return metrics | ranking.ranked(prediction, targets, probabilistic, curves)


def negative_log_likelihood(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Mean -log p_t; a probability that underflowed to 0 counts as the smallest normal number."""
    likelihood = probabilities.gather(-1, class_index(probabilities, targets)).squeeze(-1)
    return -likelihood.clamp_min(torch.finfo(likelihood.dtype).tiny).log().mean(-1)


def calibration_error(confidence: Tensor, right: Tensor, bins: int = ECE_BINS) -> Tensor:
    """Mean gap between confidence and accuracy, in `bins` bins ((b - 1)/bins, b/bins] of the confidence.

    Args:
        confidence: the probability of the decision, (..., N).
        right: whether it was right, (..., N), as 0 and 1.
        bins: how many, of equal width.
    """
    gap = right - confidence
    position = (confidence * bins).ceil_().sub_(1).clamp_(0, bins - 1).nan_to_num_(0)
    if gap.device.type == "cpu":
        rows = gap.shape[:-1].numel()
        place = position.long().view(rows, -1) + torch.arange(0, rows * bins, bins).unsqueeze(1)
        found = torch.bincount(place.flatten(), gap.flatten(), minlength=rows * bins).view(*gap.shape[:-1], bins)
        return (found.abs().sum(-1) / gap.shape[-1]).to(gap.dtype)
    # By a product, because a scattered addition on CUDA has no fixed order and so no fixed last digits.
    numbers = torch.arange(bins, device=gap.device).unsqueeze(-1)
    sums = (gap.unsqueeze(-2) * (position.unsqueeze(-2) == numbers)).sum(-1)
    return sums.abs().sum(-1) / gap.shape[-1]


def regression_metrics(prediction: Tensor, targets: Tensor, scale: Tensor | None = None) -> dict[str, Tensor]:
    """`rmse`, `mae` and `r2` of (..., N, C); errors are multiplied by `scale`, (C,) or (..., 1, C); R^2 stays.

    A target that is constant has R^2 = 1 where it is met exactly and 0 otherwise, and a single example has none (NaN),
    as in scikit-learn.
    """
    error = residual(prediction, targets)
    unexplained = error.square().sum(-2)
    total = (targets - targets.mean(-2, keepdim=True)).square().sum(-2)
    constant = total == 0
    ratio = torch.where(constant, (unexplained > 0).to(error.dtype), unexplained / total.masked_fill(constant, 1))
    r2 = 1 - ratio.mean(-1)
    if scale is not None:
        error = error * scale
    return {
        "rmse": error.square().mean((-2, -1)).sqrt(),
        "mae": error.abs().mean((-2, -1)),
        "r2": r2 if targets.shape[-2] > 1 else torch.full_like(r2, math.nan),
    }


def gaussian_nll(mean: Tensor, variance: Tensor, targets: Tensor, scale: Tensor | None = None) -> Tensor:
    """Mean over examples of -log N(targets; mean, variance), summed over targets (..., N, C), in units of `scale`."""
    terms = math.log(2 * math.pi) + variance.log() + residual(mean, targets).square() / variance
    nll = 0.5 * terms.sum(-1).mean(-1)
    if scale is None:
        return nll
    volume = scale.log().sum(-1)
    return nll + (volume.squeeze(-1) if volume.ndim else volume)
