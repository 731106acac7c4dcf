"""Continuing runs: the checkpoints to continue from, which of them go together, and with which configs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.config import difference, identity
from nnlab.config.construct import construct
from nnlab.errors import UserError
from nnlab.storage.checkpoint import load_newest, load_step
from nnlab.storage.folder import CHECKPOINTS, HISTORY, read_config, read_result
from nnlab.training import Trainer

log = logging.getLogger(__name__)

Config = Mapping[str, Any]
State = dict[str, Any]

LENGTH = ("`trainer.epochs`", "`trainer.steps`")  # the lines of a difference that say how long a run is


def find_states(directories: Sequence[Path]) -> list[State | None]:
    """The newest whole checkpoint of every run; where runs were saved one after another, those of the same step."""
    states = [load_newest(directory / CHECKPOINTS, mend=True) for directory in directories]
    steps = {state["step"] for state in states if state is not None}
    if len(steps) < 2:
        return states
    older = []
    for directory, state in zip(directories, states, strict=True):
        ahead = state is not None and state["step"] > min(steps)
        other = load_step(directory / CHECKPOINTS, min(steps)) if ahead else None
        older.append(other or state)
    return older if len({state["step"] for state in older if state}) == 1 else states


def together(states: Sequence[State | None]) -> list[list[int]]:
    """Positions of the runs that can continue in one population, because they are at the same step."""
    groups: dict[int, list[int]] = {}
    for position, state in enumerate(states):
        groups.setdefault(state["step"] if state else 0, []).append(position)
    return list(groups.values())


def check_config(directory: Path, state: State | None, config: Config) -> None:
    """Refuse a config that a run cannot continue with: it may become longer, but nothing else may change.

    Raises:
        UserError: something else differs, the schedule depends on the length, or there is nothing to continue from.
    """
    if state is None:
        if is_finished(directory):
            raise UserError(f"`{directory}` has ended and kept no checkpoint that can be read; start a new run")
        return
    changed = check_unedited(directory, state, config)
    if changed and getattr(construct(config["scheduler"], "scheduler"), "depends_on_total", True):
        name = config["scheduler"]["_target_"]
        raise UserError(
            f"`{directory}` cannot get another length: its schedule `{name}` depends on it, so that the run would have "
            "been another one from the start; start a new run, with `scheduler=constant` or another that does not"
        )


def check_unedited(directory: Path, state: State, config: Config) -> list[str]:
    """Refuse a config that a run's checkpoint was not trained with, and return the differences in its length.

    Raises:
        UserError: something else than the length differs: the config was edited, or the checkpoint is another run's.
    """
    changed = difference(state["config"], config)
    others = "; ".join(line for line in changed if not line.startswith(LENGTH))
    if others:
        raise UserError(f"`{directory}` was trained with another config and cannot continue with this one: {others}")
    return changed


def check_length(directory: Path, trainer: Trainer, state: State) -> None:
    """Refuse to make a run shorter than it already is."""
    if state["step"] > trainer.total_steps:
        raise UserError(f"`{directory}` has done {state['step']} steps already, more than {trainer.total_steps}")


_failed: set[Path] = set()  # run folders whose training failed in this process, which says by itself what follows


def note_failure(directories: Iterable[Path]) -> None:
    """Remember that runs failed in this process, such as a population for want of memory: they may begin again."""
    _failed.update(directory.resolve() for directory in directories)


def announce(directory: Path, state: State | None, total: int) -> None:
    """Say where a run continues, or that it begins again."""
    again = directory.resolve() in _failed
    if state is not None and state["step"] < total:
        log.info(f"from step {state['step']} of {total}")
    elif state is None and not again and (directory / HISTORY).exists():
        log.warning(f"`{directory}` has no checkpoint that can be read; training starts again from step 0")


def is_finished(directory: Path) -> bool:
    """Whether a run has a result, of its present config."""
    try:
        result = read_result(directory)
        return result is not None and result.get("identity") == identity(read_config(directory))
    except UserError:  # damaged: to be written again
        return False
