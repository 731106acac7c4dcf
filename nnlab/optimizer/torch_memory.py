"""All that an optimizer of torch remembers, as named tensors, and back: what a checkpoint holds of it.

Classes keep their memory in `state` (of each parameter), in their parameter groups (Prodigy's `d`, schedule-free's
`weight_sum`), in attributes, and in an optimizer inside (SAM). Numbers, text, lists and dictionaries become tensors,
whose names carry the type behind a colon.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.optim.optimizer import Optimizer as Torch

_NUMBERS: dict[str, type] = {"int": int, "float": float, "bool": bool}
_KINDS = (*_NUMBERS, "none", "str", "list", "tuple", "dict")
_MACHINERY = ("state", "param_groups", "defaults")  # of torch's own base class


def flatten(memory: Mapping[str, Any]) -> dict[str, Tensor]:
    """Values by name as tensors by name.

    >>> flatten({"n_iter": 3, "ro": [torch.tensor(0.5), None]})
    {'n_iter:int': tensor(3), 'ro:list': tensor(2), 'ro.0': tensor(0.5000), 'ro.1:none': tensor(0)}
    """
    flat: dict[str, Tensor] = {}
    for name, value in memory.items():
        if isinstance(value, Tensor):
            flat[name] = value
        elif value is None:
            flat[f"{name}:none"] = torch.tensor(0)
        elif isinstance(value, str):
            flat[f"{name}:str"] = _text(value)
        elif isinstance(value, list | tuple):
            flat[f"{name}:{type(value).__name__}"] = torch.tensor(len(value))
            flat |= flatten({f"{name}.{position}": each for position, each in enumerate(value)})
        elif isinstance(value, Mapping):
            flat[f"{name}:dict"] = _text(json.dumps(list(value)))
            flat |= flatten({f"{name}.{key}": each for key, each in value.items()})
        else:
            dtype = torch.float64 if isinstance(value, float) else None  # float32 would not give the number back
            flat[f"{name}:{type(value).__name__}"] = torch.tensor(value, dtype=dtype)
    return flat


def unflatten(flat: Mapping[str, Tensor]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    kinds = dict(map(_split, flat))

    def value_of(name: str) -> Any:
        kind = kinds[name]
        if not kind:
            return flat[name]
        tensor = flat[f"{name}:{kind}"]
        if kind in _NUMBERS:
            return _NUMBERS[kind](tensor)
        if kind in ("list", "tuple"):
            values = [value_of(f"{name}.{position}") for position in range(int(tensor))]
            return values if kind == "list" else tuple(values)
        if kind == "dict":
            return {key: value_of(f"{name}.{key}") for key in json.loads(_read(tensor))}
        return _read(tensor) if kind == "str" else None

    inside = {name for name in kinds if any(_is_inside(name, outer, kind) for outer, kind in kinds.items())}
    return {name: value_of(name) for name in kinds if name not in inside}


def _split(name: str) -> tuple[str, str]:
    """A name without its type, and the type; tensors have none, whatever colons their names hold."""
    start, colon, kind = name.rpartition(":")
    return (start, kind) if colon and kind in _KINDS else (name, "")


def _is_inside(name: str, outer: str, kind: str) -> bool:
    return kind in ("list", "tuple", "dict") and name.startswith(f"{outer}.")


def _text(value: str) -> Tensor:
    return torch.tensor(list(value.encode()), dtype=torch.uint8)


def _read(tensor: Tensor) -> str:
    return bytes(tensor.tolist()).decode()


def is_plain(value: Any) -> bool:
    """Whether a value is memory: numbers, text, tensors that are no parameters, and collections of them."""
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(map(is_plain, value))
    if isinstance(value, Mapping):
        return (
            type(value) is dict
            and all(isinstance(key, str | int | float) for key in value)
            and all(map(is_plain, value.values()))
        )
    if isinstance(value, Tensor):
        return not isinstance(value, nn.Parameter)
    return value is None or type(value) in (int, float, bool, str)


def memory_of(optimizer: Torch) -> dict[str, Any]:
    """All that an optimizer remembers: of parameters by their position, of groups, its own, and that of one inside."""
    positions = {id(each): str(position) for position, each in enumerate(_parameters(optimizer))}
    of_parameters = {
        positions[id(key)]: {name: each for name, each in kept.items() if is_plain(each)}
        for key, kept in optimizer.state.items()
        if id(key) in positions
    }
    of_all = {key: kept for key, kept in optimizer.state.items() if isinstance(key, str) and is_plain(kept)}
    groups = [
        {name: each for name, each in group.items() if _is_memory(name, each)} for group in optimizer.param_groups
    ]
    own = {name: each for name, each in vars(optimizer).items() if name not in _MACHINERY and is_plain(each)}
    inner = {name: memory_of(each) for name, each in _inside(optimizer).items()}
    return {"of": of_parameters, "of_all": of_all, "groups": groups, "own": own, "inner": inner}


def remind(optimizer: Torch, memory: Mapping[str, Any]) -> None:
    """Give an optimizer, built anew with the same options, what another one remembered."""
    parameters = _parameters(optimizer)
    for key, kept in memory["of"].items():
        optimizer.state.setdefault(parameters[int(key)], {}).update(kept)
    optimizer.state.update(memory["of_all"])
    for group, kept in zip(optimizer.param_groups, memory["groups"], strict=True):
        group.update(kept)
    vars(optimizer).update(memory["own"])
    for name, each in _inside(optimizer).items():
        remind(each, memory["inner"][name])


def _is_memory(name: str, value: Any) -> bool:
    return name not in ("params", "param_names") and is_plain(value)


def _parameters(optimizer: Torch) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _inside(optimizer: Torch) -> dict[str, Torch]:
    """Optimizers that an optimizer holds, such as the one that SAM moves with."""
    return {
        name: each
        for name, each in vars(optimizer).items()
        if hasattr(each, "param_groups") and hasattr(each, "state") and hasattr(each, "step")
    }
