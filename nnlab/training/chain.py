"""A stack whose network is a plain chain of layers: backpropagation by the lecture's equations, without autograd.

Each layer is a black box with its own forward and backward pass. With error signals written `error` (M, N, features):
linear layer z = W x + b: W-bar = z-bar^T x, b-bar = sum over examples of z-bar, x-bar = z-bar W (skipped for the first
layer, whose input needs no gradient); activation h = phi(z): z-bar = h-bar * phi'(z). For a population the products
are batched over its members, and gradients are written where the optimizer reads them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnlab.activation import PReLU
from nnlab.activation.base import Activation
from nnlab.loss.base import Loss
from nnlab.regularizer.dropconnect import DropConnectLinear
from nnlab.regularizer.dropout import DropoutLayer
from nnlab.training.stack import Stack


class Layer(ABC):
    """One link of the chain, working on (M, N, features); it reads parameters and writes gradients through views."""

    parameters: tuple[str, ...] = ()

    def bind(self, values: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:  # noqa: B027
        """Receive the layer's parameters and their gradients, (M, *shape) by local name."""

    @abstractmethod
    def forward(self, x: Tensor, training: bool) -> Tensor:
        """The layer's output; remembers in training what the backward pass needs."""

    @abstractmethod
    def backward(self, error: Tensor, first: bool) -> Tensor:
        """The error signal of the input from that of the output; `first` layers with parameters may return any."""


class Flatten(Layer):
    """Images (M, N, K, H, W) to vectors (M, N, D)."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        return x.flatten(2)

    def backward(self, error: Tensor, first: bool) -> Tensor:
        return error


class Linear(Layer):
    """z = W x + b."""

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
        if _shared(x):  # one product with the weights of all members, whose rows lie side by side
            z = (x[0] @ weight.reshape(-1, weight.shape[2]).t()).view(x.shape[1], *weight.shape[:2]).transpose(0, 1)
            return z if self.bias is None else z.add_(self.bias.unsqueeze(1))
        if self.bias is None:
            return torch.bmm(x, weight.transpose(1, 2))
        return torch.baddbmm(self.bias.unsqueeze(1), x, weight.transpose(1, 2))

    def backward(self, error: Tensor, first: bool) -> Tensor:
        self.weight_gradient(error, self.weight_bar)
        return error if first else self.input_error(error, self.weight)

    def weight_gradient(self, error: Tensor, out: Tensor) -> None:
        if self.single:
            torch.mm(error[0].t(), self.x[0], out=out[0])
        elif _shared(self.x):
            together = error.transpose(0, 1).reshape(error.shape[1], -1)
            out.copy_((together.t() @ self.x[0]).view_as(out))
        else:
            out.copy_(torch.bmm(error.transpose(1, 2), self.x))
        if self.bias_bar is not None:
            torch.sum(error, 1, out=self.bias_bar)

    def input_error(self, error: Tensor, weight: Tensor) -> Tensor:
        return torch.mm(error[0], weight[0]).unsqueeze(0) if self.single else torch.bmm(error, weight)


def _shared(x: Tensor) -> bool:
    """Whether all members read the same batch: (M, N, D) with one copy in memory."""
    return x.stride(0) == 0


class DropConnect(Linear):
    """A linear layer whose weights are masked in training; the mask carries the module's scaling."""

    def __init__(self, module: DropConnectLinear) -> None:
        self.module = module

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.x = x
        if not (training or self.module.sampling):
            return self.product(x, self.weight)
        self.mask = self.module.mask(tuple(self.weight.shape[1:]))
        self.masked = self.weight * self.mask
        return self.product(x, self.masked)

    def backward(self, error: Tensor, first: bool) -> Tensor:
        self.weight_gradient(error, self.weight_bar)
        self.weight_bar.mul_(self.mask)
        return error if first else self.input_error(error, self.masked)


