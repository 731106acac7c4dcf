"""What steps 4, 5 and 7 may change: a few dimensions, each a list of choices, and a learning rate that is any number.

A choice is `Changes` of a configuration, with a word for it. The user's own value is among the choices of every
dimension, so that the configuration that was given is a point of the space.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnlab.recipe.changes import Changes
from nnlab.recipe.rates import PLAIN, USUAL, rate_key
from nnlab.recipe.trials import Trials

DECAY_KEY = "regularizer.weight_decay.strength"
DECOUPLED_KEY = "regularizer.weight_decay.decoupled"
DROPOUT_KEY = "regularizer.dropout.p"
DECAYS, GRID_DECAYS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1), (1e-4, 1e-5, 0.0)
DECOUPLED, GRID_DECOUPLED = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0), (1.0, 0.1, 0.0)  # where the rate multiplies the decay
DROPOUTS = (0.0, 0.1, 0.25, 0.5)
LENGTHS = (1, 2, 4)  # times the usual epochs
ACTIVATIONS = ("relu", "tanh", "silu")
PREPROCESSINGS = ("robust", "quantile", "piecewise_linear")  # of the columns of a table
WIDEST = 1024
LONGEST = 320.0  # epochs
REFINE_STEPS = 600  # updates that are worth having, where data are small
FEWEST_VALIDATIONS, MOST_VALIDATIONS = 8, 20  # of a trial


@dataclass(frozen=True)
class Choice:
    """A value of a dimension: a word for it, and what it changes; None takes a key back to what was given."""

    word: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Dimension:
    """What may be changed: its name, and its choices; neighbors are next to each other where these are `ordered`."""

    name: str
    choices: Sequence[Choice]
    ordered: bool = False

    def position(self, changes: Changes) -> int | None:
        """The choice that a configuration has; None where it has another value."""
        for position, choice in enumerate(self.choices):
            if all(changes.get(key) == value for key, value in choice.changes.items()):
                return position
        return None

    def neighbors(self, changes: Changes) -> list[Choice]:
        """The choices one change away."""
        here = self.position(changes)
        if here is None or not self.ordered:
            return [choice for position, choice in enumerate(self.choices) if position != here]
        return [self.choices[i] for i in (here - 1, here + 1) if 0 <= i < len(self.choices)]


PREPROCESSING = "data/preprocessing"
LINEAR = Choice("linear model", {"architecture": "perceptron", "architecture.widths": None})


def usual_epochs(trials: Trials) -> float:
    """Epochs of step 5: ten, and more where so few make few steps."""
    return float(round(min(max(REFINE_STEPS / trials.epoch_steps, 10.0), LONGEST / LENGTHS[-1])))


class Space:
    """The configurations that can be reached from the user's.

    Args:
        trials: of the user's configuration.
        epochs: the shortest length.
        slow: whether augmentation takes part, with which networks in compiled code take several times as long.
    """

    def __init__(self, trials: Trials, epochs: float, slow: bool = True) -> None:
        self.trials, self.epochs = trials, epochs
        self.rate_key = rate_key(trials)
        rates = PLAIN if trials.option("optimizer") == "sgd" else USUAL
        self.lowest_rate, self.highest_rate = rates[-1], rates[0]
        self.dimensions = dimensions(trials, epochs, slow)
        self.grid_decays = GRID_DECOUPLED if trials.value(DECOUPLED_KEY) else GRID_DECAYS

    def dimension(self, name: str) -> Dimension | None:
        """The dimension of a name, if there is such a one."""
        return next((each for each in self.dimensions if each.name == name), None)

    def put(self, changes: Changes, *choices: Choice) -> Changes:
        """A configuration with some choices in the place of its own, and no values that have lost their use."""
        found = dict(changes)
        for choice in choices:
            found |= choice.changes
        return self.settled({key: value for key, value in found.items() if value is not None or key == "trainer.steps"})

    def settled(self, changes: Changes) -> Changes:
        """A configuration whose values fit together: regularizers, validations, a linear model without layers."""
        found = dict(changes)
        if found.get("architecture") == "perceptron":
            without = ("architecture.", "activation", DROPOUT_KEY)
            found = {key: value for key, value in found.items() if not key.startswith(without)}
        own = [name for name in self.trials.value("regularizer", {}) if name not in ("weight_decay", "dropout")]
        found["regularizer"] = [*own, "weight_decay", *(["dropout"] if DROPOUT_KEY in found else [])]
        return {**found, **self._validations(float(found["trainer.epochs"]))}

    def _validations(self, epochs: float) -> dict[str, Any]:
        """When to validate: so often that a short run has a curve, and no more often than a long one needs."""
        if epochs < FEWEST_VALIDATIONS:
            every = max(1, int(epochs * self.trials.epoch_steps) // FEWEST_VALIDATIONS)
            return {"trainer.validate_unit": "step", "trainer.validate_every": every}
        return {"trainer.validate_unit": "epoch", "trainer.validate_every": max(1, round(epochs / MOST_VALIDATIONS))}

    def plain(self, rate: float, decay: float, epochs: float) -> Changes:
        """The user's configuration with another rate, decay and length, and a constant learning rate."""
        return self.settled(
            {
                DECAY_KEY: decay,
                "scheduler": "constant",
                self.rate_key: rate,
                "trainer.steps": None,
                "trainer.epochs": epochs,
                **({DROPOUT_KEY: self.trials.value(DROPOUT_KEY)} if self.trials.value(DROPOUT_KEY) else {}),
            }
        )

    def rate(self, draw: random.Random, around: float, factor: float) -> float:
        """A rate at random, log-uniformly within a `factor` of another, with two digits."""
        exponent = math.log(around) + draw.uniform(-1, 1) * math.log(factor)
        return float(f"{min(max(math.exp(exponent), self.lowest_rate), self.highest_rate):.2g}")

    def anywhere(self, draw: random.Random) -> Changes:
        """A configuration at random, with a rate log-uniformly from the lowest to the highest."""
        between = math.sqrt(self.lowest_rate * self.highest_rate)
        rate = self.rate(draw, between, self.highest_rate / between)
        return self.put(self.plain(rate, 0.0, self.epochs), *(draw.choice(each.choices) for each in self.dimensions))

    def difference(self, old: Changes, new: Changes) -> list[str]:
        """What a configuration has that another one has not, a word for each."""
        found = []
        for each in self.dimensions:
            position = each.position(new)
            if position is not None and position != each.position(old):
                found.append(each.choices[position].word)
        same_rate = old[self.rate_key] == new[self.rate_key]
        return [*found, *([] if same_rate else [f"learning rate {new[self.rate_key]:g}"])]

    def several_changes(self, changes: Changes, draw: random.Random, others: Sequence[Changes] = ()) -> Changes:
        """A configuration a few choices away; choices of `others` that did well are as likely as neighbors."""
        found = dict(changes)
        for each in draw.sample(self.dimensions, min(draw.choice((1, 2, 2, 3)), len(self.dimensions))):
            elsewhere = [each.position(other) for other in others]
            there = [each.choices[position] for position in elsewhere if position is not None]
            options = there if there and draw.random() < 0.5 else each.neighbors(found)
            found = dict(self.put(found, draw.choice(options))) if options else found
        return {**found, self.rate_key: self.rate(draw, float(changes[self.rate_key]), 3.0)}


