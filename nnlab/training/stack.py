"""M networks of one architecture as one: stacked parameters, one forward pass, one backward pass.

The members' parameters are the rows of `theta` (M, P). The backward pass runs on the sum of the members' losses, whose
gradients are independent, so the rows of `gradient` are the members' own. This module serves any network: one by
calling it, several through `torch.func.vmap`. `nnlab.training.chain` does the same for plain chains of layers, by the
lecture's hand-derived equations, without autograd.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.optimizer.memory import lanes
from nnlab.regularizer.base import NoiseModule
from nnlab.training.batches import spread, stacked
from nnlab.training.layout import Layout

log = logging.getLogger(__name__)


class PassSize(NamedTuple):
    """Memory of a training pass, in bytes.

    Attributes:
        kept: what the forward pass keeps for the backward pass, besides parameters and inputs.
        largest: of the signals between layers, the largest.
    """

    kept: int
    largest: int


class Stack:
    """Stacked networks, with the gradient of their losses.

    Attributes:
        network: the network of one member, the template that the rows of `theta` fill in.
        theta: parameters (M, P).
        gradient: gradient of each member's mean loss by its parameters (M, P), filled by `backward`.
        convolves: whether the networks have convolutions of images.
        channels_last: whether one network alone takes its images in that order; several share grouped convolutions.
        penalised: of every weight, its places (M, size) in `gradient` and in `theta`.
        buffers: the networks' buffers and frozen parameters, (M, ...) by name.
        bound: how often rows and buffers were given new memory.
        remembers: whether what `backward` leaves behind is still that of its last call.
        maps: whether `vmap` takes the network; None before the first pass. Where it does not, as with recurrent layers,
            values read by Python and tensors that are filled in place, members pass one after another.
    """

    bound = 0
    remembers = True
    maps: bool | None = None

    def __init__(
        self,
        networks: Sequence[nn.Module],
        loss: Loss,
        device: torch.device,
        dtype: torch.dtype,
        autocast: bool = False,
    ) -> None:
        self.network = networks[0]
        self.loss = loss
        self.autocast = autocast
        self.layout = Layout(self.network)
        theta = torch.empty(len(networks), self.layout.size, dtype=dtype)
        for row, network in zip(theta, networks, strict=True):
            row.copy_(self.layout.row(network, dtype))
        self.theta = theta.to(device)
        states = [_frozen(network) for network in networks]
        self.buffers = {
            name: torch.stack([state[name] for state in states]).to(
                device, dtype if value.is_floating_point() else None
            )
            for name, value in states[0].items()
        }
        self.network.to(device, dtype)
        self.convolves = any(isinstance(module, nn.Conv2d) for module in self.network.modules())
        self.channels_last = self.convolves and device.type in ("cpu", "cuda")
        self.noise = [name for name, module in self.network.named_modules() if isinstance(module, NoiseModule)]
        self.bind()

    def __len__(self) -> int:
        return len(self.theta)

    def bind(self) -> None:
        """Point everything that looks into the rows at the present `theta` and `buffers`."""
        self.bound += 1
        self.gradient = lanes(self.theta, 1)[0]
        self.views = self.layout.views(self.theta)
        places = [slice(slot.start, slot.start + slot.size) for slot in self.layout.slots if slot.is_weight]
        self.penalised = [(self.gradient[:, place], self.theta[:, place]) for place in places]
        self.leaves = {name: view.detach().requires_grad_() for name, view in self.views.items()}
        if len(self) == 1:
            for name, parameter in self.network.named_parameters():
                if name in self.leaves:
                    parameter.data = self.views[name][0]
            for name, value in self.buffers.items():
                owner, leaf = self._owner(name)
                if leaf in owner._buffers:
                    owner._buffers[leaf] = value[0]
                else:
                    owner._parameters[leaf].data = value[0]  # type: ignore[union-attr]

    def _owner(self, name: str) -> tuple[nn.Module, str]:
        path, _, leaf = name.rpartition(".")
        return self.network.get_submodule(path), leaf

    def select(self, rows: Tensor) -> None:
        """Keep only the members in `rows`, in that order."""
        self.theta = self.theta[rows].clone()
        self.buffers = {name: value[rows].clone() for name, value in self.buffers.items()}
        self.bind()

    def replace(self, theta: Tensor, buffers: dict[str, Tensor]) -> None:
        """Take other rows and buffers, of any number of members."""
        self.theta = theta.clone()
        self.buffers = {name: value.clone() for name, value in buffers.items()}
        self.bind()

    @contextmanager
    def set_aside(self) -> Iterator[Stack]:
        """Inside, the stack may take others' rows; at the end it has its own again."""
        present = self.theta, self.buffers
        try:
            yield self
        finally:
            self.theta, self.buffers = present
            self.bind()

    def set_keys(self, keys: Tensor) -> None:
        """Give the noise modules their keys for this step, `keys` (number of noise modules, M) int64."""
        for name, key in zip(self.noise, keys, strict=True):
            self.buffers[f"{name}.key" if name else "key"].copy_(key)

    def set_sampling(self, sampling: bool) -> None:
        """Switch Monte-Carlo sampling in evaluation on or off, in the noise modules that ask for it."""
        for name in self.noise:
            module = self.network.get_submodule(name)
            module.sampling = sampling and bool(module.samples)  # type: ignore[assignment]

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.theta.device.type, torch.bfloat16) if self.autocast else nullcontext()

    def _forward(self, inputs: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        with self._precision():
            if len(self) == 1:
                outputs: Tensor = self.network(self._laid_out(inputs[0])).unsqueeze(0)
            else:
                outputs = self.map_members(lambda network, x: network(x), inputs, parameters)
        return outputs.to(self.theta.dtype)

    def _laid_out(self, inputs: Tensor) -> Tensor:
        """Images (N, K, H, W) with each pixel's channels side by side; convolutions keep that order, and are faster."""
        if not self.channels_last or inputs.dim() != 4:
            return inputs
        # Not by `contiguous(memory_format=...)`, which leaves images of one channel as they are.
        _, channels, height, width = inputs.shape
        strides = (height * width * channels, 1, width * channels, channels)
        return inputs.new_empty_strided(inputs.shape, strides).copy_(inputs)

    def map_members(
        self, function: Callable[[nn.Module, Tensor], Tensor], inputs: Tensor, parameters: dict[str, Tensor]
    ) -> Tensor:
        """`function(network, inputs)` for every member at once; results gain a leading axis M."""

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
            wrapped = _Call(self.network, function)
            state = {f"network.{name}": value for name, value in (parameters | buffers).items()}
            result: Tensor = functional_call(wrapped, state, (x,))
            return result

        each = parameters, self.buffers, spread(inputs, len(self))
        before = {name: value.clone() for name, value in self.buffers.items()} if self.maps is None else {}
        if self.maps is not False:
            try:
                # Noise has keys of its own; "different" only lets torch's own random layers pass in foreign networks.
                mapped: Tensor = vmap(one, randomness="different")(*each)
                self.maps = True
                return mapped
            except (RuntimeError, NotImplementedError) as error:
                if self.maps or isinstance(error, torch.OutOfMemoryError):
                    raise
                log.debug("members pass one after another: %s", error)
                for name, value in before.items():  # the attempt may have come past a batch norm
                    self.buffers[name].copy_(value)
        members = [tree_map(operator.itemgetter(m), each) for m in range(len(self))]
        together: Tensor = tree_map(lambda *values: torch.stack(values), *(one(*member) for member in members))
        self.maps = False
        return together

    def backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of each member (M,) on inputs (G, N, ...) and targets (G, N, ...); fills `gradient`.

        Batches may be those of all members, G = M, or of groups of members that share them; see `Batches`.
        """
        self.network.train()
        leaves = self.leaves
        if len(self) == 1:
            leaves = {n: p for n, p in self.network.named_parameters() if p.requires_grad}
        with torch.enable_grad():
            outputs = self._forward(inputs, leaves)
        losses, error = self.loss.losses_and_gradient(outputs.detach(), spread(targets, len(self)))
        error = error / error.shape[1]
        parts = gradients(outputs, list(leaves.values()), error)
        for view, part in zip(self.layout.views(self.gradient).values(), parts, strict=True):
            if part is None:
                view.zero_()
            else:
                view.copy_(part.view_as(view))
        return losses.mean(1)

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Tensor:
        """Outputs (M, N, O) in evaluation mode, from inputs (G, N, ...)."""
        self.network.eval()
        if self.one_by_one:
            each = spread(inputs, len(self))
            return torch.stack([self._member_outputs(row, each[row]) for row in range(len(self))])
        return self._forward(inputs, self.views)

    def outputs_of(self, inputs: Sequence[Tensor]) -> Tensor:
        """As `outputs`, from G tensors (N, ...)."""
        return self.outputs(stacked(inputs))

    def evaluated(self, inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Predictions (M, N, *) and losses (M, N) in evaluation mode, from G inputs (N, ...) and targets (N, ...)."""
        outputs = self.outputs_of(inputs)
        return self.loss.prediction(outputs), self.loss.losses(outputs, spread(stacked(targets), len(self)))

    @property
    def in_place(self) -> bool:
        """Whether `evaluated` reads inputs where they are, and its bits do not depend on the pieces they come in."""
        return False

    @property
    def one_by_one(self) -> bool:
        """Whether evaluation takes several members one after another: grouped convolutions are slower on a CPU.

        As many examples may then go through the networks together as through one of them.
        """
        return self.convolves and len(self) > 1 and self.theta.device.type == "cpu"

    def _member_outputs(self, row: int, inputs: Tensor) -> Tensor:
        """Outputs (N, O) of one member from inputs (N, ...), as of that network alone."""
        state = {name: value[row] for name, value in (self.views | self.buffers).items()}
        with self._precision():
            outputs: Tensor = functional_call(self.network, state, (self._laid_out(inputs),))
        return outputs.to(self.theta.dtype)

    @torch.no_grad()
    def capture(self, inputs: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """What the named submodules give out, (M, N, ...) by name, in a training-mode pass that leaves no trace."""
        kept = {name: value.clone() for name, value in self.buffers.items()}
        self.network.train()

        def run(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
            seen: dict[str, Tensor] = {}

            def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
                return lambda _module, _inputs, output: seen.__setitem__(name, output)

            hooks = [self.network.get_submodule(name).register_forward_hook(keep(name)) for name in names]
            try:
                network(x)
            finally:
                for hook in hooks:
                    hook.remove()
            return seen

        if len(self) == 1:
            captured = {name: value.unsqueeze(0) for name, value in run(self.network, inputs[0]).items()}
        else:
            captured = self.map_members(run, inputs, self.views)  # type: ignore[arg-type, assignment]
        for name, value in kept.items():
            self.buffers[name].copy_(value)
        return captured

    def pass_size(self, inputs: Tensor) -> PassSize:
        """Memory of a training pass of all members on inputs (G, N, ...), by a forward pass that leaves no trace."""
        before = {name: value.clone() for name, value in self.buffers.items()}
        present = [inputs, self.theta, *self.buffers.values(), *self.network.parameters(), *self.network.buffers()]
        self.network.train()
        kept, sizes = Storages(present), [0]

        def note(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor):  # of one member, where several go through the network
                sizes.append(output.numel() * output.element_size() * len(self))

        leaves = [module for module in self.network.modules() if not list(module.children())]
        hooks = [module.register_forward_hook(note) for module in leaves]
        try:
            # The graph keeps nothing itself: a hook's tensor that has the graph behind it would never be freed.
            hook: Any = kept.add
            with torch.autograd.graph.saved_tensors_hooks(hook, hook), torch.enable_grad():
                self._forward(inputs, self.leaves)
        finally:
            for hook in hooks:
                hook.remove()
        for name, value in before.items():
            self.buffers[name].copy_(value)
        return PassSize(kept.total, max(sizes))

    def remembered(self, inputs: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """As `capture` for the inputs that `backward` has just seen, without another pass where it kept the outputs."""
        return self.capture(inputs, names)

    def member(self, row: int) -> nn.Module:
        """A copy of one member's network, on its own storage, in evaluation mode."""
        import copy

        network = copy.deepcopy(self.network)
        values = {name: view[row].clone() for name, view in self.views.items()}
        own = {name: value[row].clone() for name, value in self.buffers.items()}
        network.load_state_dict(values | own, strict=False, assign=True)
        for name in own.keys() - network.state_dict().keys():  # keys and probabilities of noise, which it does not hold
            path, _, leaf = name.rpartition(".")
            network.get_submodule(path)._buffers[leaf] = own[name]
        return network.eval()


def gradients(outputs: Tensor, leaves: Sequence[Tensor], error: Tensor) -> Sequence[Tensor | None]:
    """sum(error * outputs), both of one shape, by each of the leaves; None where the outputs do not depend on it.

    As `torch.autograd.grad`, whose check of shapes imports sympy (0.3 s) and takes a fifth of the time of a small pass.
    The engine behind it is no public part of torch, so a version may come that has none.
    """
    engine = getattr(torch.autograd.Variable, "_execution_engine", None)
    if engine is None:
        return torch.autograd.grad(outputs, tuple(leaves), error, allow_unused=True)
    found: Sequence[Tensor | None] = engine.run_backward(
        (outputs,), (error,), False, False, tuple(leaves), allow_unreachable=True, accumulate_grad=False
    )
    return found


class Storages:
    """Bytes of the memory of tensors, each piece counted once.

    It holds the tensors, so that no other gets the memory of one that has been counted.

    Args:
        present: tensors whose memory does not count.

    Attributes:
        total: of all.
    """

    def __init__(self, present: Iterable[Tensor] = ()) -> None:
        self._known = {tensor.untyped_storage().data_ptr() for tensor in present}
        self.total = 0
        self._held: list[Tensor] = []

    def add(self, tensor: Tensor) -> None:
        """Count a tensor."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._known.add(storage.data_ptr())
            self._held.append(tensor.detach())
            self.total += storage.nbytes()


class _Call(nn.Module):
    """Lets `functional_call` run a function of a network rather than its forward method."""

    def __init__(self, network: nn.Module, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(self.network, inputs)


def _frozen(network: nn.Module) -> dict[str, Tensor]:
    """Buffers and frozen parameters by name."""
    frozen = {name: p.detach() for name, p in network.named_parameters() if not p.requires_grad}
    return frozen | {name: buffer.detach() for name, buffer in network.named_buffers()}


class OutputError(UserError):
    """The network's outputs are not those that the loss needs."""


def check_outputs(network: nn.Module, input_shape: tuple[int, ...], expected: int) -> None:
    """Run two examples of zeros through `network` and compare its number of outputs with what the loss needs.

    Raises:
        UserError: the network cannot take the data's shape.
        OutputError: it gives another number of outputs.
    """
    parameter = next(network.parameters(), torch.zeros(0))
    network.eval()
    try:
        with torch.no_grad():
            outputs = network(torch.zeros(2, *input_shape, dtype=parameter.dtype, device=parameter.device))
    except Exception as error:  # foreign networks check their inputs in their own ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"the architecture cannot take inputs of shape {tuple(input_shape)}: {reason}") from error
    if not isinstance(outputs, Tensor) or outputs.shape != (2, expected):
        got = tuple(outputs.shape[1:]) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise OutputError(f"the architecture gives outputs of shape {got} an example, but the loss needs ({expected},)")
