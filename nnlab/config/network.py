"""One network of a config: constructed by torch's global generator, then initialized from the run's own."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from nnlab.config.construct import construct
from nnlab.config.network_size import check_size
from nnlab.config.schema import placed, signature
from nnlab.errors import UserError
from nnlab.initialization.base import Initialization, weight_layers
from nnlab.loss.base import Loss
from nnlab.randomness import derive_seed, generator
from nnlab.regularizer import BatchEnsemble, Noise, Regularizer
from nnlab.training import Callback
from nnlab.training.stack import check_outputs
from nnlab.types import Dataset

Config = Mapping[str, Any]


def build_network(
    config: Config,
    dataset: Dataset,
    loss: Loss,
    seed: int,
    regularizers: Sequence[Regularizer | Callback] | None = None,
    tried: bool = False,
) -> nn.Module:
    """One initialized network for a data set, with its noise modules, as `seed` determines it.

    Args:
        config: names the components.
        dataset: whose shapes it is made for.
        loss: that it is trained by.
        seed: of its weights.
        regularizers: the config's, where they have been built.
        tried: whether such a network has given outputs of the shape that the loss needs.

    Raises:
        UserError: the architecture does not fit the data or the loss.
    """
    network = _constructed(config, dataset, loss, seed)
    if regularizers is None:
        regularizers = list(construct(config["regularizer"], "regularizer").values())
    for regularizer in regularizers:
        if isinstance(regularizer, BatchEnsemble):
            network = regularizer.apply(network, generator(seed, "batch_ensemble"))
    if not tried:
        check_outputs(network, dataset.input_shape, loss.output_size(dataset.target_size))
    initialization: Initialization = construct(config["initialization"], "initialization")
    gain = getattr(construct(config["activation"], "activation"), "gain", 1.0)
    initialization(network, gain, generator(seed, "initialization"), dataset.train.inputs)
    for regularizer in regularizers:
        if isinstance(regularizer, Noise):
            network = regularizer.apply(network)
    network.train()
    return network


def _constructed(config: Config, dataset: Dataset, loss: Loss, seed: int) -> nn.Module:
    """The network as its constructor makes it, with torch's global generator seeded."""
    activation = functools.partial(construct, config["activation"], "activation")
    head = functools.partial(loss.head, target_size=dataset.target_size)
    parameters = signature(config["architecture"]["_target_"]).arguments
    supplied = {"input_shape": dataset.input_shape, "head": head, "activation": activation}
    supplied["columns"] = dataset.input_columns
    with torch.random.fork_rng(devices=[]):
        # Foreign networks draw from torch's global generator in their constructors. `torch.manual_seed` would seed
        # those of devices, too, which takes longer than building a small network.
        torch.default_generator.manual_seed(derive_seed(seed, "constructor"))
        own = {name: value for name, value in supplied.items() if name in parameters}
        check_size(config["architecture"], own)
        try:
            network: nn.Module = construct(config["architecture"], "architecture", **own)
        except UserError as error:
            mistake = placed(str(error), config["architecture"], "architecture")
            raise UserError(mistake.sentence if "." in mistake.path else str(error)) from error
    return network


def brings_weights(config: Config, dataset: Dataset, loss: Loss) -> bool:
    """Whether a foreign architecture sets weights by itself, such as pretrained ones: those that no seed changes."""
    if str(config["architecture"]["_target_"]).startswith("nnlab."):
        return False
    networks = (_constructed(config, dataset, loss, seed) for seed in (0, 1))
    one, other = ([cast(Tensor, layer.weight) for _, layer in weight_layers(each)] for each in networks)
    pairs = zip(one, other, strict=True)
    return any(torch.equal(a, b) and a.unique().numel() > 1 for a, b in pairs)
