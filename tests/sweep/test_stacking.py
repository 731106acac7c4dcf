"""Which configs stack, how their jobs are composed, and what a grid refuses."""

from __future__ import annotations

import collections
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.types import RunMode

import nnlab
from nnlab.cli import compose, main
from nnlab.cli.composition import hydra_for
from nnlab.cli.templates import Jobs
from nnlab.config.build import load_dataset
from nnlab.storage.folder import read_config
from nnlab.sweep.stacking import keys_by_inputs, stacking_key
from nnlab.types import Dataset

SHORT = ["callbacks=[]", "trainer.epochs=1", "data.references=[]", "name=rare"]

STACK = [
    ([], ["seed=1"]),
    ([], ["name=other", "output_dir=elsewhere"]),
    ([], ["optimizer.learning_rate=0.1"]),
    ([], ["optimizer.betas=[0.5,0.9]"]),
    ([], ["regularizer.weight_decay.strength=0.1"]),
    ([], ["trainer.clip_norm=1"]),
    ([], ["trainer.clip_value=1"]),
    ([], ["initialization=xavier"]),
    ([], ["initialization.scale=2"]),
    ([], ["scheduler=constant"]),
    ([], ["data.label_noise=0.1"]),
    ([], ["data.validation_fold=1"]),
    (["optimizer=momentum"], ["optimizer=momentum", "optimizer.momentum=0.5"]),
    (["regularizer=[dropout]"], ["regularizer=[dropout]", "regularizer.dropout.p=0.2"]),
    (["regularizer=[max_norm]"], ["regularizer=[max_norm]", "regularizer.max_norm.max_norm=1"]),
]
DIFFERENT = [
    ([], ["architecture.widths=[7]"]),
    ([], ["activation=tanh"]),
    ([], ["optimizer=sgd"]),
    ([], ["trainer.batch_size=64"]),
    ([], ["trainer.epochs=2"]),
    ([], ["trainer.precision=float64"]),
    ([], ["data.limit=100"]),
    ([], ["data=xor", "loss=binary_cross_entropy"]),
    ([], ["regularizer=[weight_decay,dropout]"]),
    ([], ["regularizer.weight_decay.decoupled=true"]),
    ([], ["callbacks=[tensorboard]"]),
    (["regularizer=[dropout]"], ["regularizer=[dropout]", "regularizer.dropout.input_p=0.2"]),
    (["regularizer=[dropout]"], ["regularizer=[dropout]", "regularizer.dropout.inference=monte_carlo"]),
]


@pytest.mark.parametrize(("first", "second"), STACK)
def test_configs_that_differ_in_what_members_may_differ_in_stack(first: list[str], second: list[str]) -> None:
    key, why = stacking_key(compose(*first))
    assert key is not None
    assert why == ""
    assert stacking_key(compose(*second))[0] == key


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_configs_that_differ_elsewhere_do_not(first: list[str], second: list[str]) -> None:
    assert stacking_key(compose(*first))[0] != stacking_key(compose(*second))[0]


