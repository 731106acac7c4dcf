"""Whether a network, and an ensemble of them, fits into memory, found before it is made."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from nnlab.config.construct import construct
from nnlab.device import free_memory, give_back
from nnlab.errors import UserError

log = logging.getLogger(__name__)

MANY = 200_000_000  # parameters that are warned about
WIDE = 100_000  # inputs of a network beyond which memory is counted first
LARGE = 10_000  # a number of units or channels beyond which memory is counted first
EMPTY = 10_000  # bytes of a network's own objects, whatever its size
COPIES = 3  # of the parameters at least: themselves, the gradient, and the best so far


def check_size(section: Mapping[str, Any], supplied: Mapping[str, Any]) -> None:
    """Refuse a network that does not fit into memory, before the system ends the process for it; warn of a large one.

    Networks with many inputs, or a large number in their section, are first made without memory, to count parameters.

    Raises:
        UserError: says how much it takes, and how much there is.
    """
    shape = tuple(supplied.get("input_shape", ()))
    if max(_whole_numbers(section), default=0) < LARGE and math.prod(shape) < WIDE:
        return
    try:
        with torch.device("meta"):
            network = construct(section, "architecture", **supplied)
        count = sum(parameter.numel() for parameter in network.parameters())
    except Exception:  # foreign code may want real memory; a mistake in the section is found when it is built
        return
    images = len(shape) == 3 and math.prod(shape) >= WIDE
    hint = "scale the images with `data.size=64`, or take `architecture=convnet`" if images else "choose smaller layers"
    needed = count * COPIES * 4
    if (free := _free(needed)) < needed:
        raise UserError(
            f"`architecture` has {count:,} parameters, which take {_gigabytes(needed)} in training; "
            f"{_gigabytes(free)} are free: {hint}"
        )
    if count > MANY:
        log.warning(
            "the network has %s parameters on inputs of %s: %s", f"{count:,}", " x ".join(map(str, shape)), hint
        )


def check_members(network: nn.Module, count: int) -> None:
    """Refuse an ensemble of networks like this one that does not fit into memory.

    Raises:
        UserError: says how much it takes, and how much there is.
    """
    parameters = sum(parameter.numel() for parameter in network.parameters())
    needed = count * (parameters * COPIES * 4 + EMPTY)
    if (free := _free(needed)) < needed:
        raise UserError(
            f"`regularizer.ensemble.members={count}`: so many networks of {parameters:,} parameters take "
            f"{_gigabytes(needed)} in training; {_gigabytes(free)} are free"
        )


def _free(wanted: int) -> int:
    """Bytes of memory that are free; where they are fewer than `wanted`, with those that the C library has kept."""
    cpu = torch.device("cpu")
    if (free := free_memory(cpu)) < wanted:
        give_back()
        free = free_memory(cpu)
    return free


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.0f} GB" if count >= 1e10 else f"{count / 1e9:.2g} GB"


def _whole_numbers(value: Any) -> Iterator[int]:
    """All whole numbers inside a section."""
    if isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _whole_numbers(each)
    elif isinstance(value, int):
        yield value
