"""Examples as they were read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from nnlab.data.checks import check_finite
from nnlab.storage.array_file import ArrayFile
from nnlab.types import Task


@dataclasses.dataclass(frozen=True)
class Raw:
    """Examples as they were read, before any split.

    Attributes:
        inputs: (n, D) floats, or images (n, K, H, W) as floats or as uint8, whose 0 ... 255 then become 0 ... 1; or the
            columns of a table. What was kept on disk is an `ArrayFile` in place of a tensor.
        targets: (n,) int64 classes or (n, C) floats.
        task: what the targets are.
        target_names: names of the classes or of the regression targets.
        origin: what error messages call the source, such as a file name.
        test: inputs and targets of the data set's own test split, if it has one.
        columns: names of the D numbers of a vector; empty: they are called `0`, `1`, ...
        channels_last: the images were (n, H, W, K) in the source.
        kinds: of a table, what is done with each column.
        target_column: of a table, the column of the target.
        frame: of a table, all of its columns, those that are no inputs too.
        notes: what was guessed or left out, a sentence each.
        groups: (n,) int64; rows of one group are never split.
        times: (n,) float64 by which rows are ordered: the last are for testing, those before for validation.
        validated: (n,) bool, rows that are the data set's own validation split.
        content: what decides the inputs, such as a hash of the files, where that is shorter than they are.
    """

    inputs: Any
    targets: Tensor
    task: Task
    target_names: tuple[str, ...]
    origin: str
    test: tuple[Any, Tensor] | None = None
    columns: tuple[str, ...] = ()
    channels_last: bool = False
    kinds: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    target_column: str = ""
    frame: Any = None
    notes: tuple[str, ...] = ()
    groups: Tensor | None = None
    times: Tensor | None = None
    validated: Tensor | None = None
    content: str = ""

    def check(self) -> None:
        """Refuse examples that are not finite; looks once, whatever the number of seeds that split them.

        Raises:
            UserError: an input or a target is NaN or infinite.
        """
        if "_is_finite" in vars(self):
            return
        for origin, inputs, targets in self.parts:
            if isinstance(inputs, Tensor | ArrayFile):
                check_finite(inputs, "inputs", origin)
            check_finite(targets, "targets", origin)
        vars(self)["_is_finite"] = True

    @property
    def parts(self) -> Iterator[tuple[str, Any, Tensor]]:
        """What messages call them, inputs and targets of the examples, and of the own test split where there is one."""
        yield self.origin, self.inputs, self.targets
        if self.test is not None:
            yield getattr(self.test[0], "origin", f"the test split of {self.origin}"), *self.test
