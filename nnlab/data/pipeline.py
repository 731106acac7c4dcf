"""The fitted pipeline: from what a user has (columns by name, an array, images) to what the network sees, and back.

    raw -> inputs rule (columns or array) -> (n, D) numbers -> preprocessing -> network
    network -> target rule -> class names, or numbers in the target's own units

It is fitted on the training split once, stored with the run as JSON and arrays only, and applied again wherever the
network is used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nnlab.data.preprocessing.base import Transform, transform_from_arrays
from nnlab.data.rules import ArrayRule, ColumnRule, Encoded, InputRule, TargetRule, rule_from_json
from nnlab.data.table.column import Frame
from nnlab.data.table.encoding import NumberEncoding
from nnlab.data.table.ranges import Sample
from nnlab.data.table.writing import Writing
from nnlab.errors import UserError

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """From raw examples to network inputs, and from outputs to targets.

    Attributes:
        rule: from raw examples to numbers, by columns or as an array.
        transform: the fitted preprocessing.
        target: what the outputs stand for.
    """

    rule: InputRule
    transform: Transform
    target: TargetRule

    def encode(self, raw: Any) -> Encoded:
        """Network inputs (n, *input_shape) float32 of raw examples, with the count of unseen cells by column.

        Raises:
            UserError: columns are missing, or the shape is another.
        """
        encoded = self.rule.encode(raw)
        return Encoded(self.transform.apply(encoded.inputs).float(), encoded.unseen)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the numbers of one example before preprocessing, `region=north` for a level; empty for images."""
        return self.rule.names

    @property
    def input_columns(self) -> tuple[tuple[str, int], ...]:
        """Kind and number of inputs of each column of a table; empty where preprocessing has mixed them."""
        if not isinstance(self.rule, ColumnRule) or not self.transform.keeps_inputs:
            return ()
        return tuple(part for encoding in self.rule.encodings for part in encoding.input_parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the raw columns that are needed, in the order of training; empty for images."""
        return self.rule.columns if isinstance(self.rule, ColumnRule | ArrayRule) else ()

    @property
    def writing(self) -> Writing:
        """How the table of the training was written, with the names of all of its columns."""
        if not isinstance(self.rule, ColumnRule):
            return Writing(dict.fromkeys(self.columns, ""))
        names = [*self.rule.kinds, *([self.target.column] if self.target.column else [])]
        writing = self.rule.expected
        return dataclasses.replace(writing, decimals={**dict.fromkeys(names, ""), **writing.decimals})

    def sample(self) -> Sample:
        """An empty sample of the numbers of a table that is read in pieces, to compare with those of the training."""
        if isinstance(self.rule, ArrayRule):
            return Sample(dict(zip(self.rule.columns, self.rule.ranges, strict=False)))
        encodings = self.rule.encodings if isinstance(self.rule, ColumnRule) else ()
        return Sample({each.name: each.range for each in encodings if isinstance(each, NumberEncoding)})

    def target_sample(self) -> Sample:
        """The same of the targets of a regression."""
        return Sample(dict(zip(self.target.names, self.target.ranges, strict=False)), "the target")

    def frame(self, raw: Any) -> Frame | None:
        """Raw examples as columns by name; None of images."""
        return self.rule.frame(raw) if isinstance(self.rule, ColumnRule | ArrayRule) else None

    def doubts(self, unseen: Mapping[str, int], rows: int) -> list[str]:
        """What to say about cells that training had nothing like, counted by column; a line for each of them."""
        encodings = self.rule.encodings if isinstance(self.rule, ColumnRule) else ()
        counts = [(each, unseen.get(each.name, 0)) for each in encodings]
        return [f"column `{each.name}`: {each.doubt(count, rows)}" for each, count in counts if count]

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays of the preprocessing."""
        return {"inputs": self.rule.to_json(), "transform": self.transform.to_json(), "target": self.target.to_json()}

    def arrays(self) -> dict[str, Array]:
        """The arrays of the preprocessing, by name."""
        return {name: value.numpy() for name, value in self.transform.tensors().items()}

    @classmethod
    def from_stored(cls, content: Mapping[str, Any], arrays: Mapping[str, Array]) -> Pipeline:
        """The pipeline that `to_json` and `arrays` describe.

        Raises:
            UserError: they are damaged, or the preprocessing is a class that is not loaded.
        """
        try:
            target = TargetRule.from_json(content["target"])
            rule = rule_from_json(content["inputs"])
            tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
            return cls(rule, transform_from_arrays(content["transform"], tensors), target)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"the stored pipeline is damaged ({error})") from error
