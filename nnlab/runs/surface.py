"""Trajectories of training on a two-dimensional piece of the loss surface.

A problem of two parameters is shown as it is. Of a network a plane is shown: `principal`, the plane in which its
trajectory varies most (Li et al. 2018, arXiv:1712.09913, section 7), or `random`, two random directions through the end
point, each weight's scaled to the norm of that weight (section 4, with whole tensors in place of filters), as far to
both sides as all weights are long.

Weights along the way are not kept by a run; since a run repeats exactly, it is trained again for them, in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from nnlab.config.build import build_trainer
from nnlab.errors import UserError
from nnlab.randomness import generator
from nnlab.training import Callback, Trainer

Plane = Literal["principal", "random"]
POINTS = 200  # kept of a trajectory
EXAMPLES = 1000  # of the training split, on which the surface is computed
BLOCK = 1 << 24  # numbers held at once: members times (parameters + examples times inputs)


@dataclass(frozen=True)
class Surface:
    """What `nnlab.report.figures.loss_surface` draws.

    Attributes:
        x, y: coordinates (X,) and (Y,).
        losses: mean training loss (Y, X).
        paths: positions (T, 2), one tensor a run.
        labels: of the two axes.
        explained: fraction of the trajectories' variance that lies in the plane.
    """

    x: Tensor
    y: Tensor
    losses: Tensor
    paths: list[Tensor]
    labels: tuple[str, str]
    explained: float


class Trajectory(Callback):
    """Keeps the first member's parameters before the first step and after every `every` steps."""

    def fit_start(self, trainer: Trainer) -> None:
        self.every = max(1, trainer.total_steps // POINTS)
        self.total = trainer.total_steps
        self.rows = [trainer.stack.theta[0].cpu().clone()]

    def wants(self, step: int) -> bool:
        return (step + 1) % self.every == 0 or step + 1 == self.total

    def step_end(self, trainer: Trainer) -> None:
        self.rows.append(trainer.stack.theta[0].cpu().clone())


def trajectory(config: Mapping[str, Any]) -> tuple[Tensor, Trainer]:
    """Parameters along a run (T, P), and its trainer with the last of them."""
    trainer = build_trainer([{**config, "callbacks": {}}], overrides=[])
    watch = Trajectory()
    trainer.callbacks = [callback for callback in trainer.callbacks if callback.changes_state] + [watch]
    trainer.fit()
    return torch.stack(watch.rows), trainer


def loss_surface(configs: Sequence[Mapping[str, Any]], plane: Plane = "principal", points: int = 41) -> Surface:
    """The surface of the first config's loss, with the trajectories of all.

    Raises:
        UserError: the networks have different parameters.
    """
    found = [trajectory(config) for config in configs]
    paths, trainer = [path for path, _ in found], found[0][1]
    if len({path.shape[1] for path in paths}) > 1:
        raise UserError(
            "runs on one loss surface must have the same network; give runs of one architecture and data set"
        )
    origin, directions, labels = _plane(paths, trainer, plane)
    flat = [(path - origin) @ directions.T for path in paths]
    left = torch.cat([(path - origin).square().sum(1) for path in paths]).sum()
    inside = torch.cat([position.square().sum(1) for position in flat]).sum()
    # Random directions miss nearly all of a path, which would leave a plane too small for the loss to change in.
    reach = float(origin.norm()) if plane == "random" and len(origin) > 2 else 0.0
    x, y = (_range(torch.cat([position[:, axis] for position in flat]), points, reach) for axis in (0, 1))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    losses = _losses(trainer, origin + grid @ directions).reshape(points, points)
    explained = float(inside / left) if left > 0 else 1.0
    return Surface(x, y, losses, flat, labels, explained)


def _plane(paths: Sequence[Tensor], trainer: Trainer, plane: Plane) -> tuple[Tensor, Tensor, tuple[str, str]]:
    """A point (P,), two orthonormal directions (2, P), and what to call them."""
    size = paths[0].shape[1]
    if size == 2:
        names = [name for slot in trainer.stack.layout.slots for name in [slot.name] * slot.size]
        return torch.zeros(2, dtype=paths[0].dtype), torch.eye(2, dtype=paths[0].dtype), (names[0], names[1])
    end = paths[0][-1]
    if plane == "principal":
        steps = torch.cat([path - end for path in paths])
        directions = torch.linalg.svd(steps, full_matrices=False).Vh[:2]
        return end, directions, ("first principal direction", "second principal direction")
    draw = torch.randn(2, size, generator=generator(0, "surface"), dtype=end.dtype)
    views, own = trainer.stack.layout.views(draw), trainer.stack.layout.views(end.unsqueeze(0))
    for name, view in views.items():  # views write into `draw`
        view.mul_(own[name].norm() / view.flatten(1).norm(dim=1).view(-1, *[1] * (view.ndim - 1)).clamp(min=1e-12))
    directions = torch.linalg.qr(draw.T).Q.T
    return end, directions, ("first random direction", "second random direction")


def _range(positions: Tensor, points: int, reach: float = 0.0) -> Tensor:
    """Coordinates over all positions, and at least from -`reach` to `reach`."""
    if reach > float(positions.abs().max()):
        return torch.linspace(-reach, reach, points, dtype=positions.dtype)
    low, high = float(positions.min()), float(positions.max())
    margin = 0.25 * (high - low) or 1.0
    return torch.linspace(low - margin, high + margin, points, dtype=positions.dtype)


@torch.no_grad()
def _losses(trainer: Trainer, theta: Tensor) -> Tensor:
    """Mean training loss (G,) at parameters (G, P): the points of the grid are the members of a population."""
    stack, split = trainer.stack, trainer.members[0].dataset.train
    inputs, targets = split.inputs[:EXAMPLES], split.targets[:EXAMPLES]
    block, buffers = max(1, BLOCK // (theta.shape[1] + inputs.numel())), stack.buffers
    pieces = []
    with stack.set_aside():
        for part in theta.split(block):
            rows = part.to(stack.theta)
            stack.replace(
                rows, {name: value[:1].expand(len(rows), *value.shape[1:]) for name, value in buffers.items()}
            )
            outputs = stack.outputs(inputs.expand(len(rows), *inputs.shape))
            pieces.append(stack.loss.losses(outputs, targets).mean(1).cpu())
    return torch.cat(pieces)
