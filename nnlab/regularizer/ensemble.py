"""An ensemble: several networks that differ in their seed only, whose predictions are averaged.

p(y | x) = 1/M sum over members m of p_m(y | x); initial weights and data order differ, the data are the same.
Source: Hansen and Salamon 1990 ("Neural network ensembles"); Lakshminarayanan et al. 2017, arXiv:1612.01474.
"""

from __future__ import annotations

from nnlab.regularizer.base import Regularizer
from nnlab.validation import check


class Ensemble(Regularizer):
    """Train `members` networks at once, as one population.

    Args:
        members: number of networks M. [1, inf)
        share_batches: whether all members see the same minibatches, so that each is read once, rather than an order
            of their own.
    """

    def __init__(self, members: int = 5, share_batches: bool = False) -> None:
        self.members = check("members", members, "[1, inf)")
        self.share_batches = share_batches
