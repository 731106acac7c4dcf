"""The curves that every run has, as figures: training against validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnlab.storage.saved_run import SavedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NATS = ("SoftmaxCrossEntropy", "BinaryCrossEntropy", "GaussianNLL")


def train_validation(run: SavedRun) -> Figure | None:
    """Training against validation, with the metric that is shown; None where nothing was validated."""
    from nnlab.report import figures

    if "loss" not in run.metrics or not len(run.metrics["loss"].steps):
        return None
    metric = next((name for name in ("accuracy", "rmse") if name in run.metrics), None)
    validation, second = run.metrics["loss"], run.metrics.get(metric or "")
    return figures.train_validation(
        (run.steps, run.losses),
        (validation.steps, validation.values),
        metric=(second.steps, second.values) if second else None,
        metric_name=metric or "",
        best_step=(run.result or {}).get("best_step"),
        ylabel=loss_label(run),
        steps_per_epoch=run.steps_per_epoch,
    )


def loss_label(run: SavedRun) -> str:
    """What the axis of a loss says, with its unit."""
    kind = str(run.config.get("loss", {}).get("_target_", "")).rpartition(".")[2]
    return "loss (nats)" if kind in NATS else f"loss ({kind or 'mean over examples'})"
