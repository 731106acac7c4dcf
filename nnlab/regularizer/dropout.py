"""Dropout: every training pass sets each unit to zero with probability p, x <- x * mask, mask ~ Bernoulli(1 - p).

At test time all units are used. Inverted scaling divides by 1 - p in training, which equals in expectation the
lecture's multiplication by 1 - p at test time (`scaling: test`). Or the outputs of many random passes are averaged
(`inference: monte_carlo`), whose spread also says how uncertain the network is.

Sources: N. Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15,
sections 4, 7.5 and 10; uncertainty: Y. Gal and Z. Ghahramani 2016, arXiv:1506.02142.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from nnlab.members import Hyper
from nnlab.regularizer.base import Noise, NoiseModule
from nnlab.regularizer.placement import first_weight_layer, insert_before, insert_link, is_chain, linear_layers
from nnlab.validation import check, check_choice


class Dropout(Noise):
    """Drops hidden units, and inputs.

    The hidden units are dropped where they enter a linear layer: a dropout layer is inserted directly before every
    linear layer except the first weight layer of the network; `input_p` puts one in front of the network. In a chain
    (`nn.Sequential`) they become links `dropout1`, `dropout2`, ... and `input_dropout`.

    Args:
        p: probability of dropping a hidden unit, [0, 1).
        input_p: probability of dropping an input, [0, 1); 0 inserts nothing.
        scaling: `train`: divide by the probability of keeping, 1 - p, in training; `test`: multiply by it at test time.
        inference: `scale`: one pass with all units; `monte_carlo`: average over passes with random masks.
        samples: number of those passes, [1, inf).
    """

    per_member = ("p", "input_p")

    def __init__(
        self,
        p: float = 0.5,
        input_p: float = 0.0,
        scaling: Literal["train", "test"] = "train",
        inference: Literal["scale", "monte_carlo"] = "scale",
        samples: int = 50,
    ) -> None:
        self.p: Hyper = check("p", p, "[0, 1)")
        self.input_p: Hyper = check("input_p", input_p, "[0, 1)")
        self.scaling = check_choice("scaling", scaling, ("train", "test"))
        self.inference = check_choice("inference", inference, ("scale", "monte_carlo"))
        self.samples = check("samples", samples, "[1, inf)")

    def apply(self, network: nn.Module) -> nn.Module:
        first = first_weight_layer(network)
        later = [path for path, layer in linear_layers(network) if layer is not first]
        for number, path in enumerate(later, start=1):
            network = insert_before(network, path, f"dropout{number}", self._layer(self.p))
        if isinstance(self.input_p, Tensor) or self.input_p > 0:
            network = _in_front(network, self._layer(self.input_p))
        return network

    def _layer(self, p: Hyper) -> DropoutLayer:
        return DropoutLayer(
            p, inverted=self.scaling == "train", samples=self.samples if self.inference == "monte_carlo" else 0
        )


class DropoutLayer(NoiseModule):
    """Multiplies by a random mask in training, and while `sampling`; otherwise the identity, scaled where it must be.

    With a key of shape () it takes one network's values (N, ...), and may be mapped over members by
    `torch.func.vmap`; with keys (M,) it takes those of a population, (M, N, ...). The numbers are the same.

    Args:
        p: probability of dropping, a number in [0, 1), or a column (M, 1).
        inverted: scale by 1 / (1 - p) in training rather than by 1 - p at test time.
        samples: see `NoiseModule`.
    """

    def __init__(self, p: Hyper, inverted: bool = True, samples: int = 0) -> None:
        super().__init__()
        self.register_noise(p)
        self.inverted = inverted
        self.samples = samples

    def forward(self, x: Tensor) -> Tensor:
        members = self.key.ndim
        if self.noisy:
            return x * self.mask_of_examples(tuple(x.shape[members:])).to(x.dtype)
        if self.inverted:
            return x
        keep = (1 - self.p).to(x.dtype)
        return x * keep.reshape(keep.shape + (1,) * (x.ndim - members))

    def extra_repr(self) -> str:
        return f"p={self.p.tolist()}, inverted={self.inverted}"


def _in_front(network: nn.Module, layer: DropoutLayer) -> nn.Module:
    if is_chain(network):
        insert_link(network, next(iter(network._modules)), "input_dropout", layer)
        return network
    pair = nn.Sequential()
    pair.add_module("input_dropout", layer)
    pair.add_module("network", network)
    return pair
