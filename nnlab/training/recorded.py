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

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnlab.optimizer.base import FirstOrder
from nnlab.training.nonfinite import rows_to_update
from nnlab.training.steps import Steps

if TYPE_CHECKING:
    from nnlab.training.trainer import Trainer

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
        with torch.cuda.device(self.device), torch.cuda.graph(self.graph):
            function()

    def replay(self) -> None:
        self.graph.replay()


def is_recordable(trainer: Trainer) -> bool:
    """Whether a trainer's steps are operations on memory that stays, and short enough for a recording to pay."""
    optimizer, settings = trainer.population.optimizer, trainer.settings
    modules = (type(module).__module__.partition(".")[0] for module in trainer.stack.network.modules())
    return (
        isinstance(optimizer, FirstOrder)
        and optimizer.recordable
        and settings.accumulate == 1
        and settings.on_nonfinite != "restore"  # looks at the numbers in every step
        and trainer.stack.theta.numel() <= LARGEST
        and all(package in KNOWN for package in modules)
    )


def make_steps(trainer: Trainer) -> Steps:
    """The fastest way to do a trainer's steps."""
    if trainer.settings.cuda_graphs and trainer.device.type == "cuda" and is_recordable(trainer):
        return RecordedSteps(trainer, lambda: CudaGraph(trainer.device))
    return Steps(trainer)


class RecordedSteps(Steps):
    """The parts of a trainer's steps, recorded and replayed.

    Whatever gives the population other memory (members that end, weights that are replaced) starts this anew.

    Args:
        trainer: whose steps.
        new_graph: makes an empty recording.
    """

    def __init__(self, trainer: Trainer, new_graph: Callable[[], Graph]) -> None:
        super().__init__(trainer)
        trainer.deferred = True
        trainer.stack.remembers = False
        self.new_graph = new_graph
        self._version: tuple[int, int] | None = None

    def _present(self) -> tuple[int, int]:
        population = self.trainer.population
        return population.stack.bound, population.merged

    def _renew(self) -> None:
        """Take new memory where the population has."""
        if self._version == self._present():
            return
        self._version = self._present()
        theta, population = self.trainer.stack.theta, self.trainer.population
        self._batches: dict[int, _Batch] = {}
        self._parts: dict[tuple[str, int], _Part] = {}
        self._keys = torch.empty_like(population.noise_keys(self.trainer.step)) if population.is_noisy else None
        self._losses: Tensor = theta.new_zeros(len(theta))
        self._number = theta.new_zeros(())
        rate = self.trainer.learning_rate()
        self._rate = torch.zeros_like(rate) if isinstance(rate, Tensor) else theta.new_zeros(1, 1)
        self._shared_rate = 0.0

    def batch(self, position: int) -> tuple[Tensor, Tensor]:
        self._renew()
        population = self.trainer.population
        index = population.batches.index(position)
        if self._keys is not None:
            self._keys.copy_(population.noise_keys(position))
        size = index.shape[1]
        if size not in self._batches:
            inputs, targets = population.gather(index, self._keys)
            self._batches[size] = _Batch(index.clone(), inputs.contiguous(), targets.contiguous())
        batch = self._batches[size]
        batch.index.copy_(index)
        self._run("batch", size, lambda: batch.fill(*population.gather(batch.index, self._keys)))
        return batch.inputs, batch.targets

    def backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        stack, losses = self.trainer.stack, self._losses
        self._run("backward", inputs.shape[1], lambda: losses.copy_(stack.backward(inputs, targets)))
        return losses

    def update(self) -> None:
        trainer = self.trainer
        if self._version != self._present():  # a callback has taken a member out since the backward pass
            super().update()
            return
        rate = trainer.learning_rate()
        self._number.fill_(trainer.step + 1)
        if isinstance(rate, Tensor):
            self._rate.copy_(rate)
        elif rate != self._shared_rate:
            self._rate.fill_(rate)
            self._shared_rate = rate
        self._run("update", 0, self._update)
        trainer.history.add(self._losses.clone(), rate)

    def _update(self) -> None:
        self.trainer.population.add_penalties()
        self.move(rows_to_update(self.trainer, self._number), self._rate, self._number)

    def _run(self, name: str, size: int, function: Callable[[], object]) -> None:
        """Run one part, whose `function` for batches of one size always uses the same memory."""
        part = self._parts.setdefault((name, size), _Part(function))
        if part.graph is not None:
            part.graph.replay()
        elif part.runs < WARM_UP:
            part.run()
        elif reason := part.record(self.new_graph(), self._changing()):
            print(f"steps are not recorded as CUDA graphs, and take longer: {reason}", file=sys.stderr, flush=True)
            self.trainer.steps = Steps(self.trainer)
            self.trainer.stack.remembers = True

    def _changing(self) -> list[Tensor]:
        """All memory that the parts write to and that is read outside of them."""
        trainer, stack = self.trainer, self.trainer.stack
        batches = [values for batch in self._batches.values() for values in (batch.inputs, batch.targets)]
        state = [*trainer.population.state.values(), *stack.buffers.values()]
        noted = [self._losses, trainer.failed_step, trainer.repairs]
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
