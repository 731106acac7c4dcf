"""Any optimizer of torch, as in `optimizer._target_=torch.optim.NAdam optimizer.lr=0.002`, behind nnlab's contract.

torch's object sees the parameters of one network as a single flat vector that shares memory with theta. Its own
memory is handed out as `State` after every step and given back before the next, so that checkpoints hold all of it.
torch.optim is imported by whoever names a class of it, never here: its first step loads torch's compiler (1.2 s).
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from nnlab.errors import UserError
from nnlab.members import Hyper
from nnlab.optimizer.base import Closure, FirstOrder, SecondOrder, State

if TYPE_CHECKING:
    from torch.optim.optimizer import Optimizer as Torch

_KINDS = {"int": int, "float": float, "bool": bool, "list": int}


def flatten_state(memory: dict[str, Any]) -> State:
    """Torch's memory of one parameter as tensors; numbers and lists (by length) carry their type in the name.

    >>> flatten_state({"n_iter": 3, "ro": [torch.tensor(0.5), None]})
    {'n_iter:int': tensor(3), 'ro:list': tensor(2), 'ro.0': tensor(0.5000)}
    """
    state: State = {}
    for name, value in memory.items():
        if isinstance(value, Tensor):
            state[name] = value
        elif isinstance(value, list):
            state[f"{name}:list"] = torch.tensor(len(value))
            state.update(flatten_state({f"{name}.{i}": item for i, item in enumerate(value)}))
        elif value is not None:
            dtype = torch.float64 if isinstance(value, float) else None  # float32 would not give the number back
            state[f"{name}:{type(value).__name__}"] = torch.tensor(value, dtype=dtype)
    return state


def restore_state(state: State) -> dict[str, Any]:
    """The inverse of `flatten_state`; what was None in a list is None again, other entries of None are left out."""
    memory: dict[str, Any] = {}
    for name, tensor in state.items():
        name, _, kind = name.partition(":")
        memory[name] = _KINDS[kind](tensor) if kind else tensor
        if kind == "list":
            memory[name] = [None] * memory[name]
    lists = [name for name, value in memory.items() if isinstance(value, list)]
    for name in lists:
        memory[name] = [memory.pop(f"{name}.{i}", None) for i in range(len(memory[name]))]
    return memory


class _Binding:
    """A torch optimizer whose only parameter shares memory with a vector (P,)."""

    def __init__(self, kind: type[Torch], options: dict[str, Any], theta: Tensor) -> None:
        self.parameter = nn.Parameter(theta.detach())
        self.optimizer = kind([self.parameter], **options)

    def of(self, theta: Tensor) -> bool:
        """Whether this is the binding of `theta`."""
        return self.parameter.data_ptr() == theta.data_ptr() and self.parameter.shape == theta.shape


def _check_options(kind: type[Torch], options: dict[str, Any]) -> float:
    """Build the optimizer once to see whether torch takes it; returns its learning rate.

    Raises:
        UserError: torch refuses a value, or the optimizer cannot work on a flat vector with a dense gradient.
    """
    if kind.__name__ == "SparseAdam":
        raise UserError("torch.optim.SparseAdam needs sparse gradients, which nnlab does not have; use optimizer=adam")
    try:
        return float(_Binding(kind, options, torch.zeros(1)).optimizer.param_groups[0]["lr"])
    except (TypeError, ValueError) as error:
        raise UserError(f"{kind.__module__}.{kind.__name__} refuses these options: {error}") from error


class TorchOptimizer(FirstOrder):
    """An optimizer of torch that needs the gradient only; it moves one network (M = 1).

    Rules that look at the shape of a matrix (Muon, the factored Adafactor) or at parameter groups see one flat
    vector, and a `weight_decay` among the options shrinks biases too; `regularizer.weight_decay` does not.

    Args:
        kind: the class, such as `torch.optim.NAdam`.
        options: arguments of its constructor other than the parameters.

    Attributes:
        learning_rate: its `lr`, which the schedule multiplies.
    """

    per_member: ClassVar[tuple[str, ...]] = ()
    stackable: ClassVar[bool] = False
    recordable: ClassVar[bool] = False

    def __init__(self, kind: type[Torch], options: dict[str, Any] | None = None) -> None:
        self.kind, self.options = kind, dict(options or {})
        super().__init__(_check_options(kind, self.options))
        self._binding: _Binding | None = None

    def initial_state(self, theta: Tensor) -> State:
        """Empty: torch makes its memory in the first step, with which the state gets its names."""
        return {}

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        if len(theta) != 1:
            raise TypeError(f"{self.kind.__name__} of torch moves one network at a time, got {len(theta)}")
        if self._binding is None or not self._binding.of(theta[0]):
            self._binding = _Binding(self.kind, self.options, theta[0])
        optimizer, parameter = self._binding.optimizer, self._binding.parameter
        optimizer.state[parameter] = restore_state({name: tensor[0] for name, tensor in state.items()})
        optimizer.param_groups[0]["lr"] = float(learning_rate)
        parameter.grad = gradient[0]
        optimizer.step()
        memory = flatten_state(optimizer.state[parameter])
        state.clear()
        state.update({name: tensor.unsqueeze(0) for name, tensor in memory.items()})


class TorchClosureOptimizer(SecondOrder):
    """An optimizer of torch that evaluates the loss itself, such as `torch.optim.LBFGS`.

    Args:
        kind: the class.
        options: arguments of its constructor other than the parameters.

    Attributes:
        learning_rate: its `lr`, which the schedule multiplies.
    """

    def __init__(self, kind: type[Torch], options: dict[str, Any] | None = None) -> None:
        self.kind, self.options = kind, dict(options or {})
        super().__init__(_check_options(kind, self.options))
        self._binding: _Binding | None = None

    def initial_state(self, theta: Tensor) -> State:
        """Empty: torch makes its memory in the first step, with which the state gets its names."""
        return {}

    def step(self, theta: Tensor, closure: Closure, state: State, learning_rate: float, k: int) -> Tensor:
        if self._binding is None or not self._binding.of(theta):
            self._binding = _Binding(self.kind, self.options, theta)
        optimizer, parameter = self._binding.optimizer, self._binding.parameter
        optimizer.state[parameter] = restore_state(state)
        optimizer.param_groups[0]["lr"] = float(learning_rate)
        losses = []

        def evaluate() -> Tensor:
            loss, gradient = closure(parameter.detach())
            parameter.grad = gradient.clone()
            losses.append(loss)
            return loss

        optimizer.step(evaluate)  # type: ignore[arg-type]
        state.clear()
        state.update(flatten_state(optimizer.state[parameter]))
        return losses[0]


def from_torch(kind: type[Torch], options: dict[str, Any] | None = None) -> TorchOptimizer | TorchClosureOptimizer:
    """The adapter that fits a class: by whether its `step` requires a closure.

    Raises:
        UserError: torch refuses an option, or the optimizer cannot work on a flat vector with a dense gradient.
    """
    closure = inspect.signature(kind.step).parameters.get("closure")
    required = closure is not None and closure.default is inspect.Parameter.empty
    return TorchClosureOptimizer(kind, options) if required else TorchOptimizer(kind, options)
