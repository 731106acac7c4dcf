"""`nnlab evaluate RUN`: measure a finished run again, at its best weights, with confusion matrix and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nnlab.build import build_trainer
from nnlab.errors import UserError, did_you_mean
from nnlab.statistics import calibration
from nnlab.training import Run, Trainer, checkpoint
from nnlab.training.run import read_config

SPLITS = ("train", "validation", "test")


@dataclass
class Measurement:
    """What `evaluate` found.

    Attributes:
        metrics: `loss` and the task's metrics on the split.
        prediction: what the network, or the ensemble's average, predicts, (N, *).
        targets: (N,) labels or (N, C) values.
        names: of the classes or targets.
    """

    metrics: dict[str, float]
    prediction: Tensor
    targets: Tensor
    names: tuple[str, ...]


def load_run(directory: Path) -> Trainer:
    """The trainer of a run with its best weights in place.

    Raises:
        UserError: it is no run directory, or has no checkpoint.
    """
    config = read_config(directory)
    run = Run(directory, [0], config)
    trainer = build_trainer([{**config, "callbacks": {}}], [run])
    state = checkpoint.load_newest(directory / "checkpoints")
    if state is None:
        raise UserError(f"`{directory}` has no checkpoint to evaluate")
    checkpoint.resume(trainer, [state])
    return trainer


def evaluate(directory: str | Path, split: str = "test") -> Measurement:
    """Evaluate a run's best weights on a split of its own data.

    Raises:
        UserError: `directory` is no run, or `split` is none of train, validation and test.
    """
    if split not in SPLITS:
        raise UserError(f"there is no split `{split}`; {did_you_mean(split, SPLITS)}")
    trainer = load_run(Path(directory))
    members = list(trainer.runs[0].members)
    metrics, _ = trainer.final_metrics(members)
    prediction = trainer.final_evaluations()[split].prediction
    combined = trainer.loss.combine(prediction) if len(members) > 1 else prediction[0]
    data = trainer.members[0].dataset
    return Measurement(metrics[split], combined.cpu(), getattr(data, split).targets.cpu(), data.target_names)


def main(arguments: Sequence[str]) -> int:
    """Print metrics, confusion matrix and calibration.

    Raises:
        UserError: the arguments are not `RUN [SPLIT]`.
    """
    if not 1 <= len(arguments) <= 2 or arguments[0] in ("-h", "--help"):
        print("usage: nnlab evaluate RUN [train|validation|test]")
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    split = arguments[1] if len(arguments) > 1 else "test"
    found = evaluate(arguments[0], split)
    print(f"{split}: " + "  ".join(f"{name} {value:.4f}" for name, value in found.metrics.items()))
    if not found.targets.is_floating_point():
        _print_confusion(found)
        if "ece" in found.metrics:
            _print_calibration(found)
    return 0


def _print_confusion(found: Measurement) -> None:
    from rich.console import Console
    from rich.table import Table

    counts = calibration.confusion_matrix(found.targets, found.prediction.argmax(-1), len(found.names))
    table = Table("true \\ predicted", *found.names, title="confusion matrix", title_justify="left")
    for name, row in zip(found.names, counts.tolist(), strict=True):
        table.add_row(name, *(str(count) if count else "." for count in row))
    Console(width=max(80, 6 * len(found.names) + 30)).print(table)


def _print_calibration(found: Measurement) -> None:
    from rich.console import Console
    from rich.table import Table

    bins = calibration.reliability(found.prediction, found.targets, bins=10)
    table = Table("confidence", "mean confidence", "accuracy", "examples", title="calibration", title_justify="left")
    for position, count in enumerate(bins.count.tolist()):
        if count:
            low = position / len(bins.count)
            table.add_row(
                f"{low:.1f} - {low + 0.1:.1f}",
                f"{float(bins.confidence[position]):.3f}",
                f"{float(bins.accuracy[position]):.3f}",
                str(int(count)),
            )
    Console().print(table)


def prediction_of(directory: str | Path, inputs: Tensor) -> Tensor:
    """What a run's best network, or its ensemble's average, predicts for preprocessed inputs (N, ...)."""
    trainer = load_run(Path(directory))
    trainer.stack.replace(trainer.best.theta, trainer.best.buffers)
    with torch.no_grad():
        outputs = trainer.stack.outputs(inputs.expand(len(trainer.stack), *inputs.shape))
    return trainer.loss.combine(trainer.loss.prediction(outputs))
