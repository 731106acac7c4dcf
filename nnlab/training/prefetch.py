"""Minibatches that a thread fetches while the network computes; on CUDA pinned, and on a stream of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

AHEAD = 2  # minibatches that are fetched before they are asked for

Batch = tuple[Tensor, ...]


class Prefetch:
    """Minibatches by their number, which usually rises by one.

    Args:
        index: the positions of a minibatch's examples; called in the caller's thread.
        room: memory of the processor for the tensors of the examples at some positions; called in the caller's thread,
            whose memory is used again, where what another thread has freed goes back to the system page by page.
        fill: writes the tensors of the examples at some positions there; called in another thread.
        device: where they are wanted.
        ahead: how many are fetched before they are asked for.
    """

    def __init__(
        self,
        index: Callable[[int], Tensor],
        room: Callable[[Tensor], Batch],
        fill: Callable[[Batch, Tensor], None],
        device: torch.device,
        ahead: int = AHEAD,
    ) -> None:
        self.index, self.room, self.fill, self.device, self.ahead = index, room, fill, device, ahead
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._thread = ThreadPoolExecutor(1, "minibatches")
        self._waiting: dict[int, Future[tuple[Batch, torch.cuda.Event | None]]] = {}

    def __call__(self, number: int) -> Batch:
        """The tensors of minibatch 0, 1, ..."""
        if number not in self._waiting:
            self.forget()
        for each in range(number, number + 1 + self.ahead):
            if each not in self._waiting:
                index = self.index(each).cpu()
                self._waiting[each] = self._thread.submit(self._fetched, self.room(index), index)
        batch, arrived = self._waiting.pop(number).result()
        if arrived is not None:
            present = torch.cuda.current_stream(self.device)
            present.wait_event(arrived)
            for tensor in batch:
                tensor.record_stream(present)
        return batch

    def forget(self) -> None:
        """Drop what has been fetched, where the order of the examples or the members are others now."""
        for future in self._waiting.values():
            if not future.cancel():
                future.exception()  # wait for it
        self._waiting = {}

    def _fetched(self, batch: Batch, index: Tensor) -> tuple[Batch, torch.cuda.Event | None]:
        """A minibatch on the device, and the event after which it is there."""
        self.fill(batch, index)
        if self.stream is None:
            return tuple(tensor.to(self.device) for tensor in batch), None
        with torch.cuda.stream(self.stream):
            moved = tuple(tensor.pin_memory().to(self.device, non_blocking=True) for tensor in batch)
            arrived = torch.cuda.Event()
            arrived.record(self.stream)
        return moved, arrived
