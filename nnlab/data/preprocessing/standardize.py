"""Zero mean and unit variance: x -> (x - mu) / sigma, with statistics of the training split.

Source: LeCun, Bottou, Orr and Mueller 1998, "Efficient BackProp", section 4.3; the lecture's first advice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.data.preprocessing.base import Preprocessing, Rescale, Transform
from nnlab.errors import UserError
from nnlab.streaming import Streamed, at_once, pieces
from nnlab.validation import check_choice

_CHUNK = 512  # examples whose deviations are held at a time at least: they stay in the processor's cache ...
LARGE = 1 << 15  # ... unless one has more numbers than these,
_CACHED = 1 << 18  # of which so many are held, as of small ones
_READ = 1 << 21  # numbers that are read at a time


class Standardize(Preprocessing):
    """Standardizes features or channels.

    What is constant in the training split is only centred: there is no variance to divide by.

    Args:
        per: `feature`: each number of an example on its own; `channel`: the pixels of an image channel together, which
            keeps images looking like images; `auto`: channels of images, features of vectors.
    """

    keeps_shape: ClassVar[bool] = True

    def __init__(self, per: Literal["auto", "feature", "channel"] = "auto") -> None:
        self.per = check_choice("per", per, ("auto", "feature", "channel"))

    def fit(self, inputs: Tensor | Streamed) -> Transform:
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
        kept = [1 if axis in axes else size for axis, size in enumerate(inputs.shape)]
        count = self._examples(inputs)
        # Places for all chunks at once: small tensors among large ones would keep memory from being used again.
        sums, squares = (torch.empty(-(-len(inputs) // count), *kept, dtype=torch.float64) for _ in range(2))
        low, high = (torch.full(kept, value, dtype=inputs.dtype) for value in (torch.inf, -torch.inf))
        for chunk, place in zip(self._chunks(inputs, count), sums, strict=True):
            place.copy_(_sum(chunk, axes))
            torch.minimum(low, chunk.amin(axes, keepdim=True), out=low)
            torch.maximum(high, chunk.amax(axes, keepdim=True), out=high)
        mean = sums.sum(0)
        each = inputs.numel() // mean.numel()
        mean /= each
        center = mean.to(inputs.dtype)
        for chunk, place in zip(self._chunks(inputs, count), squares, strict=True):
            place.copy_(_sum((chunk - center).square_(), axes))
        std = torch.sqrt(squares.sum(0) / each)
        varies = (high > low) & (std > 0)
        mean, std = (value.squeeze(0).to(inputs.dtype) for value in (mean, torch.where(varies, std, 1.0)))
        return Rescale(mean, std)

    def _examples(self, inputs: Tensor | Streamed) -> int:
        """How many examples are looked at at a time."""
        least = 1 if inputs.shape[1:].numel() > LARGE else _CHUNK
        return max(least, at_once(inputs, _CACHED, len(inputs)))

    def _chunks(self, inputs: Tensor | Streamed, count: int) -> Iterator[Tensor]:
        """All inputs, so many examples at a time, of which many are read together."""
        for block in pieces(inputs, count * max(1, at_once(inputs, _READ, len(inputs)) // count)):
            yield from block.split(count)


def _sum(chunk: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The sum over `axes`, the first among them, in float64; over the pixels of one large image in float32."""
    if len(axes) > 1 and chunk[0].numel() > LARGE:
        chunk, axes = chunk.sum(axes[1:], keepdim=True), (0,)
    return chunk.sum(axes, keepdim=True, dtype=torch.float64)
