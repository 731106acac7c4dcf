"""A stack of chains whose forward passes run in compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nnlab.loss.base import Loss
from nnlab.loss.softmax_cross_entropy import SoftmaxCrossEntropy
from nnlab.training.chain import Chain
from nnlab.training.native import build, components
from nnlab.training.native.compiled import Compiled

THREADS = torch.get_num_threads()  # that torch was started with


class Lack(NamedTuple):
    """Why compiled code does not run some networks.

    Attributes:
        reason: as the rest of a sentence.
        expected: whether nobody would expect it to.
    """

    reason: str
    expected: bool = False


def largest(threads: int, mkl: bool) -> int:
    """Parameters of one network beyond which torch is as fast, whose products take several threads.

    On one thread compiled code takes, of torch's time, on an EPYC 0.58 with 2.9 million parameters, 0.69 with 5.8
    million and 0.97 with 20 million; on a Xeon, which MKL is written for, 0.6 to 0.7 with 0.3 million, 0.7 to 1.0 with
    0.7 million, 1.1 to 1.2 with 1.3 million and 1.9 with 5 million.

    Args:
        threads: of torch's products.
        mkl: whether these are MKL's, on a processor of Intel's.

    >>> [largest(threads, mkl=False) for threads in (1, 2, 8)], largest(1, mkl=True)
    ([16777216, 4194304, 2097152], 1048576)
    """
    alone = 1 << (20 if mkl else 24)
    return max(alone >> 3, alone // threads**2)


def lack_of(network: nn.Module, loss: Loss, device: torch.device, engine: str) -> Lack | None:
    """What is in the way of running `network` in compiled code; None if nothing is.

    Args:
        engine: that of the settings; `auto` also minds what is faster.
    """
    if engine == "torch":
        return Lack("`trainer.engine=torch`", expected=True)
    if device.type != "cpu":
        return Lack(f"it runs on the processor, not on {device.type}", expected=True)
    if (name := components.missing_layer(network)) is not None:
        return Lack(f"it does not know {name}", expected=not isinstance(network, nn.Sequential))
    if (name := components.missing_loss(loss)) is not None:
        return Lack(f"it does not know {name}")
    mkl = torch.backends.mkl.is_available() and "Intel" in build.processor()
    if engine == "auto" and sum(each.numel() for each in network.parameters()) > largest(THREADS, mkl):
        return Lack("torch is as fast for networks of this size", expected=True)
    try:
        build.library()
    except build.BuildError as error:
        return Lack(f'there is no compiler that works ({error}); `pip install "nnlab[native]"` brings one')
    return None


class NativeChain(Chain):
    """A `Chain` with compiled forward passes; `compiled` gives its steps as well.

    Attributes:
        threads: over which members go; results do not depend on it.
    """

    threads = 1
    one_by_one = True
    remembers = False  # compiled steps leave no signals behind

    def bind(self) -> None:
        super().bind()
        self._compiled: Compiled | None = None

    @property
    def compiled(self) -> Compiled:
        """The compiled code on the present rows."""
        if self._compiled is None:
            self._compiled = Compiled(build.library(), self, self.loss)
        self._compiled.threads = self.threads
        return self._compiled

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Tensor:
        if inputs.dtype != self.theta.dtype or self._draws_units:
            return super().outputs(inputs)
        return self.compiled.outputs(inputs, self._keys_of_masks())

    @torch.no_grad()
    def outputs_of(self, inputs: Sequence[Tensor]) -> Tensor:
        if inputs[0].dtype != self.theta.dtype or self._draws_units:
            return super().outputs_of(inputs)
        return self.compiled.outputs(inputs, self._keys_of_masks())

    def capture(self, inputs: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        captured = super().capture(inputs, names)
        for layer in self.layers:  # no backward pass follows
            layer.forget()
        return captured

    @property
    def in_place(self) -> bool:
        return type(self.loss) is SoftmaxCrossEntropy

    @torch.no_grad()
    def evaluated(self, inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        if not self.in_place or inputs[0].dtype != self.theta.dtype or self._draws_units:
            return super().evaluated(inputs, targets)
        return self.compiled.probabilities(inputs, targets, self._keys_of_masks())

    @property
    def _draws_units(self) -> bool:
        """Whether DropConnect now draws units with the moments of its masks, which compiled code does not."""
        noise = [self.network.get_submodule(name) for name in self.noise]
        return any(each.sampling and getattr(each, "inference", "") == "gaussian" for each in noise)

    def _keys_of_masks(self) -> Tensor | None:
        """Keys (noise modules, M) of those modules that draw masks in evaluation, -1 for others; None: none does."""
        drawn = [
            self.buffers[f"{name}.key"] if self.network.get_submodule(name).sampling else None for name in self.noise
        ]
        if all(key is None for key in drawn):
            return None
        silent = torch.full((len(self),), -1)
        return torch.stack([silent if key is None else key for key in drawn])
