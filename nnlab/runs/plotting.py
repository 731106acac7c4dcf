"""The figures of runs: of one with its statistics, of several overlaid, and their trajectories on the loss surface."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlab.config.comparison import labels
from nnlab.errors import UserError, did_you_mean
from nnlab.runs.curves import loss_label, train_validation
from nnlab.runs.own_data import ChangedData
from nnlab.storage.directories import find_runs
from nnlab.storage.files import WriteError, at
from nnlab.storage.folder import FIGURES
from nnlab.storage.saved_run import SavedRun, read_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nnlab.training.stack import Stack

log = logging.getLogger(__name__)

EXAMPLES = 512  # whose activations are shown
Figures = Mapping[str, Callable[[], "Figure | None"]]


def plot(
    given: Sequence[str | Path],
    out: str | Path | None = None,
    only: Sequence[str] | None = None,
    surface: str | None = None,
) -> list[Path]:
    """Draw the figures of one run, or those of several; returns the files, PNG and SVG.

    Args:
        given: folders of runs, or of studies for all of their runs.
        out: folder for the figures; None: `figures` in the run or study, or here for several of them.
        only: their names; None: all.
        surface: `principal` or `random`, for trajectories on the loss surface too.

    Raises:
        UserError: there is no run, no such figure, or none could be drawn or written.
    """
    from nnlab.report.style import save

    folders = find_runs(given)
    place = Path(out) if out is not None else _default_folder(given, folders)
    runs = [read_run(folder) for folder in folders]
    figures = dict(single(runs[0]) if len(runs) == 1 else several(runs))
    if surface or "loss_surface" in (only or ()):
        figures["loss_surface"] = lambda: surface_figure(runs, surface or "principal")
    for name in only or ():
        if name not in figures:
            raise UserError(f"there is no figure `{name}` of this; {did_you_mean(name, figures)}")
    paths = []
    for name, draw in figures.items():
        figure = _drawn(name, draw, bool(only)) if only is None or name in only else None
        if figure is not None:
            try:
                paths += save(figure, place / name)
            except WriteError as error:
                raise UserError(f"{error.fact}; choose another folder with `out=DIR`") from error
    if not paths:
        raise UserError("there is nothing to draw yet: the run has not recorded anything")
    return paths


def _drawn(name: str, draw: Callable[[], Figure | None], asked: bool) -> Figure | None:
    """A figure; None, with a warning, where it needs data that have changed and was not asked for by its name."""
    try:
        return draw()
    except ChangedData as error:
        if asked:
            raise
        log.warning(f"no figure `{name}`: {error}")
        return None


def single(run: SavedRun) -> Figures:
    """The figures of one run by name; a value draws it, or gives None where the run has nothing to show."""
    from nnlab.report import figures

    loss, per_epoch = loss_label(run), run.steps_per_epoch
    common: dict[str, Any] = {"steps_per_epoch": per_epoch}

    whose = " of the first member" if run.curves.member_losses.shape[1] > 1 else ""

    def curves(kind: str) -> dict[str, Any]:
        found = run.layers(kind)
        if whose:
            found = {name.removesuffix("/0"): s for name, s in found.items() if name.endswith("/0")}
        return {name: (s.steps, s.values) for name, s in found.items() if name != "all"}

    def over_layers(kind: str, ylabel: str, title: str, **more: Any) -> Figure | None:
        found = curves(kind)
        return figures.layer_statistics(found, ylabel=ylabel, title=title + whose, **more, **common) if found else None

    def update_ratio() -> Figure | None:
        more: dict[str, Any] = {"logarithmic": True, "guide": (1e-3, "healthy: near 0.001")}
        return over_layers("update_ratio", "norm of an update / of the weight", "Update-to-weight ratio", **more)

    def gradient_flow() -> Figure | None:
        weights = {name: curve for name, curve in curves("gradient_norm").items() if "bias" not in name}
        return figures.gradient_flow(weights, title="Gradient flow" + whose, **common) if weights else None

    def loss_curve() -> Figure | None:
        return figures.loss_curve(run.steps, run.losses, ylabel=loss, **common) if len(run.steps) else None

    return {
        "loss": loss_curve,
        "train_validation": lambda: train_validation(run),
        "learning_rate": lambda: figures.learning_rate({run.name: (run.steps, run.curves.rates)}, **common),
        "gradient_flow": gradient_flow,
        "update_ratio": update_ratio,
        "activation_std": lambda: over_layers("activation_std", "standard deviation", "Spread of the activations"),
        "dead_units": lambda: over_layers("activation_dead", "dead units (fraction)", "Dead units"),
        "saturated": lambda: over_layers("activation_saturated", "saturated outputs (fraction)", "Saturation"),
        "activations": lambda: activation_figure(run),
        "calibration": lambda: calibration_figure(run),
        "confusion_matrix": lambda: confusion_figure(run),
    }


def several(runs: Sequence[SavedRun]) -> Figures:
    """The figures of several runs by name; runs that differ in their seed only are averaged."""
    from nnlab.report import figures

    groups: dict[str, list[SavedRun]] = {}
    for label, run in zip(labels([run.config for run in runs], ignore=("seed", "data_seed")), runs, strict=True):
        groups.setdefault(label, []).append(run)

    def overlaid(name: str) -> Figure | None:
        curves = {
            label: [(run.metrics[name].steps, run.metrics[name].values) for run in group if name in run.metrics]
            for label, group in groups.items()
        }
        curves = {label: found for label, found in curves.items() if found}
        ylabel = f"validation {loss_label(runs[0]) if name == 'loss' else name}"
        title = f"Validation {name}"
        return figures.overlay(curves, ylabel=ylabel, title=title, from_zero=name == "loss") if curves else None

    def training() -> Figure:
        curves = {label: [(run.steps, figures.smooth(run.losses)) for run in group] for label, group in groups.items()}
        title = "Training loss (moving average)"
        return figures.overlay(curves, ylabel=f"training {loss_label(runs[0])}", title=title)

    metric = next((name for name in ("accuracy", "rmse") if name in runs[0].metrics), "accuracy")
    return {
        "loss": training,
        "validation_loss": lambda: overlaid("loss"),
        f"validation_{metric}": lambda: overlaid(metric),
        "learning_rate": lambda: figures.learning_rate({k: (g[0].steps, g[0].curves.rates) for k, g in groups.items()}),
    }


def activation_figure(run: SavedRun) -> Figure | None:
    """Outputs of every activation layer on validation examples, before training and at the best weights."""
    from nnlab.activation.layers import activation_layers
    from nnlab.report import figures
    from nnlab.runs.loading import load_run

    trainer = load_run(run.directory)
    inputs = trainer.members[0].dataset.validation.inputs[:EXAMPLES]
    names = list(activation_layers(trainer.stack.network))
    if not names:
        return None

    def outputs(stack: Stack) -> dict[str, np.ndarray]:
        captured = stack.capture(inputs.expand(len(stack), *inputs.shape), names)
        return {name: captured[name][0].cpu().numpy() for name in names}

    before = outputs(trainer.stack)  # a trainer that has only been built
    with trainer.at_best() as stack:
        title = f"Activations layer by layer, on {len(inputs)} validation examples"
        return figures.activation_histograms(outputs(stack), before=before, title=title)


def calibration_figure(run: SavedRun) -> Figure | None:
    """The reliability diagram on the test split, for losses that give probabilities."""
    from nnlab.report import figures
    from nnlab.runs.calibration import uncalibrated
    from nnlab.runs.evaluation import evaluate
    from nnlab.statistics.calibration import reliability

    found, before = evaluate(run.directory, "test"), uncalibrated(run.directory, "test")
    if "ece" not in found.metrics:
        return None
    table = reliability(found.prediction, found.targets, bins=10)
    title = f"Calibration on {len(found.targets)} test examples"
    rows = table.confidence.numpy(), table.accuracy.numpy(), table.count.numpy()
    earlier: dict[str, Any] = {}
    if before is not None:
        first = reliability(before.prediction, before.targets, bins=10)
        earlier = {"before": (first.confidence.numpy(), first.accuracy.numpy()), "error_before": before.metrics["ece"]}
    return figures.calibration(*rows, error=found.metrics["ece"], title=title, **earlier)


def confusion_figure(run: SavedRun) -> Figure | None:
    """The confusion matrix on the test split."""
    from nnlab.report import figures
    from nnlab.runs.evaluation import evaluate

    found = evaluate(run.directory, "test")
    if found.targets.is_floating_point():
        return None
    return figures.confusion_matrix(found.confusion().numpy(), found.names, title="Confusion matrix on the test split")


def surface_figure(runs: Sequence[SavedRun], plane: Any) -> Figure:
    """Trajectories of the runs on the loss surface of the first."""
    from nnlab.report import figures
    from nnlab.runs.surface import loss_surface

    configs = [run.config for run in runs]
    found = loss_surface(configs, plane)
    names = labels(configs, ignore=()) if len(runs) > 1 else ["training, from the circle to the star"]
    shown = [figures.shortened(name, 60) or f"run {number}" for number, name in enumerate(names, start=1)]
    paths = {name: path.numpy() for name, path in zip(shown, found.paths, strict=True)}
    share = f"{100 * found.explained:.0f}" if found.explained >= 0.005 else "less than 1"
    inside = f": {share} % of the path's variance is in this plane"
    return figures.loss_surface(
        found.x.numpy(),
        found.y.numpy(),
        found.losses.numpy().astype(np.float64),
        paths=paths,
        xlabel=found.labels[0],
        ylabel=found.labels[1],
        zlabel=f"training {loss_label(runs[0])}",
        title="Loss surface" + (inside if found.explained < 0.995 else ""),
    )


def _default_folder(given: Sequence[str | Path], folders: Sequence[Path]) -> Path:
    """`figures` in the run or study; for several of them, here."""
    if len(given) == 1:
        return at(given[0]) / FIGURES
    parents = {folder.resolve().parent for folder in folders}
    return parents.pop() / FIGURES if len(parents) == 1 else Path(FIGURES)
