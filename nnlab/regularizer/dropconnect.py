"""DropConnect: every training pass sets each weight to zero with probability p, y = (mask * W) x + b.

As elsewhere in nnlab p is the probability of dropping, and masks are divided by 1 - p, so that W itself is used at test
time; the paper writes p for keeping, and multiplies W by it at test time. Its better inference matches moments: u is
Gaussian with mean W x + b and variance p / (1 - p) (W * W) (x * x), elementwise products, and is drawn many times.

Source: L. Wan et al. 2013, "Regularization of neural networks using DropConnect", ICML, Algorithms 1 and 2. Two
differences: the bias is not masked, and the draws are averaged over the network's predictions, not directly after one
layer's activation, so that several layers can be random.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nnlab.errors import UserError
from nnlab.members import Hyper
from nnlab.randomness import normal
from nnlab.regularizer.base import Noise, NoiseModule
from nnlab.regularizer.placement import linear_layers, replace
from nnlab.validation import check, check_choice


class DropConnect(Noise):
    """Drops weights of the fully connected layers: of every linear layer except the last, or of a single one.

    Args:
        p: probability of dropping a weight, [0, 1).
        per: `batch`: one mask for all examples of a batch; `example`: one for each, as in the paper, which takes
            the memory of N weight matrices.
        inference: `mean`: one pass with all weights; `gaussian`: average over passes with moment-matched draws.
        samples: number of those passes, [1, inf).
    """

    per_member = ("p",)

    def __init__(
        self,
        p: float = 0.5,
        per: Literal["batch", "example"] = "batch",
        inference: Literal["mean", "gaussian"] = "mean",
        samples: int = 50,
    ) -> None:
        self.p: Hyper = check("p", p, "[0, 1)")
        self.per = check_choice("per", per, ("batch", "example"))
        self.inference = check_choice("inference", inference, ("mean", "gaussian"))
        self.samples = check("samples", samples, "[1, inf)")

    def apply(self, network: nn.Module) -> nn.Module:
        """The network with noisy layers in the places of its linear ones.

        Raises:
            UserError: one of them is of another class, whose forward pass the masks would replace.
        """
        layers = linear_layers(network)
        samples = self.samples if self.inference == "gaussian" else 0
        for path, linear in layers[:-1] or layers:
            if type(linear) is not nn.Linear:
                raise UserError(
                    f"`regularizer=[dropconnect]` masks the weights of plain linear layers, but `{path}` is a "
                    f"{type(linear).__name__}; take `regularizer=[dropout]`"
                )
            noisy = DropConnectLinear(linear, self.p, self.per, self.inference, samples)
            network = replace(network, path, noisy)
        return network


class DropConnectLinear(NoiseModule, nn.Linear):
    """A linear layer, (N, ..., in) -> (N, ..., out), whose weights are masked in training.

    For hand-derived passes over a population (keys (M,)), `mask` of the weight's shape (out, in), or (N, out, in) with
    `per="example"`, gives the same numbers.

    Args:
        linear: the layer to replace; its parameters, not copies of them, become this one's.
        p: probability of dropping a weight, a number in [0, 1), or a column (M, 1).
        per: see `DropConnect`.
        inference: what `sampling` draws in evaluation mode: `mean`: masks as in training, `gaussian`: see above.
        samples: see `NoiseModule`.
    """

    def __init__(
        self, linear: nn.Linear, p: Hyper, per: str = "batch", inference: str = "mean", samples: int = 0
    ) -> None:
        # On the meta device nothing is allocated or drawn for parameters that are replaced at once.
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.register_noise(p)
        self.train(linear.training)
        self.per = per
        self.inference = inference
        self.samples = samples

    def forward(self, x: Tensor) -> Tensor:
        if not self.noisy:
            return functional.linear(x, self.weight, self.bias)
        if self.inference == "gaussian" and not self.training:
            mean = functional.linear(x, self.weight, self.bias)
            return self.gaussian(mean, functional.linear(x.square(), self.weight.square()))
        if self.per == "batch":
            mask = self.mask(tuple(self.weight.shape)).to(self.weight.dtype)
            return functional.linear(x, self.weight * mask, self.bias)
        mask = self.mask_of_examples((len(x), *self.weight.shape)).to(self.weight.dtype)
        rows = x.reshape(len(x), -1, self.in_features)
        y = (rows @ (self.weight * mask).mT).reshape(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias

    def gaussian(self, mean: Tensor, variance: Tensor) -> Tensor:
        """Draws of units, of mean W x + b, whose `variance` (W * W) (x * x) is that without p, (..., N, ..., out)."""
        ratio = (self.p / (1 - self.p)).to(mean.dtype)
        scale = torch.sqrt(variance * ratio.reshape(ratio.shape + (1,) * (mean.dim() - ratio.dim())))
        return mean + scale * normal(self.key, *mean.shape[self.key.dim() :], dtype=mean.dtype)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, p={self.p.tolist()}, per={self.per}"
