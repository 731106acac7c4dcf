"""The layers of a chain, each a black box with its own forward and backward pass, as in the lecture.

Signals are (M, N, features). With error signals written `error`: linear layer z = W x + b: W-bar = z-bar^T x, b-bar =
sum over examples of z-bar, x-bar = z-bar W (skipped for the first layer, whose input needs no gradient); activation
h = phi(z): z-bar = h-bar * phi'(z). For a population the products are batched over its members, and gradients are
written where the optimizer reads them.

A population's signals are views of memory in the order (M, features, N): a product with ten outputs then runs along
the examples, three times as fast as along the outputs, and softmax need not transpose.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from nnlab.activation.base import Activation
from nnlab.regularizer.dropconnect import DropConnectLinear
from nnlab.regularizer.dropout import DropoutLayer


class Layer(ABC):
    """One link of the chain, working on (M, N, features); it reads parameters and writes gradients through views.

    Attributes:
        grouped: whether it also takes the batches of G groups of members, (G, N, features); see `Batches`.
        remembered: attributes that the forward pass leaves for the backward pass.
    """

    grouped: bool = False

    remembered: ClassVar[tuple[str, ...]] = ()

    def bind(self, values: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:  # noqa: B027
        """Receive the layer's parameters and their gradients, (M, *shape) by local name."""

    def forget(self) -> None:
        """Let go of what the last forward pass left for a backward pass."""
        for name in self.remembered:
            vars(self).pop(name, None)

    @abstractmethod
    def forward(self, x: Tensor, training: bool) -> Tensor:
        """The layer's output; remembers in training what the backward pass needs."""

    @abstractmethod
    def backward(self, error: Tensor, first: bool) -> Tensor:
        """The error signal of the input from that of the output; `first` layers with parameters may return any."""


class Flatten(Layer):
    """Images (M, N, K, H, W) to vectors (M, N, D)."""

    grouped = True

    def forward(self, x: Tensor, training: bool) -> Tensor:
        return x.flatten(2)

    def backward(self, error: Tensor, first: bool) -> Tensor:
        return error


