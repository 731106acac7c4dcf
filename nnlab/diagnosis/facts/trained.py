"""Facts about trained networks: units, weights, and predictions on a part of the data, for all members at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nnlab.activation.layers import activation_layers
from nnlab.diagnosis.facts.chance import UNKNOWN, Order, orders
from nnlab.diagnosis.facts.data import constant_metric
from nnlab.diagnosis.facts.levels import sample
from nnlab.diagnosis.record import LayerFacts, SplitFacts, WeightFacts
from nnlab.loss import decisions
from nnlab.statistics import activations
from nnlab.training import Trainer
from nnlab.training.batches import stacked
from nnlab.training.evaluation import Evaluation, evaluate, examples_at_once
from nnlab.types import Dataset, Split, Task
from nnlab.units import Units, stacked_units

WORK = 1.5e8  # multiply-adds that a pass over the training split may cost for all members
TOGETHER = 64  # members that are looked at together
LARGE, CAPTURED = 1 << 22, 1 << 22  # numbers of inputs beyond which so many outputs of layers are looked at, ...
FEWEST = 8  # ... those of so many examples at least, about what training holds
AT_ONCE = 1 << 21  # weights
TOLERANCE = 0.05  # distance from a saturation value that counts as saturated


class NetworkFacts(NamedTuple):
    """Facts of one member."""

    layers: tuple[LayerFacts, ...]
    weights: tuple[WeightFacts, ...]
    splits: dict[str, SplitFacts]


def _complete(trainer: Trainer) -> bool:
    """Whether all members are in the stack, with weights that are numbers."""
    return len(trainer.active) == len(trainer.members) and bool(torch.isfinite(trainer.stack.theta).all())


@contextmanager
def last_weights(trainer: Trainer, most: int | None = None) -> Iterator[None]:
    """All members, or the first, in the stack with their present weights; those that have ended with their best.

    Args:
        trainer: whose stack is as before at the end.
        most: of the members; all where not given.
    """
    stack, best = trainer.stack, trainer.best
    if _complete(trainer) and (most is None or most >= len(stack)):
        yield
        return
    count = len(best.theta) if most is None else most
    theta = best.theta[:count].clone()
    buffers = {name: value[:count].clone() for name, value in best.buffers.items()}
    for row, member in enumerate(trainer.active):
        if member < count and bool(torch.isfinite(stack.theta[row]).all()):
            theta[member] = stack.theta[row]
            for name, value in stack.buffers.items():
                buffers[name][member] = value[row]
    with stack.set_aside():
        stack.replace(theta, buffers)
        yield


@torch.no_grad()
def network_facts(trainer: Trainer, ranked: bool = True) -> list[NetworkFacts]:
    """The facts of every member at its last weights; nothing of the training state is changed.

    Args:
        trainer: before, during or after training.
        ranked: whether skill is how well predictions order the examples, so that it is asked of training examples, too.
    """
    known = trainer.validation() if _complete(trainer) else None  # most often it has just been measured
    found: list[NetworkFacts] = []
    with last_weights(trainer):
        stack, theta, buffers = trainer.stack, trainer.stack.theta, trainer.stack.buffers
        count = int(min(1024, max(64, WORK / max(theta.numel(), 1))))
        if len(theta) <= TOGETHER:
            return _facts_of_rows(trainer, slice(None), count, known, ranked)
        for start in range(0, len(theta), TOGETHER):  # what is computed on the way takes much memory
            rows = slice(start, start + TOGETHER)
            with stack.set_aside():
                stack.replace(theta[rows], {name: value[rows] for name, value in buffers.items()})
                found += _facts_of_rows(trainer, rows, count, known, ranked)
    return found


def _facts_of_rows(
    trainer: Trainer, rows: slice, count: int, known: Evaluation | None, ranked: bool
) -> list[NetworkFacts]:
    """The facts of the members `rows`, which are in the stack, from `count` training examples.

    Args:
        known: all members on the validation split, where that has been measured.
        ranked: whether the training examples are to be ordered.
    """
    datasets = [member.dataset for member in trainer.members[rows]]
    part, units = _stacked(datasets, count), stacked_units([each.units for each in datasets])
    validation = [dataset.validation for dataset in datasets]
    if known is None:
        evaluation = evaluate(trainer.stack, validation, units)
    else:
        metrics = {name: values[rows] for name, values in known.metrics.items()}
        evaluation = Evaluation(metrics, known.prediction[rows])
    held_out = torch.stack([split.targets for split in validation])
    splits = {
        "train": _split_facts(trainer, datasets, part.targets, _evaluated(trainer, part, units), ranked),
        "validation": _split_facts(trainer, datasets, held_out, evaluation),
    }
    layers = _layer_facts(trainer, part.inputs[:, ::2])
    weights = weight_facts(trainer, range(len(datasets)))
    return [
        NetworkFacts(layers[row], weights[row], {name: facts[row] for name, facts in splits.items()})
        for row in range(len(datasets))
    ]


def _stacked(datasets: Sequence[Dataset], count: int) -> Split:
    parts = {id(dataset): sample(dataset.train, count) for dataset in datasets}
    chosen = [parts[id(dataset)] for dataset in datasets]
    return Split(stacked([s.inputs for s in chosen]), stacked([s.targets for s in chosen]))


def _evaluated(trainer: Trainer, split: Split, units: Units | None) -> Evaluation:
    """As `evaluate`, for a small split and only the metrics that facts are made of, which is a third of the work."""
    stack, inputs = trainer.stack, split.inputs
    size = examples_at_once(stack, len(inputs), inputs[0, 0])
    outputs = torch.cat([stack.outputs(piece) for piece in inputs.split(size, 1)], 1)
    prediction = trainer.loss.prediction(outputs)
    metrics = {"loss": trainer.loss.losses(outputs, split.targets).mean(1)}
    if not split.targets.is_floating_point():
        metrics["accuracy"] = (prediction.argmax(-1) == split.targets).double().mean(1)
    else:
        metrics |= trainer.loss.measured(prediction, split.targets, units)
    return Evaluation(metrics, prediction)


def _split_facts(
    trainer: Trainer, datasets: Sequence[Dataset], targets: Tensor, evaluation: Evaluation, ranked: bool = True
) -> list[SplitFacts]:
    """The facts of each member on targets (M, N) or (M, N, C) of its data set; their order where skill is `ranked`."""
    task = datasets[0].task
    losses, metrics = (evaluation.metrics[name].tolist() for name in ("loss", trainer.loss.primary_metric(task)))
    of_sets = {id(each): constant_metric(each, own) for each, own in zip(datasets, targets, strict=True)}
    baselines = [of_sets[id(each)] for each in datasets]
    found = orders(evaluation.prediction, targets) if ranked else [UNKNOWN] * len(targets)
    if task is not Task.REGRESSION:
        return _of_classes(losses, metrics, baselines, evaluation.prediction, targets, found)
    return list(map(_of_regression, losses, metrics, baselines, evaluation.prediction, targets, found))


def _of_regression(
    loss: float, metric: float, baseline: float, prediction: Tensor, targets: Tensor, order: Order
) -> SplitFacts:
    own = prediction[:, : targets.shape[1]]
    error = (own - targets).square().mean(1)
    spread = own.std(0, correction=0) / targets.std(0, correction=0).clamp(min=1e-12)
    size = float(error.mean().sqrt())
    factor = metric / size if size > 0 else 1.0
    standard = (
        float(error.std()) / math.sqrt(len(error)) / max(2 * size, 1e-12) * factor if len(error) > 1 else math.nan
    )
    return SplitFacts(loss, metric, baseline, spread=float(spread.mean()), error=standard, **order._asdict())


def _of_classes(
    losses: list[float],
    metrics: list[float],
    baselines: list[float],
    prediction: Tensor,
    targets: Tensor,
    found: list[Order],
) -> list[SplitFacts]:
    counts = decisions.count(prediction.argmax(-1), targets, prediction.shape[-1])
    columns = (
        counts.decided.tolist(),
        (counts.right / counts.actual).tolist(),
        prediction.std(1, correction=0).mean(-1).tolist(),
    )
    return [
        SplitFacts(
            loss,
            metric,
            baseline,
            tuple(decided),
            tuple(recall),
            spread,
            math.sqrt(max(metric * (1 - metric), 0.0) / targets.shape[1]),
            **order._asdict(),
        )
        for loss, metric, baseline, decided, recall, spread, order in zip(
            losses, metrics, baselines, *columns, found, strict=True
        )
    ]


def _layer_facts(trainer: Trainer, inputs: Tensor) -> list[tuple[LayerFacts, ...]]:
    layers = activation_layers(trainer.stack.network)
    if not layers:
        return [()] * len(inputs)
    captured = trainer.stack.capture(_few(trainer, inputs, list(layers)), list(layers))
    columns = []
    for name, (kind, (low, high)) in layers.items():
        y = captured[name]
        columns.append(
            (
                name,
                kind,
                constant_units(y).tolist(),
                activations.saturated_fraction(y, low, high, TOLERANCE).tolist(),
                activations.std(y).tolist(),
            )
        )
    return [
        tuple(LayerFacts(name, kind, dead[m], saturated[m], std[m]) for name, kind, dead, saturated, std in columns)
        for m in range(len(inputs))
    ]


def _few(trainer: Trainer, inputs: Tensor, names: Sequence[str]) -> Tensor:
    """Inputs (M, N, ...), of large examples only so many that the outputs of the layers fit into memory."""
    if inputs.numel() <= LARGE:
        return inputs
    seen = trainer.stack.capture(inputs[:, :2], names)  # batch normalization needs two
    numbers = sum(value.numel() for value in seen.values()) // 2
    return inputs[:, : max(FEWEST, CAPTURED // max(numbers, 1))]


def option(component: object) -> str:
    """The option's name in a config: that of the component's module."""
    return type(component).__module__.rpartition(".")[2]


def constant_units(y: Tensor) -> Tensor:
    """Fraction of units of outputs (M, N, units, ...) whose value is the same for every example, (M,)."""
    values = y.transpose(1, 2).flatten(2)
    return ((values.amax(2) - values.amin(2)) <= 1e-6).double().mean(1)


def weight_facts(trainer: Trainer, rows: Sequence[int]) -> list[tuple[WeightFacts, ...]]:
    """Facts of the weights of some rows of the stack."""
    theta = trainer.stack.theta
    weights = trainer.stack.layout.weights(theta if len(rows) == len(theta) else theta[list(rows)])
    table = {name: symmetric_fraction(value).tolist() for name, value in weights.items()}
    shapes = {name: tuple(value.shape[1:]) for name, value in weights.items()}
    frozen = [
        WeightFacts(name, 0.0, tuple(p.shape), trainable=False)
        for name, p in trainer.stack.network.named_parameters()
        if not p.requires_grad and p.ndim >= 2
    ]
    return [
        (*(WeightFacts(name, column[m], shapes[name]) for name, column in table.items()), *frozen)
        for m in range(len(rows))
    ]


def symmetric_fraction(weight: Tensor) -> Tensor:
    """Fraction of units of weights (M, out, ...) with the same incoming weights as another unit, (M,).

    Units without any weight are counted only where the whole layer is zero.
    """
    rows = weight.flatten(2)
    members, units, incoming = rows.shape
    if units < 2:
        return torch.zeros(members, dtype=torch.float64)
    draw = torch.Generator(device=rows.device).manual_seed(0)
    direction = torch.randn(incoming, generator=draw, dtype=torch.float64, device=rows.device)
    size = max(1, AT_ONCE // max(members * incoming, 1))  # units at a time: in double precision all take much memory
    order = torch.cat([part.double() @ direction for part in rows.split(size, 1)], 1).argsort(1)
    lengths, distances = [], []
    for start in range(0, units, size):
        index = order[:, start : start + size + 1]  # with the first of the next ones
        ordered = rows.gather(1, index.unsqueeze(2).expand(-1, -1, incoming)).double()
        lengths.append(ordered[:, :size].norm(dim=2))
        distances.append(ordered.diff(dim=1).norm(dim=2))
    norms = torch.cat(lengths, 1)
    near = torch.cat(distances, 1) <= 1e-4 * norms[:, 1:]
    empty = norms <= 1e-9
    whole = empty.all(1, keepdim=True)
    near = near & ((~empty[:, 1:] & ~empty[:, :-1]) | whole)
    pad = torch.zeros_like(near[:, :1])
    alike = torch.cat([near, pad], 1) | torch.cat([pad, near], 1)
    return alike.double().mean(1)


def noise_of(network: nn.Module) -> dict[str, float]:
    """Drop probabilities of the noise layers by option, the largest of each."""
    found: dict[str, float] = {}
    for module in network.modules():
        p = getattr(module, "p", None)
        # The template of a population that has lost its last member is bound to no rows.
        if hasattr(module, "noisy") and p is not None and torch.as_tensor(p).numel():
            found[option(module)] = max(found.get(option(module), 0.0), float(torch.as_tensor(p).max()))
    return found


def norm_momentum(network: nn.Module) -> float | None:
    """How fast running statistics follow the batches, the smallest of all batch norms; None where there are none."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    return min((1.0 if norm.momentum is None else norm.momentum for norm in norms), default=None)
