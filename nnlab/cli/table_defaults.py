"""What `nnlab train` chooses on a table where nothing else is said, as measured on 25 tables (docs/tables.md).

    inputs scaled by their quartiles and smoothly bounded, a higher rate with more decay, twice the epochs, and an
    ensemble; a grid compares single networks, and so does the recipe, which ends with an ensemble of the best

A part that is typed is left as it is typed, with what depends on it: another architecture or optimizer trains alone and
at its own rate, and `regularizer=[...]` says the whole of what keeps a network from overfitting.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from nnlab.cli.grammar import parsed
from nnlab.config.build import data_root
from nnlab.config.overrides import key_of
from nnlab.data.base import existing
from nnlab.errors import UserError

log = logging.getLogger(__name__)

SMALL = 2_000_000  # bytes of a file up to which the larger ensemble takes seconds
MEMBERS, MEMBERS_OF_LARGE = 8, 3
# The bound leaves moderate tails as they are: what a large number says is often proportional to it.
PREPROCESSING = ("data/preprocessing=robust", "data.preprocessing.clip=10.0")


def table_defaults(command: str, overrides: Sequence[str], grid: bool = False) -> list[str]:
    """The overrides with those that a table gets besides; said in one line.

    Args:
        command: `train` or `recipe`; others get none.
        overrides: without the short form.
        grid: whether they are those of several runs.
    """
    typed = {key_of(word): word.partition("=")[2] for word in overrides}
    if typed.get("data") != "table" or "experiment" in typed or command not in ("train", "recipe"):
        return list(overrides)
    chosen = [] if _elsewhere(typed, "data/preprocessing", "clip") else list(PREPROCESSING)
    if "architecture" not in typed:
        chosen += _training(typed, _is_small(typed), "grid" if grid else command)
    chosen = [line for line in chosen if key_of(line) not in typed]
    if chosen and _size(typed) is not None:  # of one that is not there nothing is trained
        log.info("chosen for a table: %s (docs/tables.md)", " ".join(chosen))
    return [*overrides, *chosen]


def _training(typed: dict[str, str], small: bool, purpose: str) -> list[str]:
    """Ensemble, decay, rate and epochs, as far as nothing else was typed, for `train`, a `grid` or the `recipe`."""
    chosen = []
    if not _elsewhere(typed, "regularizer", "ensemble", "weight_decay") and "optimizer" not in typed:
        if purpose == "train":
            members = MEMBERS if small else MEMBERS_OF_LARGE
            chosen += ["regularizer=[ensemble,weight_decay]", f"regularizer.ensemble.members={members}"]
        elif purpose == "recipe":
            chosen.append("recipe.ensemble=true")
        if not _says(typed, "optimizer"):
            chosen += ["regularizer.weight_decay.strength=1.0", "regularizer.weight_decay.decoupled=true"]
    if not _says(typed, "optimizer"):
        chosen.append("optimizer.learning_rate=0.003")
    if small and not _says(typed, "trainer.epochs", "trainer.steps"):
        chosen.append("trainer.epochs=60")
    return chosen


def _elsewhere(typed: dict[str, str], group: str, *parts: str) -> bool:
    """Whether the group was typed, or a key of its section that is below none of `parts`."""
    section = group.replace("/", ".") + "."
    keys = [name.removeprefix(section).partition(".")[0] for name in typed if name.startswith(section)]
    return group in typed or any(key not in parts for key in keys)


def _says(typed: dict[str, str], *keys: str) -> bool:
    """Whether something was typed about one of `keys`, or below it."""
    return any(name == key or name.startswith(f"{key}.") for name in typed for key in keys)


def _is_small(typed: dict[str, str]) -> bool:
    """Whether the file is small; one that is not there is named by whoever reads it."""
    return (_size(typed) or 0) <= SMALL


def _size(typed: dict[str, str]) -> int | None:
    """Bytes of the file; None where it is not there."""
    try:
        path = str(parsed([f"path={typed.get('data.path', '')}"])[0].value())
        file = existing(path, data_root({"data_root": typed.get("data_root") or os.environ.get("NNLAB_DATA")}))
        return file.stat().st_size if file.is_file() else None
    except (UserError, OSError):
        return None
