"""Overrides: the names of runs, the expansion of a grid into jobs, and a command with a suggested change."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnlab.cli import compose
from nnlab.cli.expansion import expand
from nnlab.config.overrides import LONGEST, RESERVED, UNSAFE, amended, run_name
from nnlab.errors import UserError
from nnlab.runs.advice import command

NAMES = [
    (["seed=1", "optimizer=sgd"], "optimizer=sgd,seed=1"),
    (["seed=1", "name=a", "output_dir=b", "resume=c", "sweep.retries=2", "hydra.launcher.stack=never"], "seed=1"),
    (["data/preprocessing=none"], "data.preprocessing=none"),
    (["optimizer.learning_rate=1e-3"], "optimizer.learning_rate=1e-3"),
    (["regularizer=[weight_decay,dropout]"], "regularizer=[weight_decay,dropout]"),
    (["name=study"], "defaults"),
    (["names=1"], "names=1"),
]


@pytest.mark.parametrize(("overrides", "name"), NAMES)
def test_a_run_is_named_by_its_own_overrides_sorted(overrides: list[str], name: str) -> None:
    assert run_name(overrides) == name
    assert run_name(list(reversed(overrides))) == name


def test_a_long_name_cuts_off_the_data_and_keeps_what_runs_of_a_study_differ_in() -> None:
    data = ["data=table", "data.path=a_long_name.csv", "data/preprocessing=robust", "data.preprocessing.clip=10"]
    name = run_name([*data, "optimizer=adam", "data_seed=1", "seed=2"])
    assert name.startswith("data_seed=1,optimizer=adam,seed=2,data.path=a_long")
    assert len(name) == LONGEST
    assert run_name([*data, "data.limit=50", "loss=squared_error"]).startswith("data.limit=50,loss=squared_error,data.")


@pytest.mark.parametrize(
    "value", ["a/b", "a b", "a:b", 'a"b', "ä", "x" * 300, "../..", "a\\b", "a\nb", "*", "x.", "a<b", "a|b"]
)
def test_names_suit_every_file_system_and_differ_where_overrides_differ(value: str) -> None:
    name, other = run_name([f"data.path={value}"]), run_name([f"data.path={value}_"])
    assert not UNSAFE.search(name)
    assert len(name) <= LONGEST
    assert name != other
    assert name.strip(".") == name


@pytest.mark.parametrize("word", ["con", "AUX", "nul", "com1", "LPT9"])
def test_no_run_has_the_name_of_a_device(word: str) -> None:
    name = run_name([f"{word}.x=1"])
    assert name.partition(".")[0].lower() not in RESERVED
    assert name != run_name([f"{word}.x=2"])


def test_a_value_with_replaced_characters_is_not_taken_for_another() -> None:
    assert run_name(["data.path=a/b"]) != run_name(["data.path=a_b"])


GRIDS = [
    (["a=1,2", "b=x,y"], [], [["a=1", "b=x"], ["a=1", "b=y"], ["a=2", "b=x"], ["a=2", "b=y"]]),
    (["a=1,2", "b=x,y"], ["a", "b"], [["a=1", "b=x"], ["a=2", "b=y"]]),
    (["a=1,2", "b=x,y"], ["b", "a"], [["b=x", "a=1"], ["b=y", "a=2"]]),
    (["seed=range(3)", "c=0"], [], [["seed=0", "c=0"], ["seed=1", "c=0"], ["seed=2", "c=0"]]),
    (
        ["a=1,2", "c=5,6", "b=x,y"],
        [["a", "b"]],
        [["a=1", "b=x", "c=5"], ["a=1", "b=x", "c=6"], ["a=2", "b=y", "c=5"], ["a=2", "b=y", "c=6"]],
    ),
    (["a=[1,2],[3]"], [], [["a=[1,2]"], ["a=[3]"]]),
    (["a=1,2", "a=3"], [], [["a=3"]]),
    (["~a", "+b=1,2"], [], [["~a", "+b=1"], ["~a", "+b=2"]]),
]


@pytest.mark.parametrize(("overrides", "zipped", "jobs"), GRIDS)
def test_a_grid_is_all_combinations_and_zipped_keys_go_side_by_side(
    overrides: list[str], zipped: list[str], jobs: list[list[str]]
) -> None:
    assert expand(overrides, zipped) == jobs


MISTAKES = [
    (["a=1,2", "b=1"], ["a", "c"], "`sweep.zip` names `c`, which is not swept"),
    (["learning_rate=1,2", "b=1,2"], ["b", "learning_rat"], "did you mean `learning_rate`?"),
    (["a=1,2", "b=1,2,3"], ["a", "b"], "equally many values; there are for `a` 2, `b` 3"),
    (["a=1,2"], ["a"], "at least two keys"),
    (["a=1,2", "b=1,2"], [["a", "b"], ["b", "a"]], "names `b` twice"),
    (["a=interval(0,1)"], [], "`a=interval(0,1)` is a range to search in"),
    (["a=range(1000000000)"], [], "gives more than 1,000,000 values"),
    (["a=range(0,1,1e-9)"], [], "gives more than 1,000,000 values"),
    (["a=range(2000)", "b=range(2000)"], [], "the grid holds 4,000,000 jobs, and a sweep 1,000,000 at most"),
]


@pytest.mark.parametrize(("overrides", "zipped", "sentence"), MISTAKES)
def test_what_cannot_be_expanded_is_said_in_one_sentence(
    overrides: list[str], zipped: list[str], sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        expand(overrides, zipped)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_change_takes_the_place_of_the_same_key() -> None:
    assert amended(["optimizer.learning_rate=10", "seed=1"], ["optimizer.learning_rate=0.1"]) == [
        "seed=1",
        "optimizer.learning_rate=0.1",
    ]


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        (["initialization=gaussian", "initialization.std=0.001"], ["initialization=he"]),
        (["scheduler=step", "scheduler.milestones=[10]"], ["scheduler=cosine"]),
        (["regularizer=[dropout]", "regularizer.dropout.p=0.9"], ["regularizer=[weight_decay]"]),
        (["data/preprocessing=pca", "data.preprocessing.components=3"], ["data/preprocessing=standardize"]),
    ],
)
def test_what_was_set_for_an_option_goes_with_it(before: list[str], changes: list[str]) -> None:
    assert amended(before, changes) == changes
    compose(*amended(before, changes))


def test_what_was_set_for_an_option_that_stays_in_a_list_stays_too() -> None:
    before = ["regularizer=[dropout]", "regularizer.dropout.p=0.4", "data.limit=100"]
    after = amended(before, ["regularizer=[weight_decay,dropout]"])
    assert after == ["regularizer.dropout.p=0.4", "data.limit=100", "regularizer=[weight_decay,dropout]"]
    assert compose(*after)["regularizer"]["dropout"]["p"] == 0.4


def test_the_command_can_be_pasted_into_a_shell() -> None:
    line = command(["data.limit=100"], "'regularizer=[weight_decay,dropout]'", Path("nowhere"))
    assert line == "nnlab train data.limit=100 'regularizer=[weight_decay,dropout]'"
