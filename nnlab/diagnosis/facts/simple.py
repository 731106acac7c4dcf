"""Simple models of a data set, which a network must beat: the constant, a linear model, and boosted trees.

The constant answers with the frequencies of the classes, or the mean of the targets. The linear model minimizes the
network's own loss with the weight decay that validation prefers. Boosted trees (Friedman 2001; scikit-learn's
HistGradientBoosting) stop where validation no longer improves, or where their time is over.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from nnlab.diagnosis.facts.linear import Baseline, linear_baseline
from nnlab.loss.base import Loss
from nnlab.loss.metrics import classification_metrics, negative_log_likelihood, regression_metrics
from nnlab.metric_names import HIGHER_IS_BETTER, THOROUGH
from nnlab.types import Dataset, Split, Task
from nnlab.units import Units
from nnlab.validation import check_choice

Name = Literal["constant", "linear", "trees"]

SPLITS = ("train", "validation", "test")
SECONDS = 10.0  # that boosting may take
EXAMPLES, FEATURES = 100_000, 1024  # beyond which trees do not see all examples at once, and are left out
DRAWS = 200  # of the bootstrap
MEANS = ("accuracy", "nll", "brier", "mae")  # metrics that are means over the examples
MOST = 1 << 18  # numbers that are drawn at once for others
TOLERANCE = 1e-3  # within which probabilities add up to 1
ROUND, ROUNDS, PATIENCE = 10, 30, 3  # trees of a round, rounds at most, and rounds without improvement


@dataclass(frozen=True)
class SimpleModel:
    """A simple model's answers.

    Attributes:
        name: `constant`, `linear` or `trees`.
        predictions: class probabilities (N, C), or means of the targets (N, C), by split.
        metrics: the task's metrics by split, in the targets' own units.
    """

    name: str
    predictions: dict[str, Tensor]
    metrics: dict[str, dict[str, float]]


def simple_models(
    dataset: Dataset,
    loss: Loss,
    names: Sequence[str] = ("constant", "linear", "trees"),
    seconds: float = SECONDS,
    linear: Baseline | None = None,
) -> list[SimpleModel]:
    """Fit simple models to the training split; what they choose, they choose by the validation split.

    Args:
        dataset: as the network sees it.
        loss: the network's, which the linear model minimizes.
        names: which ones; trees are left out for images and other wide inputs.
        seconds: that boosting may take.
        linear: the linear model, where it is known.

    Raises:
        UserError: a name is none of the three.
    """
    makers: dict[str, Callable[[], dict[str, Tensor] | None]] = {
        "constant": lambda: _constant(dataset),
        "linear": lambda: _linear(dataset, loss, linear or linear_baseline(dataset, loss)),
        "trees": lambda: _trees(dataset, seconds),
    }
    found = []
    for name in names:
        check_choice("data.references", name, makers)
        predictions = makers[name]()
        if predictions is not None:
            metrics = {split: metrics_of(each, dataset, split) for split, each in predictions.items()}
            found.append(SimpleModel(name, predictions, metrics))
    return found


def comparable(metric: str, dataset: Dataset, loss: Loss) -> str:
    """The metric by which a network and simple models are compared: `metric`, unless only the network has it.

    The loss has weights, smoothing or margins of its own; likelihoods of classes stand for it, or the usual metric.
    """
    usual = loss.primary_metric(dataset.task)
    if dataset.task is Task.REGRESSION or not loss.probabilistic:
        return usual if metric in ("loss", "nll", "brier", "ece") else metric
    return "nll" if metric == "loss" else metric


def metrics_of(prediction: Tensor, dataset: Dataset, split: str) -> dict[str, float]:
    """The task's metrics of probabilities, scores or means (N, C) on a split."""
    values = _metrics(prediction, getattr(dataset, split).targets, dataset.units)
    return {name: float(value) for name, value in values.items()}


def _metrics(
    prediction: Tensor, targets: Tensor, units: Units | None, thorough: Collection[str] = THOROUGH
) -> dict[str, Tensor]:
    if targets.is_floating_point():
        prediction = prediction[..., : targets.shape[-1]]
        if units is not None and not units.is_linear:
            return regression_metrics(units.restored(prediction), units.restored(targets))
        return regression_metrics(prediction, targets, None if units is None else units.std)
    probabilities = bool(((prediction >= 0).all(-1) & ((prediction.sum(-1) - 1).abs() < TOLERANCE)).all())
    return classification_metrics(prediction, targets, probabilities, thorough)


