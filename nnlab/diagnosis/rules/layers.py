"""Direct tests of layers and of the loss: does its input reach the outputs, does the loss like answers?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nnlab.diagnosis.finding import Finding, shown
from nnlab.initialization.base import weight_layers
from nnlab.loss.base import Loss
from nnlab.training import Trainer

EXAMPLES = 32
SIZES = (1.0, -1.0, 10.0, -10.0)  # of what is added, per the size of the layer's input
REACHES = 1e-6  # change of the outputs, per their size, from which something arrives
BETTER = (0.0, 0.5, 1.0)  # how far outputs are on their way from zero to answers that are right
ROUNDING = 1e-6  # of a loss in float32


def check_layers(trainer: Trainer, inputs: Tensor) -> list[Finding]:
    """A constant added to a layer's inputs must change the outputs; behind dead or saturated units it does not.

    It is another constant for each feature, so that no normalization takes it out again, and of either sign.
    """
    network = trainer.stack.member(0).eval()  # a copy
    part = inputs[:EXAMPLES]
    with torch.no_grad():
        outputs = network(part)
        if not bool(torch.isfinite(outputs).all()):
            return []
        scale = max(float(outputs.abs().max()), 1e-12)
        layers = list(weight_layers(network))
        if not layers or not bool(torch.as_tensor(layers[-1][1].weight).any()):
            return []  # an output layer that starts at zero lets nothing through at first
        for name, layer in layers:
            changes = [float((_shifted(network, layer, part, size) - outputs).abs().max()) for size in SIZES]
            if max(changes) <= REACHES * scale:
                observed = f"whatever is added to the inputs of `{name}`, the outputs of the network stay as they are"
                return [Finding("cut_off", observed, {"largest change": max(changes)}, layer=name)]
    return []


def _shifted(network: nn.Module, layer: nn.Module, inputs: Tensor, size: float) -> Tensor:
    """Outputs of a network when something is added to the inputs of a layer."""

    def add(_module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        x, *rest = arguments
        draw = torch.Generator().manual_seed(0)
        pattern = 0.5 + torch.rand(x.shape[1:], generator=draw).to(x)
        return x + size * max(float(x.std(correction=0)), 1e-3) * pattern, *rest

    handle = layer.register_forward_pre_hook(add)
    try:
        found: Tensor = network(inputs)
    finally:
        handle.remove()
    return found


def check_loss(loss: Loss, targets: Tensor, classes: int) -> list[Finding]:
    """The loss must fall when answers get better: on the way from outputs of zero to the right ones."""
    part = targets[:EXAMPLES]
    right = _right_outputs(loss, part, classes)
    if right is None:
        return []
    losses = [float(loss.losses(share * right, part).double().mean()) for share in BETTER]
    if losses[-1] <= losses[0] + ROUNDING * abs(losses[0]):
        return []
    return [
        Finding(
            "loss_of_wrong_sign",
            f"the loss of outputs of zero is {shown(losses[0])}, that of right answers {shown(losses[-1])}",
            why="It rises when answers get better.",
        )
    ]


def _right_outputs(loss: Loss, targets: Tensor, classes: int) -> Tensor | None:
    """Outputs (N, O) that answer the targets rightly; None where a loss has outputs of another meaning."""
    outputs = loss.output_size(classes)
    if targets.is_floating_point():
        return targets if outputs == targets.shape[1] else None
    if outputs == 1:
        return (2.0 * targets - 1).unsqueeze(1)
    return torch.nn.functional.one_hot(targets, classes).float() if outputs == classes else None
