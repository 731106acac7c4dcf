"""How outputs meet targets: the few tensors that losses are written in, widened from half precision.

All take outputs (..., N, O) and targets (..., N) int64 or (..., N, C) floats that may lack the leading axes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def widen(outputs: Tensor) -> Tensor:
    """The outputs in at least float32: sums of losses and inverse variances need more than half precision holds."""
    return outputs.float() if outputs.element_size() < 4 else outputs


def class_index(outputs: Tensor, targets: Tensor) -> Tensor:
    """Position of each example's class among its outputs, (..., N, 1), for `gather` and `scatter`."""
    return targets.expand(outputs.shape[:-1]).unsqueeze(-1)


def signs(outputs: Tensor, targets: Tensor) -> Tensor:
    """Binary targets 0, 1 as y = -1, +1 of shape (..., N, 1) in the type of the outputs."""
    return 2 * targets.unsqueeze(-1).to(outputs.dtype) - 1


def residual(outputs: Tensor, targets: Tensor) -> Tensor:
    """Outputs minus targets (..., N, C), a fresh tensor; classes count as one-hot vectors.

    Raises:
        ValueError: there are not as many outputs as targets, which broadcasting would hide.
    """
    outputs = widen(outputs)
    if not targets.is_floating_point():
        index = class_index(outputs, targets)
        # Subtracting at the class alone costs a third of building the one-hot vectors.
        return outputs.scatter_add(-1, index, torch.full(index.shape, -1.0, dtype=outputs.dtype, device=outputs.device))
    if outputs.shape[-1] != targets.shape[-1]:
        raise ValueError(f"outputs {tuple(outputs.shape)} do not match targets {tuple(targets.shape)}")
    return outputs - targets
