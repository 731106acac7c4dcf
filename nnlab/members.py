"""Hyper-parameters of a population: the same component built once per member, merged where only numbers differ.

A component names in its class attribute `per_member` the numeric attributes whose arithmetic broadcasts. `merge`
takes the components of M members and returns one whose differing attributes are columns of shape (M, 1), so that a
rule written for one network, such as `theta -= learning_rate * gradient` on rows (M, P), serves all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

Component = TypeVar("Component")

# A hyper-parameter as a rule sees it: a number shared by all members, or a column (M, 1).
Hyper = float | Tensor


def differing(components: Sequence[Any]) -> list[str]:
    """Names of the attributes that are not the same for all components (of one class)."""
    first = vars(components[0])
    return [name for name in first if any(vars(other)[name] != first[name] for other in components[1:])]


def merge(
    components: Sequence[Component], device: torch.device | None = None, dtype: torch.dtype = torch.float32
) -> Component:
    """One component for M members; equal attributes stay numbers, differing ones become columns (M, 1).

    Raises:
        TypeError: the components are of different classes, or differ in an attribute that `per_member` does not name.
    """
    first = components[0]
    if any(type(other) is not type(first) for other in components[1:]):
        raise TypeError("members have components of different classes")
    names = differing(components)
    allowed = getattr(first, "per_member", ())
    for name in names:
        if name not in allowed:
            raise TypeError(f"{type(first).__name__}.{name} cannot differ between members of one population")
    merged = copy.copy(first)
    for name in names:
        column = torch.tensor([float(getattr(other, name)) for other in components], device=device, dtype=dtype)
        setattr(merged, name, column.unsqueeze(1))
    return merged
