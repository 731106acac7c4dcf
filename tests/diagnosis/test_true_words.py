"""Healthy runs are told nothing: not on noisy, coarse, skewed or dated data, nor because of what one member does."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import nnlab
from nnlab.cli import compose
from nnlab.config.build import load_dataset
from nnlab.data import Table
from nnlab.diagnosis import Finding, Series, SplitFacts, diagnose, records
from nnlab.diagnosis.diagnose import of_ensemble
from nnlab.diagnosis.facts.chance import Order
from nnlab.diagnosis.facts.combination import find_combination
from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.facts.data import InputFacts
from nnlab.diagnosis.facts.filled import find_filled
from nnlab.diagnosis.facts.giveaway import find_giveaway
from nnlab.diagnosis.facts.leaks import shared_examples
from nnlab.diagnosis.facts.levels import measure_levels
from nnlab.diagnosis.facts.lone import find_lone_values, find_uneven_scale
from nnlab.diagnosis.facts.references import References
from nnlab.diagnosis.rules.data import noisy_validation
from nnlab.diagnosis.rules.fit import overfitting, underfitting
from nnlab.diagnosis.rules.penalties import too_strong
from nnlab.diagnosis.rules.predictions import imbalance
from nnlab.diagnosis.rules.signals import hockey_stick
from nnlab.loss import SquaredError
from nnlab.types import Dataset, Split, Task
from tests.diagnosis.test_facts import table
from tests.diagnosis.test_rules import BAD, FLAT, RARE, RISING, SKEWED, SOUND, changed, split

DRAW = np.random.default_rng(3)
ROWS = 2500
# Neighbors and a linear fit find hardly anything.
NOISY_TARGETS = {"simple": References(0.02, find_order=lambda: Order(0.1, 9.0))}


def coarse_people() -> tuple[list[np.ndarray], np.ndarray]:
    """Voters by group, age, schooling and one of 186 incomes: some agree in all of them, and in their vote."""
    age = DRAW.normal(45, 15, ROWS).round()
    income = (DRAW.lognormal(1.2, 0.7, ROWS) * 8).round()
    return [DRAW.random(ROWS) < 0.15, age, DRAW.normal(12, 2.5, ROWS).round(), income], DRAW.random(ROWS) < 0.7


def one_fine_column() -> tuple[list[np.ndarray], np.ndarray]:
    """Five coarse columns and one number: rows that share the former come near each other in the latter."""
    codes = [DRAW.integers(0, 2, ROWS) for _ in range(5)]
    return [*codes, DRAW.random(ROWS)], DRAW.random(ROWS) < 0.1


@pytest.mark.parametrize("make", [coarse_people, one_fine_column], ids=lambda make: make.__name__)
def test_rows_of_which_some_agree_in_all_coarse_columns_are_no_leak(make: object) -> None:
    columns, target = make()  # type: ignore[operator]
    data = table([column.astype(float) for column in columns], target.astype(np.int64))
    assert not any(shared_examples(data.train, part).leaks for part in (data.validation, data.test))


def counted_days(copies: int, rows: int = 3371) -> Dataset:
    """Days until something happens, with five columns of two values; so many of the last rows repeat the first."""
    days = DRAW.exponential(18 * 365.25, rows).round()
    columns = [*(DRAW.random((5, rows)) < 0.3).astype(float), days / 365.25]
    target = (DRAW.random(rows) < 0.3).astype(np.int64)
    for column in (*columns, target):
        column[rows - copies :] = column[:copies]
    order = DRAW.permutation(rows)
    return table([column[order] for column in columns], target[order])


def test_days_that_recur_by_chance_are_no_leak_and_copied_rows_among_them_are() -> None:
    data, copied = counted_days(0), counted_days(400)
    shared = shared_examples(data.train, data.test)
    assert shared.sampled
    assert not shared.leaks
    assert shared_examples(copied.train, copied.test).leaks


def test_patients_that_agree_in_arm_and_weeks_by_chance_are_no_leak() -> None:
    """Gehan's remission times (1965), as in Cox (1972): 42 patients, 24 different numbers of weeks."""
    control = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    treated = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]  # the last 12 censored
    target = np.array([1] * 30 + [0] * 12)
    for _ in range(5):
        order = DRAW.permutation(42)
        data = table([np.repeat([1.0, 2.0], 21)[order], np.array(control + treated, float)[order]], target[order])
        assert not any(shared_examples(data.train, part).leaks for part in (data.validation, data.test))


