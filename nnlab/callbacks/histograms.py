"""Histograms of weights, gradients and activations of every layer: in the first step, at the ends of epochs 1, 2, 4, 8,
..., and in the last step.

All three belong to the same pass: the weights before an update, the activations of its minibatch, and the gradient
that follows from them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nnlab.callbacks.schedule import doubling
from nnlab.callbacks.tensorboard import EventFile
from nnlab.training import Callback, Trainer
from nnlab.validation import check

SAFE = 1e-30, 1e30  # ranges of values that neither vanish nor overflow in float32


class Histograms(Callback):
    """Writes the histograms, for an ensemble those of its first member.

    Args:
        bins: number of bins. [2, inf)
        most: runs of a population whose histograms are written, the first ones. [1, inf)
    """

    def __init__(self, bins: int = 40, most: int = 4) -> None:
        self.most = check("most", most, "[1, inf)")
        self.bins = check("bins", bins, "[2, inf)")

    def fit_start(self, trainer: Trainer) -> None:
        self._last, self._every = trainer.total_steps - 1, trainer.steps_per_epoch

    def wants(self, step: int) -> bool:
        epoch, rest = divmod(step + 1, self._every)
        return step in (0, self._last) or (rest == 0 and doubling(epoch))

    def after_backward(self, trainer: Trainer) -> None:
        stack = trainer.stack
        values = {f"weights/{name}": value for name, value in stack.layout.weights(stack.theta).items()}
        values |= {f"gradients/{name}": value for name, value in stack.layout.weights(stack.gradient).items()}
        values |= {f"activations/{name}": value for name, value in trainer.activations.items()}
        for run in trainer.runs[: self.most]:
            if run.members[0] in trainer.active:
                row = trainer.active.index(run.members[0])
                tables = {tag: table(value[row], self.bins) for tag, value in values.items()}
                EventFile(run).histograms(trainer.step, tables)


def table(values: Tensor, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges (bins + 1,) and counts (bins,) of values of any shape; what is not finite is left out."""
    flat = values.detach().flatten()
    low, high = (bound.item() for bound in flat.aminmax()) if len(flat) else (0.0, 0.0)
    if not np.isfinite(high - low):
        flat = flat[torch.isfinite(flat)]
        low, high = (bound.item() for bound in flat.aminmax()) if len(flat) else (0.0, 0.0)
    if high - low <= 1e-6 * max(abs(low), abs(high)):  # one value, but for rounding: a bin around it
        margin = max(1e-6 * abs(low), 1e-12)
        return np.linspace(low - margin, high + margin, 2), np.array([float(len(flat))])
    flat = flat if flat.is_floating_point() and flat.dtype != torch.bfloat16 else flat.float()
    return np.linspace(low, high, bins + 1), _counts(flat, bins, low, high)


def _counts(flat: Tensor, bins: int, low: float, high: float) -> np.ndarray:
    """As torch.histc counts, which takes five times as long on a CPU."""
    if flat.device.type != "cpu" or not SAFE[0] < high - low < SAFE[1]:
        return torch.histc(flat, bins, low, high).cpu().double().numpy()
    position = ((flat - low) * (bins / (high - low))).to(torch.int32)
    counts = np.bincount(position.numpy(), minlength=bins + 1)
    counts[bins - 1] += counts[bins]  # the last bin includes its end
    return counts[:bins].astype(float)
