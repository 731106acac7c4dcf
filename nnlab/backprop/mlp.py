"""The gradients of a multilayer perceptron derived by hand, in the lecture's vector form, for a minibatch.

    forward:   Z_l = H_{l-1} W_l^T + b_l,   H_l = phi(Z_l),   Y = Z_last,   H_0 = X
    backward:  Y_bar = (Y - T) / N,   W_l_bar = Z_l_bar^T H_{l-1},   b_l_bar = sum of the rows of Z_l_bar,
               H_{l-1}_bar = Z_l_bar W_l,   Z_l_bar = H_l_bar * phi'(Z_l)

One example per row, so the lecture's W_bar = z_bar h^T sums over the batch in one product. The loss is the mean over
the batch of 1/2 ||y - t||^2, or of the cross-entropy of softmax(y); Y_bar has the same form for both, with softmax(Y)
in place of Y. Source: the lecture's section on backpropagation; Rumelhart, Hinton and Williams (1986).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from nnlab.errors import UserError
from nnlab.validation import check_choice

Activation = Literal["sigmoid", "tanh", "relu"]
Loss = Literal["squared_error", "cross_entropy"]

# phi, and phi' as a function of the output h = phi(z)
_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "sigmoid": (torch.sigmoid, lambda h: h * (1 - h)),
    "tanh": (torch.tanh, lambda h: 1 - h * h),
    "relu": (torch.relu, lambda h: (h > 0).to(h.dtype)),
}


@dataclasses.dataclass
class Layer:
    """Weights (..., outputs, inputs) and biases (..., outputs); leading dimensions, as M members, are kept apart."""

    weight: Tensor
    bias: Tensor


class Mlp:
    """A multilayer perceptron that differentiates and trains itself, without autograd.

    Args:
        layers: from the input to the output; not copied, updated in place by `step`.
        activation: of the hidden layers; the output is linear.
        loss: "squared_error" with targets (..., N, C), or "cross_entropy" with one-hot targets (..., N, C).
    """

    def __init__(
        self, layers: Sequence[Layer], activation: Activation = "sigmoid", loss: Loss = "squared_error"
    ) -> None:
        check_choice("activation", activation, _ACTIVATIONS)
        check_choice("loss", loss, ("squared_error", "cross_entropy"))
        for before, after in itertools.pairwise(layers):
            if before.weight.shape[-2] != after.weight.shape[-1]:
                raise UserError(
                    f"a layer with {before.weight.shape[-2]} outputs is followed by one with "
                    f"{after.weight.shape[-1]} inputs; the two must be equal"
                )
        self.layers = list(layers)
        self.phi, self.phi_prime = _ACTIVATIONS[activation]
        self.loss_name = loss

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Inputs (..., N, D) -> the inputs H_0, each hidden layer's output H_l (..., N, units), the output Y."""
        outputs = [inputs]
        for position, layer in enumerate(self.layers):
            z = outputs[-1] @ layer.weight.mT + layer.bias.unsqueeze(-2)
            outputs.append(z if position == len(self.layers) - 1 else self.phi(z))
        return outputs

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss over the batch, (...)."""
        y = self.forward(inputs)[-1]
        if self.loss_name == "squared_error":
            return (y - targets).square().sum(dim=-1).mean(dim=-1) / 2
        return -(targets * torch.log_softmax(y, dim=-1)).sum(dim=-1).mean(dim=-1)

    def gradients(self, inputs: Tensor, targets: Tensor) -> list[Layer]:
        """dL/dW and dL/db of every layer, from inputs (..., N, D) and targets (..., N, C)."""
        *hidden, y = self.forward(inputs)
        prediction = y if self.loss_name == "squared_error" else torch.softmax(y, dim=-1)
        z_bar = (prediction - targets) / inputs.shape[-2]
        gradients = []
        for position in reversed(range(len(self.layers))):
            h = hidden[position]
            gradients.append(Layer(weight=z_bar.mT @ h, bias=z_bar.sum(dim=-2)))
            if position > 0:  # the first layer needs no gradient for its input
                h_bar = z_bar @ self.layers[position].weight
                z_bar = h_bar * self.phi_prime(h)
        return gradients[::-1]

    def step(self, inputs: Tensor, targets: Tensor, learning_rate: float) -> None:
        """One step of gradient descent on a minibatch: W <- W - learning_rate * W_bar."""
        for layer, gradient in zip(self.layers, self.gradients(inputs, targets), strict=True):
            layer.weight -= learning_rate * gradient.weight
            layer.bias -= learning_rate * gradient.bias
