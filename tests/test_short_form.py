"""`nnlab train FILE target=NAME` trains on one's own data, and chooses the loss that the target needs."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

import nnlab
from nnlab.cli import compose, main
from nnlab.cli.short_form import expanded
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
    assert expanded(["a.npz", "target=y"])[:2] == ["data=arrays", "data.path='a.npz'"]
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


def test_two_files_and_missing_files_are_refused(folder):
    with pytest.raises(UserError, match=r"are two files of data; name one"):
        compose("my data.csv", "a.npz")
    with pytest.raises(UserError, match=r"nofile\.csv does not exist"):
        nnlab.train("nofile.csv", *FAST)
