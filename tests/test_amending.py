"""A command with a suggested override: what it replaces, and what it leaves alone."""

from __future__ import annotations

import pytest

from nnlab.cli import compose
from nnlab.config.amending import amended
from nnlab.runs.advice import command


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
    line = command(["data.limit=100"], "'regularizer=[weight_decay,dropout]'")
    assert line == "nnlab train data.limit=100 'regularizer=[weight_decay,dropout]'"
