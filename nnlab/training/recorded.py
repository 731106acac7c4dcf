"""The steps of small networks as CUDA graphs: recorded once, then replayed with one launch for each part of a step.

A small network's step is some sixty operations that a GPU ends in a few microseconds each, sooner than Python can ask
for the next. A graph asks for all of them at once. Python does not run in a replay, and the operations read and write
the memory that they had when they were recorded. So what changes from step to step, the examples' positions, the keys
of the noise, the learning rates and the number of the step, is copied into memory that stays; parameters, gradients,
the optimizer's state and the frozen members are there already, since all of them change in place.

A recording is used only if its first replay gives what the same part gave when it ran as it stands; a network that
decides in Python what it does, or waits for the device, goes on without.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnlab.loss.base import Loss
from nnlab.optimizer.base import FirstOrder
from nnlab.training.engine import Engine
from nnlab.training.member import Member
from nnlab.training.settings import TrainerSettings

log = logging.getLogger(__name__)

WARM_UP = 3  # runs before the recording, in which libraries choose their kernels and scratch space is made
LARGEST = 1 << 24  # parameters of a population beyond which launches are a small part of a step
TOLERANCE = 1e-4  # relative, between a replay and the run as it stands, which may choose other kernels
KNOWN = ("torch", "torchvision", "nnlab")  # packages whose modules do the same in every step


class Graph(Protocol):
    """A recording of operations."""

    def record(self, function: Callable[[], None]) -> None:
        """Record what `function` does, without a trace in its memory."""

    def replay(self) -> None:
        """Do it."""


class CudaGraph:
    """A recording on a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.graph = torch.cuda.CUDAGraph()

    def record(self, function: Callable[[], None]) -> None:
        # Other threads may go on meanwhile: those that pin minibatches, and NCCL's, which asks for its events.
        recording = torch.cuda.graph(self.graph, stream=_stream(self.device), capture_error_mode="thread_local")
        with torch.cuda.device(self.device), recording:
            function()

    def replay(self) -> None:
        self.graph.replay()


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of all recordings on a device: torch's own is that of the device which came first."""
    return torch.cuda.Stream(device)


def is_recordable(members: Sequence[Member], settings: TrainerSettings) -> bool:
    """Whether steps are operations on memory that stays, and short enough for a recording to pay."""
    optimizer, network = members[0].optimizer, members[0].network
    modules = (type(module).__module__.partition(".")[0] for module in network.modules())
    size = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return (
        isinstance(optimizer, FirstOrder)
        and optimizer.recordable
        and settings.accumulate == 1
        and not (members[0].averages or members[0].sharpness)
        and settings.on_nonfinite != "restore"  # looks at the numbers in every step
        and size * len(members) <= LARGEST
        and all(package in KNOWN for package in modules)
    )