BOUGHT, SPENT, CHILDREN = DRAW.poisson(120, ROWS), DRAW.poisson(25, ROWS), DRAW.poisson(60, ROWS)
HOURS = [(DRAW.integers(0, 60, ROWS) == hour).astype(float) for hour in range(60)]  # an input each


def counts(target: np.ndarray) -> Dataset:
    """What was bought, spent and so on at an hour, as it is."""
    rows = torch.from_numpy(np.column_stack([*HOURS, BOUGHT, SPENT, CHILDREN])).float()
    split = Split(rows, torch.from_numpy(target)[:, None])
    return Dataset(split, split, split, Task.REGRESSION, ("y",))


@pytest.mark.parametrize("noise", [0.0, 0.001])
@pytest.mark.parametrize(
    ("target", "how", "places", "alone"),
    [
        (BOUGHT + SPENT, "sum", (60, 61), 120 / 145),
        (SPENT - BOUGHT, "difference", (61, 60), 120 / 145),
        (BOUGHT + SPENT + CHILDREN, "sum", (60, 61, 62), 120 / 205),
        (BOUGHT - SPENT + CHILDREN, "difference", (60, 62, 61), 120 / 205),
        (SPENT / CHILDREN, "quotient", (61, 62), 0.7),
    ],
    ids=["sum", "difference", "three", "three with one taken away", "quotient"],
)
def test_a_target_that_a_few_columns_make_up_in_every_row_is_given_away_however_much_one_says(
    target: np.ndarray, how: str, places: tuple[int, ...], alone: float, noise: float
) -> None:
    """Riders are casual and registered ones, a profit is earned less spent, a speed is miles an hour."""
    noisy = (target * (1 + noise * DRAW.normal(size=ROWS))).astype(np.float32)
    found = find_combination(counts(noisy))
    if noise:
        assert found is None
    else:
        assert found is not None
        assert (found.how, found.names) == (how, tuple(f"input column {place}" for place in places))
        assert found.alone == pytest.approx(alone, abs=0.05)
        assert found.explained == 1


def test_what_each_column_adds_another_multiple_of_is_something_to_learn() -> None:
    target = (2.0 * BOUGHT + SPENT + 0.5 * CHILDREN).astype(np.float32)
    assert find_combination(counts(target)) is None


def test_a_column_that_is_one_number_for_several_classes_does_not_give_the_class_away() -> None:
    """As whether a trial's patients are treated at all says little of which of three treatments they have."""
    arm = DRAW.integers(0, 4, ROWS)
    assert find_giveaway(table([arm > 0, *DRAW.normal(size=(3, ROWS))], arm)) is None
    found = find_giveaway(table([arm > 0, 3.0 * arm, *DRAW.normal(size=(3, ROWS))], arm))
    assert found is not None
    assert found.column == 1


def test_a_number_that_follows_one_other_up_to_noise_is_not_given_away() -> None:
    x = [DRAW.standard_normal(800) for _ in range(3)]
    target = (5 * x[0] + DRAW.standard_normal(800))[:, None].astype(np.float32)
    assert find_giveaway(table(x, target)) is None
    exact = (5 * x[0] + 1)[:, None].astype(np.float32)
    assert find_giveaway(table(x, exact)) is not None
    for noise, given_away in ((0.05, True), (0.3, False)):  # a copy with noise, beside inputs that say much themselves
        goal = x[0] + x[1] + 0.5 * DRAW.standard_normal(800)
        copy = goal + noise * goal.std() * DRAW.standard_normal(800)
        assert (find_giveaway(table([*x, copy], goal[:, None].astype(np.float32))) is not None) == given_away


