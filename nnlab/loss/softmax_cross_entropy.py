"""Softmax output layer with the negative log-likelihood of the class.

    loss = -sum_c q_c log p_c,    p = softmax(f),    q = (1 - s) onehot(t) + s / C,    d loss / d f = p - q

Source: Bishop 2006, equations 5.24 and 5.25; label smoothing s: Szegedy et al. 2016, arXiv 1512.00567, section 7.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from nnlab.loss.class_weights import ClassWeighted, Weights, table
from nnlab.loss.targets import class_index, widen
from nnlab.members import Hyper
from nnlab.types import Task
from nnlab.validation import check


class SoftmaxCrossEntropy(ClassWeighted):
    """Class probabilities from a softmax, fitted by maximum likelihood.

    Args:
        label_smoothing: s in [0, 1), the probability that the target distribution spreads evenly over all classes.
        class_weights: one weight >= 0 for each class, `balanced`, or None; see `nnlab.loss.class_weights`. On a
            class-balanced set the mean loss is that of torch's `cross_entropy(weight=...)`, which divides by the
            weights that happen to be in each batch; here every example's loss stands alone. With smoothing, too, only
            the example's own class decides the weight.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.BINARY, Task.MULTICLASS})
    probabilistic: ClassVar[bool] = True
    per_member: ClassVar[tuple[str, ...]] = ("label_smoothing",)

    def __init__(self, label_smoothing: float = 0.0, class_weights: Weights = None) -> None:
        super().__init__(class_weights)
        self.label_smoothing: Hyper = check("label_smoothing", label_smoothing, "[0, 1)")

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """-sum_c q_c log p_c, (..., N)."""
        return self._losses(_log_softmax(widen(outputs)), class_index(outputs, targets))

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """p - q, (..., N, C)."""
        return self.losses_and_gradient(outputs, targets)[1]

    def losses_and_gradient(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Both from the same log-probabilities, which become the gradient in place."""
        index = class_index(outputs, targets)
        log_p = _log_softmax(widen(outputs.detach()))
        losses = self._losses(log_p, index)
        return losses, self._gradient(log_p.exp_(), index).to(outputs.dtype)

    def _losses(self, log_p: Tensor, index: Tensor) -> Tensor:
        losses = -log_p.gather(-1, index).squeeze(-1)
        smoothing = self.label_smoothing
        if isinstance(smoothing, Tensor):
            smoothing = smoothing.to(log_p.dtype)
        if isinstance(smoothing, Tensor) or smoothing > 0:
            losses = losses - smoothing * (losses + log_p.mean(-1))
        return self.weigh(losses.unsqueeze(-1), index.squeeze(-1)).squeeze(-1)

    def _gradient(self, p: Tensor, index: Tensor) -> Tensor:
        """p - q in place on the probabilities."""
        smoothing = self.label_smoothing
        if isinstance(smoothing, Tensor):
            smoothing = smoothing.unsqueeze(-1).to(p.dtype)
            own = (smoothing - 1).expand(index.shape)
        else:
            own = torch.full(index.shape, smoothing - 1, dtype=p.dtype, device=p.device)
        if isinstance(smoothing, Tensor) or smoothing > 0:
            p -= smoothing / p.shape[-1]
        p.scatter_add_(-1, index, own)
        if self.class_weights is not None:
            p *= table(self.class_weights, p.device, p.dtype)[index]
        return p

    def prediction(self, outputs: Tensor) -> Tensor:
        """Probabilities of the classes, (..., N, C)."""
        return _log_softmax(widen(outputs)).exp()

    def outputs_for(self, prediction: Tensor) -> Tensor:
        """log p."""
        return prediction.clamp_min(torch.finfo(prediction.dtype).tiny).log()

    def loss_at_zero(self, targets: Tensor, target_size: int) -> float:
        """log C, whatever the smoothing, times the mean weight of the targets."""
        return self.mean_weight(targets) * math.log(target_size)

    def floor(self, targets: Tensor, target_size: int) -> float:
        """The entropy of the smoothed target distribution q (0 without smoothing), times the mean weight."""
        smoothing = float(self.label_smoothing)
        if smoothing == 0:
            return 0.0
        own, other = 1 - smoothing + smoothing / target_size, smoothing / target_size
        entropy = -own * math.log(own) - (target_size - 1) * other * math.log(other)
        return self.mean_weight(targets) * entropy


def _log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities (..., N, C), a fresh tensor, in the logits' order of memory.

    On a CPU, torch works through a short last axis one example at a time, but along any other axis with vector
    instructions; (64, 32, 10) costs 20 us instead of 310 us. From about 64 classes on, and on a GPU, it is not worth
    the transposition, unless the logits (..., C, N) in memory need none.
    """
    if logits.mT.is_contiguous() and not logits.is_contiguous():
        return logits.mT.log_softmax(-2).mT
    if logits.is_cuda or logits.shape[-1] >= 64:
        return logits.log_softmax(-1)
    return logits.mT.log_softmax(-2).mT.contiguous()
