"""What out-of-fold predictions say about labels: how many are wrong, which, and by what pattern.

Noise against difficulty: on a hard task the examples that networks are surest of are right; where labels are wrong at
random they are not. And labels that are noisier in the training split than in the validation split agree less with
predictions there, by networks that have seen neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnlab.diagnosis.facts.chance import Pair, mixed_pair
from nnlab.statistics.label_errors import margins

SUREST = 0.25  # share of the examples of each answer that networks are surest of
WRONG = 0.15  # of them whose label is another, from which labels are wrong
EVEN = 0.75  # of the share of all examples: where a task is hard, the surest are wrong far less often
STRUCTURE = 0.3  # skill of the predictions, below which chance may decide as much as wrong labels would
APART = 0.1  # in accuracy, by which training labels agree less than those of validation
SIGMAS = 4.0
RENAMED = 0.3  # accuracy gained by another order of the class names


@dataclass(frozen=True)
class LabelFacts:
    """What is known about labels.

    Attributes:
        suspicious: indices of training examples whose label looks wrong, the worst first.
        share: of the labels that are wrong, estimated.
        surest: share of the examples that networks are surest of whose label is another.
        train, validation: accuracy of out-of-fold predictions on training labels, and of the same networks' on
            validation labels.
        skill: share of a constant's mistakes that out-of-fold predictions avoid.
        pair: two classes that are mixed up although all others are told apart.
        late: share of the suspicious examples that networks which train on them learn last, or never.
        examples: how many training and validation examples there are.
    """

    suspicious: tuple[int, ...]
    share: float
    surest: float
    train: float
    validation: float
    skill: float
    pair: Pair | None
    late: float
    examples: tuple[int, int]

    @property
    def noisier(self) -> bool:
        """Whether training labels are noisier than validation labels."""
        p = min(max(self.validation, 0.02), 0.98)
        error = math.sqrt(p * (1 - p) * (1 / self.examples[0] + 1 / max(self.examples[1], 1)))
        return self.validation - self.train > max(APART, SIGMAS * error)

    @property
    def wrong(self) -> bool:
        """Whether more labels are wrong than a task that is hard explains."""
        usable = self.skill > STRUCTURE and self.examples[0] >= 60
        # As wrong as the others, nearly, and not by the chance of few examples.
        error = math.sqrt(self.surest * (1 - self.surest) / max(SUREST * self.examples[0], 1))
        everywhere = self.surest - error > max(WRONG - error, EVEN * (1 - self.train))
        return (usable and everywhere) or (self.noisier and self.validation > 0)


def label_facts(prediction: Tensor, targets: Tensor, learned: Tensor, validation: Tensor, known: Tensor) -> LabelFacts:
    """From out-of-fold predictions (N, C) of targets (N,), and predictions of validation targets `known` (n,)."""
    answers, count = prediction.argmax(1), len(targets)
    classes = prediction.shape[1]
    margin = margins(prediction, targets)
    runner_up = prediction.topk(2, 1).values
    sure = runner_up[:, 0] - runner_up[:, 1]
    surest = torch.zeros(count, dtype=torch.bool)
    for label in range(classes):  # of each answer, so that a frequent class does not stand for all
        rows = (answers == label).nonzero().flatten()
        surest[rows[sure[rows].argsort(descending=True)][: math.ceil(SUREST * len(rows))]] = True
    wrong = answers != targets
    suspicious = (wrong & (sure >= sure[surest].min() if surest.any() else wrong)).nonzero().flatten()
    suspicious = suspicious[margin[suspicious].argsort()]
    accuracy = 1 - float(wrong.double().mean())
    constant = float(torch.bincount(targets, minlength=classes).max()) / count
    validated = float((validation.argmax(1) == known).double().mean())
    late = learned[suspicious].double()
    return LabelFacts(
        tuple(suspicious.tolist()),
        _share(accuracy, validated, float(wrong[surest].double().mean()), classes),
        float(wrong[surest].double().mean()),
        accuracy,
        validated,
        (accuracy - constant) / max(1 - constant, 1e-9),
        mixed_pair(prediction, targets),
        float((late < learned.nanmean()).double().mean()) if len(late) and not learned.isnan().all() else float("nan"),
        (count, len(known)),
    )


def _share(train: float, validation: float, surest: float, classes: int) -> float:
    """Labels that are wrong: those of the surest examples, or what validation labels agree more."""
    return max(surest, 1 - train / max(validation, 1e-9), 0.0)


def renamed(prediction: Tensor, targets: Tensor) -> tuple[tuple[int, ...], float, float] | None:
    """The class that each answer stands for, where another order of names fits validation labels far better.

    With the accuracy under that order, and under the present one.
    """
    from scipy.optimize import linear_sum_assignment

    classes = prediction.shape[1]
    answers = prediction.argmax(1)
    confusion = torch.bincount(answers * classes + targets, minlength=classes**2).reshape(classes, classes)
    rows, columns = linear_sum_assignment(-confusion.numpy())
    count = max(len(targets), 1)
    best, present = float(confusion[rows, columns].sum()) / count, float(confusion.diagonal().sum()) / count
    if best - present <= RENAMED or len(targets) < 30:
        return None
    return tuple(int(column) for column in columns), best, present
