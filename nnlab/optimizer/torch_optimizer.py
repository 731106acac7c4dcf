"""Any optimizer of torch's interface, as in `optimizer._target_=torch.optim.NAdam optimizer.lr=0.002`.

torch's object sees the layers' own parameters, as views into theta, with their names. Its whole memory (see
`nnlab.optimizer.torch_memory`) is handed out as `State` after every step and given back where the state is another
one, so that checkpoints hold all of it. Where a class can only move matrices, such as Muon, `others` is the optimizer
of the rest:

    'optimizer={_target_: torch.optim.Muon, lr: 0.02, others: {_target_: torch.optim.AdamW, lr: 0.001}}'

torch.optim is imported by whoever names a class of it, never here: its first step loads torch's compiler (1.2 s).
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from nnlab.errors import UserError, did_you_mean
from nnlab.members import Hyper
from nnlab.optimizer.base import Closure, FirstOrder, Place, SecondOrder, State
from nnlab.optimizer.places import hidden_matrices, whole
from nnlab.optimizer.torch_binding import Binding, Part, named_in_errors

if TYPE_CHECKING:
    from torch.optim.optimizer import Optimizer as Torch


class Adapter:
    """What both adapters share: the classes, the places of the parameters, and the binding to the present theta."""

    parts: Sequence[Part]

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = list(parts)
        self.kind = self.parts[0].kind
        self._places: Sequence[Place] | None = None
        self._binding: Binding | None = None

    def place(self, places: Sequence[Place]) -> None:
        """Learn where the parameters lie; with `others`, the first class takes the hidden matrices unless told.

        Raises:
            UserError: a class does not take them.
        """
        self._places = list(places)
        if len(self.parts) > 1 and self.parts[0].only is None:
            self.parts[0].only = [place.name for place in hidden_matrices(places)]
        for pattern in self.parts[0].only or ():
            names = [place.name for place in places]
            if not fnmatch.filter(names, pattern):
                raise UserError(f"`optimizer.only`: no parameter is named `{pattern}`; {did_you_mean(pattern, names)}")
        size = max((place.start + math.prod(place.shape) for place in places), default=0)
        with torch.random.fork_rng(devices=[]):
            Binding(self.parts, torch.zeros(size), self._places)

    def bound(self, theta: Tensor, state: State) -> Binding:
        """The binding to a vector theta (P,), with the memory of `state`."""
        if self._binding is None or not self._binding.of(theta):
            self._binding = Binding(self.parts, theta, self._places or [whole(theta)])
        self._binding.remind(state)
        return self._binding


class TorchOptimizer(Adapter, FirstOrder):
    """An optimizer of torch's interface that needs the gradient only; it moves one network (M = 1).

    A `weight_decay` among the options shrinks biases too; `regularizer.weight_decay` does not.

    Args:
        parts: classes with their options; the first that takes a parameter moves it.

    Attributes:
        learning_rate: the first one's `lr`, which the schedule multiplies.
    """

    per_member: ClassVar[tuple[str, ...]] = ()
    stackable: ClassVar[bool] = False
    recordable: ClassVar[bool] = False

    def __init__(self, parts: Sequence[Part]) -> None:
        Adapter.__init__(self, parts)
        FirstOrder.__init__(self, self.parts[0].traits.rate)
        self._base = self.learning_rate

    def initial_state(self, theta: Tensor) -> State:
        """Empty: torch makes its memory in the first step, with which the state gets its names."""
        return {}

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        if len(theta) != 1:
            raise TypeError(f"{self.kind.__name__} of torch moves one network at a time, got {len(theta)}")
        binding = self.bound(theta[0], state)
        binding.train()
        binding.set_rate(float(learning_rate), self._base)
        binding.set_gradient(gradient[0])
        for optimizer in binding.optimizers:
            with named_in_errors(optimizer, k):
                optimizer.step()
        binding.give(state)

    def averaged(self, theta: Tensor, state: State) -> Tensor | None:
        found = self.bound(theta[0], state).averaged()
        return None if found is None else found.unsqueeze(0)


class TorchClosureOptimizer(Adapter, SecondOrder):
    """An optimizer of torch's interface that evaluates the loss itself, such as `torch.optim.LBFGS` or SAM.

    Args:
        parts: one class with its options.

    Attributes:
        learning_rate: its `lr`, which the schedule multiplies.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        Adapter.__init__(self, parts)
        SecondOrder.__init__(self, self.parts[0].traits.rate)
        self._base = self.learning_rate
        self.full_batch = self.kind.__name__ == "LBFGS"
        self._own: Tensor | None = None

    def initial_state(self, theta: Tensor) -> State:
        """Empty: torch makes its memory in the first step, with which the state gets its names."""
        return {}

    def step(self, theta: Tensor, closure: Closure, state: State, learning_rate: float, k: int) -> Tensor:
        if self._own is None or self._own.shape != theta.shape or self._own.dtype != theta.dtype:
            self._own = theta.clone()
        own = self._own.copy_(theta)
        leading = {name: tensor.unsqueeze(0) for name, tensor in state.items()}
        binding = self.bound(own, leading)
        binding.train()
        binding.set_rate(float(learning_rate), self._base)

        def evaluate() -> Tensor:
            loss, gradient = closure(own.clone())
            binding.set_gradient(gradient.clone())
            return loss

        start = evaluate()  # SAM's closure is its second pass
        with named_in_errors(binding.optimizers[0], k):
            binding.optimizers[0].step(evaluate)  # type: ignore[arg-type]
        binding.give(leading)
        state.clear()
        state.update({name: tensor[0] for name, tensor in leading.items()})
        theta.copy_(own)
        return start

    def averaged(self, theta: Tensor, state: State) -> Tensor | None:
        found = self.bound(theta[0], state).averaged()
        return None if found is None else found.unsqueeze(0)


def from_torch(
    kind: type[Torch],
    options: Mapping[str, Any] | None = None,
    others: Part | None = None,
    only: Sequence[str] | None = None,
) -> TorchOptimizer | TorchClosureOptimizer:
    """The adapter that fits a class: by whether its `step` asks for a closure.

    Args:
        kind: the class.
        options: arguments of its constructor other than the parameters.
        others: what moves the parameters that it does not take.
        only: patterns of the names of the parameters that it takes; None: all, and with `others` the hidden matrices.

    Raises:
        UserError: the class refuses an option or dense gradients, or a run could not continue exactly.
    """
    first = Part(kind, options or {}, only)
    parts = [first] if others is None else [first, others]
    if first.traits.closure and others is not None:
        raise UserError(f"{first.name} evaluates the loss itself, and cannot share a network with `others`")
    if others is not None and others.traits.closure:
        raise UserError(f"{others.name} evaluates the loss itself, and cannot move only a part of a network")
    return TorchClosureOptimizer(parts) if first.traits.closure else TorchOptimizer(parts)
