"""What a CUDA graph does, on the processor: operations are written down with their memory, and done again in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The arguments that an operation changes in place."""
    if func is torch.ops.aten.native_batch_norm.default:  # its running mean and variance; the schema does not say so
        return [value for value in args[3:5] if value is not None]
    found = []
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = kwargs.get(argument.name, args[position] if position < len(args) else None)
            found += [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
    return found


class Recorder(TorchDispatchMode):
    """A `Graph` of operations on the processor. As on a GPU, recording leaves no trace, and Python does not run again.

    Attributes:
        calls: the operations with their arguments and results, which keep their memory.
        replays: how often they were done again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self.undo: list[tuple[Tensor, Tensor]] = []
        self.replays = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.undo += [(tensor, tensor.clone()) for tensor in written(func, args, kwargs)]
        result = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, result))
        return result

    def record(self, function: Callable[[], object]) -> None:
        with self:
            function()
        for tensor, before in reversed(self.undo):
            tensor.copy_(before)
        self.undo.clear()

    def replay(self) -> None:
        self.replays += 1
        with torch.no_grad():
            for func, args, kwargs, result in self.calls:
                again = func(*args, **kwargs)
                inside = {
                    value.untyped_storage().data_ptr() for value in tree_leaves((args, kwargs)) if _is_tensor(value)
                }
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if _is_tensor(old) and old.untyped_storage().data_ptr() not in inside:
                        old.copy_(new)


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)
