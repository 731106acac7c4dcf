"""Names of runs and the expansion of a grid into jobs."""

from __future__ import annotations

import pytest

from nnlab.cli.expansion import expand
from nnlab.config.naming import LONGEST, UNSAFE, run_name
from nnlab.errors import UserError

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


@pytest.mark.parametrize("value", ["a/b", "a b", "a:b", 'a"b', "ä", "x" * 300, "../..", "a\\b", "a\nb", "*"])
def test_names_suit_every_file_system_and_differ_where_overrides_differ(value: str) -> None:
    name, other = run_name([f"data.path={value}"]), run_name([f"data.path={value}_"])
    assert not UNSAFE.search(name)
    assert len(name) <= LONGEST
    assert name != other
    assert not name.startswith(".")


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
]


@pytest.mark.parametrize(("overrides", "zipped", "sentence"), MISTAKES)
def test_what_cannot_be_expanded_is_said_in_one_sentence(
    overrides: list[str], zipped: list[str], sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        expand(overrides, zipped)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
