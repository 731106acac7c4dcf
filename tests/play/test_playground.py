"""The playground: what its command names is what it trained, and changes do what they say."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path

import pytest
import torch

import nnlab
from nnlab.backprop import read
from nnlab.cli import compose
from nnlab.commands import play
from nnlab.errors import UserError
from nnlab.play.backward import backward_pass
from nnlab.play.lessons import lessons
from nnlab.play.picture import _histogram, frame, loss_plane, scene
from nnlab.play.playground import Playground

SMALL = {"data.examples": "100", "architecture.widths": "[3]", "trainer.epochs": "5"}


@pytest.fixture
def playground() -> Playground:
    return Playground(compose, SMALL)


def _train(command: str, folder: Path) -> list[float]:
    """The training losses of a command that the page shows."""
    words = shlex.split(command)
    assert words[:2] == ["nnlab", "train"]
    result = nnlab.train(*words[2:], f"output_dir={folder}", "callbacks=[]")
    return [float(loss) for loss in result.trainer.history.losses[:, 0]]


def test_the_command_gives_the_run_on_the_screen_to_the_last_bit(playground: Playground, tmp_path: Path) -> None:
    playground.change({"optimizer": "adam", "optimizer.learning_rate": "0.02", "trainer.batch_size": "8"})
    shown = playground.advance(17)[:, 0].tolist()
    assert _train(playground.command(), tmp_path) == shown


def test_the_command_of_a_finished_run_with_a_schedule_gives_it_too(playground: Playground, tmp_path: Path) -> None:
    playground.change({"scheduler": "cosine", "regularizer.dropout.p": "0.2"})
    shown = playground.advance(10_000)[:, 0].tolist()
    assert playground.finished
    assert _train(playground.command(), tmp_path) == shown


def test_another_rate_keeps_the_weights_and_says_so(playground: Playground) -> None:
    playground.advance(5)
    before = playground.trainer.stack.theta.clone()
    playground.change({"optimizer.learning_rate": "0.5"})
    assert torch.equal(playground.trainer.stack.theta, before)
    assert playground.kept == 5
    assert "reset" in playground.notes[-1]
    playground.reset()
    assert playground.kept is None
    assert not torch.equal(playground.trainer.stack.theta, before)


def test_other_widths_start_again_and_say_nothing_false(playground: Playground) -> None:
    playground.advance(5)
    playground.change({"architecture.widths": "[4,4]"})
    assert playground.kept is None
    assert playground.step == 0


def test_a_loss_that_does_not_fit_other_data_is_replaced_aloud(playground: Playground) -> None:
    playground.change({"data": "heteroscedastic"})
    assert playground.overrides["loss"] == "squared_error"
    assert "does not fit" in playground.notes[0]


@pytest.mark.parametrize(
    "changes", [{"optimizer.learning_rate": "-1"}, {"architecture.widths": "[a]"}, {"data": "moon"}]
)
def test_a_mistake_leaves_the_playground_as_it_was(playground: Playground, changes: dict[str, str]) -> None:
    playground.advance(3)
    trainer, before = playground.trainer, dict(playground.overrides)
    with pytest.raises(UserError):
        playground.change(changes)
    assert playground.trainer is trainer
    assert playground.overrides == before


@pytest.mark.parametrize(
    ("key", "values"), [("optimizer", ["sgd", "adam"]), ("optimizer.learning_rate", ["0.01", "0.1", "1"])]
)
def test_networks_side_by_side_equal_each_alone(key: str, values: list[str]) -> None:
    together = Playground(compose, SMALL)
    together.compare(key, values)
    losses = together.advance(12)
    for position, value in enumerate(values):
        alone = Playground(compose, {**SMALL, key: value}).advance(12)[:, 0]
        torch.testing.assert_close(losses[:, position], alone, rtol=1e-4, atol=1e-6)


def test_seventeen_networks_are_refused(playground: Playground) -> None:
    with pytest.raises(UserError, match="2 to 16"):
        playground.compare("seed", [str(seed) for seed in range(17)])


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "plane"),
        ({"data": "heteroscedastic", "loss": "squared_error"}, "line"),
        ({"data": "digits", "loss": "softmax_cross_entropy"}, "images"),
        ({"data": "breast_cancer"}, "table"),
        ({"data": "blobs", "loss": "softmax_cross_entropy"}, "plane"),
    ],
)
def test_every_kind_of_data_is_plain_json(settings: dict[str, str], kind: str) -> None:
    settings = {**settings, "architecture.widths": "[3]", "trainer.epochs": "1"}
    playground = Playground(compose, settings)
    playground.advance(2)
    still, moving = scene(playground), frame(playground)
    assert still["kind"] == kind
    json.dumps([still, moving], allow_nan=False)
    assert moving["step"] == 2
    assert [layer["size"] for layer in moving["network"]["layers"]][1] == 3


def test_a_diverging_network_is_drawn_without_it(playground: Playground) -> None:
    playground.change({"data": "diabetes", "loss": "squared_error", "activation": "relu"})
    playground.compare("optimizer.learning_rate", ["0.001", "1e9"])
    playground.advance(30)
    shown = frame(playground)
    assert shown["active"] == [0]
    assert shown["validation"]["loss"][1] is None
    json.dumps(shown, allow_nan=False)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "softplus", "silu", "identity"])
@pytest.mark.parametrize("data", ["moons", "heteroscedastic", "blobs"])
def test_error_signals_equal_autograd_and_nnlab_graph(activation: str, data: str) -> None:
    playground = Playground(compose, {"data": data, "architecture.widths": "[3,2]", "activation": activation})
    network, dataset, loss = playground.trainer.stack.member(0).double(), playground.dataset, playground.trainer.loss
    x, target = dataset.train.inputs[3].double(), dataset.train.targets[3]
    target = target.double() if target.is_floating_point() else target
    steps, command = backward_pass(network, loss, x, target)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    loss.losses(network(x.unsqueeze(0)), target.unsqueeze(0)).sum().backward()
    found = {step.name: torch.tensor(step.value, dtype=torch.float64) for step in steps}
    linear = [module for module in network if isinstance(module, torch.nn.Linear)]
    for layer, module in enumerate(linear, 1):
        torch.testing.assert_close(found[f"W{layer}_bar"], module.weight.grad)
        torch.testing.assert_close(found[f"b{layer}_bar"].flatten(), module.bias.grad)
    graph = read(*shlex.split(command)[2:])
    graph.backward()
    assert graph["W1"].error_signal.tolist() == found["W1_bar"].tolist()


def test_a_network_too_large_to_read_is_refused_in_words() -> None:
    playground = Playground(compose, {"architecture.widths": "[64,64]"})
    split = playground.dataset.train
    with pytest.raises(UserError, match="smaller widths"):
        backward_pass(playground.trainer.stack.member(0), playground.trainer.loss, split.inputs[0], split.targets[0])


def test_the_loss_plane_has_the_training_loss_at_the_network(playground: Playground) -> None:
    playground.advance(3)
    plane = loss_plane(playground, [0, 1])
    split, network = playground.dataset.train, playground.trainer.stack.member(0)
    with torch.no_grad():
        here = playground.trainer.loss.losses(network(split.inputs[:256]), split.targets[:256]).mean().item()
    assert plane["losses"][0] - 1e-6 <= here <= plane["losses"][1]
    theta = playground.trainer.stack.theta[0]
    assert math.isclose(plane["places"][0][0], float(theta[0]))


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: str(lesson["title"]))
def test_every_lesson_sets_a_playground_and_asks_what_it_can_check(lesson: dict[str, object]) -> None:
    playground = Playground(compose)
    compared = lesson.get("compare")
    playground.begin(lesson["settings"], (compared["key"], compared["values"]) if compared else None)  # type: ignore[arg-type,index]
    assert not playground.notes
    assert torch.isfinite(playground.advance(2)[0]).any()
    assert 0 <= lesson["answer"] < len(lesson["choices"])  # type: ignore[operator,arg-type]


def test_the_gradients_drawn_are_those_of_the_network_on_the_screen(playground: Playground) -> None:
    from nnlab.play.picture import EXAMINED, frame

    playground.advance(5)
    drawn = {one["name"]: one for one in frame(playground)["statistics"] if one["what"] == "gradient"}
    network, split = playground.trainer.stack.member(0), playground.dataset.train
    loss = playground.trainer.loss.losses(network(split.inputs[:EXAMINED]), split.targets[:EXAMINED]).mean()
    for name, weight in network.named_parameters():
        if name.endswith("weight"):
            gradient = torch.autograd.grad(loss, weight, retain_graph=True)[0]
            assert drawn[name]["std"] == pytest.approx(float(gradient.std(correction=0)), rel=1e-3)
            assert float(gradient.std()) > 0


def test_a_file_of_ones_own_begins_a_playground_with_a_loss_that_fits(tmp_path: Path) -> None:
    table = tmp_path / "prices.csv"
    table.write_text("a,b,price\n" + "".join(f"{i % 7},{i % 5},${i * 1.5:.2f}\n" for i in range(80)))
    overrides = play._overrides([str(table), "target=price", "seed=3"])
    assert overrides == {"data": "table", "data.path": str(table), "data.target": "price", "seed": "3"}
    own = Playground(compose, overrides)
    assert own.overrides["loss"] == "squared_error"
    assert own.notes == []  # nobody asked for another loss
    chosen = Playground(compose, {**overrides, "loss": "hinge"}).notes
    assert chosen == ["`loss=hinge` does not fit these data: `loss=squared_error` is taken"]
    json.dumps(scene(own))
    with pytest.raises(UserError, match="is neither a run's folder, nor a file of data, nor KEY=VALUE"):
        play._overrides(["moons"])


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([-0.0012, -0.0012], -0.0012, -0.0012),
        ([1.0, 1.0000001], 1.0, 1.0),  # neighbours in single precision: between them there is no room for bins
        ([math.nan, 2.0, -1.0, math.inf], -1.0, 2.0),
        ([math.nan], None, None),
    ],
)
def test_the_range_of_a_histogram_is_that_of_its_values_however_close_they_are(
    values: list[float], low: float | None, high: float | None
) -> None:
    drawn = _histogram(torch.tensor(values))
    assert (drawn["low"], drawn["high"]) == (low, high)
    assert sum(drawn["counts"]) == sum(map(math.isfinite, values))
    assert drawn["std"] == (None if low is None else pytest.approx(1.5 if high == 2.0 else 0.0, abs=1e-6))