def test_gaps_that_were_filled_by_class_are_a_leak_and_those_filled_by_the_mean_are_none() -> None:
    x, target = DRAW.standard_normal((2, 900)), DRAW.integers(0, 3, 900)
    gap = DRAW.random(900) < 0.3
    by_class = np.array([x[1][target == label].mean() for label in range(3)])[target]
    assert find_filled(table([x[0], np.where(gap, by_class, x[1])], target)) is not None
    at_random = np.array([-0.21, 0.13, 0.37])[DRAW.integers(0, 3, 900)]
    for sound in (x[1], np.where(gap, 0.1, x[1]), np.where(gap, at_random, x[1]), x[1].round()):
        assert find_filled(table([x[0], sound], target)) is None
    goal = (x[0] + 0.3 * x[1])[:, None].astype(np.float32)
    high = goal[:, 0] > 0
    by_range = np.where(high, x[1][high].mean(), x[1][~high].mean())
    assert find_filled(table([x[0], np.where(gap, by_range, x[1])], goal)) is not None
    assert find_filled(table([x[0], np.where(gap, at_random, x[1])], goal)) is None


def test_what_is_a_function_of_the_target_or_stays_for_a_while_was_not_filled() -> None:
    wage = np.where(DRAW.random(900) < 0.3, DRAW.choice([5.0, 8.0, 12.0], 900), DRAW.uniform(3, 20, 900))
    logarithm = table([DRAW.standard_normal(900), np.log(wage)], wage[:, None].astype(np.float32))
    assert find_filled(logarithm) is None
    assert find_giveaway(logarithm) is not None
    month = np.arange(900)
    price = np.cumsum(DRAW.standard_normal(900))
    price[100:200], price[500:600] = price[100], price[500]  # set by hand, while all else went on
    assert find_filled(table([DRAW.standard_normal(900), price], (0.1 * month)[:, None].astype(np.float32))) is None


def test_numbers_that_recur_and_whose_target_is_that_of_those_next_to_them_are_no_leak() -> None:
    x = DRAW.standard_normal(900)
    often = DRAW.random(900)
    x = np.select([often < 0.1, often < 0.2], [-1.5, 1.5], x)
    follows = (x + 0.3 * DRAW.standard_normal(900))[:, None].astype(np.float32)
    assert find_filled(table([x, DRAW.standard_normal(900)], follows)) is None
    assert find_filled(table([x, DRAW.standard_normal(900)], (x > 0).astype(np.int64))) is None
    few = np.where(
        np.arange(150) % 50 < 3, np.arange(150) // 50, DRAW.standard_normal(150)
    )  # three rows each, by chance
    assert find_filled(table([few], np.arange(150)[:, None].astype(np.float32))) is None


def test_classes_that_differ_in_blanks_or_capitals_are_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    names = ("yes", "no", "Yes")
    path.write_text("u,y\n" + "".join(f"{DRAW.random():.3f},{names[row % 3]}\n" for row in range(300)))
    result = nnlab.train(f"{path}", "target=y", f"output_dir={tmp_path}", "trainer.epochs=2", "regularizer=[]")
    [first, *_] = result.diagnosis
    assert first["name"] == "classes_spelled_alike"
    assert "'Yes' and 'yes'" in first["observed"]


def test_a_trend_in_time_is_not_given_away_by_its_date(tmp_path: Path) -> None:
    days = np.datetime64("2020-01-01") + np.arange(800)
    rows = zip(days, DRAW.standard_normal(800).round(3), np.arange(800) + DRAW.normal(0, 20, 800).round(2), strict=True)
    path = tmp_path / "table.csv"
    path.write_text("day,x,y\n" + "".join(f"{day},{x},{y}\n" for day, x, y in rows))
    result = nnlab.train(f"{path}", "target=y", f"output_dir={tmp_path}", "trainer.epochs=2", "regularizer=[]")
    assert "target_among_inputs" not in [finding["name"] for finding in result.diagnosis]


