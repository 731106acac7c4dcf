"""The state of a run as its checkpoint holds it: put together, and taken up again.

`nnlab.storage.checkpoint` has the file's format; what a part of training needs to continue is its own business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from nnlab.training.callback import named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnlab.storage.run import Run
    from nnlab.training.trainer import Trainer


def _own(value: Tensor) -> Tensor:
    """A copy with its own storage: `torch.save` writes the whole storage that a view looks into."""
    return value.detach().clone().cpu()


def member_state(trainer: Trainer, member: int) -> dict[str, Any]:
    """All that training needs of one member."""
    best, outcome = trainer.best, trainer.outcomes[member]
    state: dict[str, Any] = {
        "status": outcome.status,
        "reason": outcome.reason,
        "ended_at": outcome.ended_at,
        "learning_rate": trainer.engine.learning_rate(member),
        "repairs": outcome.repairs,
        "best": {
            "theta": _own(best.theta[member]),
            "buffers": {name: _own(value[member]) for name, value in best.buffers.items()},
            "step": best.steps[member],
            "metrics": best.metrics[member],
            "score": best.scores[member],
            "recent": best.recent[member],
        },
        "callbacks": {name: kept for name, c in named(trainer.callbacks).items() if (kept := c.state(member))},
    }
    if member in trainer.active:
        row = trainer.active.index(member)
        state["repairs"] = int(trainer.engine.guard.left_out[row])
        state["theta"] = _own(trainer.stack.theta[row])
        state["buffers"] = {name: _own(value[row]) for name, value in trainer.stack.buffers.items()}
        state["optimizer"] = {name: _own(value[row]) for name, value in trainer.engine.state.items()}
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
    outcome = trainer.outcomes[member]
    outcome.status, outcome.reason, outcome.ended_at = state["status"], state["reason"], state["ended_at"]
    trainer.engine.set_learning_rate(member, state["learning_rate"])
    outcome.repairs = state.get("repairs", 0)  # older checkpoints of this format do not count them
    _load_best_state(trainer, member, state["best"])
    kept = state["callbacks"]
    for name, callback in named(trainer.callbacks).items():
        found = kept.get(name, kept.get(type(callback).__name__))  # under its class in older checkpoints
        if found is not None:
            callback.load_state(member, found)
    if "theta" not in state:
        return False
    outcome.status, outcome.reason = "running", ""
    row = trainer.active.index(member)
    trainer.engine.guard.left_out[row] = outcome.repairs
    trainer.stack.theta[row].copy_(state["theta"])
    for name, value in state["buffers"].items():
        trainer.stack.buffers[name][row].copy_(value)
    for name, value in state["optimizer"].items():
        present = trainer.engine.state.get(name)
        if present is not None and present.shape[1:] == value.shape:
            present[row].copy_(value)
        else:  # torch's optimizers name their state in the first step; they move one member only
            like = trainer.stack.theta if value.dim() else None  # torch counts its steps on the CPU
            trainer.engine.state[name] = value.unsqueeze(0).to(like.device if like is not None else "cpu")
    return True


def run_states(trainer: Trainer) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Each run with all that it needs to continue, one after another; their growing files are flushed before."""
    trainer.history.flush()
    for callback in trainer.callbacks:
        callback.flush(trainer)
    for run in trainer.runs:
        yield (
            run,
            {
                "identity": run.identity,
                "config": dict(run.config),
                "step": trainer.step,
                "seconds": trainer.seconds,
                "files": run.lengths(),
                "members": [member_state(trainer, member) for member in run.members],
            },
        )


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
        trainer.engine.select(staying)
        trainer.history.select(staying)
    elif staying:
        trainer.engine.merge()


def restore_best(trainer: Trainer, states: Sequence[dict[str, Any]]) -> None:
    """Take up the best weights only, from states of `load_best` (one per run)."""
    for run, state in zip(trainer.runs, states, strict=True):
        for member, saved in zip(run.members, state["members"], strict=True):
            _load_best_state(trainer, member, saved["best"])
