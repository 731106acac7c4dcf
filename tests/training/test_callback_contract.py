"""Each sentence of the contract of callbacks, for rules that need the gradient and for those that evaluate the loss."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.errors import UserError
from nnlab.training import Callback, Trainer
from nnlab.training.callback import EVENTS

SMALL = [
    *("data=moons", "data.limit=60", "architecture.widths=[4]", "trainer.batch_size=full", "trainer.epochs=null"),
    *("trainer.steps=6", "trainer.precision=float64", "trainer.device=cpu", "callbacks=[]", "activation=tanh"),
    *("regularizer=[weight_decay]", "regularizer.weight_decay.strength=0.3"),
]
FIRST_ORDER, SECOND_ORDER = ["sgd", "adam"], ["lbfgs", "bfgs", "newton"]


def trainer_of(*overrides: str, seeds: tuple[int, ...] = (0,), callbacks: tuple[Callback, ...] = ()) -> Trainer:
    trainer = build_trainer([compose(*SMALL, *overrides, f"seed={seed}", "data_seed=0") for seed in seeds])
    trainer.callbacks += callbacks
    return trainer


class Note(Callback):
    """Notes every event with the step, and what can be read after the backward pass."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.seen: list[dict[str, Any]] = []

    def fit_start(self, trainer: Trainer) -> None:
        self.events.append(("fit_start", trainer.step))

    def step_start(self, trainer: Trainer) -> None:
        self.events.append(("step_start", trainer.step))
        self.batch = trainer.inputs.clone(), trainer.targets.clone()

    def after_backward(self, trainer: Trainer) -> None:
        self.events.append(("after_backward", trainer.step))
        stack = trainer.stack
        self.seen.append(
            {
                "losses": trainer.losses.clone(),
                "gradient": stack.gradient.clone(),
                "theta": stack.theta.clone(),
                "batch": self.batch,
                "active": list(trainer.active),
                "state": {name: value.clone() for name, value in trainer.engine.state.items()},
            }
        )

    def step_end(self, trainer: Trainer) -> None:
        self.events.append(("step_end", trainer.step))
        self.seen[-1]["after"] = trainer.stack.theta.clone()

    def evaluated(self, trainer: Trainer) -> None:
        self.events.append(("evaluated", trainer.step))
        assert len(trainer.history.losses) == trainer.step
        assert trainer.history.latest("loss/validation", trainer.active[0]) is not None

    def epoch_end(self, trainer: Trainer) -> None:
        self.events.append(("epoch_end", trainer.step))

    def fit_end(self, trainer: Trainer) -> None:
        self.events.append(("fit_end", trainer.step))
        assert trainer.finished


class Leave(Callback):
    """Takes member 1 out after two steps."""

    changes_state = True

    def step_end(self, trainer: Trainer) -> None:
        if trainer.step == 2:
            trainer.end([1], "completed", "it has left")


