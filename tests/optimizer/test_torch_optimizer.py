"""Optimizers of torch's interface: the steps of a plain loop, exact continuation, or a sentence of refusal."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.optim
from foreign import INPUTS, STEPS, TARGETS, network, plain_loop, through_nnlab
from torch import Tensor

from nnlab.config import trust
from nnlab.config.checking import section_mistakes
from nnlab.errors import UserError
from nnlab.optimizer import TorchOptimizer, from_torch
from nnlab.optimizer.torch_binding import Part
from nnlab.optimizer.torch_memory import flatten, unflatten
from nnlab.training.layout import Layout

# Every class of torch.optim, with options under which it moves.
OPTIONS: dict[str, dict[str, Any]] = {
    "ASGD": {"lr": 0.01},
    "Adadelta": {},
    "Adafactor": {"lr": 0.05},
    "Adagrad": {"lr": 0.1},
    "Adam": {"amsgrad": True},
    "AdamW": {"weight_decay": 0.1},
    "Adamax": {"lr": 0.01},
    "LBFGS": {"lr": 0.5, "max_iter": 3, "history_size": 4, "line_search_fn": "strong_wolfe"},
    "NAdam": {"lr": 0.002, "momentum_decay": 0.01},
    "RAdam": {"lr": 0.01},
    "RMSprop": {"lr": 0.01, "centered": True, "momentum": 0.5},
    "Rprop": {"lr": 0.01},
    "SGD": {"lr": 0.02, "momentum": 0.9, "dampening": 0.5},
}
REFUSED = {"SparseAdam": "cannot take a step with dense gradients", "Muon": "Muon only supports 2D parameters"}


class Schedulefree(torch.optim.Optimizer):
    """Schedule-free gradient descent (Defazio et al. 2024), with what it sums up in its group, as in its package."""

    def __init__(self, params: Any, lr: float = 0.1, beta: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "beta": beta, "k": 0, "weight_sum": 0.0, "train_mode": False})

    @torch.no_grad()
    def _switch(self, train: bool) -> None:
        for group in self.param_groups:
            if group["train_mode"] != train:
                for p in group["params"]:
                    if "z" in self.state[p]:
                        p.lerp_(self.state[p]["z"], 1 - group["beta"] if train else 1 - 1 / group["beta"])
                group["train_mode"] = train

    def train(self) -> None:
        self._switch(True)

    def eval(self) -> None:
        self._switch(False)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            assert group["train_mode"]
            group["k"] += 1
            group["weight_sum"] += group["lr"] ** 2
            share = group["lr"] ** 2 / group["weight_sum"]
            for p in group["params"]:
                z = self.state[p].setdefault("z", p.clone())
                p.lerp_(z, share)
                p.add_(p.grad, alpha=group["lr"] * (group["beta"] * (1 - share) - 1))
                z.sub_(p.grad, alpha=group["lr"])


class Sharp(torch.optim.Optimizer):
    """Sharpness-aware minimization (Foret et al. 2021) around another optimizer, as in its usual implementation."""

    def __init__(self, params: Any, lr: float = 0.05, rho: float = 0.05) -> None:
        super().__init__(params, {"lr": lr, "rho": rho})
        self.base_optimizer = torch.optim.SGD(self.param_groups, lr=lr, momentum=0.9)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> None:
        assert closure is not None, "needs a closure"
        parameters = [p for group in self.param_groups for p in group["params"]]
        norm = torch.stack([p.grad.norm() for p in parameters]).norm()
        before = [p.clone() for p in parameters]
        for p in parameters:
            p.add_(p.grad, alpha=float(self.param_groups[0]["rho"] / (norm + 1e-12)))
        with torch.enable_grad():
            closure()
        for p, old in zip(parameters, before, strict=True):
            p.copy_(old)
        self.base_optimizer.step()


class InGroup(torch.optim.SGD):
    """A rule that keeps what it learns in its group, its attributes, and nested lists, as Prodigy does."""

    def __init__(self, params: Any, lr: float = 0.05) -> None:
        super().__init__(params, lr=lr)
        self.param_groups[0]["d"] = 1e-2
        self.seen: list[list[float]] = [[0.0], []]

    def step(self, closure: Any = None) -> None:
        group = self.param_groups[0]
        group["d"] = max(group["d"], group["d"] * 1.1 if len(self.seen[1]) % 2 else group["d"])
        self.seen[1].append(group["d"])
        rate, group["lr"] = group["lr"], group["lr"] * (1 + group["d"])
        super().step()
        group["lr"] = rate


class Hidden(torch.optim.SGD):
    """A rule whose memory is out of anybody's sight."""

    def __init__(self, params: Any, lr: float = 0.05) -> None:
        super().__init__(params, lr=lr)
        self.count = iter(range(1, 1000))

    def step(self, closure: Any = None) -> None:
        self.param_groups[0]["momentum"] = 1 / next(self.count)
        super().step()


