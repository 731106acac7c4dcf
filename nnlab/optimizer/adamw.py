"""AdamW: Adam with weight decay that is decoupled from the gradient and its normalisation.

    theta_k <- (1 - eta lambda) theta_k for weights, then Adam's step

The same as `optimizer=adam regularizer.weight_decay.decoupled=true`; biases and norm parameters do not decay.

Source: Loshchilov and Hutter 2019, "Decoupled weight decay regularization", arXiv:1711.05101, Algorithm 2, with
eta lambda for their lambda, as in torch.
"""

from __future__ import annotations

from typing import ClassVar

from nnlab.members import Hyper
from nnlab.optimizer.adam import Adam
from nnlab.validation import check


class AdamW(Adam):
    """Adam with decoupled weight decay.

    Args:
        learning_rate: the rate eta, (0, inf).
        betas: decay rates (beta_1, beta_2) of the averages of gradients and of their squares, each [0, 1).
        eps: keeps the denominator from zero, (0, inf).
        weight_decay: lambda, [0, inf); weights lose the share eta lambda in every step.
    """

    per_member: ClassVar[tuple[str, ...]] = (*Adam.per_member, "weight_decay")

    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(learning_rate, betas, eps)
        self.weight_decay: Hyper = check("weight_decay", weight_decay, "[0, inf)")
