"""Facts that follow from a data set and a loss alone are found once a process: runs that share these share the work.

What is kept is small, plain values above all, and no examples.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar, cast

from nnlab.loss.base import Loss
from nnlab.types import Dataset

KEPT = 512  # facts, of which those are forgotten that were asked for longest ago
PLAIN = (bool, int, float, str, type(None))

T = TypeVar("T")

_found: OrderedDict[tuple[str, str, str], object] = OrderedDict()


def once(what: str, dataset: Dataset, loss: Loss | None, find: Callable[[], T]) -> T:
    """What `find` gives for a data set, and a loss where that matters; found anew where one of them has no name.

    Args:
        what: is looked for.
        dataset: known by its key.
        loss: one of nnlab's, known by its numbers; None where the facts do not depend on it.
        find: gives something that is not changed by anybody, without references to examples.
    """
    name = "" if loss is None else _name(loss)
    if not dataset.key or name is None:
        return find()
    key = (what, dataset.key, name)
    if key not in _found:
        _found[key] = find()
        if len(_found) > KEPT:
            _found.popitem(last=False)
    _found.move_to_end(key)
    return cast(T, _found[key])


def _name(loss: Loss) -> str | None:
    """Class and numbers of a loss; None where it is somebody's own, whose code may change, or has tensors."""
    values = [each for value in vars(loss).values() for each in (value if isinstance(value, tuple) else (value,))]
    if not type(loss).__module__.startswith("nnlab.") or not all(isinstance(value, PLAIN) for value in values):
        return None
    return f"{type(loss).__qualname__} {sorted(vars(loss).items())}"
