"""Classes of torch's interface, bound to a vector theta: their parameters are views into it, with their names."""

from __future__ import annotations

import contextlib
import fnmatch
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nnlab.errors import UserError, described
from nnlab.optimizer.base import Place, State
from nnlab.optimizer.torch_memory import flatten, memory_of, remind, unflatten
from nnlab.optimizer.torch_traits import Traits, make, traits

if TYPE_CHECKING:
    from torch.optim.optimizer import Optimizer as Torch

# What the code of others raises in a step: not what the system refuses, nor what stops training.
FAILURES = (ValueError, TypeError, ArithmeticError, AssertionError, LookupError, torch.linalg.LinAlgError)  # type: ignore[attr-defined]


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


@contextlib.contextmanager
def named_in_errors(optimizer: Torch, k: int | Tensor) -> Iterator[None]:
    """Say whose code failed in step k."""
    try:
        yield
    except FAILURES as error:
        kind = type(optimizer)
        raise UserError(f"{kind.__module__}.{kind.__name__} failed in step {int(k)}: {described(error)}") from error
