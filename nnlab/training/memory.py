"""What a step of a network takes in memory, and so how many networks are trained at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nnlab.device import free_memory, give_back
from nnlab.training.trainer import Trainer

PASSES = 3  # forward values, error signals, and what an operation needs for a moment
SHARE = 0.6  # of the free memory that one population may take


def networks_at_once(step_bytes: int, device: torch.device, wanted: int) -> int:
    """How many of the `wanted` networks are trained together where the step of one takes `step_bytes`, at least 1."""
    give_back()
    return max(1, min(wanted, int(SHARE * free_memory(device) / max(step_bytes, 1))))


def step_bytes(trainer: Trainer) -> int:
    """Bytes that a step of one network takes besides its parameters: its minibatch, and what its layers give out."""
    stack = trainer.stack
    inputs = trainer.members[0].dataset.train.inputs[:2].to(stack.theta.device, stack.theta.dtype)
    values = PASSES * values_per_example(stack.member(0), inputs) + 2 * inputs[0].numel()
    return trainer.engine.batches.batch_size * values * stack.theta.element_size()


def values_per_example(network: nn.Module, inputs: Tensor) -> int:
    """Numbers that the modules of a network give out for one example."""
    total = 0

    def count(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal total
        if isinstance(output, Tensor):
            total += output.numel() // max(len(inputs), 1)

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(count) for module in leaves]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return total
