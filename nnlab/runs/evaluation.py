"""Measuring a finished run again, at its best weights: metrics, and the uncertainty over random masks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nnlab import notebook
from nnlab.config.kept import kept_config
from nnlab.console import counted
from nnlab.errors import UserError, did_you_mean
from nnlab.loss import decisions
from nnlab.metric_names import title
from nnlab.regularizer.base import NoiseModule
from nnlab.runs import one_by_one
from nnlab.runs.loading import load_run
from nnlab.runs.networks import Networks, load_networks
from nnlab.runs.other_data import labelled_examples, moved_dataset
from nnlab.runs.overlap import watched
from nnlab.runs.own_data import own_dataset
from nnlab.runs.prediction import calibrated, combined, evaluation
from nnlab.statistics import uncertainty
from nnlab.statistics.calibration import confusion_matrix, reliability
from nnlab.storage.directories import run_at
from nnlab.storage.files import write_whole
from nnlab.training.ensemble import ensemble_report
from nnlab.training.evaluation import SPLITS
from nnlab.training.monte_carlo import masked_predictions
from nnlab.types import Split
from nnlab.units import Units
from nnlab.validation import check

MOST_CLASSES = 20  # whose confusion matrix a notebook shows


@dataclass
class Measurement:
    """What `evaluate` found.

    Attributes:
        metrics: `loss` and the task's metrics on the split.
        prediction: what the network, or the ensemble's average, predicts, (N, *).
        targets: (N,) labels or (N, C) values.
        names: of the classes or targets.
        what: the examples in words, such as `test` or `all rows of FILE`.
    """

    metrics: dict[str, float]
    prediction: Tensor
    targets: Tensor
    names: tuple[str, ...]
    what: str = ""

    def defined(self) -> dict[str, float]:
        """The loss, and the metrics that such examples have: without those that need two classes of one."""
        return {name: value for name, value in self.metrics.items() if name == "loss" or not math.isnan(value)}

    def confusion(self) -> Tensor:
        """Counts (C, C) of the examples of class t, row, that are predicted as p, column."""
        return confusion_matrix(self.targets, self.prediction.argmax(-1), len(self.names))

    def by_class(self) -> dict[str, dict[str, float]]:
        """Precision, recall and F1 of each class, and how many examples are of it."""
        counts = decisions.count(self.prediction.argmax(-1), self.targets, self.prediction.shape[-1])
        columns = {
            "precision": counts.precision.tolist(),
            "recall": counts.recall.tolist(),
            "f1": counts.f1.tolist(),
            "examples": counts.actual.tolist(),
        }
        return {each: {key: value[c] for key, value in columns.items()} for c, each in enumerate(self.names)}

    def calibration(self) -> list[dict[str, float]]:
        """Mean confidence and accuracy of the examples in each tenth of confidence, without tenths that have none."""
        found = reliability(self.prediction, self.targets, bins=10)
        columns = zip(found.confidence.tolist(), found.accuracy.tolist(), found.count.tolist(), strict=True)
        return [
            {"from": b / 10, "to": (b + 1) / 10, "mean confidence": confidence, "accuracy": accuracy, "examples": count}
            for b, (confidence, accuracy, count) in enumerate(columns)
            if count
        ]

    def content(self) -> dict[str, Any]:
        """The measurement as plain values."""
        found: dict[str, Any] = {
            "what": self.what,
            "metrics": self.metrics,
            "examples": len(self.targets),
            "names": list(self.names),
        }
        if self.targets.is_floating_point():
            return found
        found |= {"confusion": self.confusion().tolist(), "classes": self.by_class()}
        return found | ({"calibration": self.calibration()} if "ece" in self.metrics else {})

    def _repr_html_(self) -> str:
        """The metrics, and of few classes the confusion matrix, as tables in a notebook."""
        metrics = [(title(name), f"{value:.4g}") for name, value in self.defined().items()]
        shown = notebook.lines(f"{self.what} ({counted(len(self.targets), 'example')})") + notebook.table(
            ("metric", "value"), metrics
        )
        if self.targets.is_floating_point() or len(self.names) > MOST_CLASSES:
            return shown
        rows = [(name, *map(str, row)) for name, row in zip(self.names, self.confusion().tolist(), strict=True)]
        return shown + notebook.table(("true \\ predicted", *self.names), rows)


def evaluate(
    directory: str | Path,
    split: str | None = None,
    member: int | None = None,
    data: str | Path | None = None,
    text: Mapping[str, Any] | None = None,
) -> Measurement:
    """Evaluate a run's best weights on a split of its own data, or on all examples of other data.

    Args:
        directory: the run.
        split: `train`, `validation` or `test`; None: `test`, and of other data all.
        member: one network of an ensemble, or one snapshot from the newest on, from 0; `None` averages all.
        data: a file or folder; None: the run's own data, where they were. The own data at another place have their
            splits; what else is there has none.
        text: how other data are written, as `nnlab.runs.examples.pieces` takes it.

    Raises:
        UserError: `directory` is no run, there is no such split or member, or the data are not what the run needs.
    """
    if split is not None and split not in SPLITS:
        raise UserError(f"there is no split `{split}`; {did_you_mean(split, SPLITS)}")
    networks = load_networks(directory)
    _check_member(networks.directory, member, len(networks))
    units = networks.fitted.blank_dataset().units
    own = own_dataset(networks.directory, networks.config) if data is None else moved_dataset(networks, data)
    if own is not None:
        return measure(networks, [getattr(own, split or "test")], units, member, split or "test")
    if split is not None:
        raise UserError(
            f"`{data}` is not what `{directory}` was trained on, so that it has no {split} split; leave out `{split}` "
            "to measure on all of its examples"
        )
    examples = watched(networks, labelled_examples(networks, str(data), text), str(data))
    return measure(networks, examples, units, member, f"all of {data}")


def measure(
    networks: Networks, examples: Iterable[Split], units: Units | None, member: int | None = None, what: str = ""
) -> Measurement:
    """Measure a run's networks on encoded examples.

    Args:
        networks: of the run.
        examples: inputs and targets as training had them, in pieces, one after another.
        units: of the targets of a regression, else None.
        member: one of the networks; None averages all.
        what: the examples in words.

    Raises:
        UserError: there is no such member.
    """
    count = len(networks)
    _check_member(networks.directory, member, count)
    found, targets = evaluation(networks.stack, examples, units)
    names = networks.fitted.pipeline.target.names
    if member is None and count == 1:
        member = 0
    if member is not None:
        metrics = {name: float(value[member]) for name, value in found.metrics.items()}
        raw = found.prediction[member]
    else:
        metrics = ensemble_report(networks.loss, found, targets, range(count), units)["by_size"][-1]
        raw = combined(networks.loss, found.prediction)
    prediction = calibrated(networks, raw, member)
    if prediction is not raw:
        again = {name: float(value) for name, value in networks.loss.measured(prediction, targets, units).items()}
        loss = networks.loss.loss_of(prediction, targets)
        metrics = {"loss": again["nll"] if loss is None else float(loss), **again}
    return Measurement(metrics, prediction.cpu(), targets.cpu(), names, what)


def _check_member(directory: str | Path, member: int | None, count: int) -> None:
    if member is not None and not 0 <= member < count:
        raise UserError(f"`{directory}` has no member {member}; its members are 0 to {count - 1}")


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

    def content(self) -> dict[str, Any]:
        """The averages as plain values, without those of each example."""
        means = {"entropy": float(self.entropy.mean()), "mutual_information": float(self.mutual_information.mean())}
        return {**means, "scaling": self.scaling, "by_samples": self.by_samples}


def monte_carlo(
    directory: str | Path, split: str = "test", samples: int = 50, member: int | None = None
) -> Uncertainty:
    """Average a run's best network, or `member` of an ensemble, over random masks of dropout or DropConnect layers.

    Raises:
        UserError: the run has no such layers, predicts no probabilities, or is an ensemble without `member`.
    """
    check("samples", samples, "[1, inf)")
    if split not in SPLITS:
        raise UserError(f"there is no split `{split}`; {did_you_mean(split, SPLITS)}")
    folder = run_at(directory)
    kept_config(folder)
    trainers = one_by_one.member_trainers(folder) or [load_run(folder)]
    if not trainers[0].stack.noise:
        raise UserError(f"`{directory}` has no dropout or DropConnect layers to average over")
    places = [(each, row) for each in trainers for row in range(len(each.members))]
    _check_member(directory, member, len(places))
    if member is None and len(places) > 1:
        raise UserError(f"`{directory}` is an ensemble; choose the network to average over masks with `member=0`, ...")
    trainer, row = places[member or 0]
    stack, loss = trainer.stack, trainer.loss
    data = getattr(trainer.members[row].dataset, split)
    if data.targets.is_floating_point() or not loss.probabilistic:
        raise UserError(f"loss `{loss.option()}` predicts no class probabilities whose uncertainty could be measured")
    for name in stack.noise:
        module = stack.network.get_submodule(name)
        if isinstance(module, NoiseModule):
            module.samples = 0  # the ordinary pass, for comparison
    buffers = {name: value[row] for name, value in trainer.best.buffers.items()}
    predictions = masked_predictions(stack, trainer.best.theta[row], buffers, data.inputs, samples)
    counts = sorted({count for count in (1, 2, 5, 10, 20, 50, 100, 200, 500) if count < samples} | {samples})
    mean = predictions.mean(0)
    return Uncertainty(
        mean=mean.cpu(),
        entropy=uncertainty.predictive_entropy(predictions).cpu(),
        mutual_information=uncertainty.mutual_information(predictions).cpu(),
        scaling={n: float(v[row]) for n, v in trainer.final_evaluations()[split].metrics.items() if n != "loss"},
        by_samples={k: _numbers(loss.metrics(predictions[:k].mean(0), data.targets)) for k in counts},
    )


def write_uncertainty(directory: Path, split: str, found: Uncertainty) -> Path:
    """Write `uncertainty-<split>.csv` into a run's folder: for each example its class, probability and uncertainty."""
    columns = (found.mean.argmax(-1), found.mean.max(-1).values, found.entropy, found.mutual_information)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    lines = [f"{i},{label},{p!r},{h!r},{mi!r}" for i, (label, p, h, mi) in enumerate(rows)]
    path = directory / f"uncertainty-{split}.csv"
    write_whole(path, "\n".join(["example,predicted,probability,entropy,mutual_information", *lines]) + "\n")
    return path


def _numbers(metrics: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}
