"""The losses between which a network moves: that of a constant answer, and the floor that no answer can pass.

The constant answer is the best output that ignores the inputs (the zero-input baseline): log C at most for softmax,
the entropy of the classes where they are not balanced; half the targets' variance for squared error. `progress` says
where between the two a loss is: 0 is no better than not looking at the inputs, 1 a perfect fit.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from nnlab.device import give_back
from nnlab.loss.base import Loss
from nnlab.optimizer import LBFGS
from nnlab.optimizer.base import Closure
from nnlab.streaming import READ, SAMPLED, at_once
from nnlab.types import Dataset, Split

EXAMPLES = 4096  # training examples that decide the levels
LARGE, SIDE = SAMPLED >> 10, 32  # numbers of an image beyond which it is looked at by so many squares along a side
ITERATIONS = 25  # most losses have their best constant in closed form, which is where the search starts
FLAT = 1e-12  # a gradient below which there is nothing to gain


@dataclass(frozen=True)
class Levels:
    """Losses to measure others by.

    Attributes:
        initial: the loss that theory gives for outputs of zero.
        constant: the loss of the best constant output.
        floor: the loss of a perfect fit, or None where it has no lower bound.
        large: the loss of random outputs N(0, 4^2); what exceeds it is no sound start. Infinite where not computed.
        spread, largest: standard deviation over the examples, and maximum, of the loss for outputs of zero.
    """

    initial: float
    constant: float
    floor: float | None
    large: float = math.inf
    spread: float = 0.0
    largest: float = 0.0

    @property
    def span(self) -> float:
        """What there is to learn: from the constant answer to the floor; one nat where there is no floor."""
        return max(self.constant - self.floor, 1e-12) if self.floor is not None else 1.0

    def progress(self, loss: float) -> float:
        """0 at the constant answer, 1 at the floor, negative above the constant answer."""
        return (self.constant - loss) / self.span


def sample(split: Split, count: int) -> Split:
    """At most `count` examples, of large ones fewer, in memory, evenly spaced over the split."""
    make_room(split)
    count = at_once(split.inputs, SAMPLED, count)
    if len(split) <= count:
        return split if isinstance(split.inputs, Tensor) else Split(split.inputs[:], split.targets)
    index = evenly(len(split), count, split.inputs.device)
    return Split(split.inputs[index], split.targets[index])


def thumbnails(split: Split, count: int) -> Split:
    """As `sample`, of large images averages over squares: so many examples as are asked for take little memory."""
    if not is_large(tuple(split.inputs.shape[1:])):
        return sample(split, count)
    make_room(split)
    index = evenly(len(split), min(count, len(split)), split.inputs.device)
    return Split(reduced(split.inputs, index), split.targets[index])


def make_room(split: Split) -> None:
    """Give back what was freed before examples are read of a split that the memory may not hold."""
    if not isinstance(split.inputs, Tensor):
        give_back()


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether examples are images so large that they are looked at by averages over squares."""
    return len(shape) == 3 and math.prod(shape) > LARGE


def reduced(inputs: Tensor, index: Tensor) -> Tensor:
    """Examples at positions (n,), large images as averages over squares (n, K, SIDE, SIDE)."""
    if not is_large(tuple(inputs.shape[1:])):
        return inputs[index]
    height, width = inputs.shape[2:]
    parts = index.split(at_once(inputs, READ, len(index)))
    return torch.cat([adaptive_avg_pool2d(inputs[rows], (min(SIDE, height), min(SIDE, width))) for rows in parts])


def sample_targets(split: Split, count: int) -> Tensor:
    """The targets of at most `count` examples, evenly spaced over the split."""
    targets = split.targets
    return targets if len(split) <= count else targets[evenly(len(split), count, targets.device)]


def evenly(examples: int, count: int, device: torch.device) -> Tensor:
    """The positions (count,) of so many of the examples."""
    return torch.linspace(0, examples - 1, count, device=device).long()


def measure_levels(dataset: Dataset, loss: Loss) -> Levels:
    """Levels from (at most `EXAMPLES` of) the training targets."""
    targets, size = sample_targets(dataset.train, EXAMPLES), dataset.target_size
    initial = loss.initial_loss(targets, size)
    constant = min(best_constant_loss(loss, targets, size), initial)
    at_zero = _losses_at_zero(loss, targets, size)
    spread, largest = float(at_zero.double().std(correction=0)), float(at_zero.max())
    return Levels(initial, constant, loss.floor(targets, size), _large_loss(loss, targets, size), spread, largest)


