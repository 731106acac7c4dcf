"""The search of steps 4, 5 and 7: its space, halving by curves, races over seeds, and parts of the data for each."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from nnlab.errors import UserError
from nnlab.recipe.budget import Budget
from nnlab.recipe.candidate import Candidate, best_first
from nnlab.recipe.coarse import coarse_grid, sampled
from nnlab.recipe.grid import run_grid
from nnlab.recipe.halving import Halving
from nnlab.recipe.improve import improve
from nnlab.recipe.numbers import GridNumbers
from nnlab.recipe.proposals import Progress, proposals
from nnlab.recipe.race import FEWER_SEEDS, SEEDS, Race, entry_epochs, finish_epochs
from nnlab.recipe.report import StepReport
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.space import DECAY_KEY, DROPOUT_KEY, Space
from nnlab.recipe.surrogate import Surrogate
from nnlab.recipe.trials import Trials

Make = Callable[..., Trials]
SMALL = "architecture.widths=[16]"


@pytest.fixture
def space(make_trials: Make) -> Space:
    return Space(make_trials("data=moons", "data.examples=200", SMALL), 2.0)


@pytest.mark.parametrize("overrides", [(), ("regularizer=[weight_decay,dropout]",), ("scheduler=constant",)], ids=str)
def test_every_choice_is_a_config_and_is_found_again(overrides: tuple[str, ...], make_trials: Make) -> None:
    space = Space(make_trials("data=moons", SMALL, *overrides), 10.0)
    start = space.plain(0.01, 1e-4, 10.0)
    for dimension in space.dimensions:
        for position, choice in enumerate(dimension.choices):
            changes = space.put(start, choice)
            assert dimension.position(changes) == position
            config = space.trials.configure(changes)
            assert ("dropout" in config["regularizer"]) == (DROPOUT_KEY in changes)
            assert space.put(changes, choice) == changes


def test_a_table_is_tried_with_other_preprocessings_and_decays_of_its_kind(make_trials: Make, tmp_path: Path) -> None:
    rows = [f"{i},{i % 7},{i % 3},{2 * i}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,y", *rows]))
    words = ("data=table", f"data.path={tmp_path / 't.csv'}", "data.target=y", "loss=squared_error", SMALL)
    space = Space(make_trials(*words, "data/preprocessing=robust", "data.preprocessing.clip=10"), 2.0)
    dimension = space.dimension("preprocessing")
    assert dimension is not None
    assert [each.word for each in dimension.choices] == ["robust inputs", "quantile inputs", "piecewise_linear inputs"]
    start = space.plain(0.01, 0.0, 2.0)
    shapes = [
        len(space.trials.make([space.put(start, each)]).members[0].dataset.train.inputs[0])
        for each in dimension.choices
    ]
    assert shapes[0] == shapes[1] < shapes[2]
    assert space.put(space.put(start, dimension.choices[2]), dimension.choices[0]) == start
    assert Space(make_trials("data=moons", SMALL), 2.0).dimension("preprocessing") is None
    decoupled = Space(make_trials(*words, "regularizer.weight_decay.decoupled=true"), 2.0)
    assert max(decoupled.grid_decays) == 1.0
    assert decoupled.trials.configure(start)["regularizer"]["weight_decay"]["decoupled"]


def test_parts_of_a_table_of_which_some_have_no_missing_cells_are_trained_apart(
    make_trials: Make, tmp_path: Path
) -> None:
    rows = [f"{'' if i == 7 else i},{i % 7},{2 * i}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *rows]))
    words = ("data=table", f"data.path={tmp_path / 't.csv'}", "data.target=y", "loss=squared_error", SMALL)
    space = Space(make_trials(*words), 2.0)
    [result], _ = run_grid(space.trials, [space.plain(0.01, 0.0, 1.0)], range(10), 0)
    assert len(result.scores) == 10
    inputs = {space.trials.make([space.trials.seeded({}, k)]).members[0].dataset.input_shape for k in range(10)}
    assert len(inputs) == 2


def test_the_surrogate_picks_what_did_well_elsewhere(space: Space) -> None:
    surrogate, draw = Surrogate(space), random.Random(0)
    seen = [space.several_changes(space.plain(0.01, 0.0, 2.0), draw) for _ in range(40)]
    for each in seen:
        dropped = each.get(DROPOUT_KEY) == 0.1
        loss = abs(math.log(each[space.rate_key] / 0.003)) - (3 if dropped else 0)
        surrogate.learn(Candidate(each, [loss + draw.gauss(0, 0.1), math.inf], [0], [0], [0]), 3)
    pool = [space.several_changes(space.plain(0.01, 0.0, 2.0), draw) for _ in range(200)]
    picked = [pool[i] for i in surrogate.pick(pool, 10, draw)]
    assert len({str(each) for each in picked}) == 10
    assert sum(each.get(DROPOUT_KEY) == 0.1 for each in picked) >= 8
    assert len(Surrogate(space).pick(pool, 5, draw)) == 5  # before anything is known


def test_a_linear_model_has_neither_widths_nor_activation_nor_dropout(space: Space) -> None:
    architecture, dropout = space.dimension("architecture"), space.dimension("dropout")
    assert architecture is not None
    assert dropout is not None
    wide = space.put(space.plain(0.01, 0.0, 2.0), architecture.choices[1], dropout.choices[-1])
    linear = space.put(wide, architecture.choices[-1])
    assert linear["architecture"] == "perceptron"
    assert linear["regularizer"] == ["weight_decay"]
    assert not [key for key in linear if key.startswith(("architecture.", "activation", DROPOUT_KEY))]


def test_several_changes_say_what_they_are(space: Space) -> None:
    draw = random.Random(0)
    start = space.plain(0.01, 0.0, 2.0)
    for _ in range(50):
        changes = space.several_changes(start, draw)
        words = space.difference(start, changes)
        assert (words == []) == (changes == start)
    assert space.difference(start, {**start, DECAY_KEY: 1e-3}) == ["weight decay 0.001"]


def test_a_configuration_from_anywhere_is_a_point_of_the_space(space: Space) -> None:
    draw = random.Random(0)
    found = [space.anywhere(draw) for _ in range(100)]
    rates = [each[space.rate_key] for each in found]
    assert min(rates) < 10 * space.lowest_rate
    assert max(rates) > space.highest_rate / 10
    for dimension in space.dimensions:
        positions = {dimension.position(each) for each in found if each.get("architecture") != "perceptron"}
        left_out = {len(dimension.choices) - 1} if dimension.name == "architecture" else set()
        assert positions == {*range(len(dimension.choices))} - left_out


def test_a_round_that_is_cut_short_has_some_of_what_the_curves_suggest_and_of_what_is_picked(space: Space) -> None:
    start = space.plain(0.01, 0.0, 2.0)
    at = Progress(Candidate(start, [0.2, 0.3], [0, 0], [0, 0], [1, 1]), [start], 2, Surrogate(space))
    first = proposals(space, at, ["overfitting"], None, True, random.Random(0), 12)
    assert len(first) == 12
    assert first[0].name == "as given"
    assert {each.supported for each in first[1:5]} == {True, False}
    second = proposals(space, at, ["overfitting"], None, False, random.Random(0), 12)
    assert len(second) == 12
    assert sum(each.supported for each in second) < sum(each.supported for each in first)
    assert sum(each.reason == "anywhere" for each in second) >= 3, "some are drawn blindly"
    third = proposals(space, at, [], None, False, random.Random(0), 12, second)
    assert not [each for each in third if each.changes in [other.changes for other in second]]


def test_lengths_between_the_choices_count_by_their_ratio(space: Space) -> None:
    surrogate = Surrogate(space)
    start = space.plain(0.01, 0.0, 2.0)
    for length, loss in ((0.5, 1.0), (1.0, 0.8), (4.0, 0.2), (8.0, 0.0)):
        losses = [loss + 0.01 * seed for seed in range(4)]
        surrogate.learn(Candidate({**start, "trainer.epochs": length}, losses, [0], [0], [1]), 0)
    pool = [{**start, "trainer.epochs": length} for length in (0.6, 7.0)]
    picked = [surrogate.pick(pool, 1, random.Random(number))[0] for number in range(20)]
    assert sum(picked) >= 18, "7 epochs are like 8, and 0.6 like 0.5"


def test_samples_are_structures_with_rates_of_their_own(space: Space) -> None:
    batch = sampled(space, 0.01, 1.0, random.Random(0))
    assert len({str(each) for each in batch}) > 0.9 * len(batch)
    assert 1 < len({str((each.get("architecture.widths"), each.get("activation"))) for each in batch}) <= 4
    assert all(space.lowest_rate <= each[space.rate_key] <= space.highest_rate for each in batch)


def test_halving_ends_the_worse_part_and_leaves_the_others_as_they_were(space: Space) -> None:
    rates = [0.03, 0.01, 1e-4, 1e-5]
    candidates = [space.plain(rate, 0.0, 8.0) for rate in rates]
    whole, _ = run_grid(space.trials, candidates, [0], 0)
    halving = Halving(at=(0.5,), share=0.5)
    halved, _ = run_grid(space.trials, candidates, [0], 0, lambda: halving)
    assert halving.ended == 2
    assert [one.scores for one in halved[:2]] == [other.scores for other in whole[:2]]
    assert all(each.epochs[0] <= 4 for each in halved[2:])


def test_halving_compares_with_populations_that_were_trained_before(space: Space) -> None:
    halving = Halving(at=(0.5,), share=0.5)
    good = [space.plain(rate, 0.0, 8.0) for rate in (0.03, 0.02)]
    bad = [space.plain(rate, 0.0, 8.0) for rate in (1e-5, 2e-5)]
    run_grid(space.trials, good, [0], 0, lambda: halving)
    ended = halving.ended
    run_grid(space.trials, bad, [0], 0, lambda: halving)
    assert halving.ended - ended == 2


def test_of_networks_that_have_learned_nothing_none_is_left_behind(space: Space) -> None:
    held_down = [space.plain(rate, 0.0, 8.0) for rate in (1e-4, 1e-5, 2e-5, 3e-5)]
    halving = Halving(constant=0.0, at=(0.5,), share=0.5)
    run_grid(space.trials, held_down, [0], 0, lambda: halving)
    assert halving.ended == 0


def test_networks_held_down_to_a_constant_answer_are_no_better_than_those_on_their_way(space: Space) -> None:
    constant, start = space.trials.levels.constant, space.plain(0.01, 0.0, 2.0)
    dropout = space.dimension("dropout")
    assert dropout is not None
    decays = [{**start, DECAY_KEY: decay} for decay in (1e-1, 1e-2)]
    surrogate = Surrogate(space)
    for each in decays:
        surrogate.learn(Candidate(each, [constant] * 6, [0], [0], [0]), 0)
    for each in (space.put(start, choice) for choice in dropout.choices):
        surrogate.learn(Candidate(each, [1.5 * constant] * 6, [0], [0], [0]), 0)
    pool = [{**decays[0], space.rate_key: 0.012}, {**start, space.rate_key: 0.012}]
    picked = [surrogate.pick(pool, 1, random.Random(number))[0] for number in range(40)]
    assert 8 < sum(picked) < 32, "either is picked as often"


def test_a_race_gives_more_seeds_to_the_better_and_to_the_present_best(space: Space) -> None:
    worst, rates = space.plain(1e-4, 0.0, 4.0), (0.03, 0.02, 0.01, 3e-4, 2e-4, 1e-3, 5e-4)
    contestants = [worst, *(space.plain(rate, 0.0, 4.0) for rate in rates)]
    done = Race(space, 5)
    done.enter(contestants[:1], ["0"])
    done.enter(contestants[1:4], ["1", "2", "3"])
    done.enter(contestants[4:], ["4", "5", "6", "7"])
    done.finish()
    assert done.finalists[0] == 0
    assert len(done.finalists) == 3
    assert done.results[0].epochs[0] > 2, "the present best is trained to its end"
    further = [len(result.scores) - 1 for result in done.results]
    assert [further[i] for i in done.finalists] == [sum(SEEDS)] * 3 == [done.seeds - 1] * 3
    best = min(range(1, 8), key=lambda i: done.results[i].scores[0])
    assert best in done.finalists
    assert entry_epochs(space, contestants) == 8 * 4.0
    assert finish_epochs(space, contestants) == (sum(further) + 0) * 4.0
    assert done.results[0].after(1).scores == done.results[0].scores[1:]


def test_contestants_that_are_clearly_behind_have_no_further_seeds(space: Space) -> None:
    good, hopeless = space.plain(0.03, 0.0, 4.0), [space.plain(rate, 0.0, 1.0) for rate in (1e-6, 1e-7)]
    race = Race(space, 5)
    race.enter([good], ["0"])
    race.enter(hopeless, ["1", "2"])
    race.finish()
    assert race.finalists == [0]
    assert [len(result.scores) for result in race.results] == [1, 1, 1]
    assert race.records == []


def test_where_few_changes_fit_they_have_fewer_seeds(space: Space) -> None:
    start = Candidate(space.plain(0.01, 0.0, 2.0), [0.2, 0.3], [0, 0], [0, 0], [1, 1])
    tried, seeds = {}, {}
    for most in (14.0, 1000.0):
        report = improve(space, [start], [], lambda number, epochs, winners, most=most: number == 1 and epochs <= most)
        tried[most], seeds[most] = report.numbers.tried, max(row[-2] for row in report.tables[0].rows)
    assert 1 <= tried[14.0] < tried[1000.0] == 12
    assert seeds == {14.0: 1 + sum(FEWER_SEEDS), 1000.0: 1 + sum(SEEDS)}


def costing(per_epoch: float) -> StepReport[GridNumbers]:
    """The report of a step of which an epoch took so many seconds."""
    return StepReport(4, "", GridNumbers(), seconds=100 * per_epoch, work=100.0)


def test_step_7_leaves_time_for_the_final_training_of_what_may_win(make_trials: Make) -> None:
    trials = make_trials("data=blobs", "trainer.epochs=1", SMALL)
    trials.clock = lambda: 0.0
    budget = Budget(trials, RecipeSettings(time_limit=10.0, final_seeds=5))
    budget.time.learn(costing(0.01))
    fits = budget.affords(10.0)
    assert fits(3, 600.0, [{"trainer.epochs": 10.0}]), "6 s, half as much again at first, and 0.65 s in the end"
    assert not fits(3, 600.0, [{"trainer.epochs": 10.0}, {"trainer.epochs": 40.0}])


def test_what_step_5_had_no_time_to_train_for_long_ends_with_the_usual_length(space: Space) -> None:
    start = Candidate(space.plain(0.01, 0.0, 0.5), [0.2, 0.3], [0, 0], [0, 0], [1, 1])
    report = improve(space, [start], [], lambda number, epochs, winners: False, epochs=2.0)
    assert report.numbers.best.changes["trainer.epochs"] == 2.0
    space.trials.clock = lambda: 0.0
    for per_epoch, length in ((0.001, 20.0), (0.05, 6.0), (10.0, 0.5)):  # a fifth of the 10 seconds, five networks
        budget = Budget(space.trials, RecipeSettings(time_limit=10.0, final_seeds=5), spent=10.0)
        budget.time.learn(costing(per_epoch))
        assert budget.final.epochs(start.changes, 20.0) == length


def test_seeds_have_their_own_part_of_few_data_for_validation(make_trials: Make) -> None:
    trials = make_trials("data=moons", "data.examples=300", SMALL, "seed=3")
    assert trials.folds == 10
    first, second = (trials.seeded({}, number) for number in (0, 1))
    assert first == {"seed": 3}
    assert second == {"seed": 4, "data.validation_fold": 1}
    one, other = (trials.make([each]).members[0].dataset for each in (first, second))
    assert one.test.inputs.sort(0).values == pytest.approx(other.test.inputs.sort(0).values, abs=0.1)
    assert len(one.validation) == len(other.validation)
    fixed = make_trials("data=moons", "data.examples=300", "data.folds=5", SMALL)
    assert fixed.folds == 1
    assert fixed.seeded({}, 1) == {"seed": 1}


@pytest.mark.parametrize(("held", "folds"), [("test", 10), ("validation", 1)])
def test_parts_take_turns_unless_the_file_says_which_rows_are_for_validation(
    held: str, folds: int, make_trials: Make, tmp_path: Path
) -> None:
    parts = ["test", held, *["train"] * 8]
    rows = [f"{i},{i % 7},{parts[i % 10]},{2 * i}" for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,part,y", *rows]))
    words = ("data=table", f"data.path={tmp_path / 't.csv'}", "data.target=y", "loss=squared_error", SMALL)
    assert make_trials(*words, "data.split=part").folds == folds


def test_images_with_a_folder_for_validation_keep_it_for_all_seeds(make_trials: Make, tmp_path: Path) -> None:
    for part, count in (("train", 12), ("val", 4), ("test", 4)):
        for label, shade in (("dark", 0), ("light", 200)):
            (tmp_path / part / label).mkdir(parents=True)
            for number in range(count):
                Image.new("L", (4, 4), shade + number).save(tmp_path / part / label / f"{number}.png")
    trials = make_trials("data=image_folder", f"data.path={tmp_path}", SMALL)
    assert trials.folds == 1
    assert len(trials.make([trials.seeded({}, 1)]).members[0].dataset.validation) == 8


def test_step_4_trains_more_networks_while_there_is_time(space: Space) -> None:
    grid = coarse_grid(space, 0.01, 1.0)
    more = coarse_grid(space, 0.01, 1.0, lambda done: done < 4)
    assert len(more.numbers.tried) > len(grid.numbers.tried) + 40
    assert "ended early by their curves" in more.conclusion
    assert all(len(each.scores) == 2 for each in more.numbers.candidates)


def test_losses_that_few_examples_cannot_tell_apart_prefer_the_lower_rate() -> None:
    def candidate(rate: float, score: float, classes: bool = True) -> Candidate:
        return Candidate({"lr": rate}, [score], [1.0], [0.0], [1.0], torch.zeros(1, 20), classes=classes)

    saturated, sound, worse = candidate(0.3, 0.0), candidate(0.001, 0.04), candidate(0.0001, 0.2)
    assert best_first([worse, saturated, sound], "lr") == [sound, saturated, worse]
    exact, near = candidate(0.3, 0.0, classes=False), candidate(0.001, 0.04, classes=False)
    assert best_first([near, exact], "lr") == [exact, near]


def test_the_configuration_as_given_has_a_share_of_the_time_though_the_rest_is_used(
    make_trials: Callable[..., Trials],
) -> None:
    trials = make_trials("data=blobs", "trainer.epochs=100")
    trials.clock = lambda: 0.0
    for per_epoch, seeds in ((0.01, 5), (0.1, 2), (5.0, 0)):  # a fifth of 120, 120, 560; a network takes 1, 10, 500
        budget = Budget(trials, RecipeSettings(final_seeds=5), spent=560.0)
        budget.time.learn(costing(per_epoch))
        assert budget.final.given_seeds(5) == seeds


def test_a_length_that_never_ends_is_refused_and_one_beyond_the_time_limit_is_cut(make_trials: Make) -> None:
    trials = make_trials("data=moons", "data.examples=200", SMALL)
    with pytest.raises(UserError, match=r"`recipe.refine_epochs` = 1e\+08 are .* updates .* at most 1,000,000, which"):
        Budget(trials, RecipeSettings(refine_epochs=1e8))
    for limit, length in ((None, 5000.0), (60.0, 500.0)):
        budget = Budget(trials, RecipeSettings(refine_epochs=5000.0, time_limit=limit))
        budget.time.learn(costing(0.01))  # of 60 s, half are 3,000 epochs, for two networks with three seeds each
        assert budget.refine_epochs(10.0) == pytest.approx(length, rel=0.01)
