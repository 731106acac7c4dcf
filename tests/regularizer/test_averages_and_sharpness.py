"""The average of weights and sharpness-aware steps: torch's equal, populations, and exact continuation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nnlab.cli import compose, main
from nnlab.config.build import build_trainer
from nnlab.storage.folder import read_result
from nnlab.training import Callback, Trainer

SMALL = [
    *("data=moons", "architecture.widths=[5]", "trainer.epochs=2", "callbacks=[]", "scheduler=constant"),
    *("trainer.engine=torch", "trainer.precision=float64", "optimizer=sgd", "optimizer.learning_rate=0.1"),
]


class Batches(Callback):
    """Keeps the minibatches, and the weights after each step, of the first member."""

    def fit_start(self, trainer: Trainer) -> None:
        self.start = trainer.stack.theta.clone()
        self.batches: list[tuple[Any, Any]] = []
        self.path: list[Any] = []

    def step_start(self, trainer: Trainer) -> None:
        self.batches.append((trainer.inputs[0].clone(), trainer.targets[0].clone()))

    def step_end(self, trainer: Trainer) -> None:
        self.path.append(trainer.stack.theta.clone())


def trained(*overrides: str) -> tuple[Trainer, Batches]:
    trainer, watch = build_trainer([compose(*SMALL, *overrides)]), Batches()
    trainer.callbacks.append(watch)
    return trainer.fit(), watch


def test_the_average_that_is_evaluated_is_that_of_torch() -> None:
    trainer, watch = trained("regularizer=[ema]", "regularizer.ema.decay=0.9")
    holder = nn.ParameterList([nn.Parameter(watch.start[0].clone())])
    averaged = AveragedModel(holder, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for theta in watch.path:
        holder[0].data.copy_(theta[0])
        averaged.update_parameters(holder)
    with trainer.engine.as_evaluated():
        shown = trainer.stack.theta[0].clone()
    torch.testing.assert_close(shown, averaged.module[0].data, rtol=1e-12, atol=1e-12)
    assert torch.equal(trainer.stack.theta, watch.path[-1])  # training itself does not see it
    _, other = trained("regularizer=[]")
    assert torch.equal(other.path[-1], watch.path[-1])


def test_a_sharpness_aware_step_is_its_equations() -> None:
    trainer, watch = trained("regularizer=[sam]", "regularizer.sam.rho=0.2")
    network, layout = trainer.stack.network, trainer.stack.layout
    theta = watch.start.clone()

    def gradient(row: Any, inputs: Any, targets: Any) -> Any:
        views = {name: view[0].detach().requires_grad_() for name, view in layout.views(row).items()}
        outputs = torch.func.functional_call(network, views, (inputs,))
        loss = nn.functional.cross_entropy(outputs, targets)
        return torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, list(views.values()))]).unsqueeze(0)

    for inputs, targets in watch.batches:
        first = gradient(theta, inputs, targets)
        theta = theta - 0.1 * gradient(theta + 0.2 * first / first.norm(), inputs, targets)
    torch.testing.assert_close(watch.path[-1], theta, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "own",
    [
        ["regularizer=[ema]", "regularizer.ema.decay=0.5,0.9"],
        ["regularizer=[sam]", "regularizer.sam.rho=0.05,0.5"],
        ["regularizer=[ema,sam]", "seed=0,1"],
        ["optimizer=lion", "optimizer.learning_rate=0.001,0.003"],
        ["optimizer=muon", "optimizer.learning_rate=0.01,0.03", "seed=0,1"],
        ["optimizer=adafactor", "optimizer.clip=1.0,2.0"],
    ],
)
def test_jobs_of_a_population_are_those_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "-m", "data=moons", "architecture.widths=[5]", "trainer.epochs=2", "callbacks=[checkpoint]", *own]
    assert main([*words, "name=a", "hydra.launcher.stack=always"]) == 0
    assert main([*words, "name=b", "hydra.launcher.stack=never"]) == 0
    for folder in sorted(
        path for path in Path("outputs/a").iterdir() if path.is_dir() and (path / "config.yaml").exists()
    ):
        together, alone = read_result(folder), read_result(Path("outputs/b") / folder.name)
        assert together is not None
        assert alone is not None
        assert together["metrics"]["test"]["loss"] == pytest.approx(alone["metrics"]["test"]["loss"], rel=2e-3)


@pytest.mark.parametrize(
    "own",
    [["regularizer=[ema]"], ["regularizer=[ema,sam]"], ["optimizer=muon"], ["optimizer=lbfgs", "regularizer=[ema]"]],
)
def test_a_run_that_is_continued_gives_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "data=moons", "architecture.widths=[5]", "callbacks=[checkpoint]", "scheduler=constant", *own]
    assert main([*words, "name=whole", "trainer.epochs=4"]) == 0
    assert main([*words, "name=half", "trainer.epochs=2"]) == 0
    [half], [whole] = list(Path("outputs/half").iterdir()), list(Path("outputs/whole").iterdir())
    assert main(["train", f"resume={half}", "trainer.epochs=4"]) == 0
    found, expected = read_result(half), read_result(whole)
    assert found is not None
    assert expected is not None
    assert found["metrics"] == expected["metrics"]
