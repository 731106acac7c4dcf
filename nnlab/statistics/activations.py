"""Statistics of a layer's outputs y (M, N, ...) for each member, (M,): how the signal survives and which units work.

Half precision is measured in float32. Source of the pictures that they make: Glorot and Bengio 2010, section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _rows(y: Tensor) -> Tensor:
    """(M, everything else), at least in float32."""
    return y.flatten(1).to(torch.promote_types(y.dtype, torch.float32))


def mean(y: Tensor) -> Tensor:
    """Mean over examples and units, (M,)."""
    return _rows(y).mean(1)


def std(y: Tensor) -> Tensor:
    """Standard deviation over examples and units, (M,), dividing by their number."""
    return _rows(y).std(1, correction=0)


def mean_and_std(y: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one pass."""
    spread, center = torch.std_mean(_rows(y), 1, correction=0)
    return center, spread


def second_moment(y: Tensor) -> Tensor:
    """Mean of y^2 over examples and units, (M,): what a good initialization keeps from layer to layer."""
    return _rows(y).square().mean(1)


def saturated_fraction(y: Tensor, low: float | None, high: float | None, tolerance: float = 0.02) -> Tensor:
    """Fraction of outputs within `tolerance` of a value where the activation saturates, (M,).

    Args:
        y: outputs (M, N, ...).
        low: the value approached on the left, or None where the activation does not saturate there.
        high: the value approached on the right, or None.
        tolerance: largest distance that counts, in units of y.

    >>> saturated_fraction(torch.tensor([[-0.999, 0.0, 0.5, 0.99]]), -1.0, 1.0)
    tensor([0.5000])
    """
    near = [(y - limit).abs() <= tolerance for limit in (low, high) if limit is not None]
    if not near:
        return torch.zeros(len(y), device=y.device)
    saturated = near[0] if len(near) == 1 else near[0] | near[1]
    return saturated.flatten(1).float().mean(1)


def dead_fraction(y: Tensor, floor: float = 0.0, tolerance: float = 0.0) -> Tensor:
    """Fraction of units that are at their floor for every example of the batch, (M,).

    Args:
        y: outputs (M, N, units, ...); a unit is a feature, or the channel of a convolution's map (M, N, K, H, W),
            which is dead only if it is at its floor everywhere.
        floor: the value of a unit that is off: 0 for ReLU, -alpha for ELU.
        tolerance: largest distance from the floor that counts, in units of y.

    >>> dead_fraction(torch.tensor([[[0.0, 1.0], [0.0, 0.0]]]))
    tensor([0.5000])
    """
    off = y == floor if tolerance == 0 else (y - floor).abs() <= tolerance
    return off.all(dim=(1, *range(3, y.ndim))).float().mean(1)
