"""Learning on the validation split what a finished run's predictions are worth: temperature, and conformal scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from nnlab.console import counted
from nnlab.errors import UserError, did_you_mean
from nnlab.runs.calibrated import Calibration, digest
from nnlab.runs.evaluation import Measurement, measure
from nnlab.runs.networks import Networks, load_networks
from nnlab.runs.own_data import own_dataset
from nnlab.runs.prediction import Predictor, combined, predictions
from nnlab.statistics import conformal
from nnlab.statistics.temperature import COLDEST, HOTTEST, fit_temperature
from nnlab.storage.folder import CALIBRATION, write_calibration
from nnlab.training.evaluation import SPLITS
from nnlab.types import Dataset, Split

METHODS = ("temperature", "none")
WORSE = 5e-5  # of a metric, that a table shows


@dataclass(frozen=True)
class Calibrated:
    """A split before and after.

    Attributes:
        calibration: what was learned; None where it was taken back.
        before, after: the split measured without and with it.
        path: where it is kept.
    """

    calibration: Calibration | None
    before: Measurement
    after: Measurement
    path: Path

    @property
    def worse(self) -> list[str]:
        """The metrics of probabilities that are worse with it, as they may be where few examples decided it."""
        return [
            name
            for name in ("nll", "ece", "brier")
            if self.after.metrics.get(name, 0.0) > self.before.metrics.get(name, 0.0) + WORSE
        ]

    def content(self) -> dict[str, Any]:
        """Everything as plain values."""
        found = self.calibration
        learned = None if found is None else {"temperature": found.temperature, "examples": found.examples}
        return {**self.after.content(), "before": self.before.metrics, "calibrated": learned}


@dataclass(frozen=True)
class Coverage:
    """How often sets or intervals held the truth.

    Attributes:
        stated: the coverage that was asked for.
        measured: share of the split's examples whose truth is inside; of several targets the mean.
        size: mean number of classes in a set, or mean width of an interval, by target.
        empty: share of the examples whose set has no class.
        examples: of the split.
        learned: validation examples that the threshold comes from.
        what: the split.
        targets: names of the targets that `size` belongs to.
    """

    stated: float
    measured: float
    size: list[float]
    empty: float
    examples: int
    learned: int
    what: str
    targets: tuple[str, ...]

    def sentence(self) -> str:
        """What was found, in one line."""
        where = f"{self.measured:.3f} of {self.examples} {self.what} examples"
        base = f"coverage {self.stated:g} (split conformal, {self.learned} validation examples)"
        if len(self.targets) == 0:
            sizes = f"{self.size[0]:.2f} classes a set, {self.empty:.1%} empty"
            return f"sets at {base}: the class is inside for {where}; {sizes}"
        widths = ", ".join(f"{name} {size:.4g}" for name, size in zip(self.targets, self.size, strict=True))
        return f"intervals at {base}: the number is inside for {where}; mean width: {widths}"


def calibrate(run: str | Path, method: str = "temperature", split: str | None = None) -> Calibrated:
    """Fit a temperature on the run's validation examples, for the average and for each network, and keep it.

    Args:
        run: the folder.
        method: `temperature`; `none` takes it back.
        split: to measure before and after; None: `test`.

    Raises:
        UserError: there is no such run or method, its data are not here, or it predicts no class probabilities.
    """
    if method not in METHODS:
        raise UserError(f"there is no calibration `{method}`; {did_you_mean(method, METHODS)}")
    networks, data = _with_data(run, split)
    raw = replace(networks, calibration=None)
    if method == "none":
        write_calibration(networks.directory, None)
        found = None
    else:
        found = _learned(raw, data.validation, warm=True)
        write_calibration(networks.directory, found.content())
    units = networks.fitted.blank_dataset().units
    before, after = (
        measure(each, [getattr(data, split or "test")], units, what=split or "test")
        for each in (raw, replace(networks, calibration=found))
    )
    return Calibrated(found, before, after, networks.directory / CALIBRATION)


def uncalibrated(run: str | Path, split: str) -> Measurement | None:
    """A split as the networks alone predict it, of a run with a temperature; None of another.

    Raises:
        UserError: there is no such run, or its data are not here.
    """
    networks = load_networks(run)
    if networks.calibration is None or networks.calibration.temperature is None:
        return None
    data = own_dataset(networks.directory, networks.config)
    return measure(replace(networks, calibration=None), [getattr(data, split)], None, what=split)


def cover(run: str | Path, coverage: float, split: str | None = None) -> Coverage:
    """Conformal sets or intervals of a run, measured on a split; what they need is kept for `nnlab predict`.

    Args:
        run: the folder.
        coverage: share of new examples whose truth shall be inside, (0, 1).
        split: to measure on; None: `test`.

    Raises:
        UserError: there is no such run, its data are not here, or there are too few validation examples.
    """
    networks, data = _with_data(run, split)
    kept = networks.calibration
    warm = kept is not None and kept.temperature is not None
    found = _learned(replace(networks, calibration=None), data.validation, warm)
    limit = found.limit(coverage)  # before anything is written
    write_calibration(networks.directory, found.content())
    predictor = Predictor(replace(networks, calibration=found))
    examples: Split = getattr(data, split or "test")
    values, std = predictor.in_units(predictor.combined(examples.inputs))
    common: dict[str, Any] = {
        "stated": coverage,
        "examples": len(values),
        "learned": found.examples,
        "what": split or "test",
    }
    if predictor.classes_ is not None:
        inside = conformal.class_sets(values, limit)
        right = inside[np.arange(len(values)), examples.targets.numpy()]
        sizes = inside.sum(1)
        return Coverage(**common, measured=float(right.mean()), size=[float(sizes.mean())],
                        empty=float((sizes == 0).mean()), targets=())  # fmt: skip
    lower, upper = predictor.interval(values, std, limit)
    truth, _ = predictor.in_units(examples.targets)
    held = ((lower <= truth) & (truth <= upper)).mean()
    width = (upper - lower).mean(0).tolist()
    return Coverage(**common, measured=float(held), size=width, empty=0.0, targets=predictor.targets)


def _with_data(run: str | Path, split: str | None) -> tuple[Networks, Dataset]:
    if split is not None and split not in SPLITS:
        raise UserError(f"there is no split `{split}`; {did_you_mean(split, SPLITS)}")
    networks = load_networks(run)
    return networks, own_dataset(networks.directory, networks.config)


def check_told(temperature: float, probabilities: Tensor, targets: Tensor) -> None:
    """Refuse a temperature of probabilities (N, C) of targets (N,) that is an end of the range, which tells no more.

    Raises:
        UserError: it is.
    """
    if COLDEST * 1.001 < temperature < HOTTEST / 1.001:
        return
    right = int((probabilities.argmax(-1) == targets).sum())
    asks = "0, so that all answers were certain" if temperature < 1 else "infinity, so that all classes were as likely"
    raise UserError(
        f"no temperature can be told from {counted(len(targets), 'validation example')}, of which {right} are answered "
        f"right: they ask for one near {asks}; it takes more of them, as of a run with a larger `data.validation`"
    )


def _learned(networks: Networks, validation: Split, warm: bool) -> Calibration:
    """Temperatures, where `warm`, and scores of networks without a calibration."""
    predictor = Predictor(networks)
    each = predictions(networks.stack, validation.inputs)
    temperature, members = None, ()
    if warm:
        if predictor.classes_ is None or not networks.loss.probabilistic:
            raise UserError(
                f"`calibrate=temperature` needs class probabilities, and loss `{networks.loss.option()}` of a "
                f"{predictor.task} predicts none; `coverage=0.9` works with every loss"
            )
        targets = validation.targets.to(each.device)
        average = combined(networks.loss, each)
        temperature = float(fit_temperature(average, targets))
        check_told(temperature, average, targets)
        members = tuple(fit_temperature(each, targets).tolist())
    bare = Calibration(digest(networks.stack.theta), len(validation), temperature, members, np.zeros((0, 1)))
    values, std = predictor.in_units(bare.warmed(combined(networks.loss, each)))
    if predictor.classes_ is not None:
        return replace(bare, scores=conformal.class_scores(values, validation.targets.numpy()))
    return replace(bare, scores=predictor.scores(values, std, predictor.in_units(validation.targets)[0]))
