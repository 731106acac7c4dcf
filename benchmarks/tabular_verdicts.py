"""Where the recipe is worse than the constant or than the best reference on a table, does its last sentence say so?

    python benchmarks/tabular_verdicts.py results.jsonl    of benchmarks/tabular_baselines.py

Each run of the recipe is judged on its own test rows, which it shares with every other method: by the difference of
the errors and its paired standard error. Worse is what is worse by more than two of them. The best reference is the
one with the lowest error on these very rows, so that among several, luck puts one ahead now and then. It is said where
the recipe's last sentence calls anything better, or perhaps better, than its networks.

Exits with 1 where a run is worse without saying so.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RECIPE, CONSTANT = "recipe", "constant"
WORSE = 2.0  # standard errors
COMPARED = "compared with it on these test examples: "

Line = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """A run of the recipe against another method on the same test rows.

    Attributes:
        table, seed: which run.
        other: the method.
        errors: of the recipe, and of the other.
        behind: by how much the recipe's is larger; with `standard_error`, which pairs the rows.
        better: what the recipe's sentence calls better than its networks.
    """

    table: str
    seed: int
    other: str
    errors: tuple[float, float]
    behind: float
    standard_error: float
    better: list[str]

    @property
    def worse(self) -> bool:
        """Whether the recipe is worse by more than two standard errors."""
        return self.behind > WORSE * self.standard_error

    @property
    def unsaid(self) -> bool:
        """Whether it is worse, and calls nothing better."""
        return self.worse and not self.better

    @property
    def words(self) -> str:
        """The verdict in a line."""
        values = "{:10.4g}{:10.4g}".format(*self.errors) + f"{self.behind:+10.3g} ± {self.standard_error:<8.2g}"
        found = "not worse"
        if self.worse:
            found = "WORSE, AND NOT SAID" if self.unsaid else f"worse, and said: better is {', '.join(self.better)}"
        return f"{self.table:12}{self.seed:3}  {self.other:20}{values}{found}"


def behind(losses: Sequence[float], others: Sequence[float], mean_error: bool) -> tuple[float, float]:
    """By how much the error of some losses (n,) exceeds that of others on the same rows, and its standard error.

    The error is the mean of the losses, or its root: sqrt(a) - sqrt(b) = (a - b) / (sqrt(a) + sqrt(b)).

    >>> behind([1, 0, 1, 1], [0, 0, 1, 1], mean_error=True)
    (0.25, 0.25)
    >>> behind([9.0, 9.0], [1.0, 1.0], mean_error=False)
    (2.0, 0.0)
    """
    own, other = np.asarray(losses, dtype=float), np.asarray(others, dtype=float)
    scale = 1.0 if mean_error else math.sqrt(own.mean()) + math.sqrt(other.mean())
    apart = (own - other) / (scale or 1.0)
    return float(apart.mean()), float(apart.std(ddof=1) / math.sqrt(len(apart)))


def called_better(said: str) -> list[str]:
    """What the recipe's last sentence calls better than its networks, perhaps or surely.

    >>> called_better("test rmse 2; compared with it on these test examples: a linear model (1.9), boosted trees (1.8) "
    ...               "perhaps better; the constant (4) worse (perhaps: by less than 2 standard errors)")
    ['a linear model', 'boosted trees']
    """
    parts = said.partition(COMPARED)[2].split("; ")
    models = [part.removesuffix("perhaps better").removesuffix("better") for part in parts if part.endswith(" better")]
    return [name.strip(" ,") for part in models for name in re.split(r" \([^)]*\)", part) if name.strip(" ,")]


def verdicts(lines: Sequence[Line]) -> list[Verdict]:
    """Of each run of the recipe against the constant, and against the best of all other methods on its rows."""
    found = []
    for own in (line for line in lines if line["method"] == RECIPE):
        case = [each for each in lines if all(each[key] == own[key] for key in ("table", "seed", "rows"))]
        rivals = {each["method"]: each for each in case if "losses" in each and each["method"] != RECIPE}
        references = [each for method, each in rivals.items() if method != CONSTANT]
        chosen = [rivals[CONSTANT]] if CONSTANT in rivals else []
        chosen += [min(references, key=lambda each: each["error"])] if references else []
        for other in chosen if "losses" in own else []:
            gap = behind(own["losses"], other["losses"], "nll" in own)
            errors = own["error"], other["error"]
            found.append(
                Verdict(own["table"], own["seed"], other["method"], errors, *gap, called_better(own.get("said", "")))
            )
    return found


def show(lines: Sequence[Line]) -> list[Verdict]:
    """Print every verdict and how many there are of each kind; returns those that were not said."""
    found = verdicts(lines)
    runs = sum(line["method"] == RECIPE for line in lines)
    judged = len({(each.table, each.seed) for each in found})
    print(f"{'table':12}{'':3}  {'the recipe against':20}{'its error':>10}{'other':>10}{'behind':>10} ± standard error")
    for each in found:
        print(each.words)
    for name, own in (
        ("the constant", [each for each in found if each.other == CONSTANT]),
        ("the best reference", [each for each in found if each.other != CONSTANT]),
    ):
        worse, unsaid = sum(each.worse for each in own), sum(each.unsaid for each in own)
        print(f"worse than {name} by more than {WORSE:g} standard errors: {worse} of {len(own)} runs, {unsaid} unsaid")
    if judged < runs:
        print(
            f"{runs - judged} of {runs} runs cannot be judged: the losses of their rows, or all references, are missing"
        )
    return [each for each in found if each.unsaid]


def main() -> int:
    """Judge what is in a file."""
    return int(bool(show([json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()])))


if __name__ == "__main__":
    sys.exit(main())
