"""The numbers of each step's report, for later steps, programs and the page; what is not known is None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from nnlab.recipe.candidate import Candidate

Metrics = dict[str, float]


@dataclass
class Numbers:
    """What all have in common: their way into JSON and back."""

    @property
    def usable(self) -> bool:
        """Whether the next step has what it builds on."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """Plain values of what is known; numbers that are not finite become null."""
        known = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: plain(value) for name, value in known.items() if value is not None}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(**{each.name: _read(content[each.name]) for each in fields(cls) if each.name in content})


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if type(value) is float:  # nearly all of them
        return value if math.isfinite(value) else None
    if isinstance(value, Candidate):
        return plain(value.to_dict())
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read(value: Any) -> Any:
    if isinstance(value, Mapping) and {"changes", "scores"} <= set(value):
        return Candidate.from_dict(value)
    return [_read(each) for each in value] if isinstance(value, list) else value


@dataclass
class InitialLossNumbers(Numbers):
    """Step 1: the training inputs, losses before training, and the linear baseline on validation and training."""

    inputs: Metrics | None = None
    initial_loss: float | None = None
    initial_loss_std: float | None = None
    theory: float | None = None
    at_mean_output: float | None = None
    explained_by_variance: float | None = None
    output_std: float | None = None
    constant: float | None = None
    floor: float | None = None
    seeds: int | None = None
    linear: Metrics | None = None
    linear_decay: float | None = None
    linear_train: Metrics | None = None
    majority: float | None = None


@dataclass
class SampleNumbers(Numbers):
    """Step 2: the sample that was memorized, and how far held-out answers are above chance."""

    examples: int | None = None
    fitted: bool | None = None
    steps: float | None = None
    above_chance: float | None = None
    simple_above_chance: float | None = None


@dataclass
class RateNumbers(Numbers):
    """Step 3: every rate's loss, spread and divergences, the range of rates that drop the loss, and the one to use."""

    steps: int | None = None
    seeds: int | None = None
    configured: float | None = None
    rates: list[list[float]] = field(default_factory=list)
    lowest: float | None = None
    highest: float | None = None
    stable: float | None = None
    best: float | None = None
    use: float | None = None

    @property
    def usable(self) -> bool:
        return self.stable is not None


@dataclass
class GridNumbers(Numbers):
    """Steps 4 and 5: the best configurations; after step 4 the rate, decay and loss of all that were tried, and what
    else was `seen`, for a search to learn from; after step 5 the levels of the loss and the lowest on training.
    """

    epochs: float = 0.0
    best: Candidate | None = None
    candidates: list[Candidate] = field(default_factory=list)
    initial: float | None = None
    constant: float | None = None
    floor: float | None = None
    lowest_fit: float | None = None
    differences: str | None = None
    tried: list[list[float]] = field(default_factory=list)
    seen: list[Candidate] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return self.best is not None


@dataclass
class CurveNumbers(Numbers):
    """Step 6: names of what the curves suggest, and where the loss comes from."""

    best: Candidate | None = None
    suggestions: list[str] = field(default_factory=list)
    errors: Metrics | None = None

    @property
    def usable(self) -> bool:
        return self.best is not None


@dataclass
class ImproveNumbers(Numbers):
    """Step 7: the configuration that was chosen, the changes that were adopted, and why it ended."""

    best: Candidate | None = None
    adopted: list[str] = field(default_factory=list)
    tried: int = 0
    stop: str = ""

    @property
    def usable(self) -> bool:
        return self.best is not None


@dataclass
class FinalNumbers(Numbers):
    """Step 8: metrics on the test split, those of simple models, and the runs.

    `network` is `found`, or `given` where the configuration that the recipe began with is better on validation by more
    than the standard error: the runs, the metrics and the experiment are of that one, `rival` and `rival_runs` of the
    other, and `given_gain` says by how much the given one is better on validation, with the error of that.
    `gains` says by how much the networks are better than each simple model, and than the rival, on the test split in
    the metric that decides, `gain_errors` the standard error of that; `best` is `network`, `found` or `given`, or the
    simple model, whichever is ahead by more than its error.
    """

    metric: str = ""
    test: Metrics = field(default_factory=dict)
    test_spread: Metrics = field(default_factory=dict)
    simple_test: dict[str, Metrics] = field(default_factory=dict)
    simple_validation: dict[str, Metrics] = field(default_factory=dict)
    gains: Metrics = field(default_factory=dict)
    gain_errors: Metrics = field(default_factory=dict)
    best: str = "network"
    network: str = "found"
    given_gain: list[float] = field(default_factory=list)
    rival: Metrics = field(default_factory=dict)
    rival_runs: list[dict[str, Any]] = field(default_factory=list)
    lowered: list[float] = field(default_factory=list)
    experiment: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)


OF_STEP: dict[int, type[Numbers]] = {
    1: InitialLossNumbers,
    2: SampleNumbers,
    3: RateNumbers,
    4: GridNumbers,
    5: GridNumbers,
    6: CurveNumbers,
    7: ImproveNumbers,
    8: FinalNumbers,
}
