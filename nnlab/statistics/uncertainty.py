"""How uncertain an ensemble is, and how much of it is disagreement: H[mean p] = mean H[p] + mutual information.

Source: Houlsby et al. 2011, arXiv:1112.5745, equation 2 (BALD); for dropout masks Gal et al. 2017, arXiv:1703.02910.
Entropies are in nats, in [0, log C].
"""

from __future__ import annotations

import torch
from torch import Tensor


def entropy(probabilities: Tensor) -> Tensor:
    """-sum p log p over the last axis, (..., C) -> (...), where 0 log 0 = 0."""
    terms: Tensor = torch.special.entr(probabilities)
    return terms.sum(-1)


def predictive_entropy(probabilities: Tensor) -> Tensor:
    """Entropy of the averaged prediction, (k, N, C) -> (N,), from k members or dropout masks."""
    return entropy(probabilities.mean(0))


def expected_entropy(probabilities: Tensor) -> Tensor:
    """Average entropy of the single predictions, (k, N, C) -> (N,): the part that more members cannot remove."""
    return entropy(probabilities).mean(0)


def mutual_information(probabilities: Tensor) -> Tensor:
    """Disagreement, predictive minus expected entropy, (k, N, C) -> (N,), in [0, log min(k, C)]."""
    # The difference is never negative but for rounding.
    return (predictive_entropy(probabilities) - expected_entropy(probabilities)).clamp(min=0)