def advantage(
    metric: str, first: Sequence[Tensor], second: Tensor | Sequence[Tensor], dataset: Dataset, split: str
) -> tuple[float, float]:
    """By how much several predictions of one kind are better than others, and the standard error of that.

    The same examples judge both: they are drawn again and again with replacement (the paired bootstrap; Efron and
    Tibshirani 1993), so that what both find hard cancels. The spread of the differences over seeds, divided by the root
    of their number, is added in squares. The standard error on a single example is not known: NaN.

    Args:
        metric: what decides; positive is better, whatever its direction.
        first: predictions (N, C) of each seed.
        second: a prediction (N, C), or one for each of these seeds.
        split: `validation` or `test`.
    """
    targets, sign = getattr(dataset, split).targets, 1 if metric in HIGHER_IS_BETTER else -1
    others = [second] if isinstance(second, Tensor) else second

    def measured(prediction: Tensor, targets: Tensor) -> Tensor:
        return _metrics(prediction, targets, dataset.units, (metric,))[metric].double()

    def values(prediction: Tensor) -> Tensor:
        """The metric of all examples, then of each draw."""
        size = max(1, MOST // prediction.numel())
        if metric in MEANS:
            of_each = measured(prediction.unsqueeze(1), targets.unsqueeze(1))
            return torch.cat(
                [of_each.mean().reshape(1), *(of_each[rows].mean(1) for rows in _draws(len(targets), size))]
            )
        drawn = [measured(prediction[rows], targets[rows]) for rows in _draws(len(targets), size)]
        return torch.cat([measured(prediction, targets).reshape(1), *drawn])

    of_seed = torch.stack([values(each) for each in first]) - torch.stack([values(each) for each in others])
    apart = sign * of_seed.mean(0)
    if len(targets) < 2:
        return float(apart[0]), math.nan
    of_seeds = float(of_seed[:, 0].std()) / math.sqrt(len(first)) if len(first) > 1 else 0.0
    return float(apart[0]), math.hypot(float(apart[1:].nan_to_num().std()), of_seeds)


def _draws(examples: int, count: int) -> Iterator[Tensor]:
    """`DRAWS` rows of examples, drawn with replacement, (count, examples) at a time; always the same."""
    draw = torch.Generator().manual_seed(0)
    for first in range(0, DRAWS, count):
        yield torch.randint(examples, (min(count, DRAWS - first), examples), generator=draw)


def _constant(dataset: Dataset) -> dict[str, Tensor]:
    targets = dataset.train.targets
    if targets.is_floating_point():
        answer = targets.mean(0)
    else:
        answer = torch.bincount(targets, minlength=dataset.target_size).double() / len(targets)
    return {split: answer.expand(len(getattr(dataset, split)), -1) for split in SPLITS}


def _linear(dataset: Dataset, loss: Loss, baseline: Baseline) -> dict[str, Tensor]:
    found = {split: loss.prediction(baseline.model(getattr(dataset, split).inputs)) for split in SPLITS}
    if dataset.train.targets.is_floating_point():
        return {split: each[..., : dataset.target_size] for split, each in found.items()}
    return found


def has_trees(dataset: Dataset) -> bool:
    """Whether boosted trees are for such inputs."""
    return len(dataset.input_shape) <= 1 and dataset.input_size <= FEATURES


def _trees(dataset: Dataset, seconds: float) -> dict[str, Tensor] | None:
    """Boosted trees; None for inputs that are not for them."""
    if not has_trees(dataset):
        return None
    targets = dataset.train.targets
    if targets.is_floating_point():
        columns = [_boosted(dataset, seconds, column) for column in range(dataset.target_size)]
        return {split: torch.cat([column[split] for column in columns], 1) for split in SPLITS}
    present = targets.unique()
    if len(present) < 2:
        return None
    found = _boosted(dataset, seconds)
    whole = {}
    for split, share in found.items():
        whole[split] = share.new_zeros(len(share), dataset.target_size)
        whole[split][:, present.cpu()] = share
    return whole


def _boosted(dataset: Dataset, seconds: float, column: int | None = None) -> dict[str, Tensor]:
    """Predictions by split after the number of rounds that validation prefers, which early stopping limits.

    Targets are classes, or the numbers in a column of theirs.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    started = time.perf_counter()
    own = slice(None) if column is None else (slice(None), column)
    train, validation = (part.targets[own][:EXAMPLES].cpu() for part in (dataset.train, dataset.validation))
    regression = train.is_floating_point()
    kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    model = kind(warm_start=True, early_stopping=False, random_state=0, max_iter=ROUND)
    fitted = _rows(dataset.train, slice(EXAMPLES)), train.numpy()
    asked = _rows(dataset.validation, slice(EXAMPLES))
    best, least, since = model, math.inf, 0
    for number in range(1, ROUNDS + 1):
        model.set_params(max_iter=number * ROUND)
        model.fit(*fitted)
        value = _validation_loss(_answers(model, asked, regression), validation, model, regression)
        since += 1
        if number == 1 or value < least:
            best, least, since = copy.deepcopy(model), value, 0
        if since >= PATIENCE or time.perf_counter() - started > seconds:
            break
    return {name: _answers_to_all(best, getattr(dataset, name), regression) for name in SPLITS}


def _rows(split: Split, rows: slice) -> Any:
    """Inputs (n, D) of some examples, as scikit-learn takes them."""
    return split.inputs[rows].flatten(1).float().cpu().numpy()


def _answers_to_all(model: Any, split: Split, regression: bool) -> Tensor:
    """The answers to all examples of a split, of which a piece at a time is in memory."""
    starts = range(0, len(split), EXAMPLES)
    return torch.cat([_answers(model, _rows(split, slice(start, start + EXAMPLES)), regression) for start in starts])


def _answers(model: Any, inputs: Any, regression: bool) -> Tensor:
    """Means (N, 1), or probabilities of the classes that training has (N, C')."""
    found = model.predict(inputs)[:, None] if regression else model.predict_proba(inputs)
    return torch.from_numpy(found)


def _validation_loss(answer: Tensor, targets: Tensor, model: Any, regression: bool) -> float:
    if regression:
        return float((answer[:, 0] - targets).square().mean())
    labels = torch.from_numpy(model.classes_)
    index = torch.searchsorted(labels, targets).clamp_max(len(labels) - 1)
    known = labels[index] == targets
    if not known.any():
        return 0.0
    return float(negative_log_likelihood(answer[known], index[known]))
