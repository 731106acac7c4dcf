"""A finished run in use: from raw examples to classes with probabilities, or numbers with standard deviations.

Every example is predicted as if it were alone: examples pass through the networks in blocks of one fixed size, the last
one filled up, so that the arithmetic, and with it every bit of a prediction, does not depend on what stands beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlab.data.rules import ColumnRule
from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.randomness import fold
from nnlab.runs.networks import Networks, load_networks
from nnlab.statistics import conformal
from nnlab.training.evaluation import Evaluation, sampling_passes
from nnlab.training.stack import Stack
from nnlab.types import Split, Task
from nnlab.units import Units, numbers_inverse, numbers_transformed
from nnlab.validation import check

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

Numbers = npt.NDArray[Any]

BLOCK = 1024  # examples that pass together, where each is small
BLOCK_NUMBERS = 1 << 20  # numbers of input that pass together, where each is large


@dataclass(frozen=True)
class Prediction:
    """What a run predicts for n examples.

    Attributes:
        values: (n, C) probabilities or scores of the classes, or the targets in their own units.
        std: (n, C) standard deviations in the targets' units, where the loss predicts them.
        unseen: by column, how many cells training had nothing like.
    """

    values: npt.NDArray[Any]
    std: npt.NDArray[Any] | None
    unseen: dict[str, int]


class Predictor:
    """The networks of a finished run with everything around them; `nnlab.load` gives one.

    Attributes:
        networks: the trained networks, one or the members of an ensemble, whose predictions are averaged.
        columns: names of the raw columns that are needed, in the order in which an array has them.
        classes_: names of the classes, or None for a regression.
        targets: names of the classes, or of the regression targets.
    """

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self.pipeline = networks.fitted.pipeline
        self.loss = networks.loss
        self.columns = self.pipeline.columns
        self.targets = self.pipeline.target.names
        self.task = self.pipeline.target.task
        self.classes_ = None if self.task is Task.REGRESSION else np.array(self.targets)

    @property
    def module(self) -> nn.Module:
        """An ordinary `torch.nn.Module`, (n, columns) raw numbers -> (n, C) probabilities or numbers; see `deployed`.

        Raises:
            UserError: a part of the pipeline cannot be written as a module.
        """
        from nnlab.runs.deployed import deployed

        return deployed(self.networks)

    def predict(self, inputs: Any, return_std: bool = False) -> Any:
        """Class names (n,), or numbers (n,) or (n, C) for several targets.

        Args:
            inputs: a DataFrame or a mapping with the columns by name, in any order; an array or tensor (n, columns);
                or images (n, K, H, W).
            return_std: give the standard deviations beside the numbers, where the loss predicts them.

        Raises:
            UserError: columns are missing, the shape is another, or there are no standard deviations.
        """
        found = self.of_given(inputs)
        if return_std and found.std is None:
            raise UserError(f"loss `{self.loss.option()}` predicts no standard deviations; `gaussian_nll` does")
        if self.classes_ is not None:
            return self.classes_[found.values.argmax(1)]
        values, std = (None if each is None else flat(each) for each in (found.values, found.std))
        return (values, std) if return_std else values

    def predict_proba(self, inputs: Any) -> npt.NDArray[Any]:
        """Probabilities (n, C) of the classes in the order of `classes_`.

        Raises:
            UserError: the run predicts no probabilities.
        """
        if self.classes_ is None or not self.loss.probabilistic:
            raise UserError(f"loss `{self.loss.option()}` predicts no class probabilities")
        return self.of_given(inputs).values

    def predict_set(self, inputs: Any, coverage: float = 0.9) -> npt.NDArray[np.bool_]:
        """Which classes (n, C), in the order of `classes_`, hold the truth with the frequency `coverage`.

        Raises:
            UserError: the run predicts numbers, or `nnlab evaluate RUN coverage=...` has not been asked yet.
        """
        if self.classes_ is None:
            raise UserError("this run predicts numbers, which have intervals: `predict_interval`")
        return conformal.class_sets(self.of_given(inputs).values, self.limit(coverage))

    def predict_interval(self, inputs: Any, coverage: float = 0.9) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Lower and upper ends, each (n,) or (n, C), of intervals that hold the truth with the frequency `coverage`.

        Raises:
            UserError: the run predicts classes, or `nnlab evaluate RUN coverage=...` has not been asked yet.
        """
        if self.classes_ is not None:
            raise UserError("this run predicts classes, which have sets: `predict_set`")
        found = self.of_given(inputs)
        lower, upper = self.interval(found.values, found.std, self.limit(coverage))
        return flat(lower), flat(upper)

    def interval(self, values: Numbers, std: Numbers | None, limit: Numbers) -> tuple[Numbers, Numbers]:
        """Lower and upper ends (n, C) of the intervals around predicted numbers, from a conformal threshold (C,).

        Where logarithms were learned they are as wide everywhere on their scale: in shares of the prediction.
        """
        transform = self.pipeline.target.transform
        if transform == "none":
            return conformal.intervals(values, std, limit)
        ends = conformal.intervals(numbers_transformed(values, transform), None, limit)
        lower, upper = (numbers_inverse(end, transform) for end in ends)
        return lower, upper

    def scores(self, values: Numbers, std: Numbers | None, targets: Numbers) -> Numbers:
        """Conformal scores (n, C) of predicted numbers, which belong to such intervals."""
        transform = self.pipeline.target.transform
        if transform == "none":
            return conformal.number_scores(values, std, targets)
        return conformal.number_scores(
            numbers_transformed(values, transform), None, numbers_transformed(targets, transform)
        )

    def limit(self, coverage: float) -> npt.NDArray[np.float64]:
        """The conformal threshold (C,) at a coverage.

        Raises:
            UserError: nothing is known yet, or too little for this coverage.
        """
        check("coverage", coverage, "(0, 1)")
        known = self.networks.calibration
        if known is None:
            raise UserError(
                f"`{self.networks.directory}` has no conformal scores yet; `nnlab evaluate {self.networks.directory} "
                f"coverage={coverage:g}` learns them on the validation split"
            )
        return known.limit(coverage)

    def of_raw(self, inputs: Any) -> Prediction:
        """Predict raw examples, in the units of the data."""
        encoded = self.pipeline.encode(_plain(inputs))
        values, std = self.in_units(self.combined(encoded.inputs))
        return Prediction(values, std, dict(encoded.unseen))

    def of_given(self, inputs: Any) -> Prediction:
        """As `of_raw`, with a warning about cells that training had nothing like, and about another unit."""
        pipeline, given = self.pipeline, _plain(inputs)
        given = pipeline.rule.frame(given) if isinstance(pipeline.rule, ColumnRule) else given  # which is read once
        found, sample = self.of_raw(given), pipeline.sample()
        if (frame := pipeline.frame(given)) is not None:
            sample.add(frame)
        for line in (*self.pipeline.doubts(found.unseen, len(found.values)), *sample.doubts()):
            log.warning("%s", line)
        return found

    def combined(self, inputs: Tensor) -> Tensor:
        """The prediction (n, *), averaged over the networks, for encoded inputs (n, *input_shape)."""
        return calibrated(self.networks, combined(self.loss, predictions(self.networks.stack, inputs)))

    def in_units(self, prediction: Tensor) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
        """Values (n, C) and standard deviations (n, C) or None in the units of the data, of a prediction (n, *)."""
        if self.task is not Task.REGRESSION:
            return prediction.cpu().numpy(), None
        parts = prediction.double().cpu().split(len(self.targets), -1)
        units = self.pipeline.target.units(torch.float64)
        values = parts[0] if units is None else units.restored(parts[0])
        deviations = parts[1].sqrt() * (1.0 if units is None else units.std) if len(parts) > 1 else None
        return values.numpy(), None if deviations is None else deviations.numpy()


