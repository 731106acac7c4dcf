"""Checkpoints: everything a run needs to continue to the same bits, in a file that is whole or not there.

Format: one line `nnlab checkpoint <version> <sha256 of the rest>`, then a `torch.save` archive of plain values and
tensors, read with `weights_only=True`, so that no code runs from a checkpoint file.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.files import explained, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnlab.training.run import Run
    from nnlab.training.trainer import Trainer

VERSION = 1
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`, whole or not at all.

    Raises:
        WriteError: the disk did not take it; an older checkpoint at `path` is intact.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    header = f"nnlab checkpoint {VERSION} {hashlib.sha256(payload).hexdigest()}\n"
    write_whole(path, header.encode() + payload, sync=True)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        UserError: it is damaged, no checkpoint, or of a version that this nnlab does not read.
    """
    data = path.read_bytes()
    header, _, payload = data.partition(b"\n")
    words = header.split()
    if words[:2] != [b"nnlab", b"checkpoint"] or len(words) != 4:
        raise UserError(f"`{path}` is not a checkpoint of nnlab, or its beginning is damaged")
    if not words[2].isdigit() or int(words[2]) > VERSION:
        raise UserError(
            f"`{path}` has checkpoint format {words[2].decode(errors='replace')}; this nnlab reads "
            f"formats up to {VERSION}: a newer nnlab can read it"
        )
    if hashlib.sha256(payload).hexdigest().encode() != words[3]:
        raise UserError(f"`{path}` is damaged: its checksum does not match")
    state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return state


def rotate_and_save(folder: Path, state: dict[str, Any]) -> None:
    """Save as the last checkpoint; the last becomes the previous one."""
    last = folder / LAST
    if last.exists():
        with explained(folder / PREVIOUS):
            last.replace(folder / PREVIOUS)
    save(last, state)


def load_newest(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint, or with a warning the previous one where that is damaged; None where there is none."""
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            return load(path)
        except (UserError, RuntimeError, EOFError) as error:
            warnings.warn(f"{error}; falling back to the previous checkpoint", stacklevel=2)
    return None


def _own(value: Tensor) -> Tensor:
    """A copy with its own storage: `torch.save` writes the whole storage that a view looks into."""
    return value.detach().clone().cpu()


def member_state(trainer: Trainer, member: int) -> dict[str, Any]:
    """All that training needs of one member."""
    best = trainer.best
    state: dict[str, Any] = {
        "status": trainer.statuses[member],
        "reason": trainer.reasons[member],
        "ended_at": trainer.ended_at[member],
        "learning_rate": trainer.members[member].optimizer.learning_rate,
        "best": {
            "theta": _own(best.theta[member]),
            "buffers": {name: _own(value[member]) for name, value in best.buffers.items()},
            "step": best.steps[member],
            "metrics": best.metrics[member],
        },
        "callbacks": {type(c).__name__: c.state(member) for c in trainer.callbacks},
    }
    if member in trainer.active:
        row = trainer.active.index(member)
        state["theta"] = _own(trainer.stack.theta[row])
        state["buffers"] = {name: _own(value[row]) for name, value in trainer.stack.buffers.items()}
        state["optimizer"] = {name: _own(value[row]) for name, value in trainer.population.state.items()}
    return state


def load_member_state(trainer: Trainer, member: int, state: dict[str, Any]) -> bool:
    """Take up a member's state; returns whether it is still in training. Call before any member has left."""
    best = trainer.best
    trainer.statuses[member] = state["status"]
    trainer.reasons[member] = state["reason"]
    trainer.ended_at[member] = state["ended_at"]
    trainer.members[member].optimizer.learning_rate = state["learning_rate"]
    best.theta[member].copy_(state["best"]["theta"])
    for name, value in state["best"]["buffers"].items():
        best.buffers[name][member].copy_(value)
    best.steps[member], best.metrics[member] = state["best"]["step"], state["best"]["metrics"]
    for callback in trainer.callbacks:
        if type(callback).__name__ in state["callbacks"]:
            callback.load_state(member, state["callbacks"][type(callback).__name__])
    if "theta" not in state:
        return False
    row = trainer.active.index(member)
    trainer.stack.theta[row].copy_(state["theta"])
    for name, value in state["buffers"].items():
        trainer.stack.buffers[name][row].copy_(value)
    for name, value in state["optimizer"].items():
        present = trainer.population.state.get(name)
        if present is not None and present.shape[1:] == value.shape:
            present[row].copy_(value)
        else:  # torch's optimizers name their state in the first step; they move one member only
            trainer.population.state[name] = value.unsqueeze(0)
    return True


def run_state(trainer: Trainer, run: Run) -> dict[str, Any]:
    """All that the run of some members needs; its growing files are flushed."""
    trainer.history.flush()
    return {
        "identity": run.identity,
        "step": trainer.step,
        "seconds": trainer.seconds,
        "files": run.flush(),
        "members": [member_state(trainer, member) for member in run.members],
    }


def resume(trainer: Trainer, states: Sequence[dict[str, Any]]) -> None:
    """Continue runs from their states (one per run, all at the same step) before `fit`."""
    trainer.step = states[0]["step"]
    trainer.seconds = max(state["seconds"] for state in states)
    staying = []
    for run, state in zip(trainer.runs, states, strict=True):
        for member, saved in zip(run.members, state["members"], strict=True):
            if load_member_state(trainer, member, saved):
                staying.append(member)
    trainer.population.merge()
    if len(staying) < len(trainer.members):
        trainer.population.select(staying)
        trainer.history.select(staying)