def dimensions(trials: Trials, epochs: float, slow: bool) -> list[Dimension]:
    """The dimensions that the user's configuration has."""
    found = [_decay(trials), _schedule(trials), _length(epochs)]
    widths = trials.value("architecture.widths")
    if widths:
        found += [_architecture([int(width) for width in widths]), _activation(trials), _dropout(trials)]
    if trials.option("data") == "table":
        found.append(_preprocessing(trials.option(PREPROCESSING)))
    if len(trials.dataset.input_shape) == 3 and slow:
        found.append(_augmentation(list(trials.value("data.augmentation", {}))))
    return found


def _decay(trials: Trials) -> Dimension:
    usual = DECOUPLED if trials.value(DECOUPLED_KEY) else DECAYS
    values = sorted({*usual, float(trials.value(DECAY_KEY, 0.0))})
    return Dimension("weight decay", [Choice(f"weight decay {value:g}", {DECAY_KEY: value}) for value in values], True)


def _schedule(trials: Trials) -> Dimension:
    own = trials.option("scheduler")
    other = Choice("cosine schedule", {"scheduler": "cosine"})
    given = other if own == "constant" else Choice(f"{own} schedule", {"scheduler": None})
    return Dimension("schedule", [Choice("constant rate", {"scheduler": "constant"}), given])


def _length(epochs: float) -> Dimension:
    lengths = [epochs * factor for factor in LENGTHS if factor == 1 or epochs * factor <= LONGEST]
    return Dimension("epochs", [Choice(f"{each:g} epochs", {"trainer.epochs": each}) for each in lengths], True)


def _architecture(widths: list[int]) -> Dimension:
    """The given widths, narrower and wider ones, a layer less and one more, and no hidden layer at all."""
    scaled = [[max(round(width * factor), 2) for width in widths] for factor in (0.25, 0.5, 2.0)]
    sizes = [None, *(each for each in scaled if max(each) <= WIDEST)]
    sizes += [widths[:-1], [*widths, widths[-1]]] if len(widths) > 1 else [[*widths, widths[-1]]]
    choices = [
        Choice(f"widths {size or widths}", {"architecture": None, "architecture.widths": size}) for size in sizes
    ]
    return Dimension("architecture", [*choices, LINEAR])


def _activation(trials: Trials) -> Dimension:
    own = trials.option("activation")
    others = [Choice(name, {"activation": name}) for name in ACTIVATIONS if name != own]
    return Dimension("activation", [Choice(own, {"activation": None}), *others])


def _dropout(trials: Trials) -> Dimension:
    values = sorted({*DROPOUTS, float(trials.value(DROPOUT_KEY, 0.0))})
    return Dimension("dropout", [Choice(f"dropout {p:g}", {DROPOUT_KEY: p or None}) for p in values], True)


def _preprocessing(own: str) -> Dimension:
    others = [Choice(f"{name} inputs", {PREPROCESSING: name}) for name in PREPROCESSINGS if name != own]
    return Dimension("preprocessing", [Choice(f"{own} inputs", {PREPROCESSING: None}), *others])


def _augmentation(own: list[str]) -> Dimension:
    other = [name for name in own if name != "shift"] if "shift" in own else [*own, "shift"]
    words = ("images as they are", "shifted images")
    choices = [Choice(words["shift" in own], {"data/augmentation": None})]
    return Dimension("augmentation", [*choices, Choice(words["shift" in other], {"data/augmentation": other})])
