"""Activation, gradient and update statistics of every layer, on a schedule.

Hooks on every step would cost a quarter of the training time; on the schedule they cost next to nothing. After steps
1, 2, 4, 8, ... up to `every`, and then every `every` steps, the minibatch passes once more through the network, and of
every activation layer are recorded: mean, standard deviation, saturated fraction, dead fraction; of every
parameter the L2 norm of its gradient, and of every weight the norm of its update and the ratio of the update to the
weight (healthy near 1e-3).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from nnlab.activation.layers import activation_layers
from nnlab.statistics import activations, gradients, updates
from nnlab.training import Callback, Trainer
from nnlab.training.layout import Slot
from nnlab.validation import check


def scheduled(step: int, every: int) -> bool:
    """Whether `step` = 1, 2, ... is one at which statistics are taken."""
    return step % every == 0 if step >= every else step & (step - 1) == 0


class Statistics(Callback):
    """Records the statistics.

    Args:
        every: steps between two measurements, after the denser start. [1, inf)
        tolerance: distance from the saturation value, in units of the activation's range, that counts as saturated.
    """

    def __init__(self, every: int = 200, tolerance: float = 0.05) -> None:
        self.every = check("every", every, "[1, inf)")
        self.tolerance = check("tolerance", tolerance, "(0, 1)")

    def fit_start(self, trainer: Trainer) -> None:
        self.layers = {name: layer.saturation for name, layer in activation_layers(trainer.stack.network).items()}
        self._before: Tensor | None = None

    def wants(self, step: int) -> bool:
        return scheduled(step + 1, self.every)

    def after_backward(self, trainer: Trainer) -> None:
        stack = trainer.stack
        norms = self._norms(stack.gradient, stack.layout.slots)
        names = [f"gradient_norm/{slot.name}" for slot in stack.layout.slots]
        self._measured = [(names, norms), (["gradient_norm/all"], gradients.norm(norms.T).unsqueeze(0))]
        self._measured += self._activations(trainer)
        self._before = stack.theta.clone()
        self._members = list(trainer.active)

    def step_end(self, trainer: Trainer) -> None:
        if self._before is None:
            return
        if self._members == trainer.active:
            stack = trainer.stack
            weights = [slot for slot in stack.layout.slots if slot.is_weight]
            if weights:
                size = self._norms(self._before, weights)
                moved = self._norms(self._before.sub_(stack.theta), weights)
                for kind, values in (("update_norm", moved), ("update_ratio", updates.ratio(moved, size))):
                    self._measured.append(([f"{kind}/{slot.name}" for slot in weights], values))
            names = [name for part, _ in self._measured for name in part]
            # One transfer from the device for all.
            table = torch.cat([values.to(stack.theta.dtype) for _, values in self._measured]).T.tolist()
            for member, row in zip(trainer.active, table, strict=True):
                trainer.history.record(trainer.step, member, dict(zip(names, row, strict=True)))
        self._before = None

    @staticmethod
    def _norms(rows: Tensor, slots: Sequence[Slot]) -> Tensor:
        """Norms (slots, M) of each slot's part of rows (M, P)."""
        dtype = torch.promote_types(rows.dtype, torch.float32)
        parts = [rows[:, slot.start : slot.start + slot.size] for slot in slots]
        return torch.stack([torch.linalg.vector_norm(part, dim=1, dtype=dtype) for part in parts])

    def _activations(self, trainer: Trainer) -> list[tuple[list[str], Tensor]]:
        """Names and values (names, M) on the present minibatch; neighbours of one kind and size at once."""
        captured, measured = trainer.activations, []
        for (limits, _), alike in groupby(self.layers, lambda name: (self.layers[name], captured[name].shape)):
            names = list(alike)
            y = captured[names[0]] if len(names) == 1 else torch.cat([captured[name] for name in names])
            values = dict(zip(("mean", "std"), activations.mean_and_std(y), strict=True))
            values["dead"] = activations.dead_fraction(y)
            if limits != (None, None):
                values["saturated"] = activations.saturated_fraction(y, *limits, self.tolerance)
            for kind, row in values.items():
                measured.append(([f"activation_{kind}/{name}" for name in names], row.view(len(names), -1)))
        return measured
