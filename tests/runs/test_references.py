"""What simple methods reach stands beside the network, and a network behind one of them is told so."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import nnlab
import nnlab.loss
from nnlab.cli.dispatch import main
from nnlab.diagnosis.facts.simple import advantage, comparable, simple_models
from nnlab.runs.result import Result
from nnlab.types import Dataset, Split, Task


def trained(folder: Path, rule: str, *overrides: str) -> Result:
    """A network on 400 rows of a table whose target follows a rule of the columns a and b."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 400))
    targets = {
        "corners": np.where((a > 0) ^ (b > 0), "yes", "no"),
        "slope": (3 * a - 2 * b).round(4),
        "noise": random.normal(size=400).round(4),
    }
    path = folder / "table.csv"
    rows = zip(a.round(5), b.round(5), targets[rule], strict=True)
    path.write_text("a,b,y\n" + "".join(f"{x},{z},{y}\n" for x, z, y in rows))
    loss = "softmax_cross_entropy" if rule == "corners" else "squared_error"
    few = ("callbacks=[checkpoint]", f"output_dir={folder}/out", f"loss={loss}", "trainer.epochs=1")
    return nnlab.train("data=table", f"data.path={path}", "data.target=y", *few, *overrides)


def behind(result: Result) -> list[dict[str, object]]:
    return [finding for finding in result.diagnosis if finding["name"] == "simple_model_better"]


def test_the_references_are_on_the_same_split_and_in_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = trained(tmp_path, "corners")
    assert list(result.references) == ["constant", "linear", "trees"]
    accuracy = {name: found["test"]["accuracy"] for name, found in result.references.items()}
    assert accuracy["constant"] == pytest.approx(0.5, abs=0.1)
    assert accuracy["linear"] < 0.7
    assert accuracy["trees"] > 0.9
    assert json.loads((result.directory / "result.json").read_text())["references"] == result.references
    monkeypatch.setattr("nnlab.runs.references.simple_models", None)  # the same split needs none fitted again
    again = trained(tmp_path, "corners", "architecture.widths=[2]")
    assert again.references == result.references
    assert behind(again)


def test_a_network_behind_one_of_them_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weak = trained(tmp_path, "corners", "architecture.widths=[2]")
    [finding] = behind(weak)
    trees, own = weak.references["trees"]["test"]["accuracy"], weak.metrics["test"]["accuracy"]
    assert (
        f"Boosted trees reach accuracy {trees:.4g} on the test split, the network {own:.4g}" in finding["explanation"]
    )
    weak = trained(tmp_path, "slope")
    [finding] = behind(weak)
    assert "A linear model reaches rmse" in str(finding["explanation"])
    given = [f"data.path={tmp_path}/table.csv", "data.target=y", "loss=squared_error", f"output_dir={tmp_path}/out"]
    assert main(["train", "data=table", *given, "trainer.epochs=1", "callbacks=[]"]) == 0
    shown = capsys.readouterr().out
    assert "test, linear" in shown
    assert "diagnosis: simple model better: A linear model reaches rmse" in shown


def test_a_network_that_is_as_good_is_not_blamed(tmp_path: Path) -> None:
    assert not behind(trained(tmp_path, "corners", "trainer.epochs=100", "regularizer=[ensemble]"))


def test_a_run_that_is_no_better_than_the_constant_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("trainer.epochs=3", "callbacks=[checkpoint]")
    [finding] = trained(tmp_path, "noise", *few).diagnosis
    assert (finding["name"], finding["severity"]) == ("targets_unrelated", "fault")
    said = (
        "On the 80 test examples neither the network nor a linear model nor boosted trees beat the constant answer by"
    )
    assert finding["observed"].startswith(said)
    assert "by heart" not in finding["observed"]
    assert "labels are shuffled" in finding["explanation"]
    monkeypatch.setattr("nnlab.runs.references.LEARNED", 9.0)
    monkeypatch.setattr("nnlab.runs.references.TELLING", 289)
    [finding] = trained(tmp_path, "noise", *few).diagnosis
    assert "though the network has learned the 288 training examples by heart (rmse" in finding["observed"]
    assert finding["explanation"].endswith("may take more than 288 training examples.")


def test_references_can_be_chosen_and_turned_off(tmp_path: Path) -> None:
    assert list(trained(tmp_path, "slope", "data.references=[linear]").references) == ["linear"]
    off = trained(tmp_path, "slope", "data.references=[]")
    assert not off.references
    assert "references" not in json.loads((off.directory / "result.json").read_text())
    assert off.identity == trained(tmp_path, "slope", "data.references=[constant]").identity


def test_an_ensemble_whose_members_are_trained_one_by_one_has_references_too(tmp_path: Path) -> None:
    many = ("optimizer=lbfgs", "trainer.batch_size=full", "regularizer=[ensemble]", "regularizer.ensemble.members=2")
    assert "trees" in trained(tmp_path, "slope", *many).references


@pytest.mark.parametrize(
    ("loss", "metric", "expected"),
    [
        ("SoftmaxCrossEntropy", "loss", "nll"),
        ("SoftmaxCrossEntropy", "auroc", "auroc"),
        ("MulticlassSVM", "loss", "accuracy"),
        ("MulticlassSVM", "f1", "f1"),
        ("GaussianNLL", "nll", "rmse"),
        ("SquaredError", "mae", "mae"),
    ],
)
def test_networks_and_simple_models_are_compared_by_what_both_have(loss: str, metric: str, expected: str) -> None:
    task = Task.REGRESSION if loss in ("GaussianNLL", "SquaredError") else Task.BINARY
    targets = torch.randn(40, 2) if task is Task.REGRESSION else torch.arange(40) % 2
    split = Split(torch.randn(40, 3), targets)
    dataset = Dataset(split, split, split, task, ("a", "b"))
    chosen = getattr(nnlab.loss, loss)()
    found = comparable(metric, dataset, chosen)
    assert found == expected
    for model in simple_models(dataset, chosen, ["constant", "linear"]):
        assert found in model.metrics["test"]


def test_the_standard_error_on_a_single_example_is_not_known() -> None:
    split = Split(torch.zeros(1, 2), torch.tensor([[9.0]]))
    dataset = Dataset(split, split, split, Task.REGRESSION, ("y",))
    gain, error = advantage("rmse", [torch.tensor([[6.0]])], torch.tensor([[7.0]]), dataset, "test")
    assert gain == pytest.approx(-1.0)
    assert math.isnan(error)


def test_a_handful_of_test_rows_calls_no_simple_model_better(tmp_path: Path) -> None:
    result = trained(tmp_path, "slope", "data.test=0.02", "data.references=[linear]")
    linear, own = result.references["linear"]["test"]["rmse"], result.metrics["test"]["rmse"]
    assert linear < 0.1 * own
    assert not behind(result)
