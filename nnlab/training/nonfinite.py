"""Saying where numbers stopped being finite: which layer, at which step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from nnlab.training.trainer import Trainer


def nonfinite_sentence(trainer: Trainer, row: int) -> str:
    """Name the step, and the first layer whose gradient is not finite, of the stack's `row`."""
    loss = float(trainer.losses[row]) if row < len(trainer.losses) else float("nan")
    gradients = trainer.stack.layout.views(trainer.stack.gradient)
    layers = [name for name, value in gradients.items() if not bool(torch.isfinite(value[row]).all())]
    where = f"; first non-finite gradient: `{layers[0]}`" if layers else ""
    return f"diverged at step {trainer.step + 1}: loss {loss:g}{where}; the weights before that step were kept"