def load(run: str | Path, device: str | None = None) -> Predictor:
    """A finished run as an object that predicts.

    Raises:
        UserError: `run` is no finished run, or its folder is damaged.
    """
    return Predictor(load_networks(run, device))


def predictions(stack: Stack, inputs: Tensor) -> Tensor:
    """Predictions (M, n, *) of every network for encoded inputs (n, ...), each example as if it were alone."""
    pieces = [each for each, _ in _blocks(stack, inputs, None)]
    return torch.cat(pieces, 1)


def combined(loss: Loss, each: Tensor) -> Tensor:
    """The average (n, *) of the networks' predictions (M, n, *), each example as if it were alone."""
    if len(each) == 1:
        return each[0]
    blocks = [_filled(block.movedim(1, 0), BLOCK).movedim(0, 1) for block in each.split(BLOCK, 1)]
    return torch.cat([loss.combine(block.contiguous()) for block in blocks])[: each.shape[1]]


def calibrated(networks: Networks, prediction: Tensor, member: int | None = None) -> Tensor:
    """A prediction (n, *) as validation has taught to read it, each example as if it were alone.

    Args:
        networks: of the run, with their calibration or none.
        prediction: of their average, or of one network.
        member: which network it is; None: the average.
    """
    known = networks.calibration
    if known is None or known.temperature is None:
        return prediction
    blocks = [known.warmed(_filled(block, BLOCK), member)[: len(block)] for block in prediction.split(BLOCK)]
    return torch.cat(blocks)


