"""What training a network takes in memory, and so how many networks are trained at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nnlab.device import free_memory, give_back
from nnlab.training.recorded import RecordedEngine
from nnlab.training.trainer import Trainer

PASSES = 3  # forward values, error signals, and what an operation needs for a moment
COPIES = 6  # of the parameters besides the optimizer's memory: themselves, gradient, best, and three in passing
SHARE = 0.6  # of the free memory that one population may take


def networks_at_once(network_bytes: int, device: torch.device, wanted: int) -> int:
    """How many of the `wanted` networks are trained together where one takes `network_bytes`, at least 1."""
    give_back()
    return max(1, min(wanted, int(SHARE * free_memory(device) / max(network_bytes, 1))))


def network_bytes(trainer: Trainer) -> int:
    """Bytes that one network of a trainer takes: parameters, the optimizer's memory, a step, predictions of all."""
    stack, engine, data = trainer.stack, trainer.engine, trainer.members[0].dataset
    inputs = data.train.inputs[:2].to(stack.theta.device, stack.theta.dtype)
    parameters = stack.theta.shape[1]
    state = sum(value.numel() for value in engine.state.values()) // len(stack)
    activations = PASSES * values_per_example(stack.member(0), inputs)
    example = 2 * inputs[0].numel()
    rows = COPIES * parameters + state
    if isinstance(engine, RecordedEngine):  # has memory of its own, and compares a replay with the step
        rows += 4 * parameters + 2 * state
        activations, example = 2 * activations, 3 * example
    predictions = 2 * stack.loss.output_size(data.target_size) * len(data.train)  # and what metrics make of them
    step = engine.batches.batch_size * (activations + example)
    return int(stack.theta.element_size() * (rows + step + predictions))


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
