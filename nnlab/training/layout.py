"""Where each parameter of a network lives in the row of P numbers that the engine and the optimizers see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Slot:
    """One parameter tensor: its name in the network, its shape, and its first position in the row.

    Attributes:
        is_weight: whether penalties apply: matrices and kernels do, biases, norm parameters and slopes do not.
    """

    name: str
    shape: tuple[int, ...]
    start: int
    is_weight: bool

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


class Layout:
    """The trainable parameters of a network side by side in a row of P numbers.

    Parameters with `requires_grad=False` stay outside: they are treated like buffers. Modules may name in a class
    attribute `unpenalised` those of their parameters that are no weights although they have two axes or more.
    """

    def __init__(self, network: nn.Module) -> None:
        self.slots: list[Slot] = []
        start = 0
        spared = {
            f"{path}.{name}" if path else name
            for path, module in network.named_modules()
            for name in getattr(module, "unpenalised", ())
        }
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                is_weight = parameter.ndim >= 2 and name not in spared
                self.slots.append(Slot(name, tuple(parameter.shape), start, is_weight))
                start += parameter.numel()
        self.size = start

    def views(self, rows: Tensor) -> dict[str, Tensor]:
        """Parameters (M, *shape) by name, as views into `rows` (M, P)."""
        return {
            slot.name: rows[:, slot.start : slot.start + slot.size].view(len(rows), *slot.shape) for slot in self.slots
        }

    def weights(self, rows: Tensor) -> dict[str, Tensor]:
        """The views of the weights only."""
        views = self.views(rows)
        return {slot.name: views[slot.name] for slot in self.slots if slot.is_weight}

    def row(self, network: nn.Module, dtype: torch.dtype) -> Tensor:
        """The parameters of `network` as one row (P,)."""
        parameters = dict(network.named_parameters())
        parts = [parameters[slot.name].detach().reshape(-1).to(dtype) for slot in self.slots]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=dtype)

    def weight_mask(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """(P,): 1 where a weight stands, 0 elsewhere."""
        mask = torch.zeros(self.size, dtype=dtype, device=device)
        for slot in self.slots:
            if slot.is_weight:
                mask[slot.start : slot.start + slot.size] = 1
        return mask
