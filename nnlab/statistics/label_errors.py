"""Labels that look wrong, from probabilities by networks that have not seen the examples: confident learning.

The rank of an example is its margin, the probability of its label minus the highest of another class. It is an issue
where some other class is as likely for it as that class is, on average, for examples that have it as their label.
Source: Northcutt et al. 2021, arXiv:1911.00068 (the confident joint, and ranking by the normalized margin).
"""

from __future__ import annotations

import torch
from torch import Tensor


def margins(probabilities: Tensor, labels: Tensor) -> Tensor:
    """How much likelier the label is than the likeliest other class, (N,) in [-1, 1]; the lowest look wrong.

    Args:
        probabilities: (N, C), of networks that have not learned the example.
        labels: (N,) int64.
    """
    return probabilities.gather(1, labels[:, None])[:, 0] - _without(probabilities, labels).values


def suggested(probabilities: Tensor, labels: Tensor) -> Tensor:
    """The likeliest class but the label, (N,) int64."""
    return _without(probabilities, labels).indices


def issues(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Which labels are wrong by the confident joint, (N,) bool.

    >>> sure = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.05, 0.95], [0.02, 0.98]])
    >>> issues(sure, torch.tensor([0, 0, 1, 1, 0])).tolist()
    [False, False, False, False, True]
    """
    classes = probabilities.shape[1]
    chosen = torch.nn.functional.one_hot(labels, classes).to(probabilities.dtype)
    usual = (probabilities * chosen).sum(0) / chosen.sum(0)  # NaN for a class that no label has: nothing reaches it
    likely = torch.where(probabilities >= usual, probabilities, -1.0)
    best = likely.max(1)
    return (best.values >= 0) & (best.indices != labels)


def _without(probabilities: Tensor, labels: Tensor) -> torch.return_types.max:
    return probabilities.scatter(1, labels[:, None], -1.0).max(1)
