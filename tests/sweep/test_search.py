"""A search tries what its sampler says, learns, continues where it was, and keeps the runs of a grid's kind."""

from __future__ import annotations

import itertools
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlab.cli import main
from nnlab.cli.expansion import concatenated
from nnlab.cli.ranges import search_plan
from nnlab.errors import UserError
from nnlab.sweep.search import Search, SearchSettings
from nnlab.sweep.search_space import Choice, Interval, sobol_point
from nnlab.sweep.search_storage import JOURNAL, searching

RATE = Interval("lr", 1e-4, 1.0, log=True)
WIDTH = Interval("width", 4, 64, whole=True)
KIND = Choice("o", ("adam", "sgd"))


def result(value: float | None, status: str = "completed", reason: str = "", steps: int = 10) -> Any:
    metrics = {} if value is None else {"validation": {"accuracy": value}}
    return SimpleNamespace(status=status, metrics=metrics, reason=reason, steps=steps)


def values_of(trial: Any) -> dict[str, str]:
    return dict(line.split("=") for line in trial.overrides)


def quality(trial: Any) -> float:
    """Best at a rate of 0.01."""
    return 1 - abs(math.log10(float(values_of(trial)["lr"])) + 2) / 4


def make(
    folder: Path | None, *space: Any, metric: str = "accuracy/validation", fixed: Any = (), **settings: Any
) -> Search:
    return Search(space or (RATE,), SearchSettings(**settings), folder, metric, fixed)


def run(search: Search, batches: int | None = None) -> list[list[str]]:
    """Answer batches with `quality`; returns what was tried."""
    tried = []
    for position, batch in enumerate(search.batches()):
        if position == batches:
            break
        tried += [trial.overrides for trial in batch]
        for trial in batch:
            assert search.tell(trial, [result(quality(trial))])
    return tried


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("x=interval(0.1,0.9)", Interval("x", 0.1, 0.9)),
        ("x=interval(1e-4,1e-1)", Interval("x", 1e-4, 1e-1, log=True)),
        ("x=tag(linear,interval(1e-4,1e-1))", Interval("x", 1e-4, 1e-1)),
        ("x=tag(log,interval(1,50))", Interval("x", 1, 50, log=True)),
        ("x=int(interval(4,16))", Interval("x", 4, 16, whole=True)),
        ("x=tag(log,int(interval(4,16)))", Interval("x", 4, 16, log=True, whole=True)),
        ("x=range(1,10,3)", Interval("x", 1, 7, whole=True, step=3)),
        ("x=range(10,1,-3)", Interval("x", 4, 10, whole=True, step=3)),
        ("x=range(0,1000000000)", Interval("x", 0, 999999999, whole=True, step=1)),
        ("x=a,b", Choice("x", ("a", "b"))),
        ("x=choice([1,2],[3])", Choice("x", ("[1,2]", "[3]"))),
        ("+x=1e-3,true", Choice("+x", ("0.001", "True"))),
    ],
)
def test_hydras_ranges_become_dimensions(override: str, expected: Any) -> None:
    plan = search_plan(["y=3", override])
    assert plan.space == [expected]
    assert plan.fixed == ["y=3"]
    assert plan.repetitions == [[]]


def test_seeds_and_folds_repeat_a_trial_instead_of_being_searched() -> None:
    plan = search_plan(["seed=0,1", "x=interval(0,1)", "data.fold=0,1"])
    assert [each.key for each in plan.space] == ["x"]
    assert plan.repetitions == [[f"seed={s}", f"data.fold={f}"] for s in (0, 1) for f in (0, 1)]


@pytest.mark.parametrize("override", ["x=interval(1,1)", "x=interval(2,1)", "x=tag(log,interval(0,1))"])
def test_impossible_intervals_are_refused(override: str) -> None:
    with pytest.raises(UserError, match="`x`"):
        search_plan([override])


@given(st.floats(0, 1, exclude_max=True))
def test_points_stay_inside_their_dimensions(fraction: float) -> None:
    assert RATE.low <= RATE.at(fraction) <= RATE.high
    assert 4 <= WIDTH.at(fraction) <= 64
    assert Interval("x", 1, 7, whole=True, step=3).at(fraction) in (1, 4, 7)
    assert KIND.at(fraction) in KIND.values


def test_the_quasi_random_sequence_is_even_and_shifted_by_the_seed() -> None:
    line = [Interval("x", 0.0, 1.0)]
    for seed in (0, 1):
        numbers = sorted(sobol_point(line, seed, i)["x"] for i in range(64))
        assert max(b - a for a, b in itertools.pairwise(numbers)) < 2 / 64
    assert sobol_point(line, 0, 3) == sobol_point(line, 0, 3)
    assert sobol_point(line, 0, 3) != sobol_point(line, 1, 3)


