"""The loss of a network with k heads: the mean of the heads' losses; what it predicts is the heads' mean prediction.

    loss(f) = 1/k sum_h loss(f_h),    prediction(f) = combine over h of prediction(f_h)

so that every head learns by itself, and together they are an ensemble. Outputs are the heads' side by side, (N, k O).

Source: Gorishniy et al. 2024, "TabM: advancing tabular deep learning with parameter-efficient ensembling",
arXiv:2410.24210, section 3.2.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.metric_names import THOROUGH
from nnlab.types import Task
from nnlab.units import Units


class Heads(Loss):
    """Another loss, of each of k heads.

    Args:
        base: the loss of one head, whose `tasks` and metrics are those of all.
        heads: k, [1, inf).
    """

    def __init__(self, base: Loss, heads: int) -> None:
        self.base, self.heads = base, heads
        self.tasks = base.tasks  # type: ignore[misc]
        self.probabilistic = base.probabilistic  # type: ignore[misc]

    def output_size(self, target_size: int) -> int:
        """k times that of one head."""
        return self.heads * self.base.output_size(target_size)

    def fit(self, targets: Tensor, target_size: int) -> None:
        self.base.fit(targets, target_size)

    def head(self, features: int, target_size: int) -> nn.Module:
        """An output layer for each head.

        Raises:
            UserError: the output layer of one head is no plain linear layer.
        """
        layer = self.base.head(features, target_size)
        if type(layer) is not nn.Linear:
            raise UserError(
                "`regularizer=[batch_ensemble]` takes losses with a linear output layer only: leave out "
                "`loss.clamp=true` and `loss.variance=covariance`"
            )
        return HeadsLinear(layer.in_features, layer.out_features, self.heads)

    def split(self, outputs: Tensor) -> Tensor:
        """The heads' own outputs (k, ..., N, O) of outputs (..., N, k O)."""
        parts: Tensor = outputs.unflatten(-1, (self.heads, -1))
        return parts.movedim(-2, 0)

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.base.losses(self.split(outputs), targets).mean(0)

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.losses_and_gradient(outputs, targets)[1]

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = self.base.losses_and_gradient(self.split(outputs), targets)
        return losses.mean(0), (gradient / self.heads).movedim(0, -2).flatten(-2)

    def prediction(self, outputs: Tensor) -> Tensor:
        return self.base.combine(self.base.prediction(self.split(outputs)))

    def combine(self, predictions: Tensor) -> Tensor:
        return self.base.combine(predictions)

    def loss_of(self, prediction: Tensor, targets: Tensor) -> Tensor | None:
        return self.base.loss_of(prediction, targets)

    def metrics(
        self,
        prediction: Tensor,
        targets: Tensor,
        scale: Tensor | None = None,
        thorough: Collection[str] = THOROUGH,
    ) -> dict[str, Tensor]:
        return self.base.metrics(prediction, targets, scale, thorough)

    def loss_at_zero(self, targets: Tensor, target_size: int) -> float:
        return self.base.loss_at_zero(targets, target_size)

    def floor(self, targets: Tensor, target_size: int) -> float | None:
        return self.base.floor(targets, target_size)

    def primary_metric(self, task: Task) -> str:
        return self.base.primary_metric(task)

    def check_fits(self, task: Task, units: Units | None = None) -> None:
        self.base.check_fits(task, units)


class HeadsLinear(nn.Linear):
    """k output layers, each for the features of its own head: (N, k, in) -> (N, k O).

    Features (N, in), which all heads share, are taken too.

    Args:
        in_features: of each head.
        outputs: O, of each head.
        heads: k.
    """

    def __init__(self, in_features: int, outputs: int, heads: int) -> None:
        super().__init__(in_features, heads * outputs)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2:
            return F.linear(x, self.weight, self.bias)
        weight = self.weight.unflatten(0, (self.heads, -1))  # (k, O, in)
        product = torch.matmul(x.transpose(0, 1), weight.mT)  # (k, N, O)
        y: Tensor = product.transpose(0, 1).flatten(1) + self.bias
        return y
