"""Direct tests of networks, fresh or trained: examples stay apart, evaluation repeats itself, the gradient is right.

Outputs must be able to take either sign and any size, whatever the loss makes of them: with weights drawn anew, and ten
times as large, those of a linear layer do; behind a ReLU, sigmoid or softmax they cannot.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.finding import Finding, shown
from nnlab.diagnosis.rules.layers import check_layers, check_loss
from nnlab.diagnosis.rules.slopes import check_directions, check_slope, for_all
from nnlab.loss.base import Loss
from nnlab.optimizer.base import FirstOrder
from nnlab.training import Trainer

SIZES = (0.3, 1.0, 3.0)  # standard deviations of the weights that are drawn
BOUND = 1.0001  # within which squashed outputs stay
DRAWS = 10  # of weights
OUTPUTS = 100  # numbers that say something about the range
LARGE_WEIGHTS = "however large the weights are"
PROBED = 8  # examples among which independence is tested
SILENCE = 2000  # steps without a gradient after which an optimizer must have come to rest


def network_findings(trainer: Trainer, inputs: Tensor, targets: Tensor) -> list[Finding]:
    """What all tests say about the networks of a trainer as they are; inputs (N, ...), targets (N, ...)."""
    return [
        *check_outputs(trainer, inputs),
        *(check_slope(trainer, inputs, targets) or check_directions(trainer, inputs, targets)),
        *check_independence(trainer, inputs),
        *check_optimizer(trainer),
        *check_evaluation(trainer, inputs),
        *check_layers(trainer, inputs),
        *check_loss(trainer.loss, targets, trainer.members[0].dataset.target_size),
    ]


def mechanics(view: View) -> Iterator[Finding]:
    """What the direct tests say, where the network has not learned what there is to learn."""
    if view.record.tests is not None and view.weak:
        # After training, a loss that is too rough to be followed says little about the backward pass.
        yield from (finding for finding in view.record.tests() if finding.fault)


def check_independence(trainer: Trainer, inputs: Tensor) -> list[Finding]:
    """In evaluation mode, the outputs of an example must not depend on another (training: batch norm mixes them)."""
    network = trainer.stack.member(0)
    probe = inputs[:PROBED].clone().requires_grad_()
    try:
        with torch.enable_grad():
            outputs = network(probe)
            (gradient,) = torch.autograd.grad(outputs[0].sum(), probe, allow_unused=True)
    except RuntimeError:
        return []  # not differentiable by its inputs
    if gradient is None:
        return []
    touched = [i for i, row in enumerate(gradient) if i and bool((row != 0).any())]
    if not touched:
        return []
    return [
        Finding(
            "examples_mixed",
            f"the output of example 0 depends on the inputs of examples {touched}",
        )
    ]


def check_evaluation(trainer: Trainer, inputs: Tensor) -> list[Finding]:
    """Two evaluations of the same network, regularization on, must agree."""
    stack = trainer.stack
    wide = for_all(trainer, inputs)
    outputs = []
    for number in range(2):
        stack.set_keys(torch.full((len(stack.noise), len(stack)), 12345 + 6789 * number, device=inputs.device))
        outputs.append(stack.outputs(wide))
    difference = float((outputs[0] - outputs[1]).abs().max())
    scale = float(outputs[0].abs().max())
    if not difference > 1e-4 * max(scale, 1e-6):
        return []
    return [
        Finding(
            "noise_in_evaluation",
            f"two evaluations of the same network differ by up to {shown(difference)}",
        )
    ]


def check_outputs(trainer: Trainer, inputs: Tensor) -> list[Finding]:
    """Outputs of networks with random weights, some of them large, must be of either sign and of any size."""
    stack = trainer.stack
    kept, buffers = stack.theta.clone(), {name: value.clone() for name, value in stack.buffers.items()}
    wide = for_all(trainer, inputs)
    draw = torch.Generator().manual_seed(0)
    count, lowest, highest, sums_to_one = 0, math.inf, -math.inf, True
    for number in range(DRAWS):
        size = SIZES[number % len(SIZES)]
        stack.theta.copy_(size * torch.randn(kept.shape, generator=draw).to(kept))
        outputs = stack.outputs(wide)
        finite = outputs[torch.isfinite(outputs)]
        if finite.numel():
            count += finite.numel()
            lowest, highest = min(lowest, float(finite.min())), max(highest, float(finite.max()))
        sums = outputs.sum(-1)
        sums_to_one = sums_to_one and bool(torch.allclose(sums, torch.ones_like(sums), atol=1e-3))
    stack.theta.copy_(kept)
    for name, value in buffers.items():
        stack.buffers[name].copy_(value)
    if count < OUTPUTS or lowest == highest:
        return []
    return _bounded(outputs.shape[-1], sums_to_one, trainer.loss, lowest, highest)


def _bounded(outputs: int, sums_to_one: bool, loss: Loss, lowest: float, highest: float) -> list[Finding]:
    """What the range of so many outputs says, whose sums are 1 on every example or not."""
    if -BOUND <= lowest < 0 and highest <= BOUND:
        return [Finding("output_layer_not_linear", f"no output leaves [{lowest:.3g}, {highest:.3g}], {LARGE_WEIGHTS}")]
    if lowest < 0:
        return []
    if outputs > 1 and sums_to_one:
        floor = math.log(1 + (outputs - 1) / math.e)
        observed = f"the outputs of the network sum to 1 on every example; cross-entropy cannot fall below {floor:.2f}"
        return [Finding("doubled_output_layer", observed)]
    doubled = highest <= BOUND and loss.probabilistic
    name = "doubled_output_layer" if doubled else "output_layer_not_linear"
    return [Finding(name, f"no output is negative (from {lowest:.3g} to {highest:.3g}), {LARGE_WEIGHTS}")]


def check_optimizer(trainer: Trainer) -> list[Finding]:
    """One gradient of ones, then none: an optimizer must move against it, and come to rest.

    Momentum 0.99 has forgotten the gradient after some hundred steps. One that adds new gradients to old ones without
    clearing them never stops.
    """
    rule = trainer.engine.rules.optimizer
    if not isinstance(rule, FirstOrder) or type(rule).__module__.startswith("nnlab.optimizer."):
        return []  # nnlab's own are tested elsewhere
    rule = copy.deepcopy(rule)
    rows = max((len(value) for value in vars(rule).values() if isinstance(value, Tensor) and value.dim()), default=1)
    theta = torch.zeros(rows, 4, device=trainer.device, dtype=trainer.stack.theta.dtype)
    state, rate = rule.initial_state(theta), 1.0
    moves = []
    for k in range(1, SILENCE + 1):
        before = theta.clone()
        gradient = torch.ones_like(theta) if k == 1 else torch.zeros_like(theta)
        rule.update(theta, gradient, state, rate, k)
        moves.append(float((theta - before).abs().max()))
        if k == 1 and bool((theta > 0).all()):
            return [
                Finding(
                    "loss_of_wrong_sign",
                    "the optimizer's first step goes along the gradient, not against it",
                    why="It climbs: every step makes the loss larger.",
                )
            ]
    if moves[-1] <= 0.5 * max(moves):
        return []
    return [
        Finding(
            "gradients_not_cleared",
            f"{SILENCE} steps after the only gradient that it was given, the optimizer "
            f"still moves by {shown(moves[-1])} a step, at most {shown(max(moves))}",
        )
    ]