@pytest.mark.parametrize("sampler", ["tpe", "random", "quasi_random"])
def test_a_search_has_its_number_of_trials_all_inside_and_different(sampler: str) -> None:
    tried = run(make(None, RATE, WIDTH, KIND, sampler=sampler, n_trials=12, batch_size=5))
    assert len({tuple(each) for each in tried}) == 12
    for overrides in tried:
        values = dict(line.split("=") for line in overrides)
        assert 1e-4 <= float(values["lr"]) <= 1
        assert 4 <= int(values["width"]) <= 64
        assert values["o"] in KIND.values


def test_the_grid_sampler_tries_every_combination_once() -> None:
    space = Choice("lr", ("0.1", "1")), KIND
    tried = run(make(None, *space, sampler="grid", batch_size=3))
    assert sorted(tried) == sorted([f"lr={rate}", f"o={kind}"] for rate in ("0.1", "1") for kind in KIND.values)
    with pytest.raises(UserError, match="needs lists of values"):
        make(None, RATE, sampler="grid")


def test_tpe_learns_where_chance_does_not() -> None:
    late = {}
    for sampler in ("tpe", "random"):
        tried = run(make(None, sampler=sampler, n_trials=60))[30:]
        late[sampler] = sum(quality(SimpleNamespace(overrides=each)) for each in tried) / len(tried)
    assert late["tpe"] > late["random"] + 0.1


def test_accuracy_is_maximized_and_loss_minimized() -> None:
    assert make(None).study.direction.name == "MAXIMIZE"
    assert make(None, metric="loss/validation").study.direction.name == "MINIMIZE"


@pytest.mark.parametrize("sampler", ["tpe", "random", "quasi_random"])
def test_a_search_that_was_cut_off_tries_the_same_as_one_that_was_not(tmp_path: Path, sampler: str) -> None:
    settings = {"sampler": sampler, "n_trials": 16, "batch_size": 4}
    whole = run(make(tmp_path / "whole", RATE, KIND, **settings))
    first = run(make(tmp_path / "cut", RATE, KIND, **settings), batches=2)  # the third batch was asked for, then lost
    rest = run(make(tmp_path / "cut", RATE, KIND, **settings))
    assert first + rest == whole
    assert run(make(tmp_path / "cut", RATE, KIND, **settings)) == []


def test_more_trials_continue_a_finished_search(tmp_path: Path) -> None:
    first = run(make(tmp_path, n_trials=3))
    more = run(make(tmp_path, n_trials=5))
    assert (len(first), len(more)) == (3, 2)
    assert not {tuple(each) for each in first} & {tuple(each) for each in more}


def test_a_failed_trial_is_tried_again_by_the_next_command_and_once(tmp_path: Path) -> None:
    search = make(tmp_path, n_trials=2)
    [batch] = search.batches()
    search.tell(batch[0], [result(None, "failed")])
    search.tell(batch[1], [result(0.5)])
    assert run(make(tmp_path, n_trials=2)) == [batch[0].overrides]
    assert run(make(tmp_path, n_trials=2)) == []


def test_a_half_written_line_of_the_journal_is_cut_off(tmp_path: Path) -> None:
    run(make(tmp_path, n_trials=3))
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"op_code": 4, "worker')
    assert len(run(make(tmp_path, n_trials=5))) == 2


def test_another_search_in_the_same_folder_is_refused_with_the_difference(tmp_path: Path) -> None:
    run(make(tmp_path, RATE, KIND, n_trials=2, fixed=["epochs=3"]))
    make(tmp_path, Interval("lr", 1e-5, 1, log=True), KIND, fixed=["epochs=3"])  # another interval is the same search
    for change in (
        lambda: make(tmp_path, RATE, KIND, fixed=["epochs=4"]),
        lambda: make(tmp_path, RATE, Choice("o", ("adam",)), fixed=["epochs=3"]),
        lambda: make(tmp_path, RATE, KIND, fixed=["epochs=3"], metric="loss/validation"),
    ):
        with pytest.raises(UserError, match=r"another one .* -> .*choose another `name`|cannot be used"):
            change()


def test_what_a_trial_comes_to_follows_from_its_runs() -> None:
    search = make(None, n_trials=6)
    [batch] = search.batches()
    told = [
        [result(0.5), result(0.7)],
        [result(0.9), result(0.1, "diverged")],
        [result(0.9), result(0.3, reason="pruned: number 8 of 9")],
        [result(None, "failed")],
        [result(0.9), result(None, "interrupted")],
        [result(math.nan)],
    ]
    assert [search.tell(*each) for each in zip(batch, told, strict=True)] == [True, True, True, True, False, True]
    trials = search.trials
    states = ["COMPLETE", "PRUNED", "PRUNED", "FAIL", "RUNNING", "PRUNED"]
    assert [each.state.name for each in trials] == states
    assert trials[0].value == pytest.approx(0.6)
    assert trials[2].value == pytest.approx(0.6)
    assert trials[1].value is None


def test_only_one_process_searches_in_a_folder(tmp_path: Path) -> None:
    with searching(tmp_path), pytest.raises(UserError, match="another process is searching"), searching(tmp_path):
        raise AssertionError("two hold the study")
    with searching(tmp_path):
        pass