def test_a_first_minibatch_with_a_far_target_is_no_hockey_stick() -> None:
    target = np.where(DRAW.random((1600, 1)) < 0.05, DRAW.lognormal(3, 1, (1600, 1)), 0.0)
    target = ((target - target.mean()) / target.std()).astype(np.float32)
    levels = measure_levels(table([DRAW.standard_normal(1600)], target), SquaredError())
    far = 0.6 * float(np.abs(target).max()) ** 2 / SOUND.batch_size + 4
    losses = np.concatenate([[far], SOUND.losses[1:]])
    assert not list(hockey_stick(View(changed(losses=losses, data={"levels": levels}))))
    losses[0] = max(far, 2 * levels.large)
    gaussian = dataclasses.replace(levels, spread=0.7, largest=8.0)
    assert list(hockey_stick(View(changed(losses=losses, data={"levels": gaussian}))))
    wide = InputFacts(rms=3.0)  # as the quartiles of a column leave it, half of which is one value
    assert not list(hockey_stick(View(changed(losses=losses, data={"levels": gaussian, "inputs": wide}))))


def test_a_large_first_loss_is_not_blamed_on_the_weights_alone_where_the_inputs_are_wide() -> None:
    losses, wide = np.concatenate([[1e4], SOUND.losses[1:]]), InputFacts(rms=2.0, lowest=-7.0, highest=9.25)
    [found] = list(hockey_stick(View(changed(losses=losses, data={"inputs": wide}))))
    assert "a root mean square of 2 where standardized ones have 1, and reach from -7 to 9.25" in found.explanation
    assert not found.certain
    [found] = list(hockey_stick(View(changed(losses=losses))))
    assert "The weights are too large" in found.explanation
    assert found.certain


@pytest.mark.parametrize("strength", [{"weight_decay": 1.0}, {"decoupled_decay": 10.0}, {"l1": 0.1}], ids=str)
def test_a_penalty_is_not_blamed_where_simple_methods_find_no_more(strength: dict[str, float]) -> None:
    assert [finding.name for finding in diagnose(changed(**FLAT, penalties=strength))] == ["penalty_too_strong"]
    assert not list(too_strong(View(changed(**FLAT, penalties=strength, data=NOISY_TARGETS))))


def test_decay_that_the_loss_does_not_see_is_judged_by_a_limit_of_its_own() -> None:
    assert not list(too_strong(View(changed(**FLAT, penalties={"decoupled_decay": 1.0}))))


def test_overfitting_is_a_note_where_the_weights_that_are_kept_are_as_good_as_simple_methods() -> None:
    learned = SplitFacts(0.01, 1.0, 0.5, (300, 300), (1.0, 1.0), 0.45, 0.007)
    worse = dataclasses.replace(learned, loss=1.1, metric=0.7)
    steps = list(range(20, 201, 20))
    for best, level in ((0.8, "note"), (0.72, "fault")):
        curves = RISING | {"accuracy": Series(steps, [0.6, best, *[0.7] * 8])}
        record = changed(curves=curves, splits=split(learned, worse), data={"simple": References(0.6)})
        [finding] = list(overfitting(View(record)))
        assert finding.severity == level


def test_a_skill_below_none_is_told_as_errors_and_one_of_ranks_as_an_order() -> None:
    worse = split(dataclasses.replace(BAD, metric=0.3), dataclasses.replace(BAD, metric=0.2))
    [found] = list(underfitting(View(changed(losses=np.full(200, 0.69), splits=worse, curves={}))))
    assert "even on its own training data the network makes 1.4 times the errors of a constant" in found.observed
    assert found.observed.endswith("simple methods avoid 98% of the errors of a constant answer on new data")


def test_class_weights_measure_simple_methods_by_the_mean_recall_too() -> None:
    known = {"simple": References(0.9, balanced=0.2)}
    skilled = dataclasses.replace(BAD, metric=0.9, recall=(0.6, 0.6))
    view = View(changed(class_weights=(1.0, 3.0), data=known, splits=split(skilled, skilled)))
    assert (view.skill("validation"), view.reference) == (pytest.approx(0.2), 0.2)
    assert not view.weak


def test_a_validation_loss_that_ends_in_no_numbers_is_not_called_overfitting() -> None:
    steps = list(range(20, 201, 20))
    curves = RISING | {"loss": Series(steps, [1.0, 0.5, *[math.nan] * 8])}
    assert not list(overfitting(View(changed(curves=curves))))


def test_advice_against_overfitting_keeps_what_the_run_regularizes_with() -> None:
    record = dataclasses.replace(changed(curves=RISING), regularizers=("ensemble", "ema"))
    [finding] = list(overfitting(View(record)))
    assert finding.overrides[0].startswith("regularizer=[weight_decay,")
    assert {"ensemble", "ema"} <= set(finding.overrides[0].partition("[")[2].rstrip("]").split(","))


