"""Principal component analysis: x -> U^T (x - mu), with U the leading eigenvectors of the covariance.

Source: Pearson 1901, "On lines and planes of closest fit to systems of points in space".
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from nnlab.data.preprocessing.base import Preprocessing, Projection, Transform
from nnlab.device import free_memory
from nnlab.errors import UserError
from nnlab.streaming import Streamed, pieces
from nnlab.validation import check

_CHUNK = 4096  # rows that are converted to float64 at a time, to bound memory
_WHOLE = 1 << 26  # numbers that are in memory as a whole


@dataclasses.dataclass(frozen=True)
class PrincipalAxes:
    """Directions of largest variance, float64: `mean` (D,), orthonormal `axes` (D, R), falling `variances` (R,)."""

    mean: Tensor
    axes: Tensor
    variances: Tensor

    def leading(self, count: int) -> PrincipalAxes:
        """The first `count` of them."""
        return PrincipalAxes(self.mean, self.axes[:, :count], self.variances[:count])


def principal_axes(inputs: Tensor | Streamed) -> PrincipalAxes:
    """All R = min(n, D) axes of flattened inputs (n, ...); the largest entry of each axis is positive.

    Raises:
        UserError: they take more memory than is free.
    """
    count, features = len(inputs), inputs.shape[1:].numel()
    check_room(count, features)
    if inputs.numel() <= _WHOLE:
        inputs = inputs[:]
        mean = inputs.flatten(1).mean(0, dtype=torch.float64)
    else:
        sums = [part.flatten(1).sum(0, dtype=torch.float64) for part in pieces(inputs, _CHUNK)]
        mean = torch.stack(sums).sum(0) / count
    if count >= features:
        covariance = torch.zeros(features, features, dtype=torch.float64)
        for chunk in pieces(inputs, _CHUNK):
            centred = chunk.flatten(1).double() - mean
            covariance.addmm_(centred.T, centred)
        values, axes = torch.linalg.eigh(covariance / count)
        values, axes = values.flip(0), axes.flip(1)
    else:
        _, singular, transposed = torch.linalg.svd(inputs[:].flatten(1).double() - mean, full_matrices=False)
        values, axes = singular.square() / count, transposed.T
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    return PrincipalAxes(mean, axes * torch.where(largest < 0, -1.0, 1.0), values.clamp_min(0))


def check_room(count: int, features: int) -> None:
    """Refuse a decomposition that does not fit into memory.

    Raises:
        UserError: says how much it takes.
    """
    smaller = min(count, features)
    needed = 8 * (3 * features * smaller if count >= features else 4 * count * features)
    free = free_memory(torch.device("cpu"))
    if needed > free:
        raise UserError(
            f"the principal components of {count} examples of {features} numbers take {needed / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free; take data/preprocessing=standardize, or smaller images (data.size)"
        )


def check_components(components: int | float | None) -> int | float | None:
    """A number of components, [1, inf), or a share of the variance, (0, 1), or None for all."""
    if isinstance(components, float) and not (math.isfinite(components) and components.is_integer()):
        return check("components", components, "(0, 1)")
    return None if components is None else check("components", int(components), "[1, inf)")


def chosen_axes(inputs: Tensor | Streamed, components: int | float | None) -> PrincipalAxes:
    """The leading axes: so many, or as many as explain that share of the variance.

    Raises:
        UserError: more components than there are.
    """
    found = principal_axes(inputs)
    available = len(found.variances)
    if components is None:
        return found
    if isinstance(components, float):
        share = found.variances.cumsum(0) / found.variances.sum().clamp_min(torch.finfo(torch.float64).tiny)
        return found.leading(min(int((share < components).sum()) + 1, available))
    if components > available:
        raise UserError(
            f"`components` must be at most {available}, the smaller of examples ({len(inputs)}) and features "
            f"({inputs.shape[1:].numel()}), got {components}"
        )
    return found.leading(components)


class PCA(Preprocessing):
    """Projects onto principal components; images become vectors.

    Args:
        components: how many, [1, inf); or the share of the variance they shall explain, (0, 1); None: all.
    """

    def __init__(self, components: int | float | None = 0.95) -> None:
        self.components = check_components(components)

    def fit(self, inputs: Tensor | Streamed) -> Transform:
        """The projection (n, ...) -> (n, components).

        Raises:
            UserError: more components than the inputs have.
        """
        found = chosen_axes(inputs, self.components)
        return Projection(found.mean, found.axes, (found.axes.shape[1],))
