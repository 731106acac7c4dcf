"""What every activation function phi provides: y = phi(z), its derivative, and its gain."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Activation(nn.Module, ABC):
    """An elementwise non-linearity y = phi(z); every layer owns an instance of its own.

    Attributes:
        gain: factor for the weights' standard deviation that keeps the second moment of the signal from layer to
            layer, 1 / sqrt(E[phi(z)^2]) for z ~ N(0, 1), as sqrt(2) for ReLU (He et al. 2015, arXiv:1502.01852).
        saturation: the pair of output values that phi approaches where it saturates on both or one side (`None`
            where it does not), for instance (-1, 1) for tanh. Statistics count units near them.
    """

    gain: float = 1.0
    saturation: tuple[float | None, float | None] = (None, None)

    def __init__(self) -> None:
        # Stated although it only calls torch's: the signature is the schema of the config, and torch's takes anything.
        super().__init__()

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """phi(z), of z's shape (any)."""

    @abstractmethod
    def derivative(self, z: Tensor, y: Tensor) -> Tensor:
        """phi'(z), of z's shape, given y = phi(z) as well (sigmoid and tanh are cheapest in y)."""

    def backward(self, error: Tensor, z: Tensor, y: Tensor) -> Tensor:
        """The error signal of z from that of y: z-bar = y-bar * phi'(z); overridden where torch has it fused."""
        return error * self.derivative(z, y)