@pytest.mark.parametrize(("count", "certain", "level"), [(3, False, "note"), (6, False, "fault"), (1, True, "fault")])
def test_a_fault_of_few_members_is_a_note_about_the_ensemble(count: int, certain: bool, level: str) -> None:
    fault = Finding("overfitting", "The loss rises", certain=certain)
    [found] = of_ensemble([[fault]] * count + [[]] * (8 - count))
    assert found.severity == level
    assert found.observed == f"in {count} of 8 members: the loss rises"
    assert of_ensemble([[fault]] * 8) == [fault]


def test_numbers_of_a_member_are_told_as_its_own() -> None:
    each = [[Finding("overfitting", f"The loss rises by {number}")] for number in range(3)]
    [found] = of_ensemble([[], *each])
    assert found.observed == "in 3 of 4 members, as in member 1: the loss rises by 0"
    [found] = of_ensemble(each)
    assert found.observed == "in all 3 members, as in member 0: the loss rises by 0"


@pytest.mark.parametrize(
    ("count", "task", "words"),
    [
        (
            16,
            Task.BINARY,
            "There are only 16 validation examples: accuracy has a standard error of up to 0.12, and one",
        ),
        (8, Task.REGRESSION, "There are only 8 validation examples: rmse has a standard error of about 25% of itself"),
        (1, Task.REGRESSION, "There is only 1 validation example: rmse on it says nothing about others"),
    ],
)
def test_the_error_of_few_validation_examples_is_that_of_any_network(count: int, task: Task, words: str) -> None:
    metric = "rmse" if task is Task.REGRESSION else "accuracy"
    record = changed(task=task, primary_metric=metric, data={"examples": {"train": 60, "validation": count, "test": 9}})
    [found] = list(noisy_validation(View(record)))
    assert found.observed.startswith(words)


def test_a_rare_class_is_counted_where_it_was_counted() -> None:
    [found] = list(imbalance(View(changed(splits=split(RARE, RARE), data={"targets": SKEWED}))))
    assert found.observed.startswith(
        "Class `b` has 30 training examples against 570 of class `a`; in the end 0% of its 10"
    )


def test_categories_of_one_column_are_no_pair_that_gives_the_target_away(tmp_path: Path) -> None:
    odor, shade = DRAW.choice(list("afnp"), (2, 400))
    path = tmp_path / "table.csv"
    rows = [f"{a},{b},{'good' if a in 'an' else 'bad'}" for a, b in zip(odor, shade, strict=True)]
    path.write_text("\n".join(["odor,shade,y", *rows, ""]))
    assert find_combination(Table(path=str(path), target="y").load(0, tmp_path)) is None


def test_a_table_that_is_mostly_noise_ends_without_a_word(tmp_path: Path) -> None:
    x = DRAW.standard_normal((700, 6))
    target = np.where(x[:, 0] + x[:, 1] + 2.5 * DRAW.standard_normal(700) > 0, "yes", "no")
    path = tmp_path / "table.csv"
    rows = [",".join(map(str, [*row, y])) for row, y in zip(x.round(4), target, strict=True)]
    path.write_text("\n".join(["a,b,c,d,e,f,y", *rows, ""]))
    result = nnlab.train(f"{path}", "target=y", f"output_dir={tmp_path}")
    assert [finding["name"] for finding in result.diagnosis if finding["severity"] == "fault"] == []


def test_what_a_run_regularizes_with_is_recorded(tmp_path: Path) -> None:
    more = ("regularizer=[ensemble,weight_decay,dropout,ema,early_stopping]", "regularizer.ensemble.members=2")
    result = nnlab.train("data=digits", "trainer.epochs=1", *more, f"output_dir={tmp_path}")
    assert result.trainer is not None
    [record, _] = records(result.trainer)
    assert {"ensemble", "weight_decay", "dropout", "ema", "early_stopping"} == set(record.regularizers)


