"""Temperature scaling: one number that makes probabilities mean what they say, and leaves the order of classes.

At the temperature T the probability of class c is p_c^(1/T) / sum_k p_k^(1/T), which divides the logits of a softmax by
T: above 1 a network is less sure than it was, below 1 surer. T has the lowest negative log-likelihood on examples that
were not trained on. Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

COLDEST, HOTTEST = 0.05, 20.0  # temperatures that are looked at; examples that are all right ask for zero
HALVINGS = 60


def at_temperature(probabilities: Tensor, temperature: Tensor | float) -> Tensor:
    """Probabilities (..., N, C) at a temperature: one number, or (...), one for each of the leading axes."""
    heat = torch.as_tensor(temperature, dtype=probabilities.dtype, device=probabilities.device)
    scaled = _log(probabilities) / (heat[..., None, None] if heat.ndim else heat)
    return scaled.softmax(-1)


def fit_temperature(probabilities: Tensor, targets: Tensor) -> Tensor:
    """The temperatures (...) with the lowest mean negative log-likelihood, within [0.05, 20], float64.

    The likelihood is concave in 1/T, so that its slope is zero once; it is found by bisection, for all leading axes
    at once.

    Args:
        probabilities: (..., N, C), N at least 1.
        targets: (N,) int64, shared by all leading axes.
    """
    logs = _log(probabilities.double())
    true = logs.gather(-1, targets.expand(logs.shape[:-1]).unsqueeze(-1)).squeeze(-1)
    low = torch.full(logs.shape[:-2], math.log(1 / HOTTEST), dtype=torch.float64, device=logs.device)
    high = torch.full_like(low, math.log(1 / COLDEST))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        weights = (logs * middle.exp()[..., None, None]).softmax(-1)
        slope = ((weights * logs).sum(-1) - true).mean(-1)
        low, high = torch.where(slope < 0, middle, low), torch.where(slope < 0, high, middle)
    return (-(low + high) / 2).exp()


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp_min(torch.finfo(torch.float32).tiny).log()