def evaluation(stack: Stack, examples: Iterable[Split], units: Units | None) -> tuple[Evaluation, Tensor]:
    """As `nnlab.training.evaluation.evaluate` does, with the predictions of `predictions`, and the targets (n, ...).

    Args:
        stack: the networks.
        examples: in pieces, one after another, of which one at a time is in memory.
        units: of the targets of a regression, else None.
    """
    predicted, losses, truth = [], [], []
    for piece in examples:
        for prediction, loss in _blocks(stack, piece.inputs, piece.targets):
            predicted.append(prediction)
            losses.append(loss)
        truth.append(piece.targets.cpu())
    prediction, targets = torch.cat(predicted, 1), torch.cat(truth)
    targets = targets.to(prediction.device, prediction.dtype if targets.is_floating_point() else None)
    loss = torch.cat([each for each in losses if each is not None], 1).mean(1)
    shared = targets.expand(len(prediction), *targets.shape)
    return Evaluation({"loss": loss, **stack.loss.measured(prediction, shared, units)}, prediction), targets


def block_size(numbers: int) -> int:
    """How many examples of so many numbers pass together."""
    return max(1, min(BLOCK, BLOCK_NUMBERS // max(1, numbers)))


@torch.no_grad()
def _blocks(stack: Stack, inputs: Tensor, targets: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Predictions (M, b, *) and, with targets, losses (M, b), block by block."""
    size = block_size(inputs[:1].numel())
    passes = sampling_passes(stack)
    stack.set_sampling(passes > 0)
    members = len(stack)
    for start in range(0, max(len(inputs), 1), size):
        block = inputs[start : start + size].to(stack.theta.device, stack.theta.dtype)
        count = len(block)
        block = _filled(block, size)
        known = None if targets is None else _filled(targets[start : start + size], size).to(block.device)
        if known is not None and known.is_floating_point():
            known = known.to(block.dtype)
        if stack.in_place and not passes:  # the same operations as while training, to the same bits
            labels = torch.zeros(size, dtype=torch.int64) if known is None else known
            prediction, loss = stack.evaluated([block], [labels])
            yield prediction[:, :count], None if known is None else loss[:, :count]
            continue
        predicted, losses = [], []
        for sample in range(max(passes, 1)):
            if passes:
                keys = torch.arange(len(stack.noise), device=block.device)  # the same masks for all networks
                stack.set_keys(fold(keys, sample).unsqueeze(1).expand(-1, members))
            outputs = stack.outputs(block.expand(members, *block.shape) if members > 1 else block.unsqueeze(0))
            predicted.append(stack.loss.prediction(outputs))
            if known is not None:
                losses.append(stack.loss.losses(outputs, known.expand(members, *known.shape)))
        prediction = stack.loss.combine(torch.stack(predicted)) if passes else predicted[0]
        yield prediction[:, :count], torch.stack(losses).mean(0)[:, :count] if losses else None
    stack.set_sampling(False)


def _filled(values: Tensor, size: int) -> Tensor:
    """The values with zeros behind them, so that there are `size`."""
    if len(values) == size:
        return values
    return torch.cat([values, values.new_zeros(size - len(values), *values.shape[1:])])


def _plain(inputs: Any) -> Any:
    """Tensors of any device as those of the CPU; anything else as it is."""
    return inputs.detach().cpu() if isinstance(inputs, Tensor) else inputs


def flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n,) of (n, 1)."""
    return values[:, 0] if values.shape[1] == 1 else values
