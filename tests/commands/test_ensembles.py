"""Ensembles of every kind, from the config to the report: independent, snapshots, one by one, and masks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import nnlab
from nnlab.cli import compose
from nnlab.commands.evaluate import main
from nnlab.config.build import build_trainer
from nnlab.errors import UserError
from nnlab.loss.metrics import calibration_error
from nnlab.runs.evaluation import evaluate, monte_carlo

SMALL = ["architecture.widths=[16]", "trainer.epochs=4", "data.limit=400", "callbacks=[checkpoint]"]


def train(folder: Path, *overrides: str) -> nnlab.runs.launch.Result:
    return nnlab.train(*SMALL, f"output_dir={folder}", *overrides)


def test_the_loss_of_an_ensemble_has_the_weights_of_its_loss(tmp_path: Path) -> None:
    weights = [1.0, 3.0, *[1.0] * 8]
    result = train(
        tmp_path, "regularizer=[ensemble]", "regularizer.ensemble.members=2", f"loss.class_weights={weights}"
    )
    assert result.trainer is not None
    test = result.trainer.members[0].dataset.test
    mean = result.trainer.final_evaluations()["test"].prediction.mean(0)
    losses = -mean[torch.arange(len(test)), test.targets].log()
    expected = (torch.tensor(weights)[test.targets] / 1.2 * losses).mean()  # weights average 1
    assert result.metrics["test"]["loss"] == pytest.approx(float(expected), rel=1e-4)
    assert result.metrics["test"]["loss"] != pytest.approx(result.metrics["test"]["nll"], rel=1e-2)


def test_an_ensemble_averages_the_probabilities_of_its_members(tmp_path: Path) -> None:
    result = train(tmp_path, "regularizer=[ensemble]", "regularizer.ensemble.members=3")
    assert result.trainer is not None
    probabilities = result.trainer.final_evaluations()["test"].prediction
    targets = result.trainer.members[0].dataset.test.targets
    assert probabilities.shape[0] == 3
    for size, metrics in enumerate(result.ensemble["test"]["by_size"], start=1):
        mean = probabilities[:size].mean(0)
        assert metrics["accuracy"] == pytest.approx(float((mean.argmax(1) == targets).double().mean()))
        nll = -mean[torch.arange(len(targets)), targets].log().mean()
        assert metrics["nll"] == pytest.approx(float(nll), rel=1e-4)
        one_hot = torch.nn.functional.one_hot(targets, mean.shape[1])
        assert metrics["brier"] == pytest.approx(float((mean - one_hot).square().sum(-1).mean()), rel=1e-4)
        confidence, decided = mean.max(1)
        error = calibration_error(confidence, (decided == targets).to(mean.dtype))
        assert metrics["ece"] == pytest.approx(float(error), abs=1e-5)
    votes = probabilities.argmax(-1).mode(0).values
    assert result.ensemble["test"]["vote"] == pytest.approx(float((votes == targets).double().mean()), abs=0.02)
    saved = json.loads((result.directory / "result.json").read_text())
    assert saved["metrics"]["test"] == result.ensemble["test"]["by_size"][-1]
    report = result.ensemble["test"]
    assert report["gain"]["accuracy"] == pytest.approx(report["by_size"][-1]["accuracy"] - report["mean"]["accuracy"])
    assert report["gain"]["nll"] == pytest.approx(report["mean"]["nll"] - report["by_size"][-1]["nll"])


def test_members_of_an_ensemble_are_the_runs_with_their_seeds(tmp_path: Path) -> None:
    from nnlab.config.build import member_seed

    ensemble = build_trainer(
        [compose(*SMALL, "regularizer=[ensemble]", "regularizer.ensemble.members=2", "trainer.precision=float64")]
    ).fit()
    alone = build_trainer(
        [compose(*SMALL, "regularizer=[]", f"seed={member_seed(0, 1)}", "data_seed=0", "trainer.precision=float64")]
    ).fit()
    assert torch.equal(ensemble.members[1].dataset.test.targets, alone.members[0].dataset.test.targets)
    difference = abs(ensemble.history.losses[:, 1] - alone.history.losses[:, 0]).max()
    assert difference < 1e-9


def test_members_can_share_their_batches() -> None:
    overrides = ["regularizer=[ensemble]", "regularizer.ensemble.members=2", "regularizer.ensemble.share_batches=true"]
    trainer = build_trainer([compose(*SMALL, *overrides)])
    inputs, _ = trainer.engine.batches(0)
    assert len(inputs) == 1
    assert not torch.equal(trainer.stack.theta[0], trainer.stack.theta[1])


def test_snapshots_are_the_weights_at_the_ends_of_the_cycles(tmp_path: Path) -> None:
    options = ["regularizer=[snapshot_ensemble]", "scheduler=cyclic", "scheduler.cycles=4"]
    result = train(tmp_path, *options, "regularizer.snapshot_ensemble.last=3")
    assert len(result.ensemble["test"]["members"]) == 3
    last = train(tmp_path / "plain", "regularizer=[]", "scheduler=cyclic", "scheduler.cycles=4")
    assert last.trainer is not None
    newest = last.trainer.evaluate("test").metrics
    assert result.ensemble["test"]["members"][0]["loss"] == pytest.approx(float(newest["loss"][0]), rel=1e-5)
    assert result.metrics["test"] == result.ensemble["test"]["by_size"][-1]
    assert evaluate(result.directory).metrics == pytest.approx(result.metrics["test"])
    for position, snapshot in enumerate(result.ensemble["test"]["members"]):
        assert evaluate(result.directory, member=position).metrics == pytest.approx(snapshot)
    with pytest.raises(UserError, match=r"has no member 3; its members are 0 to 2"):
        evaluate(result.directory, member=3)


def test_a_run_that_diverged_in_its_first_cycle_has_no_snapshots(tmp_path: Path) -> None:
    chosen = ["regularizer=[snapshot_ensemble]", "scheduler=cyclic", "optimizer=sgd", "optimizer.learning_rate=1e18"]
    result = train(tmp_path, *chosen, "activation=identity", "loss=squared_error")
    assert (result.status, result.ensemble) == ("diverged", None)
    assert evaluate(result.directory).metrics == pytest.approx(result.metrics["test"])


def test_an_ensemble_that_cannot_be_stacked_is_trained_one_by_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    options = [
        "optimizer=lbfgs",
        "trainer.batch_size=full",
        "trainer.epochs=15",
        "regularizer=[ensemble]",
        "regularizer.ensemble.members=2",
    ]
    result = train(tmp_path, *options)
    assert "LBFGS cannot be stacked: the 2 members are trained one by one" in caplog.text
    assert len(result.ensemble["test"]["members"]) == 2
    assert result.metrics["test"]["accuracy"] > 0.8
    measured = evaluate(result.directory)
    assert measured.metrics["accuracy"] == pytest.approx(result.metrics["test"]["accuracy"])
    second = evaluate(result.directory, member=1)
    assert second.metrics["accuracy"] == pytest.approx(result.ensemble["test"]["members"][1]["accuracy"])


def test_more_masks_come_closer_to_the_average_over_all(tmp_path: Path) -> None:
    result = train(tmp_path, "regularizer=[dropout]", "regularizer.dropout.p=0.2", "trainer.epochs=15")
    few, many = monte_carlo(result.directory, samples=2), monte_carlo(result.directory, samples=200)
    assert list(many.by_samples) == [1, 2, 5, 10, 20, 50, 100, 200]
    assert many.by_samples[2] == pytest.approx(few.by_samples[2])
    assert many.by_samples[200]["nll"] < many.by_samples[1]["nll"]
    assert abs(many.by_samples[200]["accuracy"] - many.scaling["accuracy"]) < 0.05
    assert (many.mutual_information >= -1e-6).all()
    assert (many.mutual_information <= many.entropy + 1e-6).all()


def test_masks_of_one_network_of_an_ensemble(tmp_path: Path) -> None:
    chosen = ["regularizer=[ensemble,dropout]", "regularizer.ensemble.members=2"]
    result = train(tmp_path, *chosen)
    for member, metrics in enumerate(result.ensemble["test"]["members"]):
        scaling = monte_carlo(result.directory, samples=2, member=member).scaling
        assert scaling == pytest.approx({name: metrics[name] for name in scaling})
    with pytest.raises(UserError, match=r"is an ensemble; choose the network to average over masks with `member=0`"):
        monte_carlo(result.directory)
    with pytest.raises(UserError, match=r"has no member 2"):
        monte_carlo(result.directory, member=2)


def test_evaluate_prints_what_the_run_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = train(tmp_path, "regularizer=[dropout]")
    capsys.readouterr()
    assert main([str(result.directory)]) == 0
    shown = capsys.readouterr().out
    assert f"accuracy {result.metrics['test']['accuracy']:.4f}" in shown
    assert "confusion matrix" in shown
    assert "calibration" in shown
    assert main([str(result.directory), "validation", "samples=3"]) == 0
    assert "weight scaling" in capsys.readouterr().out
    lines = (result.directory / "uncertainty-validation.csv").read_text().splitlines()
    assert len(lines) == 1 + len(result.trainer.members[0].dataset.validation)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["regularizer=[ensemble]", "regularizer.ensemble.members=0"], "`members` must be in [1, inf), got 0"),
        (["regularizer=[snapshot_ensemble]"], "needs a schedule with cycles: add `scheduler=cyclic`"),
        (
            ["regularizer=[snapshot_ensemble]", "scheduler=cyclic", "regularizer.snapshot_ensemble.last=9"],
            "is more than the 5 cycles of the run",
        ),
        (["regularizer=[snapshot_ensemble,ensemble]", "scheduler=cyclic"], "cannot be combined: leave out `ensemble`"),
    ],
)
def test_a_wrong_ensemble_is_answered_with_one_sentence(tmp_path: Path, overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        train(tmp_path, *overrides)
    assert sentence in str(error.value).replace("regularizer.ensemble.", "")
    assert not list(tmp_path.rglob("*.yaml")), "a run that is refused leaves nothing half-written"


def test_a_wrong_question_about_a_run_is_answered_with_one_sentence(tmp_path: Path) -> None:
    result = train(tmp_path, "regularizer=[ensemble]", "regularizer.ensemble.members=2")
    with pytest.raises(UserError, match=r"has no member 2; its members are 0 to 1"):
        evaluate(result.directory, member=2)
    with pytest.raises(UserError, match=r"no split `tst`; did you mean `test`"):
        evaluate(result.directory, "tst")
    with pytest.raises(UserError, match=r"is not the folder of a run"):
        evaluate(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"no dropout or DropConnect layers"):
        monte_carlo(result.directory)
    with pytest.raises(UserError, match=r"`samples` must be a whole number"):
        main([str(result.directory), "samples=many"])
    with pytest.raises(UserError, match=r"unrecognized arguments: --membre; did you mean `--member`"):
        main([str(result.directory), "--membre", "1"])
