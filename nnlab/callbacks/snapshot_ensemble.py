"""Snapshot ensemble: one run, one network per cycle of the learning rate; their predictions are averaged.

At the end of every cycle the rate is near zero and the network near a minimum; the restart throws it out towards
another one. Source: Huang et al. 2017, arXiv:1704.00109, section 3.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.training import Callback, Trainer
from nnlab.training.final import ensemble_of
from nnlab.validation import check


class SnapshotEnsemble(Callback):
    """Keeps the weights at the end of every cycle, and evaluates the average over the last of them.

    Args:
        last: snapshots m that are averaged; null takes all. [1, inf)
    """

    essential: ClassVar[bool] = True  # the result is that of the ensemble

    def __init__(self, last: int | None = None) -> None:
        self.last = None if last is None else check("last", last, "[1, inf)")
        self._kept: dict[int, list[dict[str, Any]]] = {}
        self._ends: dict[int, set[int]] = {}

    def check(self, trainer: Trainer) -> None:
        if any(len(run.members) > 1 for run in trainer.runs):
            raise UserError(
                "an ensemble and a snapshot ensemble cannot be combined: leave out `ensemble` or `snapshot_ensemble`"
            )
        for number, member in enumerate(trainer.members):
            find = getattr(member.scheduler, "cycle_ends", None)
            if find is None:
                raise UserError("a snapshot ensemble needs a schedule with cycles: add `scheduler=cyclic`")
            self._ends[number] = {end + 1 for end in find(trainer.total_steps, trainer.steps_per_epoch)}
            cycles = len(self._ends[number])
            if self.last is not None and self.last > cycles:
                raise UserError(
                    f"`regularizer.snapshot_ensemble.last={self.last}` is more than the {cycles} cycles of the run; "
                    "ask for fewer, or raise `scheduler.cycles`"
                )

    def wants(self, step: int) -> bool:
        return any(step + 1 in ends for ends in self._ends.values())

    def step_end(self, trainer: Trainer) -> None:
        for row, member in enumerate(trainer.active):
            if trainer.step in self._ends[member]:
                self._kept.setdefault(member, []).append(
                    {
                        "theta": trainer.stack.theta[row].clone(),
                        "buffers": {name: value[row].clone() for name, value in trainer.stack.buffers.items()},
                    }
                )

    def fit_end(self, trainer: Trainer) -> None:
        if trainer.interrupted:
            return
        for member in range(len(trainer.members)):
            found = self.snapshots(trainer.device, member)
            if found is not None:
                trainer.outcomes[member].ensemble = ensemble_of(trainer, *found, member)

    def snapshots(self, device: torch.device, member: int) -> tuple[Tensor, dict[str, Tensor]] | None:
        """Weights (m, P) and buffers (m, ...) of a member's last m cycles, the newest first; None if none ended."""
        if not self._kept.get(member):
            return None
        latest = self._kept[member][::-1][: self.last]  # the report averages the first 1, 2, ..., m
        theta = torch.stack([snapshot["theta"].to(device) for snapshot in latest])
        buffers = {
            name: torch.stack([snapshot["buffers"][name].to(device) for snapshot in latest])
            for name in latest[0]["buffers"]
        }
        return theta, buffers

    def state(self, member: int) -> dict[str, Any]:
        return {"kept": self._kept.get(member, [])}

    def load_state(self, member: int, state: dict[str, Any]) -> None:
        self._kept[member] = list(state["kept"])