class Elementwise(Layer):
    """h = phi(z) without parameters."""

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

    def bind(self, values: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:
        self.slope, self.slope_bar = values["slope"].unsqueeze(2), gradients["slope"]

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.z = x
        return torch.where(x > 0, x, x * self.slope)

    def backward(self, error: Tensor, first: bool) -> Tensor:
        torch.sum(error * self.z.clamp_max(0), (1, 2), out=self.slope_bar[:, 0])
        return torch.where(self.z > 0, error, error * self.slope)


class Dropout(Layer):
    """Multiply by the mask that the module draws from its key."""

    def __init__(self, module: DropoutLayer) -> None:
        self.module = module

    def forward(self, x: Tensor, training: bool) -> Tensor:
        if not training:  # the module knows whether it samples at test time
            y: Tensor = self.module(x)
            return y
        self.mask = self.module.mask(tuple(x.shape[1:]))
        return x * self.mask

    def backward(self, error: Tensor, first: bool) -> Tensor:
        return error * self.mask


class BatchNorm(Layer):
    """y = weight * (x - mean) / sqrt(variance + eps) + bias, over the batch (Ioffe and Szegedy 2015)."""

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


def is_chain(network: nn.Module) -> bool:
    """Whether every layer of `network` is one that this module can run, in a plain `nn.Sequential`."""
    plain = isinstance(network, nn.Sequential) and type(network).forward is nn.Sequential.forward
    return plain and all(_supported(module) for module in network)  # type: ignore[attr-defined]


def _supported(module: nn.Module) -> bool:
    if isinstance(module, DropConnectLinear):
        return module.per == "batch" and module.inference == "mean" and module.bias is not None
    if isinstance(module, nn.BatchNorm1d):
        return module.affine and module.track_running_stats and module.momentum is not None
    frozen = any(not parameter.requires_grad for parameter in module.parameters())
    return not frozen and (type(module) in (nn.Flatten, nn.Linear) or isinstance(module, Activation | DropoutLayer))


class Chain(Stack):
    """A stack of chains; see the module's docstring. The attributes are those of `Stack`."""

    def bind(self) -> None:
        super().bind()
        gradients = self.layout.views(self.gradient)
        self.layers: list[Layer] = []
        for name, module in self.network.named_children():
            prefix = f"{name}."
            buffers = {key.removeprefix(prefix): b for key, b in self.buffers.items() if key.startswith(prefix)}
            layer = self._layer(module, buffers)
            layer.bind(
                *(
                    {k.removeprefix(prefix): v for k, v in d.items() if k.startswith(prefix)}
                    for d in (self.views, gradients)
                )
            )
            self.layers.append(layer)
        trained = [i for i, layer in enumerate(self.layers) if isinstance(layer, Linear | LearnedSlope | BatchNorm)]
        self.first = min(trained, default=0)

    def _layer(self, module: nn.Module, buffers: dict[str, Tensor]) -> Layer:
        if isinstance(module, DropConnectLinear | DropoutLayer):
            # The stacked keys and probabilities stand in for those of one member: masks come out as (M, ...).
            module.key, module.p = buffers["key"], buffers["p"]
            return DropConnect(module) if isinstance(module, DropConnectLinear) else Dropout(module)
        if isinstance(module, nn.BatchNorm1d):
            return BatchNorm(module, buffers)
        if isinstance(module, PReLU):
            return LearnedSlope()
        if isinstance(module, Activation):
            return Elementwise(module)
        return Linear() if isinstance(module, nn.Linear) else Flatten()

    @torch.no_grad()
    def backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        if not self.network.training:  # walking through the modules costs 150 us, the check nothing
            self.network.train()
        outputs = inputs
        for layer in self.layers:
            outputs = layer.forward(outputs, training=True)
        losses, error = self.loss.losses_and_gradient(outputs, targets)
        error = error / error.shape[1]
        for position in range(len(self.layers) - 1, self.first - 1, -1):
            error = self.layers[position].backward(error, position == self.first)
        return losses.mean(1)

    @torch.no_grad()
    def capture(self, inputs: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        kept = {name: value.clone() for name, value in self.buffers.items()}
        self.network.train()
        captured, outputs = {}, inputs
        for (name, _), layer in zip(self.network.named_children(), self.layers, strict=True):
            outputs = layer.forward(outputs, training=True)
            if name in names:
                captured[name] = outputs
        for name, value in kept.items():
            self.buffers[name].copy_(value)
        return captured

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Tensor:
        self.network.eval()
        outputs = inputs
        for layer in self.layers:
            outputs = layer.forward(outputs, training=False)
        return outputs


def make_stack(
    networks: Sequence[nn.Module], loss: Loss, device: torch.device, dtype: torch.dtype, autocast: bool = False
) -> Stack:
    """The fastest stack that can run these networks."""
    kind = Chain if is_chain(networks[0]) and not autocast else Stack
    return kind(networks, loss, device, dtype, autocast)
