"""A stack whose network is a plain chain of layers: backpropagation by the lecture's equations, without autograd.

The layers with their equations are in `nnlab.training.layers`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnlab.activation import PReLU
from nnlab.activation.base import Activation
from nnlab.regularizer.dropconnect import DropConnectLinear
from nnlab.regularizer.dropout import DropoutLayer
from nnlab.training.batches import distinct_rows, spread
from nnlab.training.layers import BatchNorm, DropConnect, Dropout, Elementwise, Flatten, Layer, LearnedSlope, Linear
from nnlab.training.stack import PassSize, Stack, Storages


def is_chain(network: nn.Module) -> bool:
    """Whether every layer of `network` is one that this module can run, in a plain `nn.Sequential`."""
    plain = isinstance(network, nn.Sequential) and type(network).forward is nn.Sequential.forward
    return plain and all(_supported(module) for module in network)  # type: ignore[attr-defined]


def _supported(module: nn.Module) -> bool:
    if isinstance(module, DropConnectLinear):
        return module.per == "batch"
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

    def _forward_layer(self, layer: Layer, x: Tensor, training: bool) -> Tensor:
        return layer.forward(x if layer.grouped else spread(x, len(self)), training)

    @torch.no_grad()
    def backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        if not self.network.training:  # walking through the modules costs 150 us, the check nothing
            self.network.train()
        outputs = distinct_rows(inputs)
        for layer in self.layers:
            outputs = self._forward_layer(layer, outputs, training=True)
        losses, error = self.loss.losses_and_gradient(outputs, spread(targets, len(self)))
        error.div_(error.shape[1])
        for position in range(len(self.layers) - 1, self.first - 1, -1):
            error = self.layers[position].backward(error, position == self.first)
        return losses.mean(1)

    @torch.no_grad()
    def capture(self, inputs: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        kept = {name: value.clone() for name, value in self.buffers.items()}
        if not self.network.training:
            self.network.train()
        captured, outputs = {}, distinct_rows(inputs)
        for (name, _), layer in zip(self.network.named_children(), self.layers, strict=True):
            outputs = self._forward_layer(layer, outputs, training=True)
            if name in names:
                captured[name] = spread(outputs, len(self))
        for name, value in kept.items():
            self.buffers[name].copy_(value)
        return captured

    @torch.no_grad()
    def pass_size(self, inputs: Tensor) -> PassSize:
        before = {name: value.clone() for name, value in self.buffers.items()}
        kept, largest = Storages([inputs, self.theta]), 0
        outputs = distinct_rows(inputs)
        for layer in self.layers:
            outputs = self._forward_layer(layer, outputs, training=True)
            largest = max(largest, outputs.numel() * outputs.element_size())
        for layer in self.layers:
            for name in layer.remembered:
                kept.add(getattr(layer, name))
            layer.forget()
        for name, value in before.items():
            self.buffers[name].copy_(value)
        return PassSize(kept.total, largest)

    def remembered(self, inputs: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        layers = {name: layer for (name, _), layer in zip(self.network.named_children(), self.layers, strict=True)}
        kept = {name: layers[name] for name in names if isinstance(layers.get(name), Elementwise | LearnedSlope)}
        if len(kept) < len(names) or not self.remembers:
            return self.capture(inputs, names)
        return {name: layer.y for name, layer in kept.items()}  # type: ignore[attr-defined]

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Tensor:
        self.network.eval()
        outputs = distinct_rows(inputs)
        for layer in self.layers:
            outputs = self._forward_layer(layer, outputs, training=False)
        return outputs
