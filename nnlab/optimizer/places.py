"""Where the parameters of a network lie in its row of theta, for rules that look at the shapes of layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from nnlab.optimizer.base import Place


@dataclass(frozen=True)
class Whole:
    """A whole row as one vector, for theta without layers."""

    shape: tuple[int, ...]
    name: str = "theta"
    start: int = 0


def whole(theta: Tensor) -> Place:
    """The place of a vector theta (P,) as a whole."""
    return Whole(tuple(theta.shape))


def hidden_matrices(places: Sequence[Place]) -> list[Place]:
    """Weights of two axes or more, without the last, which is the output layer's; a network of one layer has none."""
    weights = [place for place in places if len(place.shape) >= 2]
    return weights[:-1]


def gaps(places: Sequence[Place], size: int) -> list[slice]:
    """What of a row of `size` numbers lies outside of some places, in order."""
    ends = [0, *(place.start + math.prod(place.shape) for place in places)]
    starts = [*(place.start for place in places), size]
    return [slice(end, start) for end, start in zip(ends, starts, strict=True) if start > end]
