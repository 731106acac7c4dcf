"""Statistics of gradients as rows (M, P), or any (M, ...), for each member, (M,): vanishing, exploding, broken.

Half precision is measured in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor


def norm(rows: Tensor) -> Tensor:
    """Euclidean norm sqrt(sum g^2), (M,)."""
    dtype = torch.promote_types(rows.dtype, torch.float32)
    norms: Tensor = torch.linalg.vector_norm(rows.flatten(1), dim=1, dtype=dtype)
    return norms
