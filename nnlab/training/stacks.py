"""Which stack runs some networks: the fastest that can."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nnlab.loss.base import Loss
from nnlab.training.chain import Chain, is_chain
from nnlab.training.native.chain import NativeChain, lack_of
from nnlab.training.stack import Stack


def make_stack(
    networks: Sequence[nn.Module],
    loss: Loss,
    device: torch.device,
    dtype: torch.dtype,
    autocast: bool = False,
    engine: str = "auto",
) -> Stack:
    """The stack of `networks`; `engine` is that of the settings, and `torch` keeps compiled code out."""
    if autocast or not is_chain(networks[0]):
        return Stack(networks, loss, device, dtype, autocast)
    kind = NativeChain if lack_of(networks[0], loss, device, engine) is None else Chain
    return kind(networks, loss, device, dtype)
