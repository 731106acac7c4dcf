"""Examples that are made when they are asked for: rows of an array that lies on disk, prepared on their way.

A `Streamed` stands where a tensor of inputs stands. It has a length, a shape and a dtype, and gives tensors for slices
and positions, with the same bits as the tensor of all would have: what prepares the rows treats every number by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from nnlab.device import free_memory

PIECE = 1 << 18  # numbers that are prepared at a time: they stay in the processor's cache
READ = 1 << 22  # numbers of many that are read at a time, where all are looked at
MOST = 1 << 26  # numbers that are looked at as a whole
SAMPLED = 1 << 24  # numbers that are looked at of more
FEW = 1 << 24  # numbers that are in memory together without further ado ...
LOOKED_AT = 1 / 16  # ... and the share of the free memory that more may take
SMALL = 1 << 28  # bytes of inputs that are in memory without further ado
SHARE = 0.25  # of the free memory of a device that more may take


class Rows(Protocol):
    """Examples as they lie on disk or in memory."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, rows: Any) -> Any:
        """Those at the positions of a tensor (n,), or of a slice."""


class Sized(Rows, Protocol):
    """Examples (n, ...)."""

    @property
    def shape(self) -> torch.Size:
        """(n, ...)."""


class Streamed:
    """Inputs (n, ...) of a split.

    Args:
        rows: all raw examples.
        index: (n,) int64, the positions of this split's among them.
        shape: of one prepared example.
        prepare: from raw examples to (n, *shape), number by number.
        dtype: of the prepared examples.
        piece: examples that are prepared at a time; None: as many as have `PIECE` numbers.
    """

    def __init__(
        self,
        rows: Rows,
        index: Tensor,
        shape: tuple[int, ...],
        prepare: Callable[[Any], Tensor],
        dtype: torch.dtype = torch.float32,
        piece: int | None = None,
    ) -> None:
        self.rows, self.index, self.prepare, self.dtype = rows, index, prepare, dtype
        self.shape = torch.Size((len(index), *shape))
        self.device = torch.device("cpu")
        self.piece = piece or max(1, PIECE // max(self.shape[1:].numel(), 1))

    def __len__(self) -> int:
        return len(self.index)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def dim(self) -> int:
        return len(self.shape)

    def numel(self) -> int:
        return self.shape.numel()

    def element_size(self) -> int:
        return self.dtype.itemsize

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def contiguous(self) -> Streamed:
        return self

    def flatten(self, start: int) -> Streamed:
        """The same examples as vectors."""
        if start != 1:
            raise ValueError(f"streamed examples are flattened from axis 1 only, got {start}")
        prepare, shape = self.prepare, (self.shape[1:].numel(),)
        flat = Streamed(self.rows, self.index, shape, lambda raw: prepare(raw).flatten(1), self.dtype, self.piece)
        flat.device = self.device
        return flat

    def part(self, chosen: Tensor) -> Any:
        """Those of the examples at some positions, or under a mask, as such that stay where they are."""
        part = copy.copy(self)
        part.index = self.index[chosen.cpu()]
        part.shape = torch.Size((len(part.index), *self.shape[1:]))
        return part

    def to(self, device: torch.device, dtype: torch.dtype) -> Streamed:
        """The same examples, which arrive on a device in `dtype`."""
        moved = copy.copy(self)
        moved.device, moved.dtype = device, dtype
        return moved

    def __getitem__(self, item: Any) -> Tensor:
        """Examples by a position, a slice, positions or a mask."""
        if isinstance(item, int):
            return self[torch.tensor([item if item >= 0 else len(self) + item])][0]
        index = self.index[item.cpu() if isinstance(item, Tensor) else item]
        return self.made(index).to(self.device)

    def split(self, count: int) -> Iterator[Tensor]:
        """The examples in pieces of `count`, the last one smaller."""
        return pieces(self, count)

    def index_select(self, axis: int, index: Tensor) -> Tensor:
        """Examples at positions (n,), as of a tensor along its first axis."""
        return self[index]

    def made(self, index: Tensor, out: Tensor | None = None) -> Tensor:
        """The raw examples at positions (n,) among all, prepared, in the processor's memory: in `out`, if given."""
        made = torch.empty(len(index), *self.shape[1:], dtype=self.dtype) if out is None else out
        for start in range(0, len(index), self.piece):
            place = slice(start, start + self.piece)
            made[place] = self.prepare(self.rows[index[place]])
        return made


def pieces(inputs: Rows, count: int) -> Iterator[Any]:
    """Inputs (n, ...) in pieces of `count` examples, the last one smaller; of a tensor they are views."""
    for start in range(0, len(inputs), count):
        yield inputs[start : start + count]


def at_once(inputs: Sized, numbers: int, most: int) -> int:
    """How many examples are about so many numbers, [1, `most`]."""
    return max(1, min(most, numbers // max(inputs.shape[1:].numel(), 1)))


def columns(inputs: Tensor | Streamed) -> Iterator[Tensor]:
    """The numbers of examples (n, D), for quantiles: some columns (n, d) after the others.

    Of more than `MOST` numbers they are those of some evenly spaced examples. Of streamed examples so many columns are
    in memory as are few or have a share of what is free; each time means a pass.
    """
    flat, count = inputs.flatten(1), len(inputs)
    if inputs.numel() > MOST:
        count = min(count, max(2, SAMPLED * count // inputs.numel()))
        index = torch.linspace(0, len(inputs) - 1, count).long()
        flat = flat[index] if isinstance(flat, Tensor) else flat.part(index)
    if isinstance(flat, Tensor):
        yield flat
        return
    room = max(FEW, int(LOOKED_AT * free_memory(torch.device("cpu"))) // flat.element_size())
    width = max(1, room // max(count, 1))
    for first in range(0, flat.shape[1], width):
        block = torch.empty(min(width, flat.shape[1] - first), count, dtype=flat.dtype)
        size = at_once(flat, READ, count)
        for start, piece in zip(range(0, count, size), pieces(flat, size), strict=True):
            block[:, start : start + len(piece)] = piece[:, first : first + width].T
        yield block.T


def as_streamed(inputs: Tensor | Streamed) -> Streamed:
    """Inputs as such that stay where they are."""
    if isinstance(inputs, Streamed):
        return inputs
    return Streamed(inputs, torch.arange(len(inputs)), tuple(inputs.shape[1:]), lambda rows: rows, inputs.dtype)


def fits(count: int, device: torch.device) -> bool:
    """Whether so many bytes are few, or at most a share of what is free on a device."""
    return count <= SMALL or count <= SHARE * free_memory(device)
