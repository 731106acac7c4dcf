"""Compositions of an earlier call: the same configs as composing anew, and none from files that have changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnlab.cli import compose, remembered
from nnlab.errors import UserError

CALLS = (
    ("seed=3", "trainer.epochs=2"),
    ("seed=4", "trainer.epochs=7", "architecture.widths=[8,4]"),
    ("optimizer=sgd", "optimizer.learning_rate=0.5"),
    ("optimizer=sgd", "optimizer.learning_rate=0.25", "name=b", "data.limit=100"),
    ("regularizer=[dropout,weight_decay]", "regularizer.dropout.p=0.2"),
    ("regularizer=[weight_decay,dropout]", "regularizer.dropout.p=0.3"),
    ("+optimizer.others=null", "callbacks=[]"),
    ("~callbacks.images", "seed=1"),
    ("~callbacks.images", "++optimizer.betas=[0.5,0.9]", "+seed=1"),
    ("+optimiser=sgd", "optimizer.learning_rat=1"),
    ("seed=1,2",),
    ("output_dir=elsewhere",),
)


def test_a_remembered_composition_gives_the_config_that_composing_anew_gives() -> None:
    def outcome(overrides: tuple[str, ...]) -> object:
        try:
            return compose(*overrides)
        except UserError as error:
            return str(error)

    fresh = []
    for overrides in CALLS:
        remembered._made.clear()
        fresh.append(outcome(overrides))
    remembered._made.clear()
    for _ in range(2):
        assert [outcome(overrides) for overrides in CALLS] == fresh
    assert 0 < len(remembered._made) < len(CALLS)


def test_an_option_that_has_changed_is_read_again(tmp_path: Path) -> None:
    option = tmp_path / "optimizer" / "mine.yaml"
    option.parent.mkdir()
    option.write_text("_target_: nnlab.optimizer.SGD\nlearning_rate: 0.5\n")
    assert compose("optimizer=mine", config_dir=tmp_path)["optimizer"]["learning_rate"] == 0.5
    option.write_text("_target_: nnlab.optimizer.SGD\nlearning_rate: 0.25\n")
    assert compose("optimizer=mine", config_dir=tmp_path)["optimizer"]["learning_rate"] == 0.25
    option.unlink()
    with pytest.raises(UserError, match="mine"):
        compose("optimizer=mine", config_dir=tmp_path)


def test_one_composition_does_for_every_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compose()
    known = len(remembered._made)
    monkeypatch.chdir(tmp_path)
    assert compose('output_dir="${hydra:runtime.cwd}/there"')["output_dir"] == str(tmp_path / "there")
    assert len(remembered._made) == known


def test_a_config_that_was_changed_leaves_the_next_one_as_it_is() -> None:
    first = compose("seed=5")
    first["optimizer"]["learning_rate"] = "spoiled"
    assert compose("seed=5")["optimizer"]["learning_rate"] != "spoiled"
