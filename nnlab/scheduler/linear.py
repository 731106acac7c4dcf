"""Linear decay: factor(t) = 1 - t / T.

Source: the lecture; used as in Devlin et al. 2019, "BERT", arXiv:1810.04805, appendix A.2, with warm-up.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnlab.scheduler.base import Scheduler


class Linear(Scheduler):
    """A straight line to 0 at t = T, one unit after the last.

    Args:
        unit: what t, T and `warmup` count, `epoch` or `step`.
        warmup: length of the linear rise at the start, [0, inf).
    """

    depends_on_total: ClassVar[bool] = True

    def __init__(self, unit: Literal["epoch", "step"] = "epoch", warmup: float = 0) -> None:
        super().__init__(unit, warmup)

    def factor(self, t: Tensor, total: int) -> Tensor:
        return 1 - t.to(torch.float64) / total
