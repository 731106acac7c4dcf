"""Monte-Carlo averaging at test time: the k random masks of dropout or DropConnect as a population of k networks.

The mean over masks is the prediction. Its entropy is the total uncertainty; the mutual information between the class
and the mask, H(mean p) - mean H(p), is the part that more knowledge of the weights would remove.
Sources: Srivastava et al. 2014, section 7.5; Gal and Ghahramani 2016, arXiv:1506.02142; Houlsby et al. 2011,
arXiv:1112.5745 (mutual information).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnlab.randomness import derive_seed, fold
from nnlab.training.evaluation import examples_at_once
from nnlab.training.stack import Stack


def masked_predictions(stack: Stack, theta: Tensor, buffers: dict[str, Tensor], inputs: Tensor, samples: int) -> Tensor:
    """Predictions (k, N, *) of one network, parameters (P,), under k = `samples` masks, for inputs (N, ...).

    The same k masks serve all examples of the call, and the first masks do not depend on k.
    """
    noise: list[Any] = [stack.network.get_submodule(name) for name in stack.noise]
    masks = torch.arange(samples, device=theta.device) + derive_seed(0, "monte_carlo")
    layers = torch.arange(len(noise), device=theta.device)
    keys = fold(masks[None, :] ^ fold(layers, 1)[:, None], 2)
    for module in noise:
        module.sampling = True
    pieces = []
    # In pieces of masks, never of examples: a mask is drawn for all examples of a call at once.
    with stack.set_aside():
        for part in keys.split(masks_at_once(stack, inputs), 1):
            count = part.shape[1]
            stack.replace(theta.expand(count, -1), {n: v.expand(count, *v.shape) for n, v in buffers.items()})
            stack.set_keys(part)
            pieces.append(stack.loss.prediction(stack.outputs(inputs.expand(count, *inputs.shape))))
    for module in noise:
        module.sampling = False
    return torch.cat(pieces)


def masks_at_once(stack: Stack, inputs: Tensor) -> int:
    """How many masks go through the networks together, so that a pass takes no more memory than an evaluation."""
    return max(1, examples_at_once(stack, 1, inputs[0]) // len(inputs))