@pytest.mark.parametrize("own", ["seed=range(12)", "data.validation_fold=range(8)"])
def test_splits_without_the_only_missing_cell_train_apart(
    own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{i % 7},{'' if i == 3 else i % 5},{'no' if i % 2 else 'yes'}" for i in range(60)]
    (tmp_path / "rare.csv").write_text("\n".join(["a,b,y", *rows]))
    results = nnlab.sweep("data=table", f"data.path={tmp_path / 'rare.csv'}", own, *SHORT, f"output_dir={tmp_path}")
    inputs = collections.Counter(load_dataset(read_config(each.directory)).input_size for each in results)
    assert set(inputs) == {2, 3}, "some training splits have the cell, others do not"
    said = capsys.readouterr()
    assert "failed" not in said.out + said.err
    for size in (each for each in inputs.values() if each > 1):
        assert f"{size} jobs as one population" in said.out + said.err


def test_keys_are_apart_only_where_the_number_of_inputs_is_another(tmp_path: Path) -> None:
    loaded: list[Mapping[str, Any]] = []

    def load(config: Mapping[str, Any]) -> Dataset:
        loaded.append(config)
        return load_dataset(config)

    digits = [compose(f"seed={seed}") for seed in range(3)]
    keys = [stacking_key(each)[0] for each in digits]
    assert keys_by_inputs(keys, digits, load) == keys
    assert not loaded, "standardized digits have as many inputs with every split"
    pieces = [compose("data/preprocessing=piecewise_linear", f"data_seed={seed}") for seed in range(3)]
    found = keys_by_inputs([stacking_key(each)[0] for each in pieces], pieces, load)
    assert len(set(found)) == len({each.input_shape for each in map(load_dataset, pieces)})
    assert len(loaded) == len(pieces)


@pytest.mark.parametrize("optimizer", ["lbfgs", "newton", "bfgs"])
def test_what_cannot_move_several_networks_runs_alone_and_says_why(optimizer: str) -> None:
    key, why = stacking_key(compose(f"optimizer={optimizer}", "trainer.batch_size=full"))
    assert key is None
    assert "cannot move several networks" in why


COMPOSED = [
    ["seed=3", "optimizer.learning_rate=0.5"],
    ["optimizer=momentum", "optimizer.learning_rate=0.5", "seed=3"],
    ["architecture.widths=[3,4]", "seed=1"],
    ["trainer.clip_norm=null", "seed=2"],
    ["output_dir=${name}", "name=abc"],
    ["regularizer=[weight_decay,dropout]", "regularizer.dropout.p=0.1"],
    ["data_root='a b'", "seed=5"],
]


@pytest.mark.parametrize("job", COMPOSED, ids=str)
def test_a_job_composed_from_its_siblings_template_is_what_hydra_composes(job: list[str]) -> None:
    with hydra_for("train") as hydra:
        master = hydra.compose_config("train", [], RunMode.MULTIRUN)
        jobs = Jobs(hydra.config_loader, master)
        siblings = [line.replace("3", "7").replace("0.5", "0.25").replace("abc", "xyz") for line in job]
        jobs.compose(siblings)
        assert jobs.compose(job) == compose(*job)
        assert jobs.compose(siblings) == compose(*siblings)


def test_composing_a_thousand_jobs_takes_a_few_milliseconds_each() -> None:
    with hydra_for("train") as hydra:
        jobs = Jobs(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
        jobs.compose(["seed=0", "optimizer.learning_rate=0.1"])
        started = time.process_time()
        for seed in range(1, 101):
            jobs.compose([f"seed={seed}", "optimizer.learning_rate=0.1"])
        assert (time.process_time() - started) / 100 < 0.015


MISTAKES = [
    (["seed=1,1"], "the grid holds `seed=1` twice"),
    (["optimizer.learning_rate=0.1,1e-1"], "the grid holds `optimizer.learning_rate=0.1` twice"),
    (["data=digits,diabetes"], "the grid mixes tasks, classification (Digits) and regression (Diabetes)"),
    (["hydra/launcher=populations", "seed=1,2"], "`hydra/launcher` has no option `populations`"),
    (["seed=range(0)"], "the grid holds no job: `seed` is given no value"),
    (["regularizer=[snapshot_ensemble]", "seed=1,2"], "a snapshot ensemble needs a schedule with cycles"),
    (["seed=1,x"], "`seed` must be a whole number, got 'x' (override `seed=x`)"),
    (["trainer.batch_size=32,100000"], "more than the"),
    (["sweep.on_failure=explode", "seed=1,2"], "`sweep.on_failure` has no option"),
    (["hydra.launcher.stack=maybe", "seed=1,2"], "`hydra.launcher.stack` has no option"),
    (["sweep.zip=[seed,optimizer.learning_rate]", "seed=1,2"], "`sweep.zip` names `optimizer.learning_rate`"),
    (["hydra.launcher.slots=2", "seed=1,2"], "hydra.launcher.slots"),
    (["hydra/launcher=processes", "hydra.launcher.slots=0", "seed=1,2"], "`hydra.launcher.slots` must be in [1, inf)"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES, ids=lambda part: str(part)[:60])
def test_a_grid_that_cannot_run_is_refused_before_the_first_job_in_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "-m", f"output_dir={tmp_path / 'out'}", *arguments]) == 2
    text = capsys.readouterr().err
    assert sentence in text
    assert len(text.splitlines()) == 1
    assert not list(tmp_path.rglob("config.yaml"))


def test_a_dry_run_shows_the_groups_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = ["optimizer=adam,lbfgs", "seed=0,1", "activation=relu,tanh", "data.limit=100"]
    assert main(["train", "-m", f"output_dir={tmp_path}", "name=dry", "sweep.dry_run=true", *grid]) == 0
    text = capsys.readouterr().out
    assert "8 jobs in" in text
    assert text.count("2 jobs as one population, which differ in seed") == 2
    assert "4 jobs one by one: `LBFGS` cannot move several networks at once" in text
    assert list(tmp_path.iterdir()) == []


def test_jobs_that_resemble_no_other_are_announced_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = ["architecture.widths=[8],[9],[10]", "data.limit=100"]
    assert main(["train", "-m", f"output_dir={tmp_path}", "sweep.dry_run=true", *grid]) == 0
    assert "  3 jobs alone: no two of them can be stacked" in capsys.readouterr().out.splitlines()


def test_a_launcher_that_is_not_installed_is_refused_with_the_way_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Plugins.instance().class_name_to_class
    for name in [name for name in known if "joblib" in name.lower()]:
        monkeypatch.delitem(known, name)
    assert main(["train", "-m", f"output_dir={tmp_path}", "hydra/launcher=joblib", "seed=1,2"]) == 2
    assert "`pip install 'nnlab[joblib]'` installs it" in capsys.readouterr().err
    assert not list(tmp_path.rglob("config.yaml"))
