"""What training a network takes in memory, and so how many networks are trained at once."""

from __future__ import annotations

import torch

from nnlab.device import free_memory, give_back
from nnlab.errors import UserError
from nnlab.training.prefetch import AHEAD
from nnlab.training.recorded import RecordedEngine
from nnlab.training.trainer import Trainer

FEW = 4  # examples that a pass is measured with
SIGNALS = 2  # of the largest size, in a backward pass: the error signals of a layer's output and of its input
COPIES = 6  # of the parameters besides the optimizer's memory: themselves, gradient, best, and three in passing
SHARE = 0.6  # of the free memory that one population may take
SMALL = 1 << 25  # bytes of a step that need no look at what is free


class NotEnoughMemory(UserError):
    """Not even one network can be trained in the memory that is free."""


def networks_at_once(network_bytes: int, device: torch.device, wanted: int) -> int:
    """How many of the `wanted` networks are trained together where one takes `network_bytes`, at least 1."""
    give_back()
    return max(1, min(wanted, int(SHARE * free_memory(device) / max(network_bytes, 1))))


def check_step(trainer: Trainer) -> None:
    """Refuse to train where not even one network's step fits, before the system ends the process for it.

    Raises:
        NotEnoughMemory: says how much it takes, and how much there is.
    """
    needed = step_bytes(trainer) + _minibatch_bytes(trainer)
    if needed <= SMALL:
        return
    give_back()
    free = free_memory(trainer.device)
    if needed > free:
        raise NotEnoughMemory(
            f"a step takes about {needed / 1e9:.2g} GB of memory with minibatches of "
            f"{trainer.engine.batches.batch_size}, and {free / 1e9:.2g} GB are free: make `trainer.batch_size` smaller "
            "(`trainer.accumulate` then keeps the steps as they are), or the network or its inputs"
        )


def network_bytes(trainer: Trainer) -> int:
    """Bytes that one network of a trainer takes: parameters, the optimizer's memory, a step, predictions of all."""
    stack, engine, data = trainer.stack, trainer.engine, trainer.members[0].dataset
    parameters = stack.theta.shape[1]
    state = sum(value.numel() for value in engine.state.values()) // len(stack)
    rows = COPIES * parameters + state
    step = step_bytes(trainer) + _minibatch_bytes(trainer)
    if isinstance(engine, RecordedEngine):  # has memory of its own, and compares a replay with the step
        rows += 4 * parameters + 2 * state
        step *= 2
    predictions = 2 * stack.loss.output_size(data.target_size) * len(data.train)  # and what metrics make of them
    return step + stack.theta.element_size() * (rows + predictions)


def _minibatch_bytes(trainer: Trainer) -> int:
    """Bytes of the examples of the present minibatch and the next, of those that are streamed also of what follows."""
    engine, inputs = trainer.engine, trainer.members[0].dataset.train.inputs
    count = 2 + (AHEAD if engine.batches.streamed and engine.fetches_ahead else 0)
    return count * engine.batches.batch_size * inputs.shape[1:].numel() * trainer.stack.theta.element_size()


def step_bytes(trainer: Trainer) -> int:
    """Bytes that a step of one network takes besides parameters and examples, from passes over very few examples."""
    stack, batch_size = trainer.stack, trainer.engine.batches.batch_size
    inputs = trainer.members[0].dataset.train.inputs[:FEW].to(stack.theta.device, stack.theta.dtype).unsqueeze(0)
    few, fewer = (stack.pass_size(part) for part in (inputs, inputs[:, : FEW // 2]))
    each = (few.kept - fewer.kept) / max(inputs.shape[1] - FEW // 2, 1)  # what does not grow with them are masks
    total = few.kept + (batch_size - inputs.shape[1]) * each + SIGNALS * few.largest / inputs.shape[1] * batch_size
    return int(total / len(stack))
