"""Facts about a data set that need no training: scale of inputs, classes, leaks, and the best constant prediction."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnlab.diagnosis.record import DataFacts
from nnlab.diagnosis.reference import WIDE, reference_skill, suitable_sizes
from nnlab.loss.base import Loss
from nnlab.types import Dataset, Split

SAMPLE = 2048  # examples that correlations and the best constant output are computed from
ASKED = 512  # validation examples that are looked for among the training examples
FEWEST_CORRELATED = 60
FEWEST = 16  # data sets with fewer different examples, such as XOR, share them between splits on purpose


def sample(split: Split, count: int) -> Split:
    """At most `count` examples, evenly spaced over the split."""
    if len(split) <= count:
        return split
    index = torch.linspace(0, len(split) - 1, count, device=split.inputs.device).long()
    return Split(split.inputs[index], split.targets[index])


def data_facts(dataset: Dataset, loss: Loss) -> DataFacts:
    """The facts of a data set, as the network sees it, and of a loss on it."""
    train, validation = dataset.train, dataset.validation
    part = sample(train, SAMPLE)
    known, asked = suitable_sizes(dataset.input_size)
    means, stds = _moments(part.inputs)
    labels = not train.targets.is_floating_point()
    targets = part.targets
    return DataFacts(
        examples={name: len(getattr(dataset, name)) for name in ("train", "validation", "test")},
        input_mean=(float(means.min()), float(means.max())),
        input_std=(float(stds.min()), float(stds.max())),
        class_counts=tuple(torch.bincount(train.targets, minlength=dataset.target_size).tolist()) if labels else (),
        target_mean=0.0 if labels else float(targets.mean(0).abs().max()),
        target_std=0.0 if labels else float(targets.std(0).max()) if len(targets) > 1 else 0.0,
        shared=shared_fraction(train, validation),
        target_correlation=_strongest_correlation(part, dataset.target_size),
        baseline=best_constant_loss(loss, targets, dataset.target_size),
        baseline_metric=_baseline_metric(dataset),
        simple=lambda: reference_skill(dataset, sample(part, known), sample(validation, asked)),
        initial_loss=loss.initial_loss(targets, dataset.target_size),
        large_loss=_large_loss(loss, targets, dataset.target_size),
        floor=loss.floor(targets, dataset.target_size),
        label_noise=dataset.label_noise,
    )


def _moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature of vectors, each channel of images; constant ones are left out."""
    values = inputs.double()
    axes = (0,) if inputs.ndim == 2 else (0, *range(2, inputs.ndim))
    means, stds = values.mean(axes), values.std(axes, correction=0)
    varying = stds > 1e-12 * means.abs().clamp(min=1)
    if not bool(varying.any()):
        return means, stds
    return means[varying], stds[varying]


