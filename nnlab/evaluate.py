"""`nnlab evaluate RUN`: measure a finished run again, at its best weights, with confusion matrix and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nnlab import one_by_one
from nnlab.errors import UserError, did_you_mean
from nnlab.files import write_whole
from nnlab.loading import load_run
from nnlab.statistics import calibration, uncertainty
from nnlab.training.ensemble import ensemble_report
from nnlab.training.monte_carlo import masked_predictions
from nnlab.training.run import read_config
from nnlab.validation import check

USAGE = """\
usage: nnlab evaluate RUN [train|validation|test] [samples=K] [member=I]

Metrics, confusion matrix and calibration at the best weights. With samples=K, networks with dropout or DropConnect are
averaged over K random masks, compared with weight scaling, and the uncertainty of every example is written to
RUN/uncertainty-<split>.csv. member=I measures one network of an ensemble, from 0.
"""
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


def evaluate(directory: str | Path, split: str = "test", member: int | None = None) -> Measurement:
    """Evaluate a run's best weights on a split of its own data.

    Args:
        directory: the run.
        split: `train`, `validation` or `test`.
        member: one network of an ensemble, from 0; `None` averages all.

    Raises:
        UserError: `directory` is no run, or there is no such split or member.
    """
    if split not in SPLITS:
        raise UserError(f"there is no split `{split}`; {did_you_mean(split, SPLITS)}")
    read_config(Path(directory))
    trainers = one_by_one.member_trainers(Path(directory)) or [load_run(Path(directory))]
    found = one_by_one.evaluation(trainers, split)
    count = len(found.prediction)
    if member is not None and not 0 <= member < count:
        raise UserError(f"`{directory}` has no member {member}; its members are 0 to {count - 1}")
    loss, data = trainers[0].loss, trainers[0].members[0].dataset
    targets = getattr(data, split).targets
    if member is None and count == 1:
        member = 0
    if member is not None:
        metrics = {name: float(value[member]) for name, value in found.metrics.items()}
        prediction = found.prediction[member]
    else:
        metrics = ensemble_report(loss, found, targets, range(count), data.target_std)["by_size"][-1]
        prediction = loss.combine(found.prediction)
    return Measurement(metrics, prediction.cpu(), targets.cpu(), data.target_names)


@dataclass
class Uncertainty:
    """What Monte-Carlo averaging over `samples` masks says about each example of a split.

    Attributes:
        mean: predictive probabilities (N, C).
        entropy: of the mean, in nats (N,); the total uncertainty.
        mutual_information: between class and mask, in nats (N,); the part that is due to the weights.
        scaling: metrics of the ordinary pass with scaled weights.
        by_samples: metrics of the average over the first 1, 2, 5, ... masks, by their number.
    """

    mean: Tensor
    entropy: Tensor
    mutual_information: Tensor
    scaling: dict[str, float]
    by_samples: dict[int, dict[str, float]]


def monte_carlo(directory: str | Path, split: str = "test", samples: int = 50) -> Uncertainty:
    """Average a run's best network over random masks of its dropout or DropConnect layers.

    Raises:
        UserError: the run has no such layers, predicts no probabilities, or is an ensemble.
    """
    check("samples", samples, "[1, inf)")
    trainer = load_run(Path(directory))
    stack, loss = trainer.stack, trainer.loss
    data = getattr(trainer.members[0].dataset, split)
    if not stack.noise or len(trainer.members) > 1:
        raise UserError(f"`{directory}` has no dropout or DropConnect layers of a single network to average over")
    if data.targets.is_floating_point() or not loss.probabilistic:
        raise UserError(f"loss `{loss.option()}` predicts no class probabilities whose uncertainty could be measured")
    for name in stack.noise:
        stack.network.get_submodule(name).samples = 0  # the ordinary pass, for comparison
    buffers = {name: value[0] for name, value in trainer.best.buffers.items()}
    predictions = masked_predictions(stack, trainer.best.theta[0], buffers, data.inputs, samples)
    counts = sorted({count for count in (1, 2, 5, 10, 20, 50, 100, 200, 500) if count < samples} | {samples})
    mean = predictions.mean(0)
    return Uncertainty(
        mean=mean.cpu(),
        entropy=uncertainty.predictive_entropy(predictions).cpu(),
        mutual_information=uncertainty.mutual_information(predictions).cpu(),
        scaling={n: float(v[0]) for n, v in trainer.final_evaluations()[split].metrics.items() if n != "loss"},
        by_samples={k: _numbers(loss.metrics(predictions[:k].mean(0), data.targets)) for k in counts},
    )


def _numbers(metrics: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


def main(arguments: Sequence[str]) -> int:
    """Print metrics, confusion matrix and calibration.

    Raises:
        UserError: the arguments are not `RUN [SPLIT] [samples=K] [member=I]`.
    """
    words = [word for word in arguments if "=" not in word or not word.startswith(("samples=", "member="))]
    samples, member = (_number(arguments, name) for name in ("samples", "member"))
    if not 1 <= len(words) <= 2 or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if words and words[0] in ("-h", "--help") else 2
    split = words[1] if len(words) > 1 else "test"
    if samples is not None:
        _print_uncertainty(Path(words[0]), split, monte_carlo(words[0], split, samples))
        return 0
    found = evaluate(words[0], split, member)
    print(f"{split}: " + "  ".join(f"{name} {value:.4f}" for name, value in found.metrics.items()))
    if not found.targets.is_floating_point():
        _print_confusion(found)
        if "ece" in found.metrics:
            _print_calibration(found)
    return 0


def _number(arguments: Sequence[str], name: str) -> int | None:
    """The whole number behind `name=`, if it is given."""
    values = [word.partition("=")[2] for word in arguments if word.startswith(f"{name}=")]
    if values and not values[-1].removeprefix("-").isdecimal():
        raise UserError(f"`{name}` must be a whole number, got `{values[-1]}`")
    return int(values[-1]) if values else None


def _print_uncertainty(directory: Path, split: str, found: Uncertainty) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("masks", *found.scaling, title=f"Monte-Carlo averaging, {split} split", title_justify="left")
    for count, metrics in found.by_samples.items():
        table.add_row(f"average of {count}", *(f"{metrics[name]:.4f}" for name in found.scaling))
    table.add_row("weight scaling", *(f"{value:.4f}" for value in found.scaling.values()))
    Console().print(table)
    predicted = found.mean.argmax(-1).tolist()
    columns = zip(
        predicted,
        found.mean.max(-1).values.tolist(),
        found.entropy.tolist(),
        found.mutual_information.tolist(),
        strict=True,
    )
    lines = [f"{i},{label},{p!r},{h!r},{mi!r}" for i, (label, p, h, mi) in enumerate(columns)]
    path = directory / f"uncertainty-{split}.csv"
    write_whole(path, "\n".join(["example,predicted,probability,entropy,mutual_information", *lines]) + "\n")
    print(
        f"mean predictive entropy {float(found.entropy.mean()):.4f} nats, "
        f"mean mutual information {float(found.mutual_information.mean()):.4f} nats; each example: {path}"
    )


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
