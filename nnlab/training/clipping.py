"""Gradient clipping, member by member (Pascanu et al. 2013, arXiv:1211.5063)."""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.members import Hyper


def clip_norm(gradient: Tensor, limit: Hyper) -> None:
    """Scale each row of `gradient` (M, P) down to an L2 norm of at most `limit`, in place."""
    norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    gradient.mul_((limit / (norm + 1e-6)).clamp(max=1.0))


def clip_value(gradient: Tensor, limit: Hyper) -> None:
    """Limit every entry of `gradient` (M, P) to [-limit, limit], in place."""
    if isinstance(limit, Tensor):
        torch.minimum(torch.maximum(gradient, -limit, out=gradient), limit, out=gradient)
    else:
        gradient.clamp_(-limit, limit)
