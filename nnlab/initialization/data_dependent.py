"""Initialization by the training data: every unit starts with unit variance, and bends among the examples.

    w ~ N(0, 1), divided by the standard deviation of w x over the training inputs x of the layer
    b = -(a convex combination of w x of five examples drawn at random)

so that z = w x + b is zero somewhere inside the data, whatever their scale and correlation. Layers are filled from
the first to the last, each with the inputs that the layers before it give.

Source: Holzmueller et al. 2024, arXiv:2407.04491, section 3 (initialization), after Steinwart 2019, "A sober look at
neural network initializations", arXiv:1903.11482 (he+5); unit variances: Mishkin and Matas 2016, arXiv:1511.06422.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nnlab.initialization.base import Initialization, weight_layers
from nnlab.validation import check

EXAMPLES = 4096  # training inputs that are looked at, drawn at random where there are more


class DataDependent(Initialization):
    """Weights by the variance that they give, biases by where the examples lie; also of the output layer.

    Without inputs, or where a layer's are all equal, weights are as those of He with gain 1, and biases 0.

    Args:
        points: examples whose convex combination decides a bias, [0, inf); 0: biases are 0.
        scale, bias: see `Initialization`.
    """

    def __init__(self, points: int = 5, scale: float = 1.0, bias: float = 0.0) -> None:
        super().__init__(scale, bias)
        self.points = check("points", points, "[0, inf)")

    def __call__(
        self, network: nn.Module, gain: float, generator: torch.Generator, inputs: Tensor | None = None
    ) -> None:
        super().__call__(network, 1.0, generator)
        if inputs is None or len(inputs) < 2:
            return
        rows = torch.randperm(len(inputs), generator=generator)[:EXAMPLES]
        training = network.training
        network.eval()
        with torch.no_grad():
            for _, layer in weight_layers(network):
                z = _outputs(network, layer, inputs[rows].to(layer.weight.dtype))  # type: ignore[arg-type]
                if z is not None:
                    self._refill(layer, z, generator)
        network.train(training)

    def fill(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        fan_in = weight[0].numel()
        weight.normal_(0.0, gain * fan_in**-0.5, generator=generator)

    def _refill(self, layer: nn.Module, z: Tensor, generator: torch.Generator) -> None:
        """Scale the weights of a layer, and set its biases, by its outputs (n, units) without them."""
        std = z.std(0, correction=0)
        factor = torch.where(std > 0, self.scale / std, 1.0)
        weight: Tensor = layer.weight  # type: ignore[assignment]
        weight.mul_(factor.view(-1, *(1,) * (weight.ndim - 1)))
        if layer.bias is None or not self.points:
            return
        units = z.shape[1]
        chosen = torch.randint(len(z), (units, self.points), generator=generator)
        shares = torch.empty(units, self.points).exponential_(generator=generator)
        shares /= shares.sum(1, keepdim=True)
        middle = ((z * factor)[chosen, torch.arange(units)[:, None]] * shares).sum(1)
        bias: Tensor = layer.bias  # type: ignore[assignment]
        bias.copy_((self.bias - middle) / getattr(layer, "bias_factor", 1.0))


class _Reached(Exception):
    """The layer has been reached; what comes after it need not be computed."""


def _outputs(network: nn.Module, layer: nn.Module, inputs: Tensor) -> Tensor | None:
    """What a layer gives out without its bias, (n, units), positions of images as examples; None: it is not used."""
    found: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        found.append(output)
        raise _Reached

    handle = layer.register_forward_hook(keep)
    try:
        network(inputs)
    except _Reached:
        pass
    finally:
        handle.remove()
    if not found:
        return None
    z = found[0].movedim(1, -1) if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) else found[0]
    bias: Tensor | None = layer.bias  # type: ignore[assignment]
    z = z if bias is None else z - bias * getattr(layer, "bias_factor", 1.0)
    return z.reshape(-1, z.shape[-1])
