"""Numbers that stop being finite: caught before the update, with the layer and the step named.

On the CPU this is immediate. Elsewhere looking would make the program wait for the device in every step, so members
whose loss or gradient is not finite are frozen on the device, and ended when losses are fetched. Only the policy
`restore`, which has to act at once, looks in every step on every device. A run that went on says how often it had to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nnlab.members import Hyper

if TYPE_CHECKING:
    from nnlab.training.trainer import Trainer


def nonfinite_sentence(trainer: Trainer, row: int, step: int) -> str:
    """Name step 1, 2, ..., and the first layer whose gradient is not finite, of the stack's `row`."""
    loss = float(trainer.losses[row])
    gradients = trainer.stack.layout.views(trainer.stack.gradient)
    layers = [name for name, value in gradients.items() if not bool(torch.isfinite(value[row]).all())]
    where = f"; first non-finite gradient: `{layers[0]}`" if layers else ""
    return f"diverged at step {step}: loss {loss:g}{where}; that update was not made"


def repaired_sentence(trainer: Trainer, member: int) -> str:
    """What was done about non-finite numbers of a member that went on; empty where there were none."""
    count = int(trainer.repairs[member])
    if not count:
        return ""
    steps = f"the loss or gradient of {count} step{'s' if count > 1 else ''} was not finite"
    if trainer.settings.on_nonfinite == "skip":
        return f"{steps}; {'those updates were' if count > 1 else 'that update was'} left out"
    rate = trainer.members[member].optimizer.learning_rate
    return f"{steps}; each time the best weights were restored and the rate was halved, at last to {rate:.3g}"


def rows_to_update(trainer: Trainer, k: int | Tensor) -> Tensor | None:
    """Which rows may take step k = 1, 2, ..., (m, 1) bool; None for all. Under `stop`, others end; `restore` takes them
    back."""
    finite = torch.isfinite(trainer.losses + trainer.stack.gradient.sum(1))
    policy = trainer.settings.on_nonfinite
    if trainer.deferred and policy != "restore":
        return _note(trainer, finite, k).unsqueeze(1)
    if bool(finite.all()):
        return None
    bad = (~finite).nonzero().flatten().tolist()
    if policy == "stop":
        for row in bad:
            trainer.reasons[trainer.active[row]] = nonfinite_sentence(trainer, row, trainer.step + 1)
        trainer.end_rows(bad, "diverged")
        return None
    repair(trainer, bad)
    return finite.unsqueeze(1)


def _note(trainer: Trainer, finite: Tensor, k: int | Tensor) -> Tensor:
    """Note on the device, without looking, which rows are not `finite` (m,); returns those that may be updated."""
    members = trainer.population.rows
    if trainer.settings.on_nonfinite == "skip":
        trainer.repairs.index_add_(0, members, (~finite).long())
        return finite
    failed = trainer.failed_step[members]
    step = (k - 1).long() if isinstance(k, Tensor) else k - 1
    failed = torch.where((failed < 0) & ~finite, step, failed)
    trainer.failed_step.index_copy_(0, members, failed)
    return failed < 0


def repair(trainer: Trainer, rows: Sequence[int]) -> None:
    """Count the step that `rows` do not take; under `restore`, take them back."""
    for row in rows:
        trainer.repairs[trainer.active[row]] += 1
    if trainer.settings.on_nonfinite == "restore":
        restore(trainer, rows)


def restore(trainer: Trainer, rows: Sequence[int]) -> None:
    """Return to the best weights and halve the rate."""
    for row in rows:
        member = trainer.active[row]
        trainer.best.restore(trainer.stack, row, member)
        trainer.members[member].optimizer.learning_rate *= 0.5
    trainer.population.merge()
    trainer.schedule()


def update_rows(trainer: Trainer, rows: Tensor, rate: Hyper, k: int | Tensor) -> None:
    """Take step k with the `rows` (m, 1) bool only; the others keep their weights and their optimizer's state."""
    population, theta = trainer.population, trainer.stack.theta
    trainer.stack.gradient.masked_fill_(~rows, 0.0)
    if len(theta) == 1 and not trainer.deferred:
        return
    before, state = theta.clone(), {}
    if trainer.settings.on_nonfinite != "stop":
        state = {name: value.clone() for name, value in population.state.items()}
    population.update(rate, k)
    torch.where(rows, theta, before, out=theta)
    for name, old in state.items():
        value = population.state[name]
        mask = rows.view(-1, *(1,) * (value.dim() - 1)).to(value.device)
        value.copy_(torch.where(mask, value, old))


def settle(trainer: Trainer) -> None:
    """End the members that were frozen on the device."""
    if not trainer.deferred or not trainer.active:
        return
    failed = trainer.failed_step.tolist()
    rows = [row for row, member in enumerate(trainer.active) if failed[member] >= 0]
    if not rows:
        return
    losses, buffers = trainer.losses.clone(), {name: value.clone() for name, value in trainer.stack.buffers.items()}
    present = trainer.step
    for row in rows:
        # Frozen weights and the batch, a function of its step, give the same gradient once more.
        trainer.step = failed[trainer.active[row]]
        trainer.compute_gradient()
        trainer.reasons[trainer.active[row]] = nonfinite_sentence(trainer, row, trainer.step + 1)
    trainer.step, trainer.losses = present, losses
    for name, value in buffers.items():
        trainer.stack.buffers[name].copy_(value)
    trainer.end_rows(rows, "diverged")
