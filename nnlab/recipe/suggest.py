"""What step 7 tries first: the configuration as given, and single changes, those that the curves support first."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnlab.recipe.candidate import Candidate
from nnlab.recipe.changes import Changes
from nnlab.recipe.rates import configured_rate
from nnlab.recipe.space import DECAY_KEY, DECOUPLED_KEY, DROPOUT_KEY, LINEAR, LONGEST, Choice, Space

# Dimensions that a finding of step 6 supports, with the reason; their choices that regularize more, or train longer.
SUPPORTED = {
    "overfitting": ("the gap to validation", ("dropout", "weight decay", "augmentation")),
    "generalization_gap": ("the gap to validation", ("dropout", "weight decay", "augmentation")),
    "still_improving": ("still improving", ("epochs",)),
    "noisy_loss": ("noise of a constant rate", ("schedule",)),
    "underfitting": ("capacity", ("architecture", "activation")),
}


@dataclass(frozen=True)
class Suggestion:
    """A configuration to try: a name for what it changes, the reason, and all its changes of the user's.

    `supported` by what was seen, it is tried in any case.
    """

    name: str
    reason: str
    changes: Changes
    supported: bool = False


@dataclass(frozen=True)
class Linear:
    """The linear baseline: its loss on validation, and its weight decay."""

    loss: float
    decay: float


def as_given(space: Space) -> Suggestion | None:
    """The user's own configuration, with a validation as often as the others have; None where it has no rate."""
    trials, rate = space.trials, configured_rate(space.trials)
    if rate is None:
        return None
    names = list(trials.value("regularizer", {}))
    given: dict[str, Any] = {"regularizer": names, space.rate_key: rate}
    steps, epochs = trials.value("trainer.steps"), trials.value("trainer.epochs")
    length = {"trainer.epochs": epochs if steps is None else steps / trials.epoch_steps, "trainer.steps": None}
    often = {"trainer.validate_unit": "epoch", "trainer.validate_every": 1}
    decay = {DECAY_KEY: trials.value(DECAY_KEY, 0.0)} if "weight_decay" in names else {}
    dropout = {DROPOUT_KEY: trials.value(DROPOUT_KEY)} if "dropout" in names else {}
    changes = {**given, **decay, **dropout, **length, **often}
    return Suggestion("as given", "what the recipe began with", changes, supported=True)


def suggest(
    space: Space,
    best: Candidate,
    findings: Sequence[str],
    linear: Linear | None = None,
    draw: random.Random | None = None,
) -> list[Suggestion]:
    """Every single change of a configuration: those that the findings support first, the others in random order."""
    supported, others = list[Suggestion](), list[Suggestion]()
    reasons = _reasons(findings)
    for dimension in space.dimensions:
        here = dimension.position(best.changes)
        for choice in dimension.neighbors(best.changes):
            changes = space.put(best.changes, choice)
            if changes == best.changes:
                continue
            more = here is None or not dimension.ordered or dimension.choices.index(choice) > here
            reason = reasons.get(dimension.name) if more else None
            found = Suggestion(choice.word, reason or "one change", changes, reason is not None)
            (others if reason is None else supported).append(found)
    for factor, word in ((0.5, "lower"), (2.0, "higher")):
        rate = float(f"{float(best.changes[space.rate_key]) * factor:.2g}")
        if rate > space.highest_rate:
            continue
        new = space.settled({**best.changes, space.rate_key: rate})
        others.append(Suggestion(f"learning rate {rate:g}", f"a {word} rate", new))
    (draw or random.Random(0)).shuffle(others)
    return [*_linear(space, best, linear), *supported, *others]


def _reasons(findings: Sequence[str]) -> dict[str, str]:
    return {name: reason for found in findings for reason, names in [SUPPORTED.get(found, ("", ()))] for name in names}


def _linear(space: Space, best: Candidate, linear: Linear | None) -> list[Suggestion]:
    """A linear model with the decay that suits it, where it does as well; long enough: it needs more steps."""
    margin = best.spread / math.sqrt(len(best.scores))
    already = "perceptron" in (best.changes.get("architecture"), space.trials.option("architecture"))
    if linear is None or already or linear.loss > best.score + margin:
        return []
    coupled = {DECOUPLED_KEY: False} if space.trials.value(DECOUPLED_KEY) else {}
    own = [Choice("", {DECAY_KEY: linear.decay, **coupled, "trainer.epochs": min(4 * space.epochs, LONGEST)})]
    changes = space.put({key: v for key, v in best.changes.items() if key != "scheduler"}, LINEAR, *own)
    return [Suggestion("linear model", "a linear model does as well on validation", changes, supported=True)]