def shared_fraction(train: Split, validation: Split) -> float:
    """Fraction of the validation examples whose inputs are also in the training split; 0 for tiny data sets.

    Candidates are the neighbours in one random projection, which may round differently for equal rows; they are then
    compared number by number. Of many inputs those in the middle are projected, as long as that tells rows apart.
    """
    asked = sample(validation, ASKED).inputs.flatten(1)
    known = train.inputs.flatten(1)
    count = known.shape[1]
    for start, end in ((count // 3, 2 * count // 3), (0, count)) if count > WIDE else ((0, count),):
        draw = torch.Generator().manual_seed(0)
        direction = torch.randn(end - start, generator=draw).to(known.device, known.dtype)
        keys, order = (known[:, start:end] @ direction).sort()
        different = int((keys.diff() != 0).sum()) + 1
        if different > 0.9 * len(keys):
            break
    if different < FEWEST:
        return 0.0
    sought = asked[:, start:end] @ direction
    position = torch.searchsorted(keys, sought)
    found = torch.zeros(len(asked), dtype=torch.bool, device=known.device)
    for shift in (-2, -1, 0, 1):
        near = order[(position + shift).clamp(0, len(keys) - 1)]
        found |= (known[near] == asked).all(1)
    return float(found.double().mean())


def _strongest_correlation(split: Split, classes: int) -> tuple[float, int]:
    """The largest |correlation| between an input and the target, and the input's index.

    With classes it is the correlation ratio (Fisher 1925): the root of the share of an input's variance that lies
    between the classes, 1 where the input is one number within each class.
    """
    if len(split) < FEWEST_CORRELATED:
        return 0.0, 0  # among hundreds of inputs, some tell a few examples apart by chance
    x = split.inputs.flatten(1).float()
    x = x - x.mean(0)
    if not split.targets.is_floating_point():
        member = torch.nn.functional.one_hot(split.targets, classes).float()
        between = ((member.T @ x).square() / member.sum(0).clamp(min=1)[:, None]).sum(0)
        total = x.square().sum(0)
        share = torch.where(
            total > 1e-6 * total.max(), between / total.clamp(min=1e-30), torch.zeros_like(total)
        ).sqrt()
        return float(share.max()), int(share.argmax())
    y = split.targets.float() - split.targets.float().mean(0)
    scale = x.norm(dim=0)[:, None] * y.norm(dim=0)[None]
    correlation = torch.where(
        scale > 1e-4 * scale.max(), (x.T @ y).abs() / scale.clamp(min=1e-30), torch.zeros_like(scale)
    )
    strongest = correlation.max(1).values
    return float(strongest.max()), int(strongest.argmax())


def _large_loss(loss: Loss, targets: Tensor, classes: int) -> float:
    """The loss of random outputs N(0, 4^2); five times the median where a few examples dominate the mean."""
    draw = torch.Generator().manual_seed(0)
    outputs = 4 * torch.randn(len(targets), loss.output_size(classes), generator=draw)
    losses = loss.losses(outputs.to(targets.device), targets)
    median, mean = float(losses.median()), float(losses.mean())
    return min(mean, 5 * median + 1) if median > 0 else mean


def best_constant_loss(loss: Loss, targets: Tensor, classes: int, iterations: int = 25) -> float:
    """The least mean loss that an output which ignores its input can reach, by Adam from the best of several starts.

    It is the floor of a network that has learned nothing but the frequencies of its targets.
    """
    outputs = loss.output_size(classes)
    targets = targets.cpu()
    starts = [torch.zeros(outputs)]
    if targets.is_floating_point():
        share = torch.full((len(targets),), 1 / len(targets))
        mean = torch.zeros(outputs)
        mean[: targets.shape[1]] = targets.mean(0).float()
        starts.append(mean)
    else:
        # All examples of a class have the same loss.
        share = torch.bincount(targets, minlength=classes).float() / len(targets)
        targets = torch.arange(classes)
        logits = share.clamp(min=1e-6).log()
        starts += [share, logits] if outputs == classes else [(logits[1] - logits[0]).reshape(1)]
        starts += [torch.ones(1), -torch.ones(1)] if outputs == 1 else []
    losses = [float(loss.losses(start.expand(len(targets), -1), targets) @ share) for start in starts]
    best = min(range(len(starts)), key=lambda i: losses[i] if math.isfinite(losses[i]) else math.inf)
    return _descend(loss, starts[best], targets, share, iterations)


def _descend(loss: Loss, output: Tensor, targets: Tensor, share: Tensor, iterations: int) -> float:
    """Adam with a falling rate on one constant output; the best loss on the way."""
    m, v, best = torch.zeros_like(output), torch.zeros_like(output), math.inf
    for k in range(1, iterations + 1):
        values, gradients = loss.losses_and_gradient(output.expand(len(targets), -1), targets)
        best = min(best, float(values @ share))
        g = share @ gradients
        if float(g.abs().max()) < 1e-6:
            break  # most losses have it in closed form among the starts
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        rate = 0.2 * (1 - k / (iterations + 1))
        output = output - rate * (m / (1 - 0.9**k)) / ((v / (1 - 0.99**k)).sqrt() + 1e-8)
    return best


def _baseline_metric(dataset: Dataset) -> float:
    """Accuracy of the most frequent class, or root mean squared error of the mean, on the validation split."""
    train, validation = dataset.train.targets, dataset.validation.targets
    if not train.is_floating_point():
        return float((validation == train.mode().values).double().mean())
    scale = dataset.target_std if dataset.target_std is not None else 1.0
    return float(((validation - train.mean(0)) * scale).square().mean().sqrt())
