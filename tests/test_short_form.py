"""`nnlab train FILE target=NAME` trains on one's own data, and chooses the loss that the target needs."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

import nnlab
from nnlab.cli import compose, main
from nnlab.cli.composition import hydra_for
from nnlab.cli.short_form import expanded, with_loss
from nnlab.cli.table_defaults import table_defaults
from nnlab.errors import UserError

FAST = ["trainer.epochs=1", "callbacks=[]"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).standard_normal((80, 3))
    rows = [f"{a:.4f},{b:.4f},{c:.4f},{'pq'[i % 2]}" for i, (a, b, c) in enumerate(noise)]
    (tmp_path / "my data.csv").write_text("\n".join(["a,b,life time (years),kind", *rows]))
    np.savez(tmp_path / "a.npz", x=noise, y=noise[:, 0])
    return tmp_path


def test_a_file_in_front_is_the_data(folder):
    assert expanded(["my data.csv", "target=kind", "seed=1"]) == [
        "data=table",
        "data.path='my data.csv'",
        "data.target=kind",
        "seed=1",
    ]
    assert expanded(["a.npz", "target=y"])[:2] == ["data=arrays", "data.path=a.npz"]
    (folder / "photos").mkdir()
    assert expanded(["photos"])[0] == "data=image_folder"
    assert expanded(["seed=1", "optimizer=sgd"]) == ["seed=1", "optimizer=sgd"]
    assert expanded(["nonsense"]) == ["nonsense"]


@pytest.mark.parametrize(
    ("words", "loss"),
    [
        (["my data.csv", "target=kind"], "SoftmaxCrossEntropy"),
        (["my data.csv", "target=life time (years)"], "SquaredError"),
        (["my data.csv", "target=a", "loss=gaussian_nll"], "GaussianNLL"),
        (["data=table", "data.path='my data.csv'", "data.target=a"], "SquaredError"),
        (["a.npz", "target=y"], "SquaredError"),
        (["a.npz"], "SquaredError"),
    ],
)
def test_the_loss_follows_the_target_where_none_is_chosen(folder, words, loss):
    assert compose(*words)["loss"]["_target_"] == f"nnlab.loss.{loss}"


def test_the_choice_is_said_and_recorded(folder, capsys):
    assert main(["train", "my data.csv", "target=a", *FAST]) == 0
    assert "the target is a regression: the loss is squared_error (loss=...)" in capsys.readouterr().out
    run = next(Path("outputs/train").iterdir())
    assert yaml.safe_load((run / "config.yaml").read_text())["loss"]["_target_"] == "nnlab.loss.SquaredError"
    assert "rmse" in json.dumps(json.loads((run / "result.json").read_text()))


def test_a_sweep_and_python_take_the_short_form_too(folder, capsys):
    assert main(["train", "my data.csv", "target=b", "-m", "seed=0,1", *FAST]) == 0
    assert set(nnlab.train("my data.csv", "target=kind", *FAST).metrics["test"]) >= {"accuracy", "auroc"}
    results = nnlab.sweep("my data.csv", "target=a", "seed=0,1", *FAST)
    assert all("rmse" in result.metrics["test"] for result in results)


def test_commas_in_a_target_are_a_sweep_where_several_runs_are_wanted(folder):
    assert expanded(["my data.csv", "target=a,life time (years)", "seed=1"], grid=True)[2] == (
        "data.target=a,'life time (years)'"
    )
    results = nnlab.sweep("my data.csv", "target=a,life time (years)", *FAST)
    assert all("rmse" in result.metrics["test"] for result in results)
    with pytest.raises(UserError, match=r"no column `a,b` .* `target=\[a,b\]` learns them together"):
        nnlab.train("my data.csv", "target=a,b", *FAST)
    with pytest.raises(UserError, match="of the targets, `a` has numbers and `kind` classes"):
        nnlab.sweep("my data.csv", "target=kind,a", *FAST)


@pytest.mark.parametrize(
    "swept", ["data.validation=0.2,0.3", "data.limit=range(60,80,10)", "data.validation=interval(0.1,0.3)"]
)
def test_the_loss_follows_the_target_where_data_are_swept_over_too(folder, swept):
    overrides = ["data=table", "data.path='my data.csv'", "data.target=a", swept]
    with hydra_for("train", None) as hydra:
        assert with_loss(hydra, "train", overrides)[-1] == "loss=squared_error"


def test_two_files_and_missing_files_are_refused(folder):
    with pytest.raises(UserError, match=r"are two files of data; name one"):
        compose("my data.csv", "a.npz")
    with pytest.raises(UserError, match=r"nofile\.csv does not exist"):
        nnlab.train("nofile.csv", *FAST)


CHOSEN = [
    "data/preprocessing=robust",
    "data.preprocessing.clip=10.0",
    "regularizer=[ensemble,weight_decay]",
    "regularizer.ensemble.members=8",
    "regularizer.weight_decay.strength=1.0",
    "regularizer.weight_decay.decoupled=true",
    "optimizer.learning_rate=0.003",
    "trainer.epochs=60",
]
TABLE = ["data=table", "data.path='my data.csv'", "data.target=kind"]


def chosen(*typed, command="train"):
    return table_defaults(command, [*TABLE, *typed])[len(TABLE) + len(typed) :]


def test_a_target_of_a_folder_is_refused_with_what_the_folder_lacks(folder):
    (folder / "shop").mkdir()
    with pytest.raises(UserError, match="shop is a folder, and has no class folders with images"):
        expanded(["shop", "target=y"])
    (folder / "shop" / "cats").mkdir()
    with pytest.raises(UserError, match="the names of their folders as classes; leave out `target`"):
        expanded(["shop", "target=y"])
    assert expanded(["shop"]) == ["data=image_folder", "data.path=shop"]


def test_nothing_is_said_to_be_chosen_for_a_table_that_is_not_there(folder, capsys):
    assert main(["train", "nowhere.csv", "target=y"]) == 2
    out, err = capsys.readouterr()
    assert "chosen" not in out
    assert "nowhere.csv does not exist" in err


def test_a_table_gets_what_was_measured_to_be_best_where_nothing_else_is_said(folder):
    assert chosen() == CHOSEN
    config = compose("my data.csv", "target=kind")
    assert config["data"]["preprocessing"]["_target_"] == "nnlab.data.preprocessing.Robust"
    assert config["regularizer"]["ensemble"]["members"] == 8
    assert (config["trainer"]["epochs"], config["optimizer"]["learning_rate"]) == (60, 0.003)


@pytest.mark.parametrize(
    ("typed", "left_out"),
    [
        (["data/preprocessing=standardize"], CHOSEN[:2]),
        (["regularizer=[dropout]"], CHOSEN[2:6]),
        (["regularizer=[]"], CHOSEN[2:6]),
        (["regularizer.weight_decay.strength=0.1"], CHOSEN[4:5]),
        (["regularizer.ensemble.members=3"], CHOSEN[3:4]),
        (["data.preprocessing.clip=5"], CHOSEN[1:2]),
        (["data/preprocessing=robust", "data.preprocessing.clip=5"], CHOSEN[:2]),
        (["optimizer.learning_rate=0.01"], CHOSEN[4:7]),
        (["optimizer=sgd"], CHOSEN[2:7]),
        (["trainer.epochs=5"], CHOSEN[7:]),
        (["trainer.steps=100"], CHOSEN[7:]),
        (["architecture.widths=[8]"], []),
        (["architecture=realmlp"], CHOSEN[2:]),
        (["experiment=realmlp"], CHOSEN),
    ],
)
def test_what_is_typed_stays_as_it_is_typed_with_what_depends_on_it(folder, typed, left_out):
    assert chosen(*typed) == [line for line in CHOSEN if line not in left_out]
    compose(*TABLE, *typed, "trainer.batch_size=full")  # all that is left goes together


def test_the_recipe_begins_with_a_single_network_and_ends_with_an_ensemble_and_other_data_get_nothing(folder):
    assert chosen(command="recipe") == [*CHOSEN[:2], "recipe.ensemble=true", *CHOSEN[4:]]
    assert chosen("recipe.ensemble=false", command="recipe") == [*CHOSEN[:2], *CHOSEN[4:]]
    assert table_defaults("train", ["data=digits"]) == ["data=digits"]
    assert compose("a.npz", "target=y")["trainer"]["epochs"] == 30


def test_a_grid_compares_single_networks(folder):
    assert table_defaults("train", TABLE, grid=True)[len(TABLE) :] == [*CHOSEN[:2], *CHOSEN[4:]]
    results = nnlab.sweep("my data.csv", "target=kind", "seed=0,1", *FAST)
    config = yaml.safe_load((results[0].directory / "config.yaml").read_text())
    assert "ensemble" not in config["regularizer"]
    assert config["optimizer"]["learning_rate"] == 0.003


def test_a_large_table_gets_a_smaller_ensemble_in_the_time_that_it_had(folder):
    (folder / "large.csv").write_text("a,b,kind\n" + "1.0,2.0,p\n" * 250_000)
    found = table_defaults("train", ["data=table", "data.path=large.csv"])
    assert "regularizer.ensemble.members=3" in found
    assert not any(line.startswith("trainer.epochs") for line in found)


def test_the_choice_for_a_table_is_said_once(folder, capsys):
    assert main(["train", "my data.csv", "target=kind", *FAST]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("chosen for a table: ")]
    assert len(said) == 1
    assert "data/preprocessing=robust" in said[0]
    assert "trainer.epochs" not in said[0]


def test_what_was_chosen_is_not_said_before_an_error(folder, capsys):
    assert main(["train", "my data.csv", "target=kind", "trainer.epoch=3"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "did you mean `trainer.epochs`?" in err
