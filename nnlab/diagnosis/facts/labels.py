"""What out-of-fold predictions say about labels: how many are wrong, which, and by what pattern.

Noise against difficulty: where a task is hard, the examples that all kinds of models are surest of are right far more
often than the others, and where they are not, the label is the class that comes second. Where labels are wrong at
random, the surest answers are as wrong as all, and the label is any class. A task may be hard in just that way: chance
decides as often everywhere, or all that is known are a few levels of a column. Then nobody can tell.

Noise against structure that all models miss (stripes, rare kinds of examples): there the nearest examples of one that
is contradicted have its label more often than others that are answered alike; a label that is wrong stands alone.

And labels that are noisier in the training split than in the validation split agree less with predictions there, by
networks that have seen neither.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nnlab.diagnosis.facts.chance import Pair, mixed_pair
from nnlab.diagnosis.facts.held_out import as_probabilities, nearest, with_others
from nnlab.diagnosis.facts.levels import evenly, reduced
from nnlab.diagnosis.facts.one_way import CONTRADICTED, OneWay, one_sided, one_way, sureness, surest_of
from nnlab.statistics.label_errors import margins

EXAMPLES = 2048  # that the other kinds of models look at
SUREST = (0.25, 0.5)  # shares of the examples of each answer that models are surest of
FEWEST = 80  # examples from which anything can be said
FLAT = 0.4  # least share of wrong answers among the surest, of that among all
# Of two classes and of more, where second answers say more: least sum of that and the skill, of which the first is 1 of
# noise alone whatever the second ...
TOGETHER = (1.2, 1.1)
SPREAD = 0.4  # ... and more by this, divided by the root of the number of contradictions
STRUCTURE = 0.2  # skill below which chance may decide as much as wrong labels would
AHEAD = 2.0  # standard errors by which networks alone are right more often than the mean of all kinds
CLOSE = 5  # nearest examples that are asked whether they share a label that is contradicted ...
SHARED = (0.95, 1.3)  # ... so often, of two classes and of more, for what examples answered alike do ...
SHARED_ALONE = (1.4, 2.5)  # ... where only networks see the structure, along which neighbors do not lie
SECOND = {3: 0.75}  # share of the surest wrong answers whose label comes second, above which a task is hard ...
AT_RANDOM = 0.2  # ... of more classes: so far from the share by chance to 1
DOUBT, DOUBTED, LITTLE = 0.15, 0.7, 0.1  # wrong among the surest, share of that among all, and skill, for a doubt
LEVELS, CELLS = 10, 8  # values of a coarse column, and columns that are looked at in pairs
APART = 0.1  # in accuracy, by which training labels agree less than those of validation
SIGMAS = 4.0
RENAMED = 0.3  # accuracy gained by another order of the class names


@dataclass(frozen=True)
class Surest:
    """How the surest answers of networks, neighbors and a linear model, or of networks alone, differ from labels.

    Attributes:
        wrong, all: share of the surer half of the answers, and of all answers, that the label contradicts.
        count: of those of the surer half.
        flat: share of wrong answers among the surest (a quarter and a half of them), of that among all.
        second: share of `count` whose label comes second; NaN for two classes.
        shared: how often the nearest examples of those have their label, for how often all that are answered alike do.
        skill: share of a constant's mistakes that are avoided.
        classes, examples: how many there are.
        coarse: whether one or two columns of a few levels predict as well as everything.
        alone: whether the answers are those of networks alone.
    """

    wrong: float
    all: float
    count: int
    flat: float
    second: float
    shared: float
    skill: float
    classes: int
    examples: int
    coarse: bool
    alone: bool = False

    @property
    def at_random(self) -> bool:
        """Whether labels contradict the answers at random, and more often than a task that is hard explains."""
        needed = TOGETHER[self.classes > 2] + SPREAD / math.sqrt(max(self.count, 1))
        even = self.flat > FLAT and self.flat + self.skill > needed and self.skill > STRUCTURE
        return self._enough and even and not self._follow and not self.coarse and not self._together

    @property
    def doubtful(self) -> bool:
        """Whether labels may as well be wrong as decided by chance."""
        even = self.wrong > DOUBT and self.flat > DOUBTED and self.skill > LITTLE
        return self._enough and even and not self._follow and not self._together and not self.at_random

    @property
    def _enough(self) -> bool:
        return self.examples >= FEWEST and self.count >= CONTRADICTED

    @property
    def _together(self) -> bool:
        """Whether labels that contradict an answer lie side by side, as those of a structure do that is not learned."""
        return self.shared > (SHARED_ALONE if self.alone else SHARED)[self.classes > 2]

    @property
    def _follow(self) -> bool:
        """Whether labels that contradict an answer come second, as they do where classes overlap."""
        if self.classes < 3:
            return False
        chance = 1 / (self.classes - 1)
        return self.second > SECOND.get(self.classes, chance + AT_RANDOM * (1 - chance))


@dataclass(frozen=True)
class LabelFacts:
    """What is known about labels.

    Attributes:
        suspicious: indices of training examples whose label looks wrong, the worst first.
        share: of the labels that are wrong, estimated.
        surest: how the surest answers differ from labels.
        train, validation: accuracy of out-of-fold predictions on training labels, and of the same networks' on
            validation labels.
        pair: two classes that are mixed up although all others are told apart.
        one_sided: which of the two a part of has the other's label, and that label; None where it may be both.
        one_way: a class a part of which has another's label.
        late: share of the suspicious examples that networks which train on them learn last, or never.
        examples: how many training and validation examples there are.
    """

    suspicious: tuple[int, ...]
    share: float
    surest: Surest
    train: float
    validation: float
    pair: Pair | None
    one_sided: tuple[int, int] | None
    one_way: OneWay | None
    late: float
    examples: tuple[int, int]

    @property
    def noisier(self) -> bool:
        """Whether training labels are noisier than validation labels."""
        own, held = self.examples[0], max(self.examples[1], 1)
        p = min(max((self.train * own + self.validation * held) / (own + held), 0.02), 0.98)
        error = math.sqrt(p * (1 - p) * (1 / own + 1 / held))
        return self.validation - self.train > max(APART, SIGMAS * error) and self.validation > 0

    @property
    def wrong(self) -> bool:
        """Whether more labels are wrong than a task that is hard explains."""
        return self.surest.at_random or self.noisier


def label_facts(
    prediction: Tensor, inputs: Tensor, targets: Tensor, learned: Tensor, validation: Tensor, known: Tensor
) -> LabelFacts:
    """From out-of-fold predictions (N, C) of targets (N,), and predictions of validation targets `known` (n,).

    Args:
        prediction, validation: class probabilities, or scores of a margin loss.
        inputs: (N, ...) training inputs.
        targets, known: labels.
        learned: (N,) share of the validations at which networks that train on the example had it right.
    """
    rows = evenly(len(targets), min(EXAMPLES, len(targets)), torch.device("cpu"))
    surest = _surest(prediction[rows], reduced(inputs, rows.to(inputs.device)), targets[rows])
    wrong = prediction.argmax(1) != targets
    margin, sure = margins(prediction, targets), sureness(prediction)
    least = sure[surest_of(prediction, SUREST[-1])].min() if len(sure) else 0.0
    suspicious = (wrong & (sure >= least)).nonzero().flatten()
    suspicious = suspicious[margin[suspicious].argsort()]
    train = 1 - float(wrong.double().mean())
    validated = float((validation.argmax(1) == known).double().mean())
    late, pair = learned[suspicious].double(), mixed_pair(prediction, targets)
    return LabelFacts(
        tuple(suspicious.tolist()),
        max(surest.wrong, 1 - train / max(validated, 1e-9), 0.0),
        surest,
        train,
        validated,
        pair,
        None if pair is None else one_sided(prediction, targets, pair),
        one_way(prediction, targets),
        float((late < learned.nanmean()).double().mean()) if len(late) and not learned.isnan().all() else float("nan"),
        (len(targets), len(known)),
    )


def _surest(prediction: Tensor, inputs: Tensor, targets: Tensor) -> Surest:
    """By the mean of all kinds, or by networks alone where these are clearly ahead of it.

    Other kinds that miss the structure of a task make the mean sure of wrong answers that networks know better.
    """
    coarse, near = _by_levels(inputs.flatten(1), targets), nearest(inputs)
    together = _judged(with_others(prediction, inputs, targets, near), targets, coarse, near)
    alone = replace(_judged(as_probabilities(prediction), targets, coarse, near), alone=True)
    error = math.sqrt(together.all * (1 - together.all) / len(targets))
    return alone if alone.all + AHEAD * error < together.all else together


def _judged(prediction: Tensor, targets: Tensor, coarse: float, near: Tensor) -> Surest:
    answers, (count, classes) = prediction.argmax(1), prediction.shape
    wrong = answers != targets
    quarter, half = (float(wrong[surest_of(prediction, share)].double().mean()) for share in SUREST)
    contradicted = wrong & surest_of(prediction, SUREST[-1])
    runner_up = prediction.scatter(1, answers[:, None], -1.0).argmax(1)
    overall, constant = float(wrong.double().mean()), 1 - float(torch.bincount(targets).max()) / count
    return Surest(
        wrong=half,
        all=overall,
        count=int(contradicted.sum()),
        flat=(quarter + half) / 2 / max(overall, 1e-9),
        second=float((runner_up == targets)[contradicted].double().mean()) if classes > 2 else math.nan,
        shared=_shared(contradicted.nonzero().flatten(), answers, targets, near[:, :CLOSE]),
        skill=1 - overall / max(constant, 1e-9),
        classes=classes,
        examples=count,
        coarse=coarse <= 1.05 * overall,
    )


def _shared(rows: Tensor, answers: Tensor, targets: Tensor, near: Tensor) -> float:
    """How often the examples (N, K) near some rows have the rows' labels, for how often those answered alike do."""
    if not len(rows):
        return 0.0
    classes = int(max(answers.max(), targets.max())) + 1
    table = torch.bincount(answers * classes + targets, minlength=classes**2).view(classes, classes).double()
    usual = (table / table.sum(1, keepdim=True).clamp(min=1))[answers[rows], targets[rows]].mean()
    return float((targets[near[rows]] == targets[rows, None]).double().mean() / usual)


def _by_levels(inputs: Tensor, targets: Tensor) -> float:
    """Share of wrong answers by the best one or two coarse columns alone; 1 where there are none."""
    places = []
    for column in inputs.T:
        levels, place = torch.unique(column, return_inverse=True)
        if 2 <= len(levels) <= LEVELS:
            places.append(place.cpu())
    best = sorted(places, key=lambda place: _mistakes(place, targets))[:CELLS]
    pairs = [first * LEVELS + second for first, second in itertools.combinations(best, 2)]
    return min((_mistakes(place, targets) for place in (*best, *pairs)), default=1.0)


def _mistakes(place: Tensor, targets: Tensor) -> float:
    """Share of the examples that have another label than most at their place."""
    classes = int(targets.max()) + 1
    table = torch.bincount(place * classes + targets, minlength=(int(place.max()) + 1) * classes).view(-1, classes)
    return 1 - float(table.amax(1).sum()) / len(targets)


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
