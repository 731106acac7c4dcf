"""Why a small sample was not memorized: the loss explodes, does not fall, or stays above its floor, and from what."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnlab.diagnosis.facts.levels import Levels
from nnlab.diagnosis.finding import Finding, shown
from nnlab.recipe.changes import Changes
from nnlab.recipe.trial import Trial
from nnlab.recipe.trials import Trials
from nnlab.types import Task

MOVES = 0.1
STILL_FALLING = 0.03  # of the way to the floor, gained in the last quarter
MOSTLY = 0.5  # of the way to the floor
RIGHT = 0.9  # accuracy that a doubled output layer still reaches, and r2 of answers that are nearly fitted
INITIALIZATIONS = ("he", "xavier", "orthogonal")


def explain_failure(trials: Trials, contestants: Sequence[Trial], levels: Levels) -> list[Finding]:
    """Findings, one fault at least, from the trials of steps 2's first sample."""
    seen = [t for t in contestants if t.scores and math.isfinite(t.scores["loss/fit"])]
    below = [t for t in seen if levels.floor is not None and t.scores["loss/fit"] < levels.floor - 0.05 * levels.span]
    if below:
        return [
            Finding(
                "loss_of_wrong_sign",
                f"the loss fell to {shown(below[0].scores['loss/fit'])}, below its floor {shown(levels.floor or 0.0)}",
                why="Something that should be minimized is being maximized.",
            )
        ]
    alive = [t for t in seen if not t.diverged]
    if not alive or all(t.scores["loss/fit"] > 2 * max(levels.initial, levels.constant) for t in alive):
        return [
            Finding(
                "loss_exploded",
                f"{len(contestants) - len(alive)} of {len(contestants)} trials ended with NaN or "
                "infinity, the others far above where they began",
                overrides=("initialization=he",),
                why="Learning rates too high for this loss surface, or a bad initialization: weights or inputs too "
                "large.",
            )
        ]
    best = min(alive, key=lambda t: t.scores["loss/fit"])
    progress = levels.progress(best.scores["loss/fit"])
    if progress < MOVES:
        return [_does_not_fall(trials, best, levels)]
    return [_stuck(trials, best, progress, levels)]


def _does_not_fall(trials: Trials, best: Trial, levels: Levels) -> Finding:
    remedy = _better_initialization(trials, best, levels)
    falling = _gain(best, levels) > 0.01
    evidence = (
        f"best loss {shown(best.scores['loss/fit'])} after {best.scores['steps']:.0f} steps; a constant answer "
        f"has {shown(levels.constant)}"
    )
    if remedy:
        return Finding(
            "bad_initialization",
            f"{evidence}; with `{remedy}` it falls",
            overrides=(remedy,),
        )
    if falling:
        return Finding(
            "loss_does_not_fall",
            evidence,
            overrides=("optimizer=adam",),
            why="It falls, but far too slowly: learning rate too low, or gradients too small.",
        )
    return Finding(
        "loss_does_not_fall",
        evidence,
        why="No learning rate of the ladder moves it: no gradient reaches the weights, or the inputs say nothing "
        "about the labels.",
    )


def _better_initialization(trials: Trials, best: Trial, levels: Levels) -> str:
    """The override of an initialization with which the best trial gets on, if there is one."""
    own = trials.option("initialization")
    changes: list[Changes] = [{**best.changes, "initialization": name} for name in INITIALIZATIONS if name != own]
    for trial in trials.run(changes):
        if levels.progress(trial.last_loss()) > 3 * MOVES:
            return f"initialization={trial.changes['initialization']}"
    return ""


def _gain(trial: Trial, levels: Levels) -> float:
    """Progress in the last quarter of the steps."""
    losses = trial.losses
    quarter = max(len(losses) // 4, 1)
    before, after = losses[-2 * quarter : -quarter], losses[-quarter:]
    return float((before.mean() - after.mean()) / levels.span) if len(before) else 0.0


def _stuck(trials: Trials, best: Trial, progress: float, levels: Levels) -> Finding:
    loss = best.scores["loss/fit"]
    metric = best.scores.get("accuracy/fit", best.scores.get("r2/fit", float("nan")))
    word = "accuracy" if trials.dataset.task is not Task.REGRESSION else "r2"
    floor = f"its floor is {shown(levels.floor)}" if levels.floor is not None else "it has no floor"
    evidence = f"the loss stays at {shown(loss)}, {word} {metric:.1%}; {floor}"
    bound = math.log(1 + (trials.dataset.target_size - 1) / math.e)
    if word == "accuracy" and metric > RIGHT and loss > 0.9 * bound and trials.loss.probabilistic:
        return Finding(
            "doubled_output_layer",
            f"{evidence}, that of a doubled softmax {bound:.2f}: the answers are right, but the loss cannot fall",
        )
    falling = _gain(best, levels) > STILL_FALLING
    right = levels.floor is None and metric > RIGHT  # with a variance of its own to learn, no loss tells the end
    if falling or right:
        return Finding(
            "learns_too_slowly",
            f"{evidence}; {'still falling' if falling else 'the answers are nearly right'}",
            overrides=("optimizer=adam",),
            level="fault" if progress < MOSTLY and not right else "note",
        )
    wider = trials.value("architecture.widths")
    suggestion = f"architecture.widths=[{','.join(str(2 * int(w)) for w in wider)}]" if wider else ""
    return Finding(
        "stuck_above_floor",
        f"{evidence}, {1 - progress:.0%} of the way short",
        overrides=(suggestion,) if suggestion else (),
    )
