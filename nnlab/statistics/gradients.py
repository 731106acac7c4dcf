"""Statistics of gradients as rows (M, P), or any (M, ...), for each member, (M,): vanishing, exploding, broken.

Half precision is measured in float32.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def norm(rows: Tensor) -> Tensor:
    """Euclidean norm sqrt(sum g^2), (M,)."""
    dtype = torch.promote_types(rows.dtype, torch.float32)
    norms: Tensor = torch.linalg.vector_norm(rows.flatten(1), dim=1, dtype=dtype)
    return norms


def root_mean_square(rows: Tensor) -> Tensor:
    """sqrt(mean g^2), (M,): the norm of an average entry, which compares layers of different sizes."""
    return norm(rows) / math.sqrt(rows[0].numel())


def nonfinite_fraction(rows: Tensor) -> Tensor:
    """Fraction of entries that are infinite or NaN, (M,)."""
    return (~torch.isfinite(rows)).flatten(1).float().mean(1)
