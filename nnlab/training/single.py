"""Minibatches of a single example, which torch's batch norm cannot take: found before anything is trained."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from nnlab.errors import UserError


def check_single_examples(network: nn.Module, inputs: Tensor, size: int | str) -> None:
    """Refuse a size that leaves a minibatch of one example where batch norm in the network needs more.

    Args:
        network: as it is trained.
        inputs: of the training examples, (N, *).
        size: examples in a minibatch, or `full`.

    Raises:
        UserError: says which size would do.
    """
    count = len(inputs)
    alone = size != "full" and (size == 1 or count % int(size) == 1)
    if not alone or not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
        return
    trial = copy.deepcopy(network).train()
    parameter = next(network.parameters(), torch.zeros(0))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            trial(inputs[:1].to(parameter))
    except ValueError as error:
        sizes = (*range(int(size) - 1, 1, -1), *range(2, count + 1))
        fitting = next((each for each in sizes if count % each != 1), "full")
        raise UserError(
            f"`trainer.batch_size={size}` leaves a minibatch of one of the {count} training examples, which the "
            f"network's batch norm cannot take; `trainer.batch_size={fitting}` leaves none"
        ) from error