class Linear(Layer):
    """z = W x + b. Members that share a batch side by side are one product with all their weights."""

    grouped = True
    remembered: ClassVar[tuple[str, ...]] = ("x",)

    def bind(self, values: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:
        self.weight, self.bias = values["weight"], values.get("bias")
        self.weight_bar, self.bias_bar = gradients["weight"], gradients.get("bias")
        self.single = len(self.weight) == 1

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.x = x
        return self.product(x, self.weight)

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.single:
            z = torch.addmm(self.bias[0], x[0], weight[0].t()) if self.bias is not None else x[0] @ weight[0].t()
            return z.unsqueeze(0)
        rows = weight.reshape(len(x), -1, weight.shape[2])  # (G, M/G outputs, inputs)
        bias = None if self.bias is None else self.bias.reshape(len(x), -1, 1)
        z = torch.bmm(rows, x.mT) if bias is None else torch.baddbmm(bias, rows, x.mT)
        return z.view(*weight.shape[:2], -1).mT

    def backward(self, error: Tensor, first: bool) -> Tensor:
        self.weight_gradient(error, self.weight_bar)
        return error if first else self.input_error(error, self.weight)

    def weight_gradient(self, error: Tensor, out: Tensor) -> None:
        if self.single:
            torch.mm(error[0].t(), self.x[0], out=out[0])
        else:  # a batched product into rows that are not side by side would copy anyway, and slower
            together = error.mT.reshape(len(self.x), -1, error.shape[1])
            out.copy_(torch.bmm(together, self.x).view_as(out))
        if self.bias_bar is not None:
            torch.sum(error, 1, out=self.bias_bar)

    def input_error(self, error: Tensor, weight: Tensor) -> Tensor:
        return torch.mm(error[0], weight[0]).unsqueeze(0) if self.single else torch.bmm(weight.mT, error.mT).mT


class DropConnect(Linear):
    """A linear layer whose weights are masked in training; the mask carries the module's scaling."""

    remembered = ("x", "mask", "masked")

    def __init__(self, module: DropConnectLinear) -> None:
        self.module = module

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.x = x
        if not (training or self.module.sampling):
            return self.product(x, self.weight)
        if not training and self.module.inference == "gaussian":
            squares = self.weight.square().reshape(len(x), -1, x.shape[2])  # as in `product`
            variance = torch.bmm(squares, x.square().mT).view(*self.weight.shape[:2], -1).mT
            return self.module.gaussian(self.product(x, self.weight), variance)
        self.mask = self.module.mask(tuple(self.weight.shape[1:]))
        self.masked = self.weight * self.mask
        return self.product(x, self.masked)

    def backward(self, error: Tensor, first: bool) -> Tensor:
        self.weight_gradient(error, self.weight_bar)
        self.weight_bar.mul_(self.mask)
        return error if first else self.input_error(error, self.masked)


class Elementwise(Layer):
    """h = phi(z) without parameters."""

    remembered = ("z", "y")

    def __init__(self, activation: Activation) -> None:
        self.activation = activation

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.z = x
        y: Tensor = self.activation(x)
        self.y = y
        return y

    def backward(self, error: Tensor, first: bool) -> Tensor:
        return self.activation.backward(error, self.z, self.y)


class LearnedSlope(Layer):
    """PReLU: the slope of the negative part, one per layer and member, is learned."""

    remembered = ("z", "y")

    def bind(self, values: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:
        self.slope, self.slope_bar = values["slope"].unsqueeze(2), gradients["slope"]

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.z = x
        self.y = torch.where(x > 0, x, x * self.slope)
        return self.y

    def backward(self, error: Tensor, first: bool) -> Tensor:
        torch.sum(error * self.z.clamp_max(0), (1, 2), out=self.slope_bar[:, 0])
        return torch.where(self.z > 0, error, error * self.slope)


class Dropout(Layer):
    """Multiply by the mask that the module draws from its key."""

    remembered = ("mask",)

    def __init__(self, module: DropoutLayer) -> None:
        self.module = module

    def forward(self, x: Tensor, training: bool) -> Tensor:
        if not training:  # the module knows whether it samples at test time
            y: Tensor = self.module(x)
            return y
        mask = self.module.mask_of_examples(tuple(x.shape[1:]))
        # In the signal's order of memory, so that both products run through it once.
        self.mask = mask if x.is_contiguous() else torch.empty_like(x).copy_(mask)
        return x * self.mask

    def backward(self, error: Tensor, first: bool) -> Tensor:
        return error * self.mask


class BatchNorm(Layer):
    """y = weight * (x - mean) / sqrt(variance + eps) + bias, over the batch (Ioffe and Szegedy 2015)."""

    remembered = ("inverse", "normalised")

    def __init__(self, module: nn.BatchNorm1d, buffers: dict[str, Tensor]) -> None:
        self.eps, self.momentum = module.eps, module.momentum
        self.buffers = buffers

    def bind(self, values: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:
        self.weight, self.bias = values["weight"].unsqueeze(1), values["bias"].unsqueeze(1)
        self.weight_bar, self.bias_bar = gradients["weight"], gradients["bias"]

    def forward(self, x: Tensor, training: bool) -> Tensor:
        if not training:
            mean, variance = self.buffers["running_mean"].unsqueeze(1), self.buffers["running_var"].unsqueeze(1)
            return (x - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias
        variance, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
        self.inverse = torch.rsqrt(variance + self.eps)
        self.normalised = (x - mean) * self.inverse
        count = x.shape[1]
        rate = self.momentum if self.momentum is not None else 0.1
        self.buffers["running_mean"].lerp_(mean.squeeze(1), rate)
        self.buffers["running_var"].lerp_(variance.squeeze(1) * (count / max(count - 1, 1)), rate)
        self.buffers["num_batches_tracked"].add_(1)
        return self.normalised * self.weight + self.bias

    def backward(self, error: Tensor, first: bool) -> Tensor:
        torch.sum(error, 1, out=self.bias_bar)
        torch.sum(error * self.normalised, 1, out=self.weight_bar)
        scaled = error * self.weight
        projection = (scaled * self.normalised).mean(1, keepdim=True)
        return self.inverse * (scaled - scaled.mean(1, keepdim=True) - self.normalised * projection)
