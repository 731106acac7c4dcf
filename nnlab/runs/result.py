"""How a run ended, and the exit code that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnlab.training import Trainer
from nnlab.training.signals import EXIT_CODES

DIVERGED = 3  # exit code of a single run that diverged


@dataclass
class Result:
    """How a run ended.

    Attributes:
        directory: the run directory.
        status: `completed`, `diverged`, `failed` or `interrupted`.
        metrics: `loss` and the task's metrics, at the best weights, by split.
        metric: the one of them that decided which weights are best.
        best_step, steps, seconds: when the weights were best, how long training was.
        diagnosis: findings about it as plain values, as in `result.json`; see `nnlab.diagnosis`.
        signals: signals that interrupted it.
        trainer: the trainer with history and networks, where it ran in this process.
    """

    directory: Path
    status: str
    metrics: dict[str, dict[str, float]]
    metric: str = ""
    best_step: int = 0
    steps: int = 0
    seconds: float = 0.0
    reason: str = ""
    identity: str = ""
    ensemble: dict[str, Any] | None = None
    diagnosis: Sequence[dict[str, Any]] = ()
    signals: Sequence[int] = ()
    trainer: Trainer | None = field(default=None, repr=False)

    @property
    def exit_code(self) -> int:
        """0 done, 3 diverged, 75, 130 or 143 after a signal."""
        if self.signals and self.status == "interrupted":
            return EXIT_CODES[self.signals[0]]  # type: ignore[index]
        return {"completed": 0, "diverged": DIVERGED}.get(self.status, 1)
