"""Where the parameters of a network lie in its row of theta, for rules that look at the shapes of layers."""

from __future__ import annotations

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
