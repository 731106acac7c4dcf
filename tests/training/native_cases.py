"""Random chains with their losses and rules, trained for a few steps by torch and by compiled code."""

from __future__ import annotations

import ctypes
import dataclasses
import inspect
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from nnlab import activation, loss, optimizer
from nnlab.loss.base import Loss
from nnlab.optimizer.base import FirstOrder
from nnlab.randomness import fold
from nnlab.regularizer import DropConnectLinear, DropoutLayer
from nnlab.scheduler import Constant
from nnlab.training.batches import Batches
from nnlab.training.chain import Chain
from nnlab.training.member import Member
from nnlab.training.native.compiled import Compiled
from nnlab.types import Dataset, Split, Task

ACTIVATIONS: list[Any] = [
    activation.Identity, activation.ReLU, activation.LeakyReLU, activation.ELU, activation.Sigmoid, activation.Tanh,
    activation.Softplus, activation.GELU, activation.SiLU, activation.SELU, activation.Mish, activation.PReLU,
]  # fmt: skip
LOSSES: list[Any] = [
    loss.SoftmaxCrossEntropy, loss.BinaryCrossEntropy, loss.Hinge, loss.MulticlassSVM, loss.SquaredError,
    loss.GaussianNLL,
]  # fmt: skip
OPTIMIZERS: list[Any] = [
    optimizer.SGD, optimizer.Momentum, optimizer.HeavyBall, optimizer.Nesterov, optimizer.Adagrad, optimizer.RMSProp,
    optimizer.Adadelta, optimizer.Adam, optimizer.AdamW,
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
    """A population of chains: sizes, what lies between them, and how it is trained."""

    features: int
    widths: list[int]
    activations: list[Any]
    noise: list[str]
    loss: Any
    optimizer: Any
    classes: int
    members: int
    shared: bool
    examples: int
    batch_size: int
    steps: int = 7
    seed: int = 0


@st.composite
def cases(draw: Any) -> Case:
    """Any chain: widths around those of vectors, batches of one, odd ones, and those that do not divide the data."""
    widths = draw(st.lists(st.integers(1, 40), min_size=0, max_size=3))
    examples = draw(st.integers(2, 40))
    kinds = ["", "dropout", "dropconnect", "batch norm"]
    noise = [draw(st.sampled_from(kinds)) for _ in widths]
    return Case(
        features=draw(st.integers(1, 40)),
        widths=widths,
        activations=[draw(st.sampled_from(ACTIVATIONS)) for _ in widths],
        noise=noise,
        loss=draw(st.sampled_from(LOSSES)),
        optimizer=draw(st.sampled_from(OPTIMIZERS)),
        classes=draw(st.integers(2, 20)),
        members=draw(st.integers(1, 4)),
        shared=draw(st.booleans()),
        examples=examples,
        batch_size=draw(st.integers(1, examples)),
        seed=draw(st.integers(0, 1000)),
    )


def rule(case: Case, rate: float) -> FirstOrder:
    """The case's optimizer; one that divides by the size of its gradients gets an epsilon above their rounding.

    A gradient that should be zero (of what batch norm makes indifferent, or where terms cancel) would else move by
    whole rates.
    """
    slots = inspect.signature(case.optimizer).parameters
    made: FirstOrder = case.optimizer(learning_rate=rate, **({"eps": 1e-3} if "eps" in slots else {}))
    return made


def network(case: Case) -> nn.Module:
    layers: list[nn.Module] = []
    before = case.features
    for width, act, noise in zip(case.widths, case.activations, case.noise, strict=True):
        linear = nn.Linear(before, width, bias=noise != "batch norm")
        layers.append(DropConnectLinear(linear, 0.3) if noise == "dropconnect" else linear)
        layers += [nn.BatchNorm1d(width)] if noise == "batch norm" else []
        layers.append(act())
        layers += [DropoutLayer(0.4)] if noise == "dropout" else []
        before = width
    return nn.Sequential(*layers, nn.Linear(before, case.loss().output_size(case.classes)))


def dataset(case: Case, dtype: torch.dtype) -> Dataset:
    inputs = torch.randn(case.examples, case.features, dtype=dtype)
    if case.loss is loss.GaussianNLL or (case.loss is loss.SquaredError and case.seed % 2):
        task, targets = Task.REGRESSION, torch.randn(case.examples, case.classes, dtype=dtype)
    elif case.loss in (loss.BinaryCrossEntropy, loss.Hinge):
        task, targets = Task.BINARY, torch.randint(0, 2, (case.examples,))
    else:
        task, targets = Task.MULTICLASS, torch.randint(0, case.classes, (case.examples,))
    split = Split(inputs, targets)
    return Dataset(split, split, split, task, tuple(map(str, range(case.classes))))


@dataclasses.dataclass
class Population:
    """The pieces of a case, made anew from its seed, so that two are the same."""

    case: Case
    dtype: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        case = self.case
        torch.manual_seed(case.seed)
        data = dataset(case, self.dtype)
        rates = [0.01 / (1 + member) for member in range(case.members)]
        self.members = [
            Member(network(case), data, member, rule(case, rate), Constant()) for member, rate in enumerate(rates)
        ]
        self.loss: Loss = case.loss()
        self.stack = Chain([m.network for m in self.members], self.loss, torch.device("cpu"), self.dtype)
        seeds = [0 if case.shared else member.seed for member in self.members]
        self.batches = Batches([data] * case.members, seeds, case.batch_size)
        self.keys = torch.tensor([member.noise_key for member in self.members])
        self.rates = torch.tensor(rates, dtype=torch.float64)
        first = self.members[0].optimizer
        assert isinstance(first, FirstOrder)
        self.optimizer = first
        self.state = first.initial_state(self.stack.theta)

    def by_torch(self) -> Tensor:
        """Losses (steps, M) of the case's steps, by the torch engine's own pieces."""
        losses = []
        decay = getattr(self.optimizer, "weight_decay", 0.0)
        mask = self.stack.layout.weight_mask(torch.device("cpu"), self.dtype)
        column = self.rates.to(self.dtype).unsqueeze(1)
        for step in range(self.case.steps):
            base = fold(self.keys, 1) ^ fold(torch.tensor(step), 2)
            keys = [fold(base, position) for position in range(len(self.stack.noise))]
            if keys:
                self.stack.set_keys(torch.stack(keys))
            losses.append(self.stack.backward(*self.batches(step)))
            self.stack.theta.mul_(1 - column * decay * mask)
            self.optimizer.update(self.stack.theta, self.stack.gradient, self.state, column, step + 1)
        return torch.stack(losses)

    def compiled(self, library: ctypes.CDLL, threads: int = 1) -> Compiled:
        made = Compiled(library, self.stack, self.loss)
        made.threads = threads
        made.set_rules(self.members)
        made.set_state(self.state)
        made.set_data(self.batches, self.keys, self.batches.steps_per_epoch, 1)
        return made

    def by_compiled(self, library: ctypes.CDLL, threads: int = 1, block: int | None = None) -> Tensor:
        """The same by compiled code, in blocks of steps."""
        made = self.compiled(library, threads)
        size = block or self.case.steps
        parts = []
        for first in range(0, self.case.steps, size):
            count = min(size, self.case.steps - first)
            parts.append(torch.from_numpy(made.train(first, count, self.rates.expand(count, -1).contiguous()).losses))
        return torch.cat(parts)
