"""Whether examples that a run is measured on are those that it was trained on: compared as networks see them.

How a file writes its rows, in which order they and the columns stand, and how many of them it has, makes no difference.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from nnlab.console import counted
from nnlab.errors import UserError
from nnlab.runs.networks import Networks
from nnlab.runs.own_data import own_dataset
from nnlab.types import Split

MOST = 1 << 26  # numbers of the training inputs that are compared
DIGITS = 3  # behind the point of a standardized input in which examples agree
LEAST, MORE = 0.05, 2.0  # share of the examples, and times as many as of the test split, from which it is no chance

log = logging.getLogger(__name__)


def watched(networks: Networks, examples: Iterable[Split], name: str | Path) -> Iterator[Split]:
    """The same examples; once all are through, a warning where the run was trained on some of them.

    Nothing is said where the run's own data are no longer there, or are too large to be compared.

    Args:
        networks: of the run.
        examples: as training had them, in pieces.
        name: what the warning calls them.
    """
    try:
        own = own_dataset(networks.directory, networks.config)
        known = _keys(own.train) if isinstance(own.train.inputs, Tensor) and own.train.inputs.numel() <= MOST else None
    except UserError:
        known = None
    if known is None:
        yield from examples
        return
    trained, found = set(known), 0
    total = 0
    for piece in examples:
        found += sum(key in trained for key in _keys(piece))
        total += len(piece)
        yield piece
    by_chance = [key in trained for key in _keys(own.test)]
    if total and found / total > max(LEAST, MORE * sum(by_chance) / max(1, len(by_chance))):
        log.warning(
            "%s: %s among those that the run was trained on, so that this says little about new ones; `nnlab evaluate "
            "RUN` measures on the test split",
            name,
            counted(found, "example", "is", "are", of=total),
        )


def _keys(split: Split) -> list[bytes]:
    """Each example as bytes, its inputs rounded, and its target."""
    inputs = np.round(split.inputs[:].flatten(1).cpu().numpy().astype(np.float32), DIGITS) + np.float32(0)
    targets = split.targets.cpu().numpy().astype(np.float32).reshape(len(inputs), -1)
    rows = np.concatenate([inputs, np.round(targets, DIGITS) + np.float32(0)], axis=1)
    return [row.tobytes() for row in rows]
