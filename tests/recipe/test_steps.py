"""What each step says about trials whose outcome is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnlab.cli import compose
from nnlab.diagnosis.facts.chance import Pair, association, mixed_pair, told_apart
from nnlab.diagnosis.facts.data import data_facts
from nnlab.diagnosis.facts.leaks import shared_examples
from nnlab.diagnosis.facts.levels import Levels, measure_levels
from nnlab.diagnosis.facts.linear import fit_linear, linear_baseline
from nnlab.diagnosis.rules.data import data_findings
from nnlab.loss import GaussianNLL, Hinge, MulticlassSVM, SoftmaxCrossEntropy, SquaredError
from nnlab.recipe import (
    StepReport,
    check_initial_loss,
    coarse_grid,
    find_learning_rate,
    improve,
    overfit_sample,
    refine_grid,
)
from nnlab.recipe.candidate import Candidate, gain
from nnlab.recipe.changes import Changes
from nnlab.recipe.curves import Curves, read
from nnlab.recipe.improve import choose
from nnlab.recipe.initial_loss import check_loss_at_zero, explained_excess
from nnlab.recipe.learning_rate import Rate, find_range
from nnlab.recipe.overfit_causes import explain_failure
from nnlab.recipe.rates import merged
from nnlab.recipe.space import Space
from nnlab.recipe.suggest import Linear, Suggestion, suggest
from nnlab.recipe.trial import Trial
from nnlab.recipe.trials import Trials
from nnlab.recipe.watch import SampleWatch
from nnlab.types import Dataset, Split, Task

Make = Callable[..., Trials]
SMALL = "architecture.widths=[16]"


def dataset(inputs: torch.Tensor, targets: torch.Tensor, classes: int = 2) -> Dataset:
    """Three times the same size, cut from one sample."""
    n = len(inputs) // 3
    parts = [Split(inputs[i * n : (i + 1) * n], targets[i * n : (i + 1) * n]) for i in range(3)]
    task = Task.REGRESSION if targets.is_floating_point() else Task.MULTICLASS
    return Dataset(*parts, task, tuple(map(str, range(classes))))


@pytest.mark.parametrize(
    ("loss", "targets", "size", "value"),
    [
        (SoftmaxCrossEntropy(), torch.arange(30) % 3, 3, math.log(3)),
        (Hinge(), torch.arange(30) % 2, 2, 1.0),
        (MulticlassSVM(), torch.arange(30) % 4, 4, 3.0),
        (SquaredError(), torch.full((30, 2), 2.0), 2, 4.0),
        (GaussianNLL(), torch.full((30, 1), 2.0), 1, 0.5 * (math.log(2 * math.pi) + 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_loss_at_zero_outputs_is_that_of_theory(loss: Any, targets: torch.Tensor, size: int, value: float) -> None:
    assert check_loss_at_zero(loss, targets, size, loss.output_size(size)) == []
    data = Dataset(*[Split(torch.zeros(30, 1), targets)] * 3, Task.MULTICLASS, tuple("abcd"[:size]))
    assert measure_levels(data, loss).initial == pytest.approx(value, rel=1e-5)


def test_the_excess_over_theory_is_explained_by_the_spread_of_the_outputs() -> None:
    source = torch.Generator().manual_seed(0)
    outputs = torch.randn(4000, 10, generator=source)
    targets = torch.randint(10, (4000,), generator=source)
    loss = SoftmaxCrossEntropy()
    constant, added = explained_excess(loss, outputs, targets)
    measured = float(loss.losses(outputs, targets).mean())
    assert constant + added == pytest.approx(measured, abs=0.03)
    assert measured > constant + 0.3


def test_imbalanced_classes_start_at_log_c_and_a_constant_answer_is_better() -> None:
    targets = (torch.arange(100) < 90).long()
    levels = measure_levels(
        Dataset(*[Split(torch.zeros(100, 1), targets)] * 3, Task.MULTICLASS, ("a", "b")), SoftmaxCrossEntropy()
    )
    entropy = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert levels.initial == pytest.approx(math.log(2), rel=1e-6)
    assert levels.constant == pytest.approx(entropy, rel=1e-4)
    assert levels.progress(entropy / 2) == pytest.approx(0.5, abs=1e-3)


def test_the_linear_model_solves_ridge_regression() -> None:
    source = torch.Generator().manual_seed(1)
    inputs = torch.randn(50, 3, generator=source)
    targets = inputs @ torch.tensor([[1.0], [2.0], [-1.0]]) + 0.5
    model = fit_linear(SquaredError(), Split(inputs, targets), 1, 0.1)
    centred, goal = inputs - inputs.mean(0), targets - targets.mean(0)
    exact = torch.linalg.solve(centred.T @ centred / 50 + 0.1 * torch.eye(3), centred.T @ goal / 50)
    torch.testing.assert_close(model.weight.T, exact, atol=1e-4, rtol=1e-3)


def test_the_linear_baseline_chooses_its_decay_on_validation() -> None:
    source = torch.Generator().manual_seed(2)
    inputs = torch.randn(60, 30, generator=source)
    targets = inputs[:, :1] + torch.randn(60, 1, generator=source)
    assert linear_baseline(dataset(inputs, targets, 1), SquaredError()).decay >= 0.1


def test_examples_in_two_splits_are_counted() -> None:
    source = torch.Generator().manual_seed(3)
    inputs = torch.randn(300, 5, generator=source)
    data = dataset(inputs, torch.arange(300) % 2)
    assert shared_examples(data.train, data.validation).found == 0
    leaky = Split(
        *(torch.cat([getattr(data.train, part)[:20], getattr(data.validation, part)]) for part in ("inputs", "targets"))
    )
    assert shared_examples(data.train, leaky).found == 20


@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        (torch.full((60, 2), float("nan")), "inputs_not_finite"),
        (torch.full((60, 2), 3.0), "inputs_constant"),
        (255 * torch.rand(60, 2, generator=torch.Generator().manual_seed(0)), "inputs_not_standardized"),
        (1e-4 * torch.rand(60, 2, generator=torch.Generator().manual_seed(0)), "inputs_not_standardized"),
    ],
)
def test_unfit_inputs_are_named(inputs: torch.Tensor, name: str) -> None:
    assert next(data_findings(data_facts(dataset(inputs, torch.arange(60) % 2), SoftmaxCrossEntropy()))).name == name


def test_a_class_without_examples_is_named() -> None:
    inputs = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    facts = data_facts(dataset(inputs, torch.arange(60) % 2, 3), SoftmaxCrossEntropy())
    assert [f.name for f in data_findings(facts)] == ["class_missing"]


def test_chance_is_told_from_knowledge() -> None:
    source = torch.Generator().manual_seed(4)
    targets = torch.randint(3, (200,), generator=source)
    noise = torch.rand(200, 3, generator=source)
    assert abs(association(noise, targets)) < 3
    assert association(noise + 0.5 * torch.nn.functional.one_hot(targets, 3), targets) > 5
    always = torch.zeros(200, 3)
    always[:, 1] = 1
    assert association(always, targets) == pytest.approx(0, abs=1e-6)


def test_a_pair_of_classes_is_mixed_up_only_if_the_others_are_not() -> None:
    source = torch.Generator().manual_seed(5)
    targets = torch.arange(300) % 3
    right = torch.nn.functional.one_hot(targets, 3).float()
    assert mixed_pair(right, targets) is None
    swapped = torch.where((torch.rand(300, generator=source) < 0.5) & (targets < 2), 1 - targets, targets)
    pair = mixed_pair(right, swapped)
    assert pair is not None
    assert (pair.first, pair.second) == (0, 1)
    assert mixed_pair(torch.rand(300, 3, generator=source), targets) is None


def test_the_largest_stable_rate_is_as_good_as_the_best() -> None:
    rates = [
        Rate(1.0, math.inf, 0.0, 3),
        Rate(0.3, 1.9, 0.5, 0),
        Rate(0.1, 0.12, 0.02, 0),
        Rate(0.03, 0.1, 0.01, 0),
        Rate(0.01, 0.6, 0.05, 0),
        Rate(0.001, 2.1, 0.05, 0),
    ]
    found = find_range(rates, constant=2.3)
    assert found is not None
    assert (found.lowest, found.highest, found.stable, found.best.rate) == (0.01, 0.1, 0.1, 0.03)
    assert find_range([Rate(0.1, 2.4, 0.0, 0)], constant=2.3) is None


def test_rates_that_are_nearly_equal_are_tried_once() -> None:
    assert merged([0.1, 0.03, 0.0301, 0.001]) == [0.1, 0.0301, 0.001]


def test_a_score_is_a_mean_of_three_validations() -> None:
    series = {"loss/validation": ([1, 2, 3, 4, 5], [1.0, 0.1, 1.0, 0.4, 0.4])}
    trial = Trial({}, "completed", np.ones(5), series)
    assert trial.best("loss/validation") == (4, pytest.approx(0.5))
    assert Trial({}, "diverged", np.ones(5), series).best("loss/validation") == (0, math.inf)


def result(*scores: float, **changes: Any) -> Candidate:
    return Candidate(
        {
            "trainer.epochs": 10.0,
            "optimizer.learning_rate": 0.01,
            "regularizer.weight_decay.strength": 0.0,
            "scheduler": "constant",
            **changes,
        },
        scores,
        scores,
        scores,
        scores,
    )


def one_round(number: int, epochs: float, winners: Sequence[Changes]) -> bool:
    return number == 1


def test_gains_are_paired_over_seeds() -> None:
    difference, error = gain(result(0.9, 1.9, 2.9), result(1.0, 2.0, 3.0))
    assert difference == pytest.approx(0.1)
    assert error == pytest.approx(0.0, abs=1e-9)
    assert gain(result(math.inf), result(1.0))[0] == -math.inf


def test_a_small_validation_split_makes_gains_unsure() -> None:
    losses = torch.linspace(0, 2, 25, dtype=torch.float64)
    old = replace(result(1.0, 1.0), examples=losses.expand(2, -1))
    new = replace(result(0.9, 0.9), examples=losses.flip(0).expand(2, -1))
    difference, error = gain(new, old)
    assert difference == pytest.approx(0.1)
    assert error == pytest.approx(float((losses - losses.flip(0)).std()) / 5)
    # Two parts of the data have twice as many examples as one validation split that two seeds share.
    _, over_parts = gain(replace(new, folds=2), replace(old, folds=2))
    assert over_parts == pytest.approx(error / math.sqrt(2), rel=0.05)


def test_the_spread_over_splits_is_part_of_the_error() -> None:
    source = torch.Generator().manual_seed(1)
    losses = torch.rand(4, 500, generator=source).double()
    old = replace(result(1.0, 1.0, 1.0, 1.0), examples=losses, folds=4)
    new = replace(result(0.5, 1.2, 0.6, 1.1), examples=losses + 0.001, folds=4)
    _, error = gain(new, old)
    assert error == pytest.approx(float(np.std([0.5, -0.2, 0.4, -0.1], ddof=1)) / 2)


def test_examples_in_both_splits_are_found_among_many_features() -> None:
    source = torch.Generator().manual_seed(7)
    inputs = 1 + torch.randn(400, 784, generator=source)
    held_out = torch.cat([inputs[:15], inputs[200:300] + 0.05])
    train = Split(inputs[:200], torch.zeros(200).long())
    found = shared_examples(train, Split(held_out, torch.zeros(115).long()))
    assert (found.found, found.asked) == (15, 115)


def test_fewer_changes_are_tried_where_time_is_short(make_trials: Make) -> None:
    trials = make_trials("data=moons", SMALL)
    best = result(0.2, 0.3, **{"regularizer": ["weight_decay"], "trainer.steps": None, "trainer.epochs": 2.0})
    whole = improve(Space(trials, 2.0), [best], [], one_round)
    short = improve(Space(trials, 2.0), [best], [], lambda number, epochs, winners: number == 1 and epochs <= 60.0)
    assert 1 <= short.numbers.tried < whole.numbers.tried == 12


def test_a_sure_gain_is_adopted_before_a_larger_one_that_may_be_luck() -> None:
    old, sure, lucky = result(1.0, 1.0, 1.0), result(0.8, 0.81, 0.79), result(0.1, 1.0, 1.0)
    options = [Suggestion("lucky", "", {}), Suggestion("sure", "", {})]
    history: list[list[Any]] = []
    chosen, adopted = choose(old, options, [lucky, sure], history, 1)
    assert chosen == options[1]
    assert adopted == sure
    assert [(row[1], row[-1]) for row in history] == [("sure", "adopted"), ("lucky", "another gave more")]


@pytest.mark.parametrize(
    ("override", "remedy"),
    [("initialization.scale=10", "initialization.scale=1"), ("initialization=gaussian", "initialization=he")],
)
def test_what_is_suggested_takes_the_fault_back(override: str, remedy: str, make_trials: Make) -> None:
    words = [override, *(["initialization.std=1"] if "gaussian" in override else [])]
    (fault,) = check_initial_loss(make_trials(*words, SMALL), seeds=(0,)).faults
    assert (fault.name, fault.override) == ("hockey_stick_start", remedy)


LEVELS = Levels(2.3, 2.3, 0.0)


def curves(validation: Sequence[float], fit: Sequence[float], train: Sequence[float] | None = None) -> Curves:
    minibatches = np.asarray([train if train is not None else fit])
    return Curves(np.arange(1.0, len(validation) + 1), np.asarray(validation), np.asarray(fit), minibatches, 0.005)


FALLING = np.linspace(2.0, 0.5, 20)
SEEN = {
    "overfitting": curves([*np.linspace(2, 0.5, 10), *np.linspace(0.5, 1.0, 10)], np.linspace(2, 0.01, 20)),
    "generalization_gap": curves(np.linspace(1, 0.3, 20).clip(0.4), np.linspace(1, 0.01, 20)),
    "still_improving": curves(FALLING, FALLING),
    "underfitting": curves([*np.linspace(2, 1, 10), *[1.0] * 10], [*np.linspace(2, 1, 10), *[0.98] * 10]),
    "plateau": curves([1.5] * 20, [1.49] * 20),
    "noisy_loss": curves([0.1] * 20, [0.09] * 20, [0.01, 0.3] * 50),
    "hockey_stick_start": curves([0.1] * 20, [0.09] * 20, [30.0, *[0.1] * 99]),
}


@pytest.mark.parametrize("name", SEEN)
def test_a_curve_is_put_into_words(name: str) -> None:
    found = read(SEEN[name], LEVELS)
    assert name in [finding.name for finding in found]
    assert not any(finding.fault for finding in found)


def test_a_good_curve_is_not_complained_about() -> None:
    values = [*np.linspace(1, 0.02, 15), *[0.02] * 5]
    assert read(curves(values, values), LEVELS) == []


def test_an_epoch_within_which_was_measured_is_written_with_one_digit() -> None:
    between = replace(curves([1.0, 0.5], [1.0, 0.5]), epochs=np.array([87.15789, 92.0]))
    assert [between.epoch(row) for row in (0, 1, -1)] == ["87.2", "92", "92"]


def test_suggestions_follow_the_findings(make_trials: Make) -> None:
    trials = make_trials(SMALL)
    space = Space(trials, 10.0)
    plain = suggest(space, result(1.0, 1.1), [])
    regularized = suggest(space, result(1.0, 1.1), ["overfitting"])
    assert {each.name for each in plain} == {each.name for each in regularized}
    assert not [each for each in plain if each.reason == "the gap to validation"]
    first = {each.name for each in regularized if each.reason == "the gap to validation"}
    assert first == {"dropout 0.1", "weight decay 1e-05", "shifted images"}
    assert {each.name for each in regularized[:3]} == first
    linear = suggest(space, result(1.0, 1.1), [], Linear(0.9, 0.1))[0]
    assert linear.changes["architecture"] == "perceptron"
    assert linear.changes["regularizer.weight_decay.strength"] == 0.1


def test_finding_a_rate_leaves_the_random_state_alone(make_trials: Make) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    report = find_learning_rate(make_trials("data=blobs", SMALL), seeds=(0, 1), steps=40)
    assert report.numbers.lowest <= report.numbers.stable <= report.numbers.highest
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("related", [True, False])
def test_a_small_drop_passes_only_where_inputs_say_something(related: bool, make_trials: Make, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(900, 4)).astype(np.float32)
    targets = (inputs[:, 0] * related + draw.normal(scale=3, size=900) > 0).astype(np.int64)
    np.savez(tmp_path / "weak.npz", X=inputs, y=targets)
    words = ("data=arrays", f"data.path={tmp_path / 'weak.npz'}", "data.target=y", SMALL)
    report = find_learning_rate(make_trials(*words), seeds=(0, 1))
    assert report.passed == related
    assert (report.numbers.use is not None) == related


def test_the_coarse_grid_grows_beyond_an_edge_that_wins(make_trials: Make) -> None:
    report = coarse_grid(Space(make_trials("data=blobs", SMALL), 10.0), stable=1e-4, epochs=1)
    assert report.numbers.best.changes["optimizer.learning_rate"] > 1e-4
    assert "edge_of_grid" in report.names()


def test_refining_keeps_the_schedule_constant_and_reports_the_spread(make_trials: Make) -> None:
    trials = make_trials("data=moons", SMALL)
    best = result(1.0, **{"regularizer": ["weight_decay"], "trainer.steps": None})
    report = refine_grid(Space(trials, 3.0), [best], epochs=3, seeds=(0, 1))
    assert len(report.trials) == 3 + 2  # all with the first seed, the better half with the second, too
    assert all("scheduler=constant" in trial.command for trial in report.trials)
    assert all(row[3] > 0 for row in report.tables[0].rows)
    assert "; of the better 2, the other " in report.conclusion
    alone = refine_grid(Space(trials, 3.0), [best], epochs=3, seeds=(0,)).tables[0]
    assert alone.title == "3 epochs, the better 2 of 3 with 1 seed, best first"
    assert "spread" not in alone.columns


def test_improving_stops_without_time_and_compares_on_fresh_seeds(make_trials: Make) -> None:
    trials = make_trials("data=moons", SMALL)
    best = result(0.2, 0.3, **{"regularizer": ["weight_decay"], "trainer.steps": None, "trainer.epochs": 2.0})
    space = Space(trials, 2.0)
    stopped = improve(space, [best], [], lambda number, epochs, winners: False)
    assert stopped.numbers.stop == "what time is left is kept for the final training"
    assert stopped.verdict == "not judged"
    assert stopped.conclusion == "no change tried: what time is left is kept for the final training"
    own = {key: value for key, value in best.changes.items() if key != "scheduler"}
    assert stopped.numbers.best.changes == own  # the user's schedule, which steps 3 to 5 did without
    constant = Space(make_trials("data=moons", SMALL, "scheduler=constant"), 2.0)
    unchanged = improve(constant, [best], [], lambda number, epochs, winners: False)
    assert unchanged.numbers.best.changes == dict(best.changes)
    report = improve(space, [best], [], one_round)
    assert report.verdict == "passed"
    assert any(trial.name.startswith("round 1 as before") and "seed=5" in trial.command for trial in report.trials)


def test_a_report_survives_json(make_trials: Make) -> None:
    import json

    report = check_initial_loss(make_trials("data=diabetes", "loss=squared_error", SMALL), seeds=(0, 1))
    again = StepReport.from_dict(json.loads(json.dumps(report.to_dict())))
    assert again.to_dict() == report.to_dict()
    assert again.numbers.theory == pytest.approx(0.5, abs=1e-3)


def test_two_classes_that_overlap_are_told_apart_better_than_chance() -> None:
    source = torch.Generator().manual_seed(6)
    targets = torch.arange(300) % 3
    pair = Pair(0, 1, 0.7, 200, 0.99)
    scores = torch.nn.functional.one_hot(targets, 3) + 0.8 * torch.randn(300, 3, generator=source)
    assert told_apart(scores, targets, pair)
    assert not told_apart(torch.rand(300, 3, generator=source), targets, pair)


@pytest.mark.parametrize(("loss", "fault"), [("gaussian_nll", False), ("squared_error", True)])
def test_answers_that_are_nearly_right_are_no_fault_where_the_loss_has_no_floor(loss: str, fault: bool) -> None:
    trials = Trials(compose("data=heteroscedastic", f"loss={loss}"))
    scores = {"loss/fit": 0.5, "r2/fit": 0.982, "steps": 500.0}
    flat = Trial({}, "completed", np.full(500, 0.5), {}, scores=scores)
    levels = Levels(1.0, 0.9, None if loss == "gaussian_nll" else 0.0)
    (found,) = explain_failure(trials, [flat], levels)
    assert found.fault == fault
    assert found.name == ("stuck_above_floor" if fault else "learns_too_slowly")


def test_large_convolutional_networks_are_tried_one_by_one_and_chains_together() -> None:
    two = [{"optimizer.learning_rate": 0.01}, {"optimizer.learning_rate": 0.001}]
    large = "architecture.channels=[64,128]"
    convnet = Trials(compose("architecture=convnet", large, "trainer.device=cpu", "trainer.batch_size=128"))
    assert convnet.groups(two, fastest=True) == [[0], [1]]
    assert convnet.groups(two) == [[0, 1]]
    chain = Trials(compose("architecture.widths=[512,512]", "trainer.device=cpu", "trainer.batch_size=128"))
    assert chain.groups(two, fastest=True) == [[0, 1]]


@pytest.mark.parametrize(("enough", "ended_at"), [(0.2, 5), (2.0, 10)])
def test_every_member_of_a_sample_has_its_predictions_when_it_ends(enough: float, ended_at: int) -> None:
    trials = Trials(compose("data=moons"))
    common = {"trainer.epochs": None, "trainer.steps": 10, "trainer.validate_unit": "step", "trainer.validate_every": 5}
    changes = [{**common, "optimizer.learning_rate": rate} for rate in (0.03, 0.01)]
    done = trials.run(changes, lambda: SampleWatch(lambda metrics: metrics["accuracy"] >= enough))
    assert [trial.scores["steps"] for trial in done] == [ended_at, ended_at]
    for trial in done:
        assert trial.prediction is not None
        assert len(trial.prediction) == len(trials.dataset.validation)


def test_the_initial_loss_of_many_heads_is_described(make_trials: Make) -> None:
    report = check_initial_loss(make_trials("regularizer=[batch_ensemble]", "data.limit=80", SMALL))
    assert report.passed
    numbers = report.numbers
    assert numbers.at_mean_output == pytest.approx(math.log(10), rel=0.2)


@pytest.mark.parametrize(("rows", "told"), [(70, False), (1200, True)])
def test_few_held_out_examples_say_nothing_about_the_targets(
    make_trials: Make, tmp_path: Path, rows: int, told: bool
) -> None:
    draw = np.random.default_rng(3)
    path = tmp_path / "noise.csv"
    lines = (",".join(f"{number:.6f}" for number in row) for row in draw.standard_normal((rows, 4)))
    path.write_text("a,b,c,y\n" + "\n".join(lines))
    trials = make_trials("data=table", f"data.path={path}", "data.target=y", "loss=squared_error", SMALL)
    assert ("targets_unrelated" in overfit_sample(trials).names()) == told
