"""How a run ended, and the exit code that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnlab import notebook
from nnlab.interruption import EXIT_CODES
from nnlab.metric_names import SHOWN, title
from nnlab.runs.curves import train_validation
from nnlab.storage.folder import HISTORY, PROBE_PENDING
from nnlab.storage.saved_run import read_run
from nnlab.training import Trainer

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
        references: what simple methods reach, metrics by split for each by its name; see `nnlab.runs.references`.
        diagnosis: findings about it as plain values, as in `result.json`; see `nnlab.diagnosis`.
        probe_pending: whether experiments that look for the cause of a bad end have yet to be made or to end.
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
    references: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    diagnosis: Sequence[dict[str, Any]] = ()
    probe_pending: bool = False
    signals: Sequence[int] = ()
    trainer: Trainer | None = field(default=None, repr=False)

    def content(self) -> dict[str, Any]:
        """The result as plain values, as the run's folder keeps it."""
        names = ("status", "metrics", "metric", "best_step", "steps", "seconds", "reason", "identity")
        content = {name: getattr(self, name) for name in names} | {"diagnosis": list(self.diagnosis)}
        optional = {"ensemble": self.ensemble, "references": self.references, PROBE_PENDING: self.probe_pending}
        return content | {name: value for name, value in optional.items() if value}

    def __str__(self) -> str:
        """The status, the metrics of the test split, and the folder, in a line."""
        shown = self.metrics.get("test") or {}
        values = "".join(f", test {title(name)} {value:.4g}" for name, value in shown.items() if name in SHOWN)
        return f"{self.status} after {self.steps} steps{values} ({self.directory})"

    def _repr_html_(self) -> str:
        """In a notebook: the metrics of all splits as a table, the status, what is wrong, the folder and the curves."""
        names = [name for name in self.metrics.get("test") or {} if name in SHOWN]
        rows = [(split, *(f"{values[name]:.4g}" for name in names)) for split, values in self.metrics.items()]
        for name, by_split in self.references.items():
            known = by_split["test"]
            rows.append((f"test, {name}", *(f"{known[each]:.4g}" if each in known else "" for each in names)))
        reason = f": {self.reason}" if self.reason else ""
        caption = (
            f"{self.status} in {self.seconds:.1f} s, best weights at step {self.best_step} of {self.steps}{reason}"
        )
        findings = [f"{each['where']}: {each['explanation']}" for each in self.diagnosis if each["severity"] == "fault"]
        words = notebook.lines(caption, *findings, str(self.directory))
        return notebook.table(("", *map(title, names)), rows) + words + self._curves()

    def _curves(self) -> str:
        """Training against validation as a picture; nothing where the folder has no history."""
        from nnlab.report.style import to_png

        if not (self.directory / HISTORY).exists():
            return ""
        figure = train_validation(read_run(self.directory))
        return "" if figure is None else notebook.picture(to_png(figure), "training against validation")

    @property
    def exit_code(self) -> int:
        """0 done, 3 diverged, 75, 130 or 143 after a signal."""
        if self.signals and self.status == "interrupted":
            return EXIT_CODES[self.signals[0]]
        return {"completed": 0, "diverged": DIVERGED}.get(self.status, 1)
