"""A run as one ordinary `torch.nn.Module`: raw numbers in, predictions in the data's units out, everything inside.

    raw numbers -> columns' encodings -> preprocessing -> networks, averaged -> probabilities, or target units

Where the pipeline takes columns, the module takes a matrix (n, G) float64, whose columns `graph_columns` describes: a
number is itself, a truth value 0 or 1, a category the position of its level; NaN says that a cell is missing. Times
come as the pipeline encodes them, which `TimeEncoding.formulas` has in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnlab.data.pipeline import Pipeline
from nnlab.data.preprocessing.base import Transform
from nnlab.data.rules import ArrayRule, ColumnRule
from nnlab.data.table.column import Column, Floats, plain, truth_of
from nnlab.data.table.encoding import SHARED, CategoryEncoding, Encoding, NumberEncoding, TimeEncoding, TruthEncoding
from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.runs.networks import Networks
from nnlab.statistics.temperature import at_temperature
from nnlab.training.evaluation import sampling_passes
from nnlab.types import Task
from nnlab.units import Units


@dataclass(frozen=True)
class GraphColumn:
    """One column of the matrix that the module takes: its name, and what its numbers stand for."""

    name: str
    meaning: str


class Deployed(nn.Module):
    """Networks with their pipeline; the result is (n, C), or for predicted variances (n, 2 C): means, then deviations.

    Args:
        encode: from raw numbers to the numbers that preprocessing takes.
        transform: the fitted preprocessing.
        networks: M networks.
        loss: whose outputs they give.
        pipeline: with the target's names and units.
        temperature: of the probabilities; None: as the networks give them.
    """

    target_mean: Tensor
    target_std: Tensor

    def __init__(
        self,
        encode: nn.Module,
        transform: Transform,
        networks: Sequence[nn.Module],
        loss: Loss,
        pipeline: Pipeline,
        temperature: float | None = None,
    ) -> None:
        super().__init__()
        rule = pipeline.target
        self.encode, self.transform = encode, TransformModule(transform)
        self.networks = nn.ModuleList(networks)
        self.loss, self.names, self.regression = loss, rule.names, rule.task is Task.REGRESSION
        self.target_transform = rule.transform
        self.pipeline, self.temperature = pipeline, temperature
        self.dtype = next((p.dtype for network in networks for p in network.parameters()), torch.float32)
        size = len(rule.names)
        self.register_buffer("target_mean", torch.tensor(rule.mean or (0.0,) * size, dtype=torch.float64))
        self.register_buffer("target_std", torch.tensor(rule.std or (1.0,) * size, dtype=torch.float64))

    def forward(self, raw: Tensor) -> Tensor:
        """Predictions (n, C) or (n, 2 C) of raw numbers (n, G), or of images (n, K, H, W)."""
        inputs = self.transform(self.encode(raw)).float().to(self.dtype)
        each = [self.loss.prediction(network(inputs)) for network in self.networks]
        prediction = each[0] if len(each) == 1 else self.loss.combine(torch.stack(each))
        if not self.regression:
            return prediction if self.temperature is None else at_temperature(prediction, self.temperature)
        means, *variances = prediction.double().split(len(self.names), -1)
        values = Units(self.target_mean, self.target_std, self.target_transform).restored(means)
        parts = [values, *(v.sqrt() * self.target_std for v in variances)]
        return torch.cat(parts, -1)


class TransformModule(nn.Module):
    """A fitted preprocessing with its tensors as buffers."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.kind = type(transform)
        self.tensors = list(transform.tensors())
        self.plain = {name: value for name, value in vars(transform).items() if name not in self.tensors}
        for name, value in transform.tensors().items():
            self.register_buffer(name, value)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs as the network sees them."""
        return self.kind(**self.plain, **{name: getattr(self, name) for name in self.tensors}).apply(inputs)


class ArrayInput(nn.Module):
    """Arrays as they are; bytes 0 ... 255 become 0 ... 1."""

    def __init__(self, rule: ArrayRule) -> None:
        super().__init__()
        self.rule, self.wide = rule, rule.dtype == "float64"

    def forward(self, raw: Tensor) -> Tensor:
        """Floating-point numbers of the same shape."""
        if raw.dtype == torch.uint8:
            return raw.float() / 255
        return self.rule.scaled(raw.double() if self.wide else raw.float())


class ColumnInput(nn.Module):
    """The encodings of columns, on a matrix (n, G) of raw numbers."""

    def __init__(self, rule: ColumnRule) -> None:
        super().__init__()
        self.columns = nn.ModuleList(_column(encoding) for encoding in rule.encodings)
        self.widths = [len(_graph_columns(encoding)) for encoding in rule.encodings]

    def forward(self, raw: Tensor) -> Tensor:
        """The inputs (n, D) float64 that preprocessing takes."""
        parts = raw.double().split(self.widths, -1)
        return torch.cat([column(part) for column, part in zip(self.columns, parts, strict=True)], -1)


class _Filled(nn.Module):
    """A number, or what stands for it where it is missing or not allowed; and whether it was, where that is asked."""

    def __init__(self, value: float, indicator: bool, truth: bool) -> None:
        super().__init__()
        self.value, self.indicator, self.truth = value, indicator, truth

    def forward(self, x: Tensor) -> Tensor:
        missing = torch.logical_and(x != 0, x != 1) if self.truth else torch.logical_not(torch.isfinite(x))
        filled = torch.where(missing, self.value, x)
        return torch.cat([filled, missing.double()], -1) if self.indicator else filled


class _Levels(nn.Module):
    """The position of a level as one input set to 1; positions that no level has set none."""

    table: Tensor
    positions: Tensor

    def __init__(self, encoding: CategoryEncoding) -> None:
        super().__init__()
        self.indicator = encoding.indicator
        levels = (*encoding.levels, *encoding.shared)
        places = encoding.places()
        width = len(encoding.levels) + (SHARED if encoding.shared else 0)
        table = torch.zeros(len(levels), width, dtype=torch.float64)
        for position, level in enumerate(levels):
            table[position, places[level]] = 1
        self.register_buffer("table", table)
        self.register_buffer("positions", torch.arange(len(levels), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        chosen = torch.eq(x, self.positions).double() @ self.table
        return torch.cat([chosen, torch.isnan(x).double()], -1) if self.indicator else chosen


def _column(encoding: Encoding) -> nn.Module:
    """The module of one encoding; columns that come encoded pass."""
    if isinstance(encoding, NumberEncoding):
        return _Filled(encoding.median, encoding.indicator, truth=False)
    if isinstance(encoding, TruthEncoding):
        return _Filled(encoding.mode, encoding.indicator, truth=True)
    return _Levels(encoding) if isinstance(encoding, CategoryEncoding) else nn.Identity()


def _graph_columns(encoding: Encoding) -> list[GraphColumn]:
    if isinstance(encoding, NumberEncoding):
        return [GraphColumn(encoding.name, "a number; NaN where it is missing")]
    if isinstance(encoding, TruthEncoding):
        return [GraphColumn(encoding.name, "0 or 1; NaN where it is missing")]
    if isinstance(encoding, CategoryEncoding):
        levels = (*encoding.levels, *encoding.shared)
        words = ", ".join(f"{position} = {level}" for position, level in enumerate(levels))
        return [GraphColumn(encoding.name, f"{words}; NaN where it is missing")]
    assert isinstance(encoding, TimeEncoding)
    return [GraphColumn(name, words) for name, words in zip(encoding.input_names, encoding.formulas(), strict=True)]


def graph_columns(pipeline: Pipeline) -> list[GraphColumn]:
    """The columns of the matrix that the module takes; none for images."""
    if isinstance(pipeline.rule, ColumnRule):
        return [column for encoding in pipeline.rule.encodings for column in _graph_columns(encoding)]
    return [GraphColumn(name, "a number") for name in pipeline.columns]


def graph_inputs(pipeline: Pipeline, raw: Any) -> Tensor:
    """Raw examples as the module takes them: a matrix (n, G) float64, or the array in its own dtype."""
    rule = pipeline.rule
    if not isinstance(rule, ColumnRule):
        named = hasattr(raw, "keys") or hasattr(raw, "columns")
        return rule.encode(raw).inputs if named else torch.as_tensor(raw)
    frame = rule.frame(raw)
    parts = [_graph_values(encoding, frame.columns[encoding.name]) for encoding in rule.encodings]
    return torch.from_numpy(np.concatenate(parts, axis=1))


def _graph_values(encoding: Encoding, column: Column) -> Floats:
    """The cells of a column as the module takes them, (n, k)."""
    if isinstance(encoding, NumberEncoding):
        return column.numbers()[:, None]
    if isinstance(encoding, TruthEncoding):
        return column.numbers(truth_of)[:, None]
    if isinstance(encoding, CategoryEncoding):
        text = column.as_text()
        positions = {level: i for i, level in enumerate((*encoding.levels, *encoding.shared))}
        found = [float(positions.get(level, positions.get(plain(level), -1))) for level in text.levels]
        return text.by_level(found, np.nan)[:, None]
    return encoding.encode(column).inputs


def deployed(networks: Networks) -> Deployed:
    """The module of a run, on the CPU, in evaluation mode.

    Raises:
        UserError: predictions average random masks, which no graph holds.
    """
    if sampling_passes(networks.stack):
        raise UserError(
            f"predictions of `{networks.directory}` average random masks (Monte-Carlo dropout), which a module of its "
            "own cannot repeat; train with `inference=scale`, or use `nnlab predict`"
        )
    pipeline = networks.fitted.pipeline
    rule = pipeline.rule
    encode = ColumnInput(rule) if isinstance(rule, ColumnRule) else ArrayInput(_array_rule(rule))
    members = [networks.stack.member(row).cpu() for row in range(len(networks))]
    known = networks.calibration
    temperature = None if known is None else known.temperature
    return Deployed(encode, pipeline.transform, members, networks.loss, pipeline, temperature).eval()


def _array_rule(rule: Any) -> ArrayRule:
    if not isinstance(rule, ArrayRule):
        raise UserError(f"inputs by the rule `{type(rule).__name__}` cannot be written as a module")
    return rule
