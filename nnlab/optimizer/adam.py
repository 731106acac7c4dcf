"""Adam: momentum and gradient normalisation together, with bias correction.

    m_{k+1} = beta_1 m_k + (1 - beta_1) g_k,    v_{k+1} = beta_2 v_k + (1 - beta_2) g_k^2,    m_1 = v_1 = 0
    theta_{k+1} = theta_k - eta m^ / (sqrt(v^) + eps),   m^ = m_{k+1} / (1 - beta_1^k),   v^ = v_{k+1} / (1 - beta_2^k)

Source: Kingma and Ba 2015, "Adam: a method for stochastic optimization", arXiv:1412.6980, Algorithm 1.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.members import Hyper
from nnlab.optimizer.arithmetic import average, average_square, bias_correction, descend_ratio, shared_numbers
from nnlab.optimizer.base import FirstOrder, State, zeros
from nnlab.optimizer.memory import lanes
from nnlab.validation import check


class Adam(FirstOrder):
    """A good default.

    Args:
        learning_rate: the rate eta, (0, inf).
        betas: decay rates (beta_1, beta_2) of the averages of gradients and of their squares, each [0, 1).
        eps: keeps the denominator from zero, (0, inf).
    """

    per_member: ClassVar[tuple[str, ...]] = ("learning_rate", "beta1", "beta2", "eps")

    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate)
        if len(betas) != 2:
            raise UserError(f"`betas` must be two numbers, got {list(betas)}")
        self.beta1: Hyper = check("betas[0]", betas[0], "[0, 1)")
        self.beta2: Hyper = check("betas[1]", betas[1], "[0, 1)")
        self.eps: Hyper = check("eps", eps, "(0, inf)")
        self._step: Tensor | None = None
        self._delta: Tensor | None = None

    def initial_state(self, theta: Tensor) -> State:
        return zeros(theta, "m", "v")

    def update(self, theta: Tensor, gradient: Tensor, state: State, learning_rate: Hyper, k: int | Tensor) -> None:
        m, v = state["m"], state["v"]
        numbers = shared_numbers((theta, gradient, m, v), self.beta1, self.beta2, self.eps)
        if numbers is None:
            self._plain(theta, gradient, m, v, learning_rate, k)
        elif not isinstance(learning_rate, Tensor):
            self._fused(theta, gradient, m, v, learning_rate, numbers, k)
        else:
            # The kernel knows one rate only: take the step of rate 1 from zero, and scale it for each member.
            delta = self._zero_like(theta)
            self._fused(delta, gradient, m, v, 1.0, numbers, k)
            theta.addcmul_(delta, learning_rate)

    def _plain(
        self, theta: Tensor, gradient: Tensor, m: Tensor, v: Tensor, learning_rate: Hyper, k: int | Tensor
    ) -> None:
        """The equations, for any mixture of shared and differing hyper-parameters."""
        average(m, gradient, self.beta1)
        average_square(v, gradient, self.beta2)
        root = (v / bias_correction(self.beta2, k)).sqrt_().add_(self.eps)
        descend_ratio(theta, m, root, learning_rate / bias_correction(self.beta1, k))

    def _fused(
        self, theta: Tensor, gradient: Tensor, m: Tensor, v: Tensor, rate: float, numbers: list[float], k: int | Tensor
    ) -> None:
        """The same in one pass over memory, called below torch.optim, whose first step loads torch's compiler."""
        if self._step is None or self._step.device != theta.device:
            self._step = torch.zeros((), device=theta.device)
        self._step.fill_(k)
        beta1, beta2, eps = numbers
        torch._fused_adam_(
            [theta], [gradient], [m], [v], [], [self._step], lr=rate, beta1=beta1, beta2=beta2,
            eps=eps, weight_decay=0.0, amsgrad=False, maximize=False,
        )  # fmt: skip

    def _zero_like(self, theta: Tensor) -> Tensor:
        """Scratch space that every step reuses and no checkpoint needs."""
        delta = self._delta
        if delta is None or (delta.shape, delta.dtype, delta.device) != (theta.shape, theta.dtype, theta.device):
            self._delta = delta = lanes(theta, 1, first=4)[0]
        return delta.zero_()
