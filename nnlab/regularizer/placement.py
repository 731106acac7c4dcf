"""Where noise goes in a network that somebody else built: layers are replaced, or get a module in front of them."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

WEIGHT_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def linear_layers(network: nn.Module) -> list[tuple[str, nn.Linear]]:
    """Paths and modules of all linear layers, in the order in which they were registered.

    Those inside torch's attention are left out: it reads their weights and never calls them.
    """
    modules = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    return [(path, module) for path, module in modules if not isinstance(module, NonDynamicallyQuantizableLinear)]


def first_weight_layer(network: nn.Module) -> nn.Module | None:
    """The linear or convolutional layer that was registered first, None if there is none."""
    return next((module for module in network.modules() if isinstance(module, WEIGHT_LAYERS)), None)


def replace(network: nn.Module, path: str, module: nn.Module) -> nn.Module:
    """The network with `module` in the place of the one at `path` (`module` itself for the empty path)."""
    if not path:
        return module
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)
    return network


def insert_before(network: nn.Module, path: str, name: str, module: nn.Module) -> nn.Module:
    """The network with `module` directly before the one at `path`, which keeps its path in a chain.

    In an `nn.Sequential` (of whatever class, with the forward pass of `nn.Sequential`) the module becomes one more
    link called `name`; elsewhere the layer becomes `nn.Sequential(name=module, <its name>=layer)`.
    """
    layer = network.get_submodule(path)
    parent_path, _, own = path.rpartition(".")
    parent = network.get_submodule(parent_path)
    if own and is_chain(parent):
        insert_link(parent, own, name, module)
        return network
    pair = nn.Sequential()
    pair.add_module(name, module)
    pair.add_module(own or "network", layer)
    return replace(network, path, pair)


def is_chain(module: nn.Module) -> bool:
    """Whether the module runs its children one after the other, as `nn.Sequential` does."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def insert_link(chain: nn.Module, before: str, name: str, module: nn.Module) -> None:
    """Insert `module` as a child called `name` directly before the child called `before`."""
    children = list(chain._modules.items())
    chain._modules.clear()
    for other, child in children:
        if other == before:
            chain.add_module(name, module)
        chain.add_module(other, child)
