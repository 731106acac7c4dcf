"""`nnlab plot RUN...`: the figures of one run, or several runs in one chart, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from nnlab.errors import UserError
from nnlab.files import make_folder
from nnlab.loading import load_run
from nnlab.randomness import generator
from nnlab.report import figures
from nnlab.report.read_run import SavedRun, find_runs, labels, read_run
from nnlab.training import Trainer
from nnlab.types import Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USAGE = """\
usage: nnlab plot RUN [RUN ...] [--out FOLDER]

One run: its loss curve, training against validation, learning rate, gradient flow, the outputs of every activation
layer, calibration, and a random slice of the loss around its best weights, in RUN/figures. Several runs, or a study's
folder: their validation curves in one chart, with mean and band where runs differ in the seed only, in ./figures.
"""
EXAMPLES = 512  # of the training split, behind the slice of the loss
GRID = 17  # points along each direction of the slice
REACH = 1.0  # of the slice, in units of the weights' own norm


def main(arguments: Sequence[str]) -> int:
    """Draw the figures and print where they are.

    Raises:
        UserError: there is no run at a path.
    """
    words = list(arguments)
    out = None
    if "--out" in words:
        position = words.index("--out")
        if position + 1 == len(words):
            raise UserError("`--out` needs a folder: nnlab plot RUN --out FOLDER")
        out = Path(words[position + 1])
        del words[position : position + 2]
    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if words else 2
    runs = [read_run(path) for path in find_runs(words)]
    folder = out or (runs[0].directory / "figures" if len(runs) == 1 else Path("figures"))
    make_folder(folder)
    drawn = one_run(runs[0]) if len(runs) == 1 else several_runs(runs)
    for name, figure in drawn.items():
        for path in figures.save(figure, folder / name):
            print(path)
    return 0


def one_run(run: SavedRun) -> dict[str, Figure]:
    """The figures of one run, by file name."""
    per_epoch = run.steps_per_epoch
    losses = run.steps, run.losses
    validation = run.metrics.get("loss")
    metric = next((name for name in ("accuracy", "rmse") if name in run.metrics), "")
    drawn = {
        "loss": figures.loss_curve(*losses, steps_per_epoch=per_epoch),
        "train_validation": figures.train_validation(
            losses,
            (validation.steps, validation.values) if validation else ([], []),
            metric=(run.metrics[metric].steps, run.metrics[metric].values) if metric else None,
            metric_name=metric,
            best_step=run.result["best_step"] if run.result else None,
            steps_per_epoch=per_epoch,
        ),
        "learning_rate": figures.learning_rate({"": (run.steps, run.rates)}, steps_per_epoch=per_epoch),
    }
    norms = {
        name: (series.steps, series.values)
        for name, series in run.layers("gradient_norm").items()
        if name.endswith("weight")
    }
    if norms:
        drawn["gradient_flow"] = figures.gradient_flow(norms, steps_per_epoch=per_epoch)
    if run.result is not None and not list(run.directory.glob("member_*")):
        drawn |= of_the_network(load_run(run.directory))
    return drawn


def of_the_network(trainer: Trainer) -> dict[str, Figure]:
    """Figures that need the network itself: activations, calibration, and a slice of the loss."""
    from nnlab.callbacks.statistics import activation_layers
    from nnlab.statistics import calibration

    drawn: dict[str, Figure] = {}
    data = trainer.members[0].dataset
    inputs = data.train.inputs[:EXAMPLES]
    with trainer.at_best() as stack:
        names = list(activation_layers(stack.network))
        captured = stack.capture(inputs.expand(len(stack), *inputs.shape), names) if names else {}
    if captured:
        drawn["activations"] = figures.activation_histograms({n: captured[n][0].cpu().numpy() for n in names})
    evaluation = trainer.final_evaluations()["test"]
    if "ece" in evaluation.metrics:
        bins = calibration.reliability(evaluation.prediction[0], data.test.targets)
        error = float(evaluation.metrics["ece"][0])
        drawn["calibration"] = figures.calibration(
            bins.confidence.cpu().numpy(), bins.accuracy.cpu().numpy(), bins.count.cpu().numpy(), error=error
        )
    drawn["loss_surface"] = loss_slice(trainer)
    return drawn


def loss_slice(trainer: Trainer) -> Figure:
    """Training loss around the best weights, along two random directions scaled to the weights' norms, layer by layer.

    Source of the scaling: Li et al. 2018, arXiv:1712.09913, here for whole tensors instead of filters.
    """
    stack, data = trainer.stack, trainer.members[0].dataset
    best = trainer.best.theta[0]
    directions = [_direction(trainer, number) for number in range(2)]
    ticks = torch.linspace(-REACH, REACH, GRID, device=best.device, dtype=best.dtype)
    sample = Split(data.train.inputs[:EXAMPLES], data.train.targets[:EXAMPLES])
    evaluate: Callable[[torch.Tensor], torch.Tensor] = lambda rows: _losses(trainer, rows, sample)  # noqa: E731
    present = stack.theta, stack.buffers
    values = torch.stack([evaluate(best + ticks[:, None] * directions[0] + y * directions[1]) for y in ticks])
    stack.replace(*present)
    return figures.loss_surface(
        ticks.cpu().numpy(),
        ticks.cpu().numpy(),
        values.cpu().numpy(),
        xlabel="first random direction (1 = the norm of each weight)",
        ylabel="second random direction",
        title="Training loss around the best weights",
    )


def _direction(trainer: Trainer, number: int) -> torch.Tensor:
    """A random row (1, P) in which every parameter has the norm of the best weights' one."""
    best = trainer.best.theta[:1]
    drawn = torch.randn(best.shape, generator=generator(0, "slice", number)).to(best)
    sizes = trainer.stack.layout.views(best)
    for name, part in trainer.stack.layout.views(drawn).items():
        part.mul_(sizes[name].norm() / part.norm().clamp_min(1e-12))
    return drawn


def _losses(trainer: Trainer, rows: torch.Tensor, sample: Split) -> torch.Tensor:
    """Mean losses of the networks with parameters `rows` (G, P), as one population."""
    stack = trainer.stack
    count = len(rows)
    buffers = {name: value[:1].expand(count, *value.shape[1:]) for name, value in trainer.best.buffers.items()}
    stack.replace(rows, buffers)
    outputs = stack.outputs(sample.inputs.expand(count, *sample.inputs.shape))
    losses: torch.Tensor = stack.loss.losses(outputs, sample.targets.expand(count, *sample.targets.shape)).mean(1)
    return losses


def several_runs(runs: Sequence[SavedRun]) -> dict[str, Figure]:
    """Validation curves of several runs in one chart, those that differ in the seed only as mean and band."""
    shared = [name for name in runs[0].metrics if all(name in run.metrics for run in runs)]
    names = labels([run.config for run in runs])
    drawn = {}
    for metric in [name for name in ("loss", "accuracy", "rmse") if name in shared]:
        groups: dict[str, list[figures.Curve]] = {}
        for name, run in zip(names, runs, strict=True):
            groups.setdefault(name, []).append((run.metrics[metric].steps, run.metrics[metric].values))
        drawn[f"validation_{metric}"] = figures.overlay(groups, ylabel=f"validation {metric}")
    curves = {f"{name} {i}": (run.steps, run.losses) for i, (name, run) in enumerate(zip(names, runs, strict=True))}
    if not drawn and curves:
        drawn["loss"] = figures.overlay({name: [curve] for name, curve in curves.items()}, ylabel="training loss")
    return drawn
