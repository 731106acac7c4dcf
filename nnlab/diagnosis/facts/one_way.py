"""A class a part of which has the label of one other, and not the other way round: looks at the surest of each answer.

Where classes overlap, answers are right as they become surer; where a part was labeled wrong, as many stay wrong.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.chance import Pair

SUREST = 0.5  # share of the examples of each answer that models are surest of
CONTRADICTED = 6  # surest answers with another label, from which anything can be said
# Wrong ones among the surest of one answer, and of the others; and the share that stays so as answers become surer.
ONE_WAY, OTHERS_RIGHT, KEPT = 0.3, 0.15, 0.75
PARTNER, ANSWERED = 0.8, 40  # share of these with one other label; and answers from which that is said


@dataclass(frozen=True)
class OneWay:
    """A class a part of which has the label of one other, and not the other way round.

    Attributes:
        answer, label: the class that models answer, and the other label that these examples have.
        wrong: share of the surer half of these answers with another label; nearly all have `label`.
        others: the largest share of wrong ones in the surer half of any other answer.
        count: answers in the surer half.
    """

    answer: int
    label: int
    wrong: float
    others: float
    count: int


def one_way(prediction: Tensor, targets: Tensor) -> OneWay | None:
    """The class a part of which has the label of one other, where all other answers are right as they become surer.

    Where classes overlap, the surest answers are right; here as many of them are wrong as of those that are less sure.
    """
    classes = prediction.shape[1]
    if classes < 3:
        return None  # of two, chance decides as well for one of them alone
    answers, sure = prediction.argmax(1), sureness(prediction)
    shares, found = [0.0] * classes, None
    for answer in range(classes):
        rows = (answers == answer).nonzero().flatten()
        rows = rows[sure[rows].argsort(descending=True)]
        half, quarter = rows[: math.ceil(len(rows) / 2)], rows[: math.ceil(len(rows) / 4)]
        wrong = [
            float((targets[part] != answer).double().mean()) if len(part) else 0.0 for part in (quarter, half, rows)
        ]
        shares[answer] = wrong[1]
        labels = torch.bincount(targets[half][targets[half] != answer], minlength=classes)
        most = int(labels.argmax())
        flat = min(wrong[:2]) > KEPT * wrong[2]
        one = int(labels[most]) > PARTNER * int(labels.sum())
        if len(rows) >= ANSWERED and wrong[1] > ONE_WAY and flat and one:
            found = (answer, most, wrong[1], len(half))
    if found is None:
        return None
    others = max(share for answer, share in enumerate(shares) if answer != found[0])
    return OneWay(found[0], found[1], found[2], others, found[3]) if others < OTHERS_RIGHT else None


def one_sided(prediction: Tensor, targets: Tensor, pair: Pair) -> tuple[int, int] | None:
    """Of two classes that are mixed up, the one whose surest answers often have the other's label, and the other.

    The surest answers of the other are right. Where labels were swapped both ways, both are wrong.
    """
    answers, surest = prediction.argmax(1), surest_of(prediction, SUREST)

    def wrong(answer: int) -> float:
        rows = surest & (answers == answer)
        return float((targets[rows] != answer).double().mean()) if int(rows.sum()) >= CONTRADICTED else math.nan

    for answer, label in itertools.permutations((pair.first, pair.second)):
        if wrong(answer) > ONE_WAY and wrong(label) < OTHERS_RIGHT:
            return answer, label
    return None


def sureness(prediction: Tensor) -> Tensor:
    """By how much each answer is ahead of the runner-up, (N,)."""
    first = prediction.topk(2, 1).values
    return first[:, 0] - first[:, 1]


def surest_of(prediction: Tensor, share: float) -> Tensor:
    """The share of the examples of each answer that a model is surest of, (N,) bool: no frequent class decides."""
    answers, sure = prediction.argmax(1), sureness(prediction)
    found = torch.zeros(len(answers), dtype=torch.bool)
    for label in range(prediction.shape[1]):
        rows = (answers == label).nonzero().flatten()
        found[rows[sure[rows].argsort(descending=True)][: math.ceil(share * len(rows))]] = True
    return found
