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
from torch import Tensor, nn

from nnlab.errors import UserError, did_you_mean
from nnlab.members import Hyper
from nnlab.optimizer.base import Closure, FirstOrder, Place, SecondOrder, State
from nnlab.optimizer.places import hidden_matrices, whole
from nnlab.optimizer.torch_memory import flatten, memory_of, remind, unflatten
from nnlab.optimizer.torch_traits import Traits, make, traits

if TYPE_CHECKING:
    from torch.optim.optimizer import Optimizer as Torch


class Part:
    """A class with its options, and which parameters it moves.

    Args:
        kind: the class.
        options: arguments of its constructor other than the parameters.
        only: patterns of the names of its parameters; None for all.
    """

    def __init__(self, kind: type[Torch], options: Mapping[str, Any], only: Sequence[str] | None = None) -> None:
        self.kind, self.options, self.only = kind, dict(options), only
        self.traits = _traits(kind, self.options)

    @property
    def name(self) -> str:
        """Its dotted path."""
        return f"{self.kind.__module__}.{self.kind.__name__}"

    def takes(self, name: str) -> bool:
        """Whether it moves the parameter of this name."""
        return self.only is None or any(fnmatch.fnmatch(name, pattern) for pattern in self.only)


_found: dict[str, Traits] = {}


def _traits(kind: type[Torch], options: Mapping[str, Any]) -> Traits:
    """What a class needs, tried once in a process for the same options."""
    key = f"{kind.__module__}.{kind.__qualname__} {sorted(options.items())!r}"
    if key not in _found:
        _found[key] = traits(kind, options)
    return _found[key]


class Binding:
    """Optimizers of torch whose parameters share memory with a vector (P,).

    Args:
        parts: the classes.
        theta: the vector.
        places: where the parameters lie in it.

    Raises:
        UserError: a class does not take its parameters.
    """

    def __init__(self, parts: Sequence[Part], theta: Tensor, places: Sequence[Place]) -> None:
        self.theta = theta
        self.places = places
        self.parameters = [nn.Parameter(_view(theta, place)) for place in places]
        left = {place.name: parameter for place, parameter in zip(places, self.parameters, strict=True)}
        self.optimizers: list[Torch] = []
        for part in parts:
            chosen = [(name, left.pop(name)) for name in list(left) if part.takes(name)]
            self.optimizers += [_built(part, chosen, with_others=len(parts) > 1)] if chosen else []
        self._rates = [[group.get("lr") for group in each.param_groups] for each in self.optimizers]
        self._training = False
        self._state: State | None = None
        self._given: State = {}

    def of(self, theta: Tensor) -> bool:
        """Whether this is the binding of `theta`."""
        return self.theta.data_ptr() == theta.data_ptr() and self.theta.shape == theta.shape

    def remind(self, state: State) -> None:
        """Take up a state (by name, tensors with a leading axis), where it is not the one that was given out."""
        if state and not (state is self._state and all(state.get(name) is each for name, each in self._given.items())):
            memory = unflatten({name: tensor[0] for name, tensor in state.items()})
            for optimizer, kept in zip(self.optimizers, memory["parts"], strict=True):
                remind(optimizer, kept)

    def give(self, state: State) -> None:
        """Put the whole memory into a state, in place."""
        flat = flatten({"parts": [memory_of(optimizer) for optimizer in self.optimizers]})
        state.clear()
        state.update({name: tensor.unsqueeze(0) for name, tensor in flat.items()})
        self._state, self._given = state, dict(state)

    def set_gradient(self, gradient: Tensor) -> None:
        """Let the parameters' gradients be views of `gradient` (P,)."""
        for parameter, place in zip(self.parameters, self.places, strict=True):
            parameter.grad = _view(gradient, place)

    def set_rate(self, rate: float, base: float) -> None:
        """Multiply every rate by `rate / base`, also where a class keeps it besides its groups."""
        for optimizer, rates in zip(self.optimizers, self._rates, strict=True):
            for group, own in zip(optimizer.param_groups, rates, strict=True):
                if isinstance(own, int | float):
                    group["lr"] = rate if own == base else own * (rate / base)
            kept = vars(optimizer).get("lr")
            if isinstance(kept, int | float) and rates and isinstance(rates[0], int | float):
                vars(optimizer)["lr"] = optimizer.param_groups[0]["lr"]

    def train(self) -> None:
        """Schedule-free optimizers have two weights: these are the ones at which gradients are taken."""
        if not self._training:
            self._training = True
            for optimizer in self.optimizers:
                if hasattr(optimizer, "train"):
                    optimizer.train()

    def averaged(self) -> Tensor | None:
        """The weights (P,) to evaluate with, where a class has others than those of training."""
        if not any(hasattr(optimizer, "eval") for optimizer in self.optimizers):
            return None
        present = self.theta.clone()
        self.train()
        for optimizer in self.optimizers:
            if hasattr(optimizer, "eval"):
                optimizer.eval()
        found = self.theta.clone()
        self._training = False
        self.train()
        self.theta.copy_(present)  # going there and back rounds
        return found


def _view(row: Tensor, place: Place) -> Tensor:
    size = math.prod(place.shape)
    return row[place.start : place.start + size].view(place.shape)


def _built(part: Part, chosen: Sequence[tuple[str, nn.Parameter]], with_others: bool) -> Torch:
    hint = "" if with_others else "; `optimizer.others={_target_: torch.optim.AdamW, lr: 0.001}` moves the rest"
    try:
        optimizer = make(part.kind, part.options, chosen)
    except Exception as error:  # whatever the class itself raises
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{part.name} refuses the network's parameters: {reason}{hint}") from error
    vectors = [name for name, parameter in chosen if parameter.ndim < 2]
    if part.traits.matrices and vectors:
        raise UserError(f"{part.name} moves matrices only, and {', '.join(vectors)} are none{hint}")
    return optimizer


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