def test_the_folder_of_a_search_that_failed_is_not_taken_for_a_run(tmp_path: Path) -> None:
    with searching(tmp_path / "train"):
        pass
    arguments = ["data=xor", "trainer.steps=2", "callbacks=[checkpoint]", f"output_dir={tmp_path}"]
    assert main(["train", *arguments]) == 0
    [run] = (tmp_path / "train").glob("*/config.yaml")
    assert not run.parent.name.startswith(".")


def test_concatenated_grids_share_the_common_overrides_and_hold_no_job_twice() -> None:
    jobs = concatenated(["seed=0,1"], ["o=sgd lr=0.1,1", "o=adam", "o=sgd lr=1"])
    assert jobs == [
        *([f"seed={s}", "o=sgd", f"lr={rate}"] for s in (0, 1) for rate in ("0.1", "1")),
        *([f"seed={s}", "o=adam"] for s in (0, 1)),
    ]


SMALL = ["data.limit=200", "trainer.epochs=4", "architecture.widths=[8]", "callbacks=[]"]
SEARCH = ["train", "-m", "hydra/sweeper=search", *SMALL]


def test_the_command_searches_continues_and_leaves_the_runs_of_a_grid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*SEARCH, f"output_dir={tmp_path}", "name=s", "seed=0,1", "optimizer.learning_rate=interval(1e-4,1e-1)"]
    assert main([*words, "hydra.sweeper.n_trials=2"]) == 0
    assert "as one population" in capsys.readouterr().out
    assert main([*words, "hydra.sweeper.n_trials=3"]) == 0
    assert "2 of them are done" in capsys.readouterr().out
    results = [json.loads(path.read_text()) for path in (tmp_path / "s").glob("*/result.json")]
    assert [each["status"] for each in results] == ["completed"] * 6
    assert len((tmp_path / "s" / "study.csv").read_text().splitlines()) == 4
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("*/result.json")}
    assert main([*words, "hydra.sweeper.n_trials=3"]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("*/result.json")}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["optimizer.betas=[0.9,0.99],[0.9,1.2]"], "`optimizer.betas[1]` must be in [0, 1), got 1.2"),
        (["optimizer.learning_rate=interval(-1,1)"], "`optimizer.learning_rate` must be in (0, inf)"),
        (["optimizer.learning_rte=interval(0.1,1)"], "did you mean `optimizer.learning_rate`?"),
        ([], "there is nothing to search"),
        (["seed=0,1"], "there is nothing to search"),
        (["optimizer.learning_rate=interval(0.1,1)", "hydra.sweeper.sampler=gird"], "did you mean `grid`?"),
        (["optimizer.learning_rate=interval(0.1,1)", "sweep.zip=[a,b]"], "`sweep.zip` is for grids"),
        (["optimizer.learning_rate=interval(0.1,1)", "hydra.sweeper.storage=nosql://x"], "cannot be used"),
    ],
)
def test_mistakes_are_answered_before_the_first_trial(
    tmp_path: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SEARCH, f"output_dir={tmp_path}", *words]) == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.glob("*/*/config.yaml"))


def test_a_dry_run_starts_and_keeps_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SEARCH, f"output_dir={tmp_path}", "optimizer.learning_rate=interval(0.1,1)", "sweep.dry_run=true"]
    assert main(words) == 0
    assert "nothing was started" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*"))


def test_without_optuna_one_sentence_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main([*SEARCH, f"output_dir={tmp_path}", "optimizer.learning_rate=interval(0.1,1)"]) == 2
    assert capsys.readouterr().err.strip().endswith("is not installed; `pip install nnlab[optuna]` installs it")


def test_hopeless_runs_end_early_and_good_ones_do_not(tmp_path: Path) -> None:
    rates = "1e-6,1e-5,1e-4,1e-2,2e-2,3e-2"
    grid = ["train", "-m", *SMALL, f"output_dir={tmp_path}", "name=s", f"optimizer.learning_rate={rates}"]
    assert main([*grid, "sweep.prune=0.5"]) == 0
    found = {path.parent.name: json.loads(path.read_text()) for path in (tmp_path / "s").glob("*/result.json")}
    rate = {name: float(name.split("learning_rate=")[1].split(",")[0]) for name in found}
    pruned = {rate[name] for name, content in found.items() if content["reason"].startswith("pruned: number")}
    assert pruned == {1e-6, 1e-5, 1e-4}
    assert all(content["status"] == "completed" for content in found.values())
    full = {content["steps"] for name, content in found.items() if rate[name] not in pruned}
    assert len(full) == 1
    assert all(content["steps"] < min(full) for name, content in found.items() if rate[name] in pruned)
    alone = [*SMALL, f"output_dir={tmp_path}", "name=s", "optimizer.learning_rate=2e-6", "sweep.prune=0.6"]
    assert main(["train", "-m", *alone]) == 0  # judged by the curves of those that have finished
    [new] = [path for path in (tmp_path / "s").glob("*/result.json") if path.parent.name not in found]
    assert "of 7 by validation accuracy" in json.loads(new.read_text())["reason"]
