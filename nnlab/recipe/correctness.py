"""Step 1, the mechanics: examples stay apart, evaluation repeats itself, and the gradient points uphill.

The gradient g of the loss L is right when a small step along it changes the loss as it promises:

    (L(theta + h g) - L(theta - h g)) / 2h = |g|^2
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from nnlab.diagnosis.finding import Finding, shown
from nnlab.optimizer.base import FirstOrder
from nnlab.training import Trainer

PROBED = 8  # examples among which independence is tested
RIGHT_SLOPE = (0.5, 1.5)  # of the promised change
SILENCE = 2000  # steps without a gradient after which an optimizer must have come to rest
STEP = 1e-2  # change of the loss that the finite difference aims at, relative to the loss


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
    wide = inputs[:256].expand(len(stack), *inputs[:256].shape)
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


def check_slope(trainer: Trainer, inputs: Tensor, targets: Tensor) -> list[Finding]:
    """The loss must change along its gradient as the gradient promises."""
    stack = trainer.stack
    members = len(stack)
    wide, goals = inputs[:256].expand(members, *inputs[:256].shape), targets[:256]
    goals = goals.expand(members, *goals.shape)
    kept = {name: value.clone() for name, value in stack.buffers.items()}
    theta = stack.theta.clone()

    def loss_at(position: Tensor) -> Tensor:
        stack.theta.copy_(position)
        losses: Tensor = stack.backward(wide, goals).double()
        for name, value in kept.items():
            stack.buffers[name].copy_(value)
        return losses

    here = loss_at(theta)
    gradient = stack.gradient.clone()
    promised = gradient.double().square().sum(1)
    if not bool(torch.isfinite(promised).all()) or not bool((promised > 0).any()):
        return []
    step = (STEP * here.abs().clamp_min(0.1) / promised.clamp_min(1e-30)).to(theta.dtype).unsqueeze(1)
    change = (loss_at(theta + step * gradient) - loss_at(theta - step * gradient)) / 2
    rise = step.squeeze(1).double() * promised
    noise = (loss_at(theta) - here).abs()
    if bool((noise > rise / 10).any()):  # random masks: what the loss does between two passes is no slope
        return []
    ratio = float((change / rise).median())
    if ratio < 0:
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


def check_optimizer(trainer: Trainer) -> list[Finding]:
    """One gradient of ones, then none: an optimizer must move against it, and come to rest.

    Momentum 0.99 has forgotten the gradient after some hundred steps. One that adds new gradients to old ones without
    clearing them never stops.
    """
    rule = trainer.engine.rules.optimizer
    if not isinstance(rule, FirstOrder):
        return []
    rule = copy.deepcopy(rule)
    rows = len(trainer.stack)
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
