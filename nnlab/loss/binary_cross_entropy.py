"""Logistic regression's output layer for two classes: a sigmoid and the negative log-likelihood.

    loss = -c log p - (1 - c) log(1 - p),    p = sigmoid(f),    c in {0, 1},    d loss / d f = p - c

Source: Bishop 2006, "Pattern Recognition and Machine Learning", equation 5.21.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from nnlab.loss.class_weights import ClassWeighted
from nnlab.loss.targets import signs, widen
from nnlab.types import Task


class BinaryCrossEntropy(ClassWeighted):
    """One output f, the logit of class 1."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.BINARY})
    probabilistic: ClassVar[bool] = True

    def output_size(self, target_size: int) -> int:
        """One logit for two classes."""
        return 1

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """-log sigmoid(y f) with y = 2 c - 1, (..., N): the same number, and finite for logits of any size."""
        outputs = widen(outputs)
        return self.weigh(-F.logsigmoid(signs(outputs, targets) * outputs), targets).squeeze(-1)

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """p - c, (..., N, 1)."""
        return self.weigh(torch.sigmoid(widen(outputs)) - targets.unsqueeze(-1), targets).to(outputs.dtype)

    def prediction(self, outputs: Tensor) -> Tensor:
        """Probabilities (1 - p, p) of the two classes, (..., N, 2); 1 - p as sigmoid(-f) keeps its small values."""
        outputs = widen(outputs)
        return torch.sigmoid(torch.cat([-outputs, outputs], -1))

    def outputs_for(self, prediction: Tensor) -> Tensor:
        """log p - log(1 - p)."""
        logs = prediction.clamp_min(torch.finfo(prediction.dtype).tiny).log()
        return logs[..., 1:] - logs[..., :1]

    def loss_at_zero(self, targets: Tensor, target_size: int) -> float:
        """log 2: both classes are equally likely; times the mean weight of the targets."""
        return self.mean_weight(targets) * math.log(2)
