"""No preprocessing: the inputs as they were read, x -> x; the lecture's counterexample to preprocessing."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from nnlab.data.preprocessing.base import Identity, Preprocessing, Transform
from nnlab.streaming import Streamed


class NoPreprocessing(Preprocessing):
    """Leaves inputs alone."""

    keeps_shape: ClassVar[bool] = True

    def fit(self, inputs: Tensor | Streamed) -> Transform:
        """The identity."""
        return Identity()
