"""Zero mean and unit variance: x -> (x - mu) / sigma, with statistics of the training split.

Source: LeCun, Bottou, Orr and Mueller 1998, "Efficient BackProp", section 4.3; the lecture's first advice.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nnlab.data.preprocessing.base import Preprocessing, Rescale, Transform
from nnlab.errors import UserError
from nnlab.validation import check_choice

_CHUNK = 512  # examples whose deviations are held at a time: they stay in the processor's cache


class Standardize(Preprocessing):
    """Standardizes features or channels.

    What is constant in the training split is only centred: there is no variance to divide by.

    Args:
        per: `feature`: each number of an example on its own; `channel`: the pixels of an image channel together, which
            keeps images looking like images; `auto`: channels of images, features of vectors.
    """

    def __init__(self, per: Literal["auto", "feature", "channel"] = "auto") -> None:
        self.per = check_choice("per", per, ("auto", "feature", "channel"))

    def fit(self, inputs: Tensor) -> Transform:
        """Mean and standard deviation (divided by n) of (D,), (K, H, W), or (K, 1, 1) for channels.

        Raises:
            UserError: `per: channel` for vectors.
        """
        images = inputs.ndim == 4
        if self.per == "channel" and not images:
            raise UserError(
                "`per: channel` needs images (K, H, W), but the inputs are vectors; use `feature` or `auto`"
            )
        axes = (0,) if self.per == "feature" or not images else (0, 2, 3)
        chunks = inputs.split(_CHUNK)
        sums = [chunk.sum(axes, keepdim=True, dtype=torch.float64) for chunk in chunks]
        mean = torch.stack(sums).sum(0)
        count = inputs.numel() // mean.numel()
        mean /= count
        squares = [
            (chunk - mean.to(inputs.dtype)).square_().sum(axes, keepdim=True, dtype=torch.float64) for chunk in chunks
        ]
        std = torch.sqrt(torch.stack(squares).sum(0) / count)
        varies = (inputs.amax(axes, keepdim=True) > inputs.amin(axes, keepdim=True)) & (std > 0)
        mean, std = (value.squeeze(0).to(inputs.dtype) for value in (mean, torch.where(varies, std, 1.0)))
        return Rescale(mean, std)