def test_a_run_whose_best_weights_are_good_is_not_called_behind_simple_methods() -> None:
    learned = dataclasses.replace(SOUND.splits["train"], loss=0.005)
    last = split(learned, dataclasses.replace(learned, metric=0.8))
    steps = list(range(20, 201, 20))
    for best, names in ((0.97, []), (0.8, ["behind_simple_methods"])):
        curves = {"accuracy": Series(steps, [0.6, *[0.7] * 7, best, 0.8])}
        record = changed(losses=np.full(200, 0.005), splits=last, curves=curves)
        assert [finding.name for finding in diagnose(record)] == names


def test_one_far_value_that_leaves_a_column_no_room_is_named_and_a_heavy_tail_is_not() -> None:
    columns = [DRAW.standard_normal(600) for _ in range(3)]
    columns[1][int(torch.randperm(600, generator=torch.Generator().manual_seed(0))[0])] = 1e6  # a training row
    target = (columns[0] > 0).astype(np.int64)
    lone = find_lone_values(table(columns, target))
    assert lone is not None
    assert (lone.columns, lone.count) == (("input column 1",), 1)
    assert lone.others < 1e-3
    nearly_constant = np.where(DRAW.random(600) < 0.04, DRAW.random(600), 0.0) + np.where(
        np.arange(600) % 200 == 3, 50, 0
    )
    heavy_tails = [DRAW.lognormal(0, 2, 600), DRAW.standard_t(1.5, 600), (DRAW.random(600) < 0.003).astype(float)]
    for heavy in (*heavy_tails, nearly_constant):
        assert find_lone_values(table([*columns[::2], heavy], target)) is None


def test_a_column_in_two_units_is_named_and_skewed_or_empty_columns_are_not() -> None:
    columns = [DRAW.standard_normal(600) for _ in range(3)]
    target = (columns[0] > 0).astype(np.int64)
    units = np.where(DRAW.random(600) < 0.3, 1000, 1) * DRAW.standard_normal(600)
    found = find_uneven_scale(table([*columns, units], target))
    assert found is not None
    assert found.columns == ("input column 3",)
    amounts = np.where(DRAW.random(600) < 0.3, DRAW.lognormal(3, 1, 600), 0.0)
    for sound in (amounts, DRAW.lognormal(0, 1.5, 600), DRAW.standard_t(2, 600), (DRAW.random(600) < 0.01) * 1.0):
        assert find_uneven_scale(table([*columns, sound], target)) is None


@pytest.mark.parametrize(("levels", "named"), [("0 1 2 3 1000 2000 3000", True), ("1 10 100 1000 10000", False)])
def test_a_column_of_a_few_levels_in_two_units_is_named_and_doses_are_not(
    tmp_path: Path, levels: str, named: bool
) -> None:
    places = DRAW.choice(len(levels.split()), 900, p=[0.7 / 4] * 4 + [0.1] * 3 if named else [0.3, 0.2, 0.2, 0.2, 0.1])
    path = tmp_path / "table.csv"
    rows = (f"{DRAW.random():.4f},{levels.split()[place]},{'ab'[place % 2]}\n" for place in places)
    path.write_text("u,v,y\n" + "".join(rows))
    config = compose(str(path), "target=y", "data/preprocessing=standardize")
    assert (find_uneven_scale(load_dataset(config)) is not None) == named


def test_the_remedy_of_a_lone_value_is_tried_and_told(tmp_path: Path) -> None:
    x = DRAW.standard_normal((900, 2))
    target = np.where(x[:, 0] * x[:, 1] > 0, "a", "b")
    x[[5, 300, 600], 0] = 1e6, 1.1e6, 0.9e6  # one of them at least is in the training split
    path = tmp_path / "table.csv"
    path.write_text("u,v,y\n" + "".join(f"{u:.4f},{v:.4f},{y}\n" for (u, v), y in zip(x, target, strict=True)))
    more = ("data/preprocessing=standardize", "regularizer=[weight_decay]", "seed=2")
    result = nnlab.train(f"{path}", "target=y", *more, f"output_dir={tmp_path}")
    [first, *_] = result.diagnosis
    assert (first["name"], first["override"]) == ("lone_values", "data/preprocessing=robust")
    assert "Tried: `data/preprocessing=robust`" in first["explanation"]
