"""What a round of step 7 tries: what the curves suggest, and what a Gaussian process picks from a pool.

The pool holds all single changes, configurations a few changes away from the best ones, and some from the whole space,
of which a few are drawn blindly.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nnlab.recipe.candidate import Candidate
from nnlab.recipe.changes import Changes
from nnlab.recipe.space import Space
from nnlab.recipe.suggest import Linear, Suggestion, as_given, suggest
from nnlab.recipe.surrogate import Surrogate

POOL, ANYWHERE = 200, 100  # configurations a few changes away, and anywhere: a round takes the most promising
BLIND = 4  # one in so many of what is picked is drawn blindly: what was learned may be luck, or about what comes early


@dataclass
class Progress:
    """Where the rounds are.

    Attributes:
        present: the best so far.
        elite: configurations that did well in the last race.
        fresh: the first seed that nothing has been trained with.
        surrogate: what was learned about the space.
        tried: configurations that have lost against the present best.
        history: rows of the table.
    """

    present: Candidate
    elite: list[Changes]
    fresh: int
    surrogate: Surrogate
    tried: list[Changes] = field(default_factory=list)
    history: list[list[Any]] = field(default_factory=list)


def proposals(
    space: Space,
    at: Progress,
    findings: Sequence[str],
    linear: Linear | None,
    begins: bool,
    draw: random.Random,
    most: int,
    entered: Sequence[Suggestion] = (),
) -> list[Suggestion]:
    """At most so many contestants: where step 7 begins as given and what the curves suggest, and what is picked."""
    tried = [*at.tried, *(each.changes for each in entered)]
    options = [each for each in suggest(space, at.present, findings, linear, draw) if each.changes not in tried]
    first = begin_with(space, at.present) if begins else []
    known = [each.changes for each in first]
    supported = [each for each in options if each.supported and begins and each.changes not in known]  # by the curves
    found = [*first, *supported][: most // 2 + 1]
    pool = [each for each in options if each.changes not in [other.changes for other in found]]
    known = [at.present.changes, *tried, *(each.changes for each in options)]
    near = [space.several_changes(draw.choice([at.present.changes, *at.elite]), draw, at.elite) for _ in range(POOL)]
    far = [space.anywhere(draw) for _ in range(ANYWHERE)]
    reasons = [*["several changes"] * POOL, *["anywhere"] * ANYWHERE]
    for reason, changes in zip(reasons, [*near, *far], strict=True):
        if changes not in known:
            known.append(changes)
            words = space.difference(at.present.changes, changes)
            pool.append(Suggestion(", ".join(words), reason, changes))
    blind = [each for each in pool if each.reason == "anywhere"][: (most - len(found)) // BLIND]
    pool = [each for each in pool if each not in blind]
    picked = at.surrogate.pick([each.changes for each in pool], most - len(found) - len(blind), draw)
    turns = itertools.zip_longest(found[1:], (pool[i] for i in picked), blind)  # so that a short round has some of all
    return [*found[:1], *(each for turn in turns for each in turn if each is not None)]


def begin_with(space: Space, present: Candidate) -> list[Suggestion]:
    """What the first round tries in any case: the configuration as given, and what the own schedule asks for."""
    given = as_given(space)
    found = [given] if given else []
    if present.changes.get("scheduler") is None and space.trials.option("scheduler") != "constant":
        rate = float(f"{2 * float(present.changes[space.rate_key]):.2g}")
        found.append(Suggestion("constant rate", "as in step 5", {**present.changes, "scheduler": "constant"}, True))
        if rate <= space.highest_rate:
            higher = {**present.changes, space.rate_key: rate}
            found.append(Suggestion(f"learning rate {rate:g}", "it decays, and may begin higher", higher, True))
    return found