class RecordedEngine(Engine):
    """An `Engine` whose parts of a step are recorded and replayed.

    Whatever gives the stack or the rules other memory (members that end, weights that are replaced) starts this anew.

    Args:
        members, loss, settings, device, dtype: as of `Engine`.
        new_graph: makes an empty recording.

    Attributes:
        recording: whether steps are recorded; False once something has been found that cannot be.
    """

    def __init__(
        self,
        members: Sequence[Member],
        loss: Loss,
        settings: TrainerSettings,
        device: torch.device,
        dtype: torch.dtype,
        new_graph: Callable[[], Graph] | None = None,
    ) -> None:
        super().__init__(members, loss, settings, device, dtype)
        self.new_graph = new_graph or (lambda: CudaGraph(device))
        self.recording = True
        self.guard.deferred = True
        self.stack.remembers = False
        self._version: tuple[int, int] | None = None

    def _renew(self) -> None:
        """Take new memory where the stack and the rules have."""
        if self._version == (self.stack.bound, self.merged):
            return
        self._version = self.stack.bound, self.merged
        theta, rate = self.stack.theta, self.rates.at(self.step)
        self._batches: dict[int, _Batch] = {}
        self._parts: dict[tuple[str, int], _Part] = {}
        self._key_memory = torch.empty_like(self.rules.noise_keys(self.step)) if self.rules.is_noisy else None
        self._losses: Tensor = theta.new_zeros(len(theta))
        self._number = theta.new_zeros(())
        self._rate = torch.zeros_like(rate) if isinstance(rate, Tensor) else theta.new_zeros(1, 1)
        self._shared_rate = 0.0

    def minibatch(self, position: int) -> tuple[Tensor, Tensor]:
        if not self.recording:
            return super().minibatch(position)
        self._renew()
        index = self.batches.index(position)
        if self._key_memory is not None:
            self._key_memory.copy_(self.rules.noise_keys(position))
        size = index.shape[1]
        if size not in self._batches:
            inputs, targets = self.gather(index, self._key_memory)
            self._batches[size] = _Batch(index.clone(), inputs.contiguous(), targets.contiguous())
        batch = self._batches[size]
        batch.index.copy_(index)
        self._run("batch", size, lambda: batch.fill(*self.gather(batch.index, self._key_memory)))
        return batch.inputs, batch.targets

    def loss_and_gradient(self) -> Tensor:
        if not self.recording:
            return super().loss_and_gradient()
        (inputs, targets), losses = self._batch, self._losses
        self._run("backward", self.examples, lambda: losses.copy_(self.stack.backward(inputs, targets)))
        return losses

    def update(self) -> Tensor:
        # A callback may have taken a member out since the backward pass.
        if not self.recording or self._version != (self.stack.bound, self.merged):
            return super().update().clone()
        rate = self.rates.at(self.step)
        self._number.fill_(self.step + 1)
        if isinstance(rate, Tensor):
            self._rate.copy_(rate)
        elif rate != self._shared_rate:
            self._rate.fill_(rate)
            self._shared_rate = rate
        self._run("update", 0, self._update)
        return self._losses.clone()

    def _update(self) -> None:
        self.rules.add_penalties(self.stack)
        rows = self.guard.admitted(self._losses, self.stack.gradient, self._number - 1)
        self.move(rows, self._rate, self._number)

    def _run(self, name: str, size: int, function: Callable[[], object]) -> None:
        """Run one part, whose `function` for batches of one size always uses the same memory."""
        part = self._parts.setdefault((name, size), _Part(function))
        if part.graph is not None:
            part.graph.replay()
        elif part.runs < WARM_UP:
            part.run()
        elif reason := part.record(self.new_graph(), self._changing()):
            log.warning("steps are not recorded as CUDA graphs, and take longer: %s", reason)
            self.recording = False
            self.stack.remembers = True

    def _changing(self) -> list[Tensor]:
        """All memory that the parts write to and that is read outside of them."""
        stack, guard = self.stack, self.guard
        batches = [values for batch in self._batches.values() for values in (batch.inputs, batch.targets)]
        state = [*self.state.values(), *stack.buffers.values()]
        noted = [self._losses, guard.failed, guard.left_out]
        return [stack.theta, stack.gradient, *state, *noted, *batches]


@dataclass
class _Batch:
    """Memory of the minibatches of one size: positions (G, n) of the examples, inputs and targets (G, n, ...)."""

    index: Tensor
    inputs: Tensor
    targets: Tensor

    def fill(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs.copy_(inputs)
        self.targets.copy_(targets)


class _Part:
    """A function of memory that stays, and its recording once there is one.

    Attributes:
        held: what it reads, so that the memory stays even where a cache alone had it and lets it go.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.runs = 0
        self.graph: Graph | None = None
        self.held: list[Tensor] = []

    def run(self) -> None:
        self.function()
        self.runs += 1

    def record(self, graph: Graph, changing: list[Tensor]) -> str:
        """Run once; record it if a replay from the same state does the same to `changing`, otherwise say why not."""
        before = [value.clone() for value in changing]
        with _Outside() as outside:
            self.run()
        self.held = list(outside.tensors.values())
        after = [value.clone() for value in changing]
        reason = ""
        try:
            _copy(before, changing)
            graph.record(self.run)
            graph.replay()
            if all(torch.allclose(a, b, TOLERANCE, TOLERANCE, True) for a, b in zip(after, changing, strict=True)):
                self.graph = graph
            else:
                reason = "a replay gave other numbers"
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
        _copy(after, changing)
        return reason


class _Outside(TorchDispatchMode):
    """Collects the tensors that operations use and have not made themselves, one for each piece of memory."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: dict[int, Tensor] = {}
        self._made: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for memory, tensor in _memory((args, kwargs)).items():
            if memory not in self._made:
                self.tensors.setdefault(memory, tensor)
        result = func(*args, **(kwargs or {}))
        self._made.update(memory for memory in _memory(result) if memory not in self.tensors)
        return result


def _memory(values: object) -> dict[int, Tensor]:
    """The tensors among nested values by the address of their storage."""
    return {value.untyped_storage()._cdata: value for value in tree_leaves(values) if isinstance(value, Tensor)}


def _copy(values: list[Tensor], into: list[Tensor]) -> None:
    for place, value in zip(into, values, strict=True):
        place.copy_(value)
