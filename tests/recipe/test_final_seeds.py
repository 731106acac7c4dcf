"""Final seeds that end apart from the others are named with their cause, and lower the rate where that is the cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from nnlab.diagnosis.facts.simple import SimpleModel
from nnlab.recipe import check_initial_loss
from nnlab.recipe.candidate import Candidate
from nnlab.recipe.given import Contest, FinalRun, standing
from nnlab.recipe.grid import table as grid_table
from nnlab.recipe.margin import with_margin
from nnlab.recipe.rates import rate_key
from nnlab.recipe.seeds import apart, findings
from nnlab.recipe.space import DECAY_KEY
from nnlab.recipe.trials import Trials

STEPS = 400
FALLING = 0.1 + 2 * np.exp(-np.arange(STEPS) / 50)
CONSTANT = SimpleModel("constant", {}, {"validation": {"accuracy": 0.1}})


def run(
    folder: Path, seed: int, accuracy: float, losses: Sequence[float] = FALLING, status: str = "completed"
) -> FinalRun:
    """A run with a history."""
    directory = folder / f"seed={seed}"
    directory.mkdir(parents=True)
    rows = [f"{step},{step / 10},0.01,{loss}" for step, loss in enumerate(losses, 1)]
    (directory / "history.csv").write_text("\n".join(["step,epoch,learning_rate,loss/train", *rows]) + "\n")
    metrics = {} if status == "diverged" else {"validation": {"accuracy": accuracy}}
    return FinalRun(str(directory), seed, status, "", metrics)


def jumping() -> np.ndarray:
    losses = FALLING.copy()
    losses[240:] = 1.9
    return losses


@pytest.mark.parametrize(
    ("losses", "accuracy", "status", "by_rate", "words"),
    [
        (jumping(), 0.5, "completed", True, "its loss jumped from 0.12 to 1.9 after step 240"),
        (
            np.full(STEPS, 2.1),
            0.15,
            "completed",
            True,
            "its training loss stayed at 2.1, where the others reached 0.101",
        ),
        (FALLING, 0.5, "completed", False, "it is what it learned that does not hold for validation"),
        (FALLING[:30], 0.0, "diverged", True, "it diverged at step 30"),
    ],
    ids=["jump", "stuck", "validation only", "diverged"],
)
def test_a_seed_apart_is_named_with_its_cause(
    losses: np.ndarray,
    accuracy: float,
    status: str,
    by_rate: bool,
    words: str,
    tmp_path: Path,
    make_trials: Callable[..., Trials],
) -> None:
    runs = [run(tmp_path, seed, 0.9 + seed / 100) for seed in range(4)]
    runs.append(run(tmp_path, 7, accuracy, losses, status))
    found = apart(make_trials("data=blobs"), runs, CONSTANT)
    assert [(each.seed, each.by_rate) for each in found] == [(7, by_rate)]
    assert words in found[0].words
    assert "the others 0.915" in found[0].words
    fault = status == "diverged"
    assert [(each.name, each.fault) for each in findings(found)] == [
        ("failed_seed" if fault else "outlying_seed", fault)
    ]


def test_seeds_within_their_spread_are_not_apart(tmp_path: Path, make_trials: Callable[..., Trials]) -> None:
    runs = [run(tmp_path, seed, accuracy) for seed, accuracy in enumerate((0.8, 0.84, 0.9, 0.88, 0.78))]
    assert not apart(make_trials("data=blobs"), runs, CONSTANT)


def test_a_difference_of_a_few_validation_examples_is_no_outlier(
    tmp_path: Path, make_trials: Callable[..., Trials]
) -> None:
    trials = make_trials("data=blobs", "data.examples=300")  # 24 of them for validation
    runs = [run(tmp_path, seed, accuracy) for seed, accuracy in enumerate((0.8, 0.9, 0.9, 0.9, 0.9))]
    assert not apart(trials, runs, CONSTANT)


def test_members_of_an_ensemble_are_looked_at_one_by_one(tmp_path: Path, make_trials: Callable[..., Trials]) -> None:
    directory = tmp_path / "seed=0"
    directory.mkdir()
    curves = [FALLING, FALLING, jumping(), FALLING, FALLING[:30]]
    rows = [
        f"{step},{step / 10},0.01,1.0," + ",".join(str(c[step - 1]) if step <= len(c) else "nan" for c in curves)
        for step in range(1, STEPS + 1)
    ]
    head = ["step", "epoch", "learning_rate", "loss/train", *(f"loss/train/{i}" for i in range(len(curves)))]
    (directory / "history.csv").write_text("\n".join([",".join(head), *rows]) + "\n")
    accuracies = [0.9, 0.91, 0.5, 0.92, None]
    members = {"validation": [{} if each is None else {"accuracy": each} for each in accuracies]}
    ensemble = FinalRun(str(directory), 0, "completed", "", {"validation": {"accuracy": 0.92}}, members)
    jumped, diverged = apart(make_trials("data=blobs"), [ensemble], CONSTANT)
    assert "member 2 has accuracy 0.5" in jumped.words
    assert "its loss jumped from 0.12 to 1.9 after step 240" in jumped.words
    assert "member 4" in diverged.words
    assert "diverged at step 30" in diverged.words


@pytest.mark.parametrize("values", [(1.156, 1.141, 1.139, 1.15, 1.13), (1.156,), (1.2, 1.08, 1.1)], ids=str)
def test_no_seed_is_apart_where_none_is_clearly_better_than_the_constant(
    values: Sequence[float], tmp_path: Path, make_trials: Callable[..., Trials]
) -> None:
    trials = make_trials("data=diabetes", "loss=squared_error")
    runs = [
        FinalRun(run(tmp_path, seed, 0.0).directory, seed, "completed", "", {"validation": {"rmse": value}})
        for seed, value in enumerate(values)
    ]
    assert not apart(trials, runs, SimpleModel("constant", {}, {"validation": {"rmse": 1.131}}))


def test_no_better_than_the_constant_has_failed_where_another_is(
    tmp_path: Path, make_trials: Callable[..., Trials]
) -> None:
    runs = [run(tmp_path, 0, 0.1, jumping()), run(tmp_path, 1, 0.1), run(tmp_path, 2, 0.9)]
    first, second = apart(make_trials("data=blobs"), runs, CONSTANT)
    assert [(each.failed, each.by_rate) for each in (first, second)] == [(True, True), (True, False)]
    assert second.words.endswith("so it is what it learned that does not hold for validation")
    assert "does not point to the learning rate" in findings([second])[0].reason


def test_networks_of_other_seeds_are_not_said_to_have_diverged(tmp_path: Path) -> None:
    found = [run(tmp_path, 0, 0.0, FALLING[:30], "diverged"), run(tmp_path, 1, 0.9)]
    given = [run(tmp_path / "given", 0, 0.8)]
    assert (
        standing("accuracy", Contest(found, given))
        == "the best network is the configuration as found: no seed has both"
    )
    words = "the best network is the configuration as given: the other one diverged"
    assert standing("accuracy", Contest(found[:1], given)) == words


@pytest.mark.parametrize(("rate", "lowered"), [(30.0, [30.0, 15.0]), (0.02, []), (0.002, [])], ids=str)
def test_a_rate_beyond_the_stable_one_is_halved_unless_twice_as_much_trains(
    rate: float, lowered: list[float], make_trials: Callable[..., Trials]
) -> None:
    trials = make_trials("data=blobs", "architecture.widths=[16]", "optimizer=sgd", "scheduler=constant")
    chosen = {"regularizer": [], "optimizer.learning_rate": rate, "trainer.epochs": 3, "trainer.steps": None}
    kept, given_up = with_margin(trials, chosen, 0.01, range(2))
    assert [each.rate for each in given_up] == lowered
    assert kept["optimizer.learning_rate"] == rate / 2 ** len(lowered)
    assert all("twice as much" in each.words for each in given_up)
    assert with_margin(trials, chosen, None, range(2)) == (chosen, [])


def test_a_mean_over_classes_is_called_so_in_the_recipes_tables_and_sentences(
    make_trials: Callable[..., Trials],
) -> None:
    trials = make_trials("data=blobs", "trainer.metric=f1", "data.examples=60")
    (linear,) = [table for table in check_initial_loss(trials).tables if table.title.startswith("Linear baseline")]
    tried = Candidate({rate_key(trials): 0.1, DECAY_KEY: 0.0}, [0.5], [0.9], [0.4], [3.0])
    for columns in (linear.columns, grid_table("Grid", trials, [tried]).columns):
        assert "macro f1" in columns
        assert "f1" not in columns
    runs = [
        [FinalRun(name, 0, "completed", "", {split: {"f1": value} for split in ("validation", "test")})]
        for name, value in (("found", 0.9), ("given", 0.8))
    ]
    assert standing("f1", Contest(*runs, gain=(-0.1, 0.01))).endswith("(macro f1 0.8, of the one found 0.9)")
