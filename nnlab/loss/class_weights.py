"""Weights of classes: the loss of an example is multiplied by its class's weight, so that rare classes have a say.

With n_c of n training examples in class c, one of C classes, `balanced` weights are

    w_c = n / (C n_c),

which average 1 over the training examples and give every class the same part in the loss (King and Zeng 2001,
"Logistic regression in rare events data"; scikit-learn's `class_weight="balanced"`).
"""

from __future__ import annotations

import functools
from typing import Literal

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.loss.targets import class_index
from nnlab.validation import check

Weights = list[float] | Literal["balanced"] | None


class ClassWeighted(Loss):
    """A loss whose examples may be weighted by their class.

    Args:
        class_weights: one weight >= 0 for each class, scaled so that the C weights average 1; `balanced` for the
            inverse frequencies of the classes in the training split; None for none.

    Attributes:
        class_weights: the weights, or None; those of `balanced` are known after `fit`.
        balanced: whether they follow from the training targets.
    """

    def __init__(self, class_weights: Weights = None) -> None:
        self.balanced = class_weights == "balanced"
        self.class_weights: tuple[float, ...] | None = None
        if class_weights is not None and not isinstance(class_weights, str):
            self.class_weights = _scaled(class_weights)

    def fit(self, targets: Tensor, target_size: int) -> None:
        """Take `balanced` weights from training targets (n,), and check that weights fit the number of classes.

        Raises:
            UserError: there are weights, but not as many as classes, or a class to balance has no example.
        """
        if self.balanced:
            self.class_weights = balanced_weights(targets, target_size)
        elif self.class_weights is not None and len(self.class_weights) != target_size:
            raise UserError(
                f"`loss.class_weights` needs one weight for each of the {target_size} classes, got "
                f"{len(self.class_weights)}"
            )

    def weigh(self, values: Tensor, targets: Tensor) -> Tensor:
        """`values` (..., N, O), such as gradients, times the weight of each example's class.

        Raises:
            RuntimeError: the weights are balanced, but `fit` was not called.
        """
        if self.class_weights is None:
            if self.balanced:
                raise RuntimeError("balanced weights follow from the training targets: call `fit` first")
            return values
        return values * table(self.class_weights, values.device, values.dtype)[class_index(values, targets)]

    def mean_weight(self, targets: Tensor) -> float:
        """The mean weight of targets (N,)."""
        if self.class_weights is None:
            return 1.0
        return float(table(self.class_weights, targets.device, torch.float64)[targets].mean())


def balanced_weights(targets: Tensor, target_size: int) -> tuple[float, ...]:
    """n / (C n_c) for each of C = `target_size` classes, from training targets (n,).

    >>> balanced_weights(torch.tensor([0, 0, 0, 1]), 2)
    (0.6666666666666666, 2.0)

    Raises:
        UserError: a class has no example.
    """
    counts = torch.bincount(targets.flatten(), minlength=target_size).tolist()
    if 0 in counts:
        raise UserError(
            f"`loss.class_weights=balanced` needs examples of every class for training, but class {counts.index(0)} "
            "(counted from 0) has none; give the weights as a list"
        )
    return tuple(targets.numel() / (target_size * count) for count in counts)


def _scaled(weights: list[float]) -> tuple[float, ...]:
    """The checked weights, scaled to an average of 1."""
    for position, weight in enumerate(weights):
        check(f"class_weights[{position}]", weight, "[0, inf)")
    if sum(weights) == 0:
        raise UserError("`class_weights` must hold at least one weight above 0")
    return tuple(weight * len(weights) / sum(weights) for weight in weights)


@functools.lru_cache(maxsize=16)
def table(weights: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """The weights as a tensor (C,); made outside of inference mode, because it is kept for training, too."""
    with torch.inference_mode(False):
        return torch.tensor(weights, device=device, dtype=dtype)
