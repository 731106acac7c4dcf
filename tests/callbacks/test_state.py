"""The state of callbacks in checkpoints: each under its option's name, those of older checkpoints under the class's."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnlab.callbacks import EarlyStopping
from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.training import Callback, Run, Trainer
from nnlab.training.checkpoint import load_member_state, member_state, run_states

TWO = [
    *("data.limit=80", "architecture.widths=[4]", "callbacks=[tensorboard]", "trainer.epochs=3"),
    *("regularizer=[early_stopping]", "regularizer.early_stopping.patience=9"),
    "+regularizer.by_metric={_target_: nnlab.callbacks.EarlyStopping, patience: 9, monitor: metric}",
]


def stopping(trainer: Trainer) -> dict[str, float]:
    return {c.name: c._best[0] for c in trainer.callbacks if isinstance(c, EarlyStopping)}


def test_two_callbacks_of_one_class_both_continue_with_their_own_state() -> None:
    first = build_trainer([compose(*TWO)]).fit()
    kept = stopping(first)
    assert set(kept) == {"regularizer.early_stopping", "regularizer.by_metric"}
    assert len(set(kept.values())) == 2
    state = member_state(first, 0)
    assert {"regularizer.early_stopping", "regularizer.by_metric", "callbacks.tensorboard"} == set(state["callbacks"])
    second = build_trainer([compose(*TWO)])
    load_member_state(second, 0, state)
    assert stopping(second) == kept


def test_checkpoints_that_name_classes_are_still_read() -> None:
    one = [override for override in TWO if not override.startswith("+")]
    first = build_trainer([compose(*one)]).fit()
    state = member_state(first, 0)
    old = {"EarlyStopping": state["callbacks"]["regularizer.early_stopping"]}
    second = build_trainer([compose(*one)])
    load_member_state(second, 0, {**state, "callbacks": old})
    assert stopping(second) == stopping(first)


def test_callbacks_without_names_are_told_apart(tmp_path: Path) -> None:
    config = compose(*(override for override in TWO if "regularizer" not in override), "regularizer=[]")

    def trainer() -> Trainer:
        made = build_trainer([config])
        made.callbacks += [EarlyStopping(9), EarlyStopping(9, "metric")]
        return made

    first, second = trainer().fit(), trainer()
    load_member_state(second, 0, member_state(first, 0))
    best = [[c._best[0] for c in each.callbacks if isinstance(c, EarlyStopping)] for each in (first, second)]
    assert best[0] == best[1]
    assert best[0][0] != pytest.approx(best[0][1])


def test_files_are_flushed_once_for_a_save_of_all_runs(tmp_path: Path) -> None:
    flushed = []

    class Counted(Callback):
        def flush(self, trainer: Trainer) -> None:
            flushed.append(trainer.step)

    configs = [compose("data=moons", "architecture.widths=[2]", "callbacks=[]", f"seed={seed}") for seed in range(3)]
    trainer = build_trainer(configs, [Run(tmp_path / str(i), [i]) for i in range(3)])
    trainer.callbacks = [Counted()]
    assert [run for run, _ in run_states(trainer)] == list(trainer.runs)
    assert len(flushed) == 1