class Elsewhere(torch.optim.SGD):
    """A rule that reads its rate from an attribute."""

    def __init__(self, params: Any, lr: float = 0.05) -> None:
        super().__init__(params, lr=lr)
        self.lr = lr

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for p in self.param_groups[0]["params"]:
            p.sub_(p.grad, alpha=self.lr)


OURS = {kind.__name__: kind for kind in (Schedulefree, Sharp, InGroup, Elsewhere)}
CLASSES = {name: getattr(torch.optim, name) for name in OPTIONS} | OURS


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("name", CLASSES)
def test_sixty_steps_are_those_of_a_plain_loop_also_when_continued(name: str, interrupted: bool) -> None:
    kind, options = CLASSES[name], OPTIONS.get(name, {})
    expected, shown_there = plain_loop(kind, options)
    found, shown_here = through_nnlab(kind, options, interrupted)
    assert torch.equal(torch.stack(found), torch.stack(expected))
    assert len(shown_here) == len(shown_there) == (STEPS if name == "Schedulefree" else 0)
    assert all(map(torch.equal, shown_here, shown_there))


def test_every_class_of_torch_is_in_the_table_or_refused() -> None:
    every = {
        name
        for name, kind in vars(torch.optim).items()
        if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer
    }
    assert every <= {*OPTIONS, *REFUSED}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_move_a_network_is_refused_in_one_sentence(name: str) -> None:
    if not hasattr(torch.optim, name):
        pytest.skip(f"this torch has no {name}")
    with pytest.raises(UserError, match=REFUSED[name]):
        from_torch(getattr(torch.optim, name)).place(Layout(network()).slots)


def test_memory_that_no_checkpoint_can_hold_is_refused() -> None:
    with pytest.raises(UserError, match="remembers what a checkpoint cannot hold"):
        from_torch(Hidden)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
class Orthogonal(torch.optim.Optimizer):
    """Takes all parameters, and fails in its first step with those that are no matrices, as Keller Jordan's Muon."""

    def __init__(self, params: Any, lr: float = 0.02) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                u, _, v = torch.linalg.svd(p.grad, full_matrices=False)
                p.sub_(u @ v, alpha=group["lr"])


def test_a_class_that_moves_matrices_alone_is_told_from_one_that_moves_nothing() -> None:
    with pytest.raises(UserError, match=r"moves matrices only, and 0.bias, .* are none; `optimizer.others=.*` moves"):
        from_torch(Orthogonal).place(Layout(network()).slots)
    optimizer = from_torch(Orthogonal, {}, Part(torch.optim.SGD, {"lr": 0.1}))
    layout = Layout(network())
    optimizer.place(layout.slots)
    theta = layout.row(network(), torch.float32).unsqueeze(0)
    before, gradient = theta.clone(), torch.ones_like(theta)
    optimizer.update(theta, gradient, {}, 0.02, 1)
    moved = layout.views(theta - before)
    assert torch.allclose(moved["2.bias"], torch.tensor(-0.1))
    weight = moved["2.weight"][0] / 0.02
    assert torch.allclose(weight @ weight.T, torch.eye(4), atol=1e-3)


