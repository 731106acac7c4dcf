"""What a class of optimizer needs, found by trying it on four small parameters: a closure, matrices, and a memory.

Whether a run can continue to the same bits is tried as well: 7 steps, its memory into another instance, and 7 more.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from nnlab.errors import UserError
from nnlab.optimizer.torch_memory import flatten, memory_of, remind, unflatten

if TYPE_CHECKING:
    from torch.optim.optimizer import Optimizer as Torch

HALF = 7  # steps before and after the interruption
SHAPES = {"hidden.weight": (4, 3), "hidden.bias": (4,), "output.weight": (2, 4), "output.bias": (2,)}
MATRICES = {"hidden.weight": (4, 3)}
Shapes = Mapping[str, tuple[int, ...]]


class Traits(NamedTuple):
    """What was found out about a class with its options.

    Attributes:
        rate: its learning rate.
        closure: whether its step asks for a closure that evaluates the loss.
        matrices: whether it moves matrices only, and fails with vectors.
    """

    rate: float
    closure: bool
    matrices: bool


def make(kind: type[Torch], options: Mapping[str, Any], named: Sequence[tuple[str, nn.Parameter]]) -> Torch:
    """An optimizer of these parameters, which also knows their names where the class can take them."""
    try:
        optimizer = kind(list(named), **options)
        if all(isinstance(each, nn.Parameter) for group in optimizer.param_groups for each in group["params"]):
            return optimizer
    except Exception:  # classes that override torch's own reading of parameters know tensors only
        pass
    optimizer = kind([parameter for _, parameter in named], **options)
    names = {id(parameter): name for name, parameter in named}
    for group in optimizer.param_groups:
        group.setdefault("param_names", [names[id(each)] for each in group["params"] if id(each) in names])
    return optimizer


def traits(kind: type[Torch], options: Mapping[str, Any]) -> Traits:
    """Try a class.

    Raises:
        UserError: it refuses the options or dense gradients, has no learning rate, or a run could not continue exactly.
    """
    name = f"{kind.__module__}.{kind.__name__}"
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about compilers, or what is deprecated: of a trial that nobody sees
        torch.manual_seed(0)
        shapes, closure, rate = _first_that_moves(kind, options, name)
        if not isinstance(rate, int | float | Tensor):
            raise UserError(f"`{name}` has no learning rate `lr` that a schedule could multiply; give it one")
        exact = _continues(kind, options, shapes, closure)
    if not exact:
        raise UserError(
            f"`{name}` remembers what a checkpoint cannot hold, or draws at random, so that a run could not continue "
            "to the same numbers; it cannot be used here"
        )
    return Traits(float(rate), closure, shapes is MATRICES)


def _continues(kind: type[Torch], options: Mapping[str, Any], shapes: Shapes, closure: bool) -> bool:
    """Whether steps that were interrupted are those that were not."""
    whole = _steps(kind, options, shapes, closure, 2 * HALF, None)[0]
    half, memory = _steps(kind, options, shapes, closure, HALF, None)
    try:
        again = _steps(kind, options, shapes, closure, HALF, (half, unflatten(flatten(memory))))[0]
    except Exception:  # the class misses a part of its memory, in its own way
        return False
    return all(map(_equal, whole, again))


def _equal(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first.nan_to_num(), second.nan_to_num())


def _first_that_moves(kind: type[Torch], options: Mapping[str, Any], name: str) -> tuple[Shapes, bool, Any]:
    """The shapes that a class moves, all or matrices alone, whether it wants a closure for it, and its learning rate.

    Raises:
        UserError: it takes neither, or cannot take a step.
    """
    problems: list[tuple[str, Exception]] = []
    for shapes in (SHAPES, MATRICES):
        try:
            rate = make(kind, options, _parameters(shapes, None)).param_groups[0].get("lr")
        except Exception as error:  # whatever the class itself raises
            problems.append(("refuses these options", error))
            continue
        for closure in (False, True):
            try:
                _steps(kind, options, shapes, closure, 2, None)
                return shapes, closure, rate
            except Exception as error:  # as before
                problems.append(("cannot take a step with dense gradients of a small network", error))
    what, first = problems[0]
    reason = (str(first).splitlines() or [type(first).__name__])[0]
    raise UserError(f"{name} {what}: {reason}") from first


def _parameters(shapes: Shapes, values: Sequence[Tensor] | None) -> list[tuple[str, nn.Parameter]]:
    start = values or [torch.sin(torch.arange(1.0, 1 + _size(each))).view(each) for each in shapes.values()]
    return [(name, nn.Parameter(value.clone())) for name, value in zip(shapes, start, strict=True)]


def _size(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()


def _steps(
    kind: type[Torch],
    options: Mapping[str, Any],
    shapes: Shapes,
    closure: bool,
    count: int,
    start: tuple[list[Tensor], Mapping[str, Any]] | None,
) -> tuple[list[Tensor], dict[str, Any]]:
    """Parameters and memory after `count` steps on a parabola, from given ones."""
    named = _parameters(shapes, start[0] if start else None)
    optimizer = make(kind, options, named)
    if start:
        remind(optimizer, start[1])
    if hasattr(optimizer, "train"):
        optimizer.train()

    def evaluate() -> Tensor:
        loss = torch.zeros(())
        for position, (_, parameter) in enumerate(named, start=1):
            parameter.grad = position * (parameter.detach() - 0.3)
            loss = loss + 0.5 * position * (parameter.detach() - 0.3).square().sum()
        return loss

    for _ in range(count):
        evaluate()
        optimizer.step(evaluate) if closure else optimizer.step()  # type: ignore[arg-type]
    return [parameter.detach().clone() for _, parameter in named], memory_of(optimizer)