def _losses_at_zero(loss: Loss, targets: Tensor, classes: int) -> Tensor:
    """The loss of outputs of zero on each example, (N,): that of its class, or target."""
    kinds = targets if targets.is_floating_point() else torch.arange(classes, device=targets.device)
    found = loss.losses(torch.zeros(len(kinds), loss.output_size(classes), device=targets.device), kinds)
    return found if kinds is targets else found[targets]


def _large_loss(loss: Loss, targets: Tensor, classes: int) -> float:
    """The loss of random outputs N(0, 4^2); five times the median where a few examples dominate the mean."""
    losses = loss.losses(_large_outputs(len(targets), loss.output_size(classes)).to(targets.device), targets)
    median, mean = float(losses.median()), float(losses.mean())
    return min(mean, 5 * median + 1) if median > 0 else mean


@functools.lru_cache(maxsize=4)
def _large_outputs(examples: int, outputs: int) -> Tensor:
    """Random outputs (examples, outputs); the splits of many seeds are judged by the same."""
    return 4 * torch.randn(examples, outputs, generator=torch.Generator().manual_seed(0))


def minimize(closure: Closure, start: Tensor, iterations: int) -> Tensor:
    """The minimum of a function of (P,) by L-BFGS from `start`, which stays as it is."""
    rule = LBFGS(iterations=iterations)
    found = start.clone()
    state = {name: value[0] for name, value in rule.initial_state(found.unsqueeze(0)).items()}
    with torch.no_grad():
        rule.step(found, closure, state, 1.0, 1)
    return found


def best_constant_loss(loss: Loss, targets: Tensor, classes: int) -> float:
    """The least mean loss that an output which ignores its input can reach on targets.

    It is the floor of a network that has learned nothing but the frequencies of its targets.
    """
    return _best_constant(loss, targets, classes)[1]


def held_out_constant_loss(loss: Loss, train: Tensor, held_out: Tensor, classes: int) -> float:
    """The mean loss on `held_out` targets of the output that is the best constant on `train`."""
    output, _ = _best_constant(loss, train, classes)
    return float(loss.losses(output.expand(len(held_out), -1), held_out.cpu()).mean())


def _best_constant(loss: Loss, targets: Tensor, classes: int) -> tuple[Tensor, float]:
    """The best output (O,), float64 on the CPU, from the best of several starts, and its mean loss."""
    values, share = _distinct(targets.cpu(), classes)

    def closure(output: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradients = loss.losses_and_gradient(output.expand(len(values), -1), values)
        return losses @ share, share @ gradients

    starts = _starts(loss.output_size(classes), values, share)
    there = [closure(start) for start in starts]
    losses = [float(loss) for loss, _ in there]
    best = min(range(len(starts)), key=lambda i: losses[i] if math.isfinite(losses[i]) else math.inf)
    if float(there[best][1].abs().max()) < FLAT:  # in closed form
        return starts[best], losses[best]
    output = minimize(closure, starts[best], ITERATIONS)
    found = float(closure(output)[0])
    return (output, found) if found < losses[best] else (starts[best], losses[best])


def _distinct(targets: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Targets whose losses can differ, and the share of each: all examples of a class have the same loss."""
    if targets.is_floating_point():
        return targets.double(), torch.full((len(targets),), 1 / len(targets), dtype=torch.float64)
    return torch.arange(classes), torch.bincount(targets, minlength=classes).double() / len(targets)


def _starts(outputs: int, values: Tensor, share: Tensor) -> list[Tensor]:
    """Outputs (O,) among which most losses have their best constant."""
    starts = [share.new_zeros(outputs)]
    if values.is_floating_point():
        mean = share.new_zeros(outputs)
        mean[: values.shape[1]] = values.mean(0)
        return [*starts, mean]
    logits = share.clamp(min=1e-6).log()
    if outputs == len(share):
        starts += [share, logits]
    if outputs == 1:
        starts += [share.new_ones(1), -share.new_ones(1)]
        starts += [(logits[1] - logits[0]).reshape(1)] if len(logits) == 2 else []
    return starts
