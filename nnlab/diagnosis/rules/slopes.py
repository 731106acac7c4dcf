"""Tests of the backward pass: a gradient must say what finite differences find.

The gradient g of the loss L is right when a small step in a direction d changes the loss as it promises:

    (L(theta + h d) - L(theta - h d)) / 2h = g . d

Along d = g all errors of the backward pass that leave out a part of it hide: the loss does what the other part says. So
random directions within each weight follow, of which a part that is missing, or wrong, is seen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.diagnosis.finding import Finding, shown
from nnlab.training import Trainer

MOST, LEAST = 1 << 14, 64  # examples that all networks get together, and that each of them gets at least
FEW = 64  # examples for random directions, of which there are many
RIGHT_SLOPE = (0.5, 1.5)  # of the promised change
FARTHEST = 1e-2  # that a step may move the weights, per their size
ROUNDING = 1e-6  # of a loss in float32
STEP = 1e-2  # change of the loss that the finite difference aims at, relative to the loss
DIRECTIONS = 4  # random ones for each weight
WEIGHTS = 6  # that are looked at, the first of the network
OFF = 0.3  # error of the promised changes, per their size and that of the changes found
MISSING = 0.05  # of the change found, below which nothing was promised


def for_all(trainer: Trainer, values: Tensor) -> Tensor:
    """Inputs or targets (n, ...) of so many examples that they say enough about all networks together, (M, n', ...)."""
    members = len(trainer.stack)
    chosen = values[: max(LEAST, MOST // max(members, LEAST))]
    return chosen.expand(members, *chosen.shape)


class Surface:
    """The loss of the networks of a trainer around their weights, and the gradient there.

    Args:
        trainer: whose weights and buffers are as before after each look.
        inputs, targets: examples (N, ...).

    Attributes:
        theta, gradient: (M, P).
        here: losses (M,) at theta.
        noise: (M,) what the loss does between two passes: random masks, or rounding.
    """

    def __init__(self, trainer: Trainer, inputs: Tensor, targets: Tensor) -> None:
        self.stack = trainer.stack
        self.inputs, self.targets = for_all(trainer, inputs), for_all(trainer, targets)
        self.buffers = {name: value.clone() for name, value in self.stack.buffers.items()}
        self.theta = self.stack.theta.clone()
        self.here = self.loss(self.theta)
        self.gradient = self.stack.gradient.clone()
        self.noise = (self.loss(self.theta) - self.here).abs() + ROUNDING * self.here.abs()

    def loss(self, position: Tensor) -> Tensor:
        """Losses (M,) at weights (M, P); the networks keep theirs."""
        self.stack.theta.copy_(position)
        losses: Tensor = self.stack.backward(self.inputs, self.targets).double()
        self.stack.theta.copy_(self.theta)
        for name, value in self.buffers.items():
            self.stack.buffers[name].copy_(value)
        return losses

    def change(self, step: Tensor) -> Tensor:
        """Half of the change (M,) from one step (M, P) back to one step forth."""
        return (self.loss(self.theta + step) - self.loss(self.theta - step)) / 2


def check_slope(trainer: Trainer, inputs: Tensor, targets: Tensor) -> list[Finding]:
    """The loss must change along its gradient as the gradient promises."""
    surface = Surface(trainer, inputs, targets)
    gradient = surface.gradient
    promised = gradient.double().square().sum(1)
    if not bool(torch.isfinite(promised).all()) or not bool((promised > 0).any()):
        return []
    wanted = STEP * surface.here.abs().clamp_min(0.1) / promised.clamp_min(1e-30)
    # Near a minimum the gradient is small, and the step that it would take leaves the place where it holds.
    farthest = FARTHEST * surface.theta.double().norm(dim=1) / promised.sqrt().clamp_min(1e-30)
    step = torch.minimum(wanted, farthest).to(gradient.dtype).unsqueeze(1)
    rise = step.squeeze(1).double() * promised
    if bool((surface.noise > rise / 10).any()):
        return []  # what the loss does between two passes is no slope
    ratio = float((surface.change(step * gradient) / rise).median())
    if -RIGHT_SLOPE[1] <= ratio <= -RIGHT_SLOPE[0]:
        return [
            Finding(
                "loss_of_wrong_sign",
                f"along the gradient the loss falls ({shown(ratio)} of the promised rise)",
                why="The gradient has the wrong sign: every step makes the loss larger.",
            )
        ]
    if not RIGHT_SLOPE[0] <= ratio <= RIGHT_SLOPE[1]:
        return [
            Finding(
                "gradient_off",
                f"along the gradient the loss changes {shown(ratio)} times as much as promised",
            )
        ]
    return []


def check_directions(trainer: Trainer, inputs: Tensor, targets: Tensor) -> list[Finding]:
    """The loss must change along random directions within each weight as the gradient promises, too."""
    surface = Surface(trainer, inputs[:FEW], targets[:FEW])
    if not bool(torch.isfinite(surface.gradient).all()):
        return []
    names = list(trainer.stack.layout.weights(surface.theta))
    for name in names[:WEIGHTS]:
        finding = _along(trainer, surface, name)
        if finding is None:
            continue
        last = _along(trainer, surface, names[-1]) if finding.name == "frozen_layers" and len(names) > 1 else None
        if last is not None and last.name == "frozen_layers":  # nothing but the loss is behind the output layer
            told = last.evidence["promised"]
            return [
                Finding(
                    "gradient_off",
                    f"the loss changes with all weights, but its gradient says {shown(float(told), 2)} times that",
                    {"promised": told},
                )
            ]
        return [finding]
    return []


def _along(trainer: Trainer, surface: Surface, name: str) -> Finding | None:
    """What is wrong along random directions within one weight."""
    layout, draw = trainer.stack.layout, torch.Generator().manual_seed(0)
    size = layout.weights(surface.theta)[name].flatten(1).norm(dim=1)
    found, promised = [], []
    for _ in range(DIRECTIONS):
        step = torch.zeros_like(surface.theta)
        part = layout.weights(step)[name]
        part.copy_(torch.randn(part.shape[1:], generator=draw).to(part))
        step *= (FARTHEST * size / part.flatten(1).norm(dim=1)).unsqueeze(1)
        found.append(surface.change(step))
        promised.append((surface.gradient.double() * step.double()).sum(1))
    return _judged(name, torch.stack(found), torch.stack(promised), surface.noise)


def _judged(name: str, found: Tensor, promised: Tensor, noise: Tensor) -> Finding | None:
    """A finding where changes (K, M) of the loss are not as promised, in the median of the members."""
    sizes = [values.square().mean(0).sqrt() for values in (found, promised, found - promised)]
    clear = (sizes[0] + sizes[1]) > 40 * noise
    if not bool(clear.all()):
        return None
    off = float((sizes[2] / (sizes[0] + sizes[1])).median())
    if off < OFF:
        return None
    told = float((sizes[1] / sizes[0].clamp_min(1e-30)).median())
    if told < MISSING:
        return Finding(
            "frozen_layers",
            f"The loss changes with `{name}`, but its gradient there is {shown(told, 2)} of what it should be",
            {"promised": told},
            why="Something behind it has no gradient: a `detach()`, `no_grad`, rounding, or a hard threshold.",
            layer=name,
        )
    return Finding(
        "gradient_off",
        f"along random directions of `{name}` the loss does not change as its gradient promises (off by {off:.0%})",
        {"off": off},
        layer=name,
    )
