"""Batch ensemble: k networks in one, which share their weights and differ by rank-one factors.

    h_i = phi(s_i * (W (r_i * x_i)) + b_i),  i = 1, ..., k,    output layers of their own

elementwise products; head i is a network with the weights W * s_i r_i^T. The loss is the mean over the heads, and the
prediction their mean (`nnlab.loss.heads`). At first r_i is a random sign for each input of the first layer, and all
other factors are 1, so that the heads differ by how they see the inputs.

Sources: Wen, Tran and Ba 2020, "BatchEnsemble", arXiv:2002.06715, equations 1 and 5; with output layers of their own, a
bias for each head, and this start: Gorishniy et al. 2024, "TabM", arXiv:2410.24210, section 3.3.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnlab.errors import UserError
from nnlab.regularizer.base import Regularizer
from nnlab.regularizer.placement import linear_layers, replace
from nnlab.validation import check


class BatchEnsemble(Regularizer):
    """Makes every hidden linear layer serve `heads` networks.

    Args:
        heads: k, [1, inf); the time of a step grows with it, the parameters hardly.
    """

    def __init__(self, heads: int = 32) -> None:
        self.heads = check("heads", heads, "[1, inf)")

    def apply(self, network: nn.Module, generator: torch.Generator) -> nn.Module:
        """The network with its hidden linear layers replaced.

        Raises:
            UserError: it has layers that do not take the heads beside each other, or no output layer for each.
        """
        layers = linear_layers(network)
        if not layers or getattr(layers[-1][1], "heads", 0) != self.heads:
            raise UserError("`regularizer=[batch_ensemble]` needs an architecture that ends with its `head`")
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.modules.conv._ConvNd):
                raise UserError(
                    f"`regularizer=[batch_ensemble]` knows linear layers, not {type(module).__name__}; take "
                    "`architecture=mlp` or `architecture=realmlp`, without batch norm"
                )
        for position, (path, linear) in enumerate(layers[:-1]):
            network = replace(network, path, SharedLinear(linear, self.heads, generator if position == 0 else None))
        return network


class SharedLinear(nn.Linear):
    """A linear layer of k heads, (N, k, in) -> (N, k, out), or for the first layer (N, in) -> (N, k, out).

    Args:
        linear: the layer to replace; its weight, not a copy of it, becomes this one's.
        heads: k.
        generator: of the signs that the factors of the inputs start with; None: they start with 1.

    Attributes:
        fast_in, fast_out: r (k, in) and s (k, out).
        bias: (k, out), all heads' the same at first.
    """

    unpenalised: ClassVar[tuple[str, ...]] = ("fast_in", "fast_out", "bias")

    def __init__(self, linear: nn.Linear, heads: int, generator: torch.Generator | None) -> None:
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
        dtype = linear.weight.dtype
        self.weight = linear.weight
        self.weight_factor = float(getattr(linear, "weight_factor", 1.0))
        self.bias_factor = float(getattr(linear, "bias_factor", 1.0))
        if linear.bias is not None:
            self.bias = nn.Parameter(linear.bias.detach().expand(heads, -1).clone())
        signs = torch.ones(heads, linear.in_features, dtype=dtype)
        if generator is not None:
            signs = 2.0 * torch.randint(2, signs.shape, generator=generator).to(dtype) - 1
        self.fast_in = nn.Parameter(signs)
        self.fast_out = nn.Parameter(torch.ones(heads, linear.out_features, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(1) if x.ndim == 2 else x
        z = F.linear(x * self.fast_in, self.weight) * (self.weight_factor * self.fast_out)
        return z if self.bias is None else z + self.bias_factor * self.bias
