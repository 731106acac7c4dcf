"""How far a step moves the weights compared with their size, |dw| / |w|; about 1e-3 is healthy.

The rule of thumb is from Karpathy's notes for the Stanford course CS231n ("Babysitting the learning process"): much
more and the rate is likely too high, much less and it is likely too low.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ratio(moved: Tensor, size: Tensor) -> Tensor:
    """Ratio of the norms of updates and weights, of any shape.

    It is 0 where nothing moves, and infinite where weights leave zero.
    """
    return torch.where(moved == 0, torch.zeros_like(moved), moved / size)