class Late(torch.optim.SGD):
    """Fails after a while, as those do that decompose matrices that are not finite any more."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        state = self.state[self.param_groups[0]["params"][0]]
        state["step"] = state.get("step", 0) + 1
        if state["step"] > 40:
            raise torch.linalg.LinAlgError("the algorithm failed to converge")
        super().step()


def test_a_class_that_fails_in_the_middle_is_named() -> None:
    with pytest.raises(UserError, match=r"Late failed in step 41: _LinAlgError: the algorithm failed to converge"):
        through_nnlab(Late, {"lr": 0.1}, interrupted=False)


def test_the_parameters_may_have_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(trust.VARIABLE, "foreign")
    section = {"_target_": "foreign.Named", "lr": 0.1}
    assert list(section_mistakes({"optimizer": section})) == []
    [mistake] = section_mistakes({"optimizer": {**section, "named_parameters": 3}})
    assert mistake.sentence.startswith("unknown key `optimizer.named_parameters`")


def test_a_pattern_that_names_no_parameter_is_refused() -> None:
    optimizer = from_torch(torch.optim.Muon, {"lr": 0.02}, Part(torch.optim.AdamW, {"lr": 0.001}), ["2.weigh"])
    with pytest.raises(UserError, match=r"no parameter is named `2.weigh`; did you mean `2.weight`\?"):
        optimizer.place(Layout(network()).slots)


@pytest.mark.parametrize("only", [None, ["0.weight", "2.weight"], ["2.*t"]])
def test_matrices_and_the_rest_move_by_two_optimizers(only: list[str] | None) -> None:
    """By default the hidden matrices belong to the first, all else, and the output layer, to the other."""
    model, layout = network(), Layout(network())
    hidden = {"0.weight", "2.weight"} if only is None or len(only) == 2 else {"2.weight"}
    named = dict(model.named_parameters())
    muon = torch.optim.Muon([named[name] for name in named if name in hidden], lr=0.02)
    adamw = torch.optim.AdamW([named[name] for name in named if name not in hidden], lr=0.001)
    optimizer = from_torch(torch.optim.Muon, {"lr": 0.02}, Part(torch.optim.AdamW, {"lr": 0.001}), only)
    optimizer.place(layout.slots)
    assert isinstance(optimizer, TorchOptimizer)
    theta: Tensor = layout.row(model, torch.float32).unsqueeze(0)
    state = optimizer.initial_state(theta)
    for k in range(1, 11):
        model.zero_grad()
        (model(INPUTS) - TARGETS).square().mean().backward()
        gradient = torch.cat([parameter.grad.reshape(-1) for parameter in model.parameters()])  # type: ignore[union-attr]
        optimizer.update(theta, gradient.unsqueeze(0), state, 0.02, k)
        muon.step()
        adamw.step()
    assert torch.equal(theta[0], layout.row(model, torch.float32))


def test_the_rate_is_torchs_own() -> None:
    assert from_torch(torch.optim.NAdam).learning_rate == 0.002
    assert from_torch(torch.optim.NAdam, {"lr": 0.3}).learning_rate == 0.3
    assert from_torch(torch.optim.LBFGS).learning_rate == 1.0


def test_numbers_text_and_nested_lists_survive_as_tensors() -> None:
    memory = {
        **{"n": 3, "t": 0.1, "on": True, "d": torch.ones(2), "empty": [], "none": None, "word": "größe"},
        **{"ro": [torch.tensor(1.0), None, [1, (2.5, "x")]], "of": {"0": {"step": torch.tensor(2.0)}, "1": {}}},
    }
    restored = unflatten({name: tensor.clone() for name, tensor in flatten(memory).items()})
    assert torch.equal(restored.pop("d"), memory.pop("d"))
    assert restored == memory


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("NAdam", {"lr": -1.0}, "NAdam refuses these options: Invalid learning rate: -1.0"),
        ("NAdam", {"learning_rate": 0.1}, "refuses these options: .*learning_rate"),
    ],
)
def test_what_torch_refuses_is_refused_in_one_sentence(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_torch(getattr(torch.optim, name), options)


def test_more_than_one_network_is_our_bug() -> None:
    optimizer = from_torch(torch.optim.SGD, {"lr": 0.1})
    with pytest.raises(TypeError, match="one network at a time"):
        optimizer.update(torch.ones(2, 3), torch.ones(2, 3), {}, 0.1, 1)  # type: ignore[union-attr]
