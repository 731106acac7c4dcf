"""Checkpoints: everything a run needs to continue to the same bits, in a file that is whole or not there.

Format: one line `nnlab checkpoint <version> <sha256 of the rest>`, then a `torch.save` archive of plain values and
tensors, read with `weights_only=True`, so that no code runs from a checkpoint file.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.storage.files import explained, replacing, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnlab.training.run import Run
    from nnlab.training.trainer import Trainer

VERSION = 1
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"


class DamagedError(UserError):
    """A checkpoint that cannot be read, because something else than nnlab changed it."""


def encode(state: dict[str, Any]) -> bytes:
    """The content of a checkpoint file."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    return f"nnlab checkpoint {VERSION} {hashlib.sha256(payload).hexdigest()}\n".encode() + payload


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        DamagedError: it is damaged, or no checkpoint.
        UserError: it is of a version that this nnlab does not read, or may not be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        kind = UserError if isinstance(error, PermissionError) else DamagedError
        raise kind(f"cannot read `{path}`: {error.strerror}") from error
    header, _, payload = data.partition(b"\n")
    words = header.split()
    if words[:2] != [b"nnlab", b"checkpoint"] or len(words) != 4 or not words[2].isdigit():
        raise DamagedError(f"`{path}` is not a checkpoint of nnlab, or its beginning is damaged")
    if hashlib.sha256(payload).hexdigest().encode() != words[3]:
        raise DamagedError(f"`{path}` is damaged: its checksum does not match")
    if int(words[2]) > VERSION:
        raise UserError(
            f"`{path}` has checkpoint format {int(words[2])}; this nnlab reads formats up to {VERSION}: "
            "a newer nnlab can read it"
        )
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DamagedError(f"`{path}` holds something else than numbers and text, and is not opened") from error
    return state


def rotate_and_save(folder: Path, state: dict[str, Any]) -> None:
    """Save as the last checkpoint; the last becomes the previous one when the new one is on the disk.

    Raises:
        WriteError: the disk did not take it; the older checkpoints are intact.
    """
    last = folder / LAST
    with replacing(last, encode(state), sync=True):
        if last.exists():
            last.replace(folder / PREVIOUS)


def save_best(folder: Path, state: dict[str, Any], sync: bool = False) -> None:
    """Save only the best weights of a run's state."""
    members = [{"best": member["best"]} for member in state["members"]]
    slim = {name: state[name] for name in ("identity", "config", "step")} | {"members": members}
    write_whole(folder / BEST, encode(slim), sync)


def load_newest(folder: Path, mend: bool = False) -> dict[str, Any] | None:
    """The last checkpoint, or with a warning the previous one where that is damaged; None where there is none.

    `mend` puts a damaged last one aside, so that it cannot take the previous one's place.
    """
    for name in (LAST, PREVIOUS):
        path = folder / name
        try:
            if path.exists():
                return load(path)
        except DamagedError as error:
            other = f"; `{PREVIOUS}` is used instead" if name == LAST and (folder / PREVIOUS).exists() else ""
            print(f"warning: {error}{other}", file=sys.stderr, flush=True)
            if mend:
                with explained(path):
                    path.replace(path.with_suffix(".damaged"))
    return None


def load_step(folder: Path, step: int) -> dict[str, Any] | None:
    """The previous checkpoint if it is that of `step`."""
    path = folder / PREVIOUS
    try:
        state = load(path) if path.exists() else None
    except DamagedError:
        return None
    return state if state is not None and state["step"] == step else None


def load_best(folder: Path) -> dict[str, Any]:
    """The checkpoint with a run's best weights.

    Raises:
        UserError: there is none, or none that is whole.
    """
    try:
        if (folder / BEST).exists():
            return load(folder / BEST)
    except DamagedError as error:
        print(f"warning: {error}", file=sys.stderr, flush=True)
    state = load_newest(folder)
    if state is None:
        raise UserError(f"`{folder}` has no checkpoint that can be read")
    return state


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
        "repairs": int(trainer.repairs[member]),
        "best": {
            "theta": _own(best.theta[member]),
            "buffers": {name: _own(value[member]) for name, value in best.buffers.items()},
            "step": best.steps[member],
            "metrics": best.metrics[member],
            "score": best.scores[member],
            "recent": best.recent[member],
        },
        "callbacks": {type(c).__name__: kept for c in trainer.callbacks if (kept := c.state(member))},
    }
    if member in trainer.active:
        row = trainer.active.index(member)
        state["theta"] = _own(trainer.stack.theta[row])
        state["buffers"] = {name: _own(value[row]) for name, value in trainer.stack.buffers.items()}
        state["optimizer"] = {name: _own(value[row]) for name, value in trainer.population.state.items()}
    return state


def _load_best_state(trainer: Trainer, member: int, state: dict[str, Any]) -> None:
    best = trainer.best
    best.theta[member].copy_(state["theta"])
    for name, value in state["buffers"].items():
        best.buffers[name][member].copy_(value)
    best.steps[member], best.metrics[member] = state["step"], state["metrics"]
    best.scores[member], best.recent[member] = state.get("score"), state.get("recent", [])  # older ones lack them


def load_member_state(trainer: Trainer, member: int, state: dict[str, Any]) -> bool:
    """Take up a member's state; returns whether it is still in training. Call before any member has left."""
    trainer.statuses[member] = state["status"]
    trainer.reasons[member] = state["reason"]
    trainer.ended_at[member] = state["ended_at"]
    trainer.members[member].optimizer.learning_rate = state["learning_rate"]
    trainer.repairs[member] = state.get("repairs", 0)  # older checkpoints of this format do not count them
    _load_best_state(trainer, member, state["best"])
    for callback in trainer.callbacks:
        if type(callback).__name__ in state["callbacks"]:
            callback.load_state(member, state["callbacks"][type(callback).__name__])
    if "theta" not in state:
        return False
    trainer.statuses[member], trainer.reasons[member] = "running", ""
    row = trainer.active.index(member)
    trainer.stack.theta[row].copy_(state["theta"])
    for name, value in state["buffers"].items():
        trainer.stack.buffers[name][row].copy_(value)
    for name, value in state["optimizer"].items():
        present = trainer.population.state.get(name)
        if present is not None and present.shape[1:] == value.shape:
            present[row].copy_(value)
        else:  # torch's optimizers name their state in the first step; they move one member only
            like = trainer.stack.theta if value.dim() else None  # torch counts its steps on the CPU
            trainer.population.state[name] = value.unsqueeze(0).to(like.device if like is not None else "cpu")
    return True


def run_state(trainer: Trainer, run: Run) -> dict[str, Any]:
    """All that the run of some members needs; its growing files are flushed."""
    trainer.history.flush()
    for callback in trainer.callbacks:
        callback.flush(trainer)
    return {
        "identity": run.identity,
        "config": dict(run.config),
        "step": trainer.step,
        "seconds": trainer.seconds,
        "files": run.lengths(),
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
    if len(staying) < len(trainer.members):
        trainer.population.select(staying)
        trainer.history.select(staying)
    elif staying:
        trainer.population.merge()


def restore_best(trainer: Trainer, states: Sequence[dict[str, Any]]) -> None:
    """Take up the best weights only, from states of `load_best` (one per run)."""
    for run, state in zip(trainer.runs, states, strict=True):
        for member, saved in zip(run.members, state["members"], strict=True):
            _load_best_state(trainer, member, saved["best"])
