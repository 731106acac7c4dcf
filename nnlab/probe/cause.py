"""Which change restores a run: single ones first, then sets of them that are halved, as in delta debugging.

Source: Zeller and Hildebrandt 2002, "Simplifying and isolating failure-inducing input", doi:10.1109/32.988498.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nnlab.probe.experiments import Experiments, Outcome
from nnlab.probe.suspects import Suspect, all_back

NOISE = 0.04  # skill that is put down to chance, besides the spread of the seeds
MOST_SPREAD = 0.1  # skill that the seeds of healthy networks may put down to chance
MOST_CHANCE = 0.2  # skill that few validation examples may put down to chance ...
FEW, MOST_FEW = 1.5, 0.4  # ... and the standard errors, up to so much, that are chance in any case
RESTORED = 0.7  # share of the lost skill that a cause restores
AS_LOW = 3.0  # times the lowest validation loss among them, up to which a change may be the cause


@dataclass(frozen=True)
class Tried:
    """A suspect taken back, or advice followed, with what it gave."""

    suspect: Suspect
    outcome: Outcome


@dataclass(frozen=True)
class Evidence:
    """What the experiments gave.

    Attributes:
        before: networks of the run's configuration.
        healthy: those with all suspects taken back.
        own, advised: single suspects taken back, and advice of the rules followed.
        noise: skill that is chance.
        run: skill of the run itself.
        failed: single changes that could not be tried.
    """

    before: Outcome
    healthy: Outcome
    own: Sequence[Tried]
    advised: Sequence[Tried]
    noise: float
    run: float = -1.0
    failed: Sequence[Tried] = ()

    @property
    def tried(self) -> list[Tried]:
        """All single changes."""
        return [*self.own, *self.advised]

    @property
    def reached(self) -> float:
        """The most that any change reached."""
        return max([self.healthy.skill, *(each.outcome.skill for each in self.tried)])

    @property
    def lost(self) -> float:
        """The skill that the run misses for something in its configuration."""
        return self.reached - self.start

    @property
    def start(self) -> float:
        """The skill of the worse of the networks: others may have been lucky with their initial weights.

        Networks whose trials are shorter than the run may stay behind it; what helps them alone helps nobody.
        """
        return max(min(self.before.skills), self.run)


def chance(least: float, spread: float, margin: float) -> float:
    """Skill that is chance.

    Args:
        least: of all, more than `NOISE` where no rule found a fault.
        spread: of healthy networks over seeds; settings that are erratic on these data say little about one change.
        margin: two standard errors of the skill on validation.
    """
    noise = least + min(spread, MOST_SPREAD) if math.isfinite(spread) else least
    noise += min(margin, MOST_CHANCE) * (1.0 if least > NOISE else 0.5)
    return max(noise, min(FEW / 2 * margin, MOST_FEW))


def single_cause(
    tried: Sequence[Tried], evidence: Evidence, named: Callable[[Suspect], bool] = lambda _: False
) -> Tried | None:
    """The smallest change that restores most of what was lost: own components come first, then single values.

    Args:
        tried: single changes with what they gave.
        evidence: of all experiments.
        named: whether a rule puts the fault where a suspect is; of changes that give about as much, these come first.
    """
    before, lost, noise = evidence.start, evidence.lost, evidence.noise
    gains = [(each, each.outcome.skill - before) for each in tried]
    most = max((gain for _, gain in gains), default=0.0)
    good = [each for each, gain in gains if gain > noise and gain >= RESTORED * lost and gain >= most - noise]
    # Of those that mend the answers, some leave the loss much higher: they make up for the cause, and are not it.
    lowest = min((each.outcome.loss for each in good), default=0.0)
    right = [each for each in good if each.outcome.loss <= AS_LOW * max(lowest, 0.01)]
    chosen = right or good
    # What is not nnlab's own is likelier at fault than a setting that makes up for it as well.
    foreign = next((each for each in chosen if each.suspect.foreign), next(iter(chosen), None))
    return next((each for each in chosen if named(each.suspect)), foreign)


def acquitting(causes: Sequence[Suspect], outcome: Outcome, evidence: Evidence) -> Tried | None:
    """The best remedy that keeps the components from outside among the causes, unless their exchange is clearly better.

    A component whose run is mended without its exchange has nothing wrong with it that these experiments can tell.

    Args:
        causes: what was taken back.
        outcome: what that gave.
        evidence: of all experiments.
    """
    components = [cause for cause in causes if cause.foreign]
    remedies = [
        each
        for each in evidence.tried
        if not any(each.suspect.exchanges(component) for component in components)
        and each.outcome.skill - evidence.start > evidence.noise
        and each.outcome.loss <= AS_LOW * max(outcome.loss, 0.01)  # what leaves it higher makes up for the cause
    ]
    best = max(remedies, key=lambda each: each.outcome.skill, default=None)
    return best if best is not None and outcome.skill - best.outcome.skill <= evidence.noise else None


def smallest_set(
    experiments: Experiments, suspects: Sequence[Suspect], evidence: Evidence
) -> tuple[list[Suspect], Outcome]:
    """A small set of suspects that restores the result together, by halving; all of them where there is no time."""
    before, wanted = evidence.start, max(evidence.noise, RESTORED * evidence.lost)
    present, parts, outcome = list(suspects), 2, evidence.healthy
    while len(present) > 1 and not experiments.over:
        size = -(-len(present) // parts)
        pieces = [present[i : i + size] for i in range(0, len(present), size)]
        sets = [*pieces, *([s for s in present if s not in piece] for piece in pieces if parts > 2)]
        outcomes = experiments.run([all_back(each) for each in sets])
        good = [(each, out) for each, out in zip(sets, outcomes, strict=True) if out.skill - before > wanted]
        if good:
            present, outcome = min(good, key=lambda pair: len(pair[0]))
            parts = 2
        elif parts >= len(present):
            break
        else:
            parts = min(2 * parts, len(present))
    return present, outcome
