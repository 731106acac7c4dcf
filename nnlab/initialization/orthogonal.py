"""Orthogonal initialization, W^T W = gain^2 I (or W W^T, where outputs are fewer): every direction is kept alike.

Source: Saxe et al. 2014, arXiv:1312.6120, section 3. The kernels of a convolution are the rows of an (out, in *
kernel) matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nnlab.initialization.base import Initialization


class Orthogonal(Initialization):
    """Draws weights uniformly from the (semi-)orthogonal matrices, times the gain.

    Args:
        scale, bias: see `Initialization`.
    """

    def __init__(self, scale: float = 1.0, bias: float = 0.0) -> None:
        super().__init__(scale, bias)

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        nn.init.orthogonal_(weight, gain, generator=generator)
