"""Early stopping: end a member's training when its validation stops improving (Prechelt 1998, "Early stopping")."""

from __future__ import annotations

from typing import Any, ClassVar

from nnlab.console import counted
from nnlab.training import Callback, Trainer
from nnlab.training.best import better
from nnlab.validation import check, check_choice


class EarlyStopping(Callback):
    """Ends a member after `patience` validations without a better one; its best weights are the result.

    This callback changes the state of training: members leave the population.

    Args:
        patience: validations to wait. [1, inf)
        monitor: `loss`, or `metric` (the task's first: accuracy or rmse).
        minimum_change: improvements up to this size do not count. [0, inf)
    """

    changes_state: ClassVar[bool] = True

    def __init__(self, patience: int = 10, monitor: str = "loss", minimum_change: float = 0.0) -> None:
        self.patience = check("patience", patience, "[1, inf)")
        self.monitor = check_choice("monitor", monitor, ("loss", "metric"))
        self.minimum_change = check("minimum_change", minimum_change, "[0, inf)")
        self._best: dict[int, float] = {}
        self._waited: dict[int, int] = {}

    def evaluated(self, trainer: Trainer) -> None:
        name = "loss" if self.monitor == "loss" else trainer.primary_metric
        ending = []
        for member in trainer.active:
            value = trainer.history.latest(f"{name}/validation", member)
            if value is None:
                continue
            if member not in self._best or better(name, value, self._best[member], self.minimum_change):
                self._best[member], self._waited[member] = value, 0
            else:
                self._waited[member] += 1
                if self._waited[member] >= self.patience:
                    ending.append(member)
        if ending:
            reason = f"early stopping: no better validation {name} in {counted(self.patience, 'validation')}"
            trainer.end(ending, "completed", reason)

    def state(self, member: int) -> dict[str, Any]:
        return {"best": self._best.get(member), "waited": self._waited.get(member, 0)}

    def load_state(self, member: int, state: dict[str, Any]) -> None:
        if state["best"] is not None:
            self._best[member], self._waited[member] = state["best"], state["waited"]