def expected(trainer: Trainer, theta: Tensor, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean losses (m,) and gradients (m, P) at `theta` by autograd, without penalties."""
    losses, gradients = [], []
    for row, inputs, targets in zip(theta, *batch, strict=True):
        row = row.clone().requires_grad_()
        views = {name: view[0] for name, view in trainer.stack.layout.views(row.unsqueeze(0)).items()}
        outputs = torch.func.functional_call(trainer.stack.network, views, (inputs,))
        loss = trainer.loss.losses(outputs, targets).mean()
        losses.append(loss.detach())
        gradients.append(torch.autograd.grad(loss, row)[0])
    return torch.stack(losses), torch.stack(gradients)


@pytest.mark.parametrize("optimizer", [*FIRST_ORDER, *SECOND_ORDER])
def test_after_the_backward_pass_losses_and_gradients_are_those_of_the_minibatch_without_penalties(
    optimizer: str,
) -> None:
    note = Note()
    trainer = trainer_of(f"optimizer={optimizer}", callbacks=(note,)).fit()
    assert len(note.seen) == 6
    before = None
    for seen in note.seen:
        losses, gradients = expected(trainer, seen["theta"], seen["batch"])
        torch.testing.assert_close(seen["losses"], losses, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(seen["gradient"], gradients, rtol=1e-9, atol=1e-12)
        assert before is None or torch.equal(seen["theta"], before), "the parameters have not moved yet"
        before = seen["after"]


@pytest.mark.parametrize("optimizer", [*FIRST_ORDER, *SECOND_ORDER])
def test_after_the_backward_pass_nothing_is_clipped(optimizer: str) -> None:
    note = Note()
    trainer = trainer_of(f"optimizer={optimizer}", "trainer.clip_norm=1e-3", callbacks=(note,)).fit()
    _, gradients = expected(trainer, note.seen[0]["theta"], note.seen[0]["batch"])
    assert float(gradients.norm()) > 1e-2
    torch.testing.assert_close(note.seen[0]["gradient"], gradients, rtol=1e-9, atol=1e-12)


class Look(Callback):
    """Keeps what it reads of the activations; the first of several may take member 1 out."""

    def __init__(self, leaves: bool = False) -> None:
        self.leaves, self.seen = leaves, []

    def after_backward(self, trainer: Trainer) -> None:
        self.seen.append(trainer.activations)
        if self.leaves and trainer.step == 1:
            trainer.end([1], "completed", "it has left")


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_activations_are_those_of_the_pass_and_found_once_for_all_callbacks(engine: str) -> None:
    note, first, second = Note(), Look(leaves=True), Look()
    callbacks = (note, first, second)
    trainer = trainer_of(f"trainer.engine={engine}", seeds=(0, 1, 2), callbacks=callbacks).fit()
    assert [each is other for each, other in zip(first.seen, second.seen, strict=True)] == [True, False] + 4 * [True]
    (name,) = second.seen[0]
    assert second.seen[1][name].equal(first.seen[1][name][[0, 2]])
    linear = next(iter(trainer.stack.views)).partition(".")[0]
    for seen, found in zip(note.seen, first.seen, strict=True):
        views = trainer.stack.layout.views(seen["theta"])
        z = seen["batch"][0] @ views[f"{linear}.weight"].mT + views[f"{linear}.bias"].unsqueeze(1)
        torch.testing.assert_close(found[name], z.tanh(), rtol=1e-9, atol=1e-12)


def test_rows_are_those_of_the_members_still_training_in_their_order() -> None:
    note = Note()
    trainer = trainer_of(seeds=(0, 1, 2), callbacks=(Leave(), note)).fit()
    assert [seen["active"] for seen in note.seen] == [[0, 1, 2]] * 2 + [[0, 2]] * 4
    for seen in note.seen:
        rows = len(seen["active"])
        assert seen["losses"].shape == (rows,)
        assert seen["gradient"].shape == seen["theta"].shape == (rows, trainer.stack.layout.size)
        assert [len(part) for part in seen["batch"]] == [rows, rows]
        assert all(len(value) == rows for value in seen["state"].values())
    alone = Note()
    trainer_of("seed=2", seeds=(2,), callbacks=(alone,)).fit()
    for together, single in zip(note.seen, alone.seen, strict=True):
        row = together["active"].index(2)
        torch.testing.assert_close(together["gradient"][row], single["gradient"][0], rtol=1e-9, atol=1e-12)


def test_events_come_in_the_order_that_the_contract_gives() -> None:
    note = Note()
    trainer_of("trainer.steps=2", "trainer.validate_every=2", callbacks=(note,)).fit()
    step = [[("step_start", k), ("after_backward", k), ("step_end", k + 1)] for k in range(2)]
    first = [("fit_start", 0), *step[0], ("epoch_end", 1)]
    assert note.events == [*first, *step[1], ("evaluated", 2), ("epoch_end", 2), ("fit_end", 2)]


class Every(Note):
    """Looks at some steps only."""

    def __init__(self, at: tuple[int, ...]) -> None:
        super().__init__()
        self.at = at

    def wants(self, step: int) -> bool:
        return step in self.at


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_callback_hears_the_steps_that_it_wants_and_looking_changes_nothing(optimizer: str) -> None:
    blind, some, every = Every(()), Every((0, 3, 4)), Note()
    for note in (blind, some, every):
        trainer = trainer_of(f"optimizer={optimizer}", callbacks=(note,)).fit()
        note.events.append(("theta", int(trainer.stack.theta.view(torch.int64).sum())))
    heard = [step for event, step in some.events if event == "after_backward"]
    assert heard == [0, 3, 4]
    assert not blind.seen
    assert blind.events[-1] == some.events[-1] == every.events[-1]


def test_a_callback_that_hears_no_single_step_leaves_the_steps_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of("trainer.steps=500", "trainer.validate_every=500")
    counts: list[int] = []
    advance = trainer.engine.advance

    def counted(first: int, count: int) -> Tensor:
        counts.append(count)
        return advance(first, count)

    monkeypatch.setattr(trainer.engine, "advance", counted)
    trainer.fit()
    assert sum(counts) == 500
    assert len(counts) < 60


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("start", "fit_start"), ("on_epoch_end", "epoch_end"), ("evaluate", "evaluated"), ("step_stop", "step_start")],
)
def test_a_method_that_is_no_event_is_refused_with_the_nearest_event(wrong: str, nearest: str) -> None:
    with pytest.raises(UserError, match=rf"`Mine.{wrong}` is no event of a callback.*did you mean `{nearest}`\?"):
        type("Mine", (Callback,), {wrong: lambda self, trainer: None})


@pytest.mark.parametrize("argument", ["t", "trainer"])
def test_a_misspelt_event_is_found_whatever_its_argument_is_called(argument: str) -> None:
    space: dict[str, Any] = {}
    exec(f"def fit_ends(self, {argument}): pass", space)
    with pytest.raises(UserError, match="did you mean `fit_end`"):
        type("Mine", (Callback,), {"fit_ends": space["fit_ends"]})


def test_methods_of_its_own_are_left_to_a_callback() -> None:
    class Mine(Callback):
        def _save(self, trainer: Trainer) -> None: ...

        def curve(self, member: int) -> list[float]:
            return []

        def draw(self, figure: object, axis: object) -> None: ...

    assert Mine().hears("fit_start") is False
    assert {event for event in EVENTS if hasattr(Callback, event)} == set(EVENTS)
