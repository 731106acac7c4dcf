"""Diagnosis by experiment names the setting, or the component, that keeps a run from learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import probed_faults as faults
import pytest

from nnlab.cli import compose, main
from nnlab.diagnosis import Finding, diagnose, records
from nnlab.probe import run
from nnlab.probe.cause import Evidence, Tried
from nnlab.probe.experiments import Experiments, Outcome
from nnlab.probe.run import probe
from nnlab.probe.suspects import Suspect, all_back, suspects
from nnlab.probe.words import cause_unknown
from nnlab.recipe.changes import Changes
from nnlab.recipe.trials import Trials
from nnlab.runs.advice import advice, effective

Probed = Callable[..., list[Finding]]
QUICK = ["data=digits", "trainer.epochs=6"]


@pytest.fixture
def probed() -> Probed:
    """The findings about a short run of the digits after experiments."""

    def findings(*overrides: str) -> list[Finding]:
        trials = Trials(compose(*QUICK, *overrides), [*QUICK, *overrides])
        trainer = trials.make([{}]).fit()
        [record] = records(trainer)
        return probe(trials.config, record, diagnose(record))

    return findings


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["optimizer=sgd", "trainer.clip_norm=1e-6"], "trainer.clip_norm=null"),
        pytest.param(["optimizer.eps=1"], "optimizer.eps=1e-08", marks=pytest.mark.slow),
        (["scheduler.warmup=1000"], "scheduler.warmup=0"),
        pytest.param(
            ["initialization.scale=0.0001", "optimizer=sgd"], "initialization.scale=1.0", marks=pytest.mark.slow
        ),
        (["regularizer=[weight_decay,dropout]", "regularizer.dropout.p=0.95"], "'regularizer=[weight_decay]'"),
    ],
    ids=str,
)
def test_the_setting_at_fault_is_found_by_taking_it_back(probed: Probed, overrides: list[str], remedy: str) -> None:
    first = probed(*overrides)[0]
    assert first.name == "setting_at_fault"
    assert first.override == remedy
    assert float(first.evidence["skill after"]) > float(first.evidence["skill before"]) + 0.2


def test_a_component_from_outside_is_put_in_question_as_a_whole(probed: Probed) -> None:
    first = probed(f"loss._target_={faults.__name__}.NegatedGradient")[0]
    assert (first.name, first.override) == ("component_at_fault", "loss=softmax_cross_entropy")
    assert "faults.NegatedGradient" in first.explanation


@pytest.mark.slow
def test_a_healthy_network_of_ones_own_that_was_trained_too_little_is_not_accused(probed: Probed) -> None:
    found = probed(f"architecture={{_target_: {faults.__name__}.Healthy}}", "trainer.epochs=1", "trainer.threads=1")
    assert "component_at_fault" not in [finding.name for finding in found]
    assert any(word.startswith("trainer.epochs=") for word in found[0].overrides)
    assert "`architecture=mlp`" in found[0].tried


def test_unusual_settings_that_cost_nothing_are_left_alone(probed: Probed) -> None:
    assert [finding for finding in probed("activation=tanh") if finding.fault] == []


def test_a_remedy_that_gives_nothing_is_taken_back_and_no_setting_explains_the_data() -> None:
    trials = Trials(compose(*QUICK, "optimizer=sgd", "trainer.clip_norm=1e-6"))
    [record] = records(trials.make([{}]).fit())
    rule = Finding("learning_rate_too_low", "they hardly move", overrides=("optimizer.learning_rate=1",))
    rows = Finding("rows_standardized", "all alike", level="fault", step=0)
    few = Finding("noisy_validation", "few", overrides=("data.validation=0.3",), step=0, certain=True)
    found = probe(trials.config, record, [rule, rows, few])
    assert rows in found
    assert few in found  # other examples cannot be compared, and are not tried
    [setting] = [finding for finding in found if finding.symptoms]
    assert "data.validation" not in setting.tried
    [rate] = setting.symptoms
    assert rate.overrides == ()
    assert rate.tried.startswith("Tried: `optimizer.learning_rate=")


def test_what_is_said_of_data_and_harms_nothing_is_a_note() -> None:
    trials = Trials(compose(*QUICK, "activation=tanh"))
    [record] = records(trials.make([{}]).fit())
    rule = Finding("inputs_not_standardized", "wide", overrides=("data/preprocessing=robust",), step=0, certain=True)
    [found] = [finding for finding in probe(trials.config, record, [rule]) if finding.name == rule.name]
    assert rule.fault
    assert not found.fault
    assert found.overrides == ()


def test_labels_are_not_ruled_out_where_targets_seem_unrelated() -> None:
    bad = Outcome((0.0, 0.1), 0.3, 1.0)
    evidence, experiments = Evidence(bad, bad, [], [], 0.1), Experiments(compose(*QUICK), 100, None, 10.0)
    sure = cause_unknown(evidence, [], experiments).reason
    assert "labels" in sure
    assert "labels" not in cause_unknown(evidence, [], experiments, Finding("targets_unrelated", "none")).reason


def test_what_is_exchanged_takes_its_values_along() -> None:
    config = compose("optimizer=heavy_ball", "optimizer.momentum=0.999", "regularizer=[weight_decay,dropout]")
    found = suspects(config, regression=False)
    assert {"optimizer.momentum=0.9", "optimizer=adam", "regularizer=[weight_decay]"} <= {s.label for s in found}
    assert all_back(found) == {"optimizer": "adam", "regularizer": ["weight_decay"]}
    assert suspects(compose(), regression=False) == []


def test_a_validation_that_takes_most_of_the_examples_is_a_suspect() -> None:
    [suspect] = suspects(compose("data.validation=0.9"), regression=False)
    assert suspect.label == "data.validation=0.1"
    assert suspects(compose("data.validation=0.4"), regression=False) == []


def test_the_task_is_never_a_suspect() -> None:
    assert suspects(compose("data=breast_cancer", "loss=hinge"), regression=False) == []
    assert suspects(compose("data=diabetes", "loss=squared_error"), regression=True) == []
    foreign = suspects(compose("architecture=perceptron"), regression=False)
    assert foreign == [Suspect("architecture", {"architecture": "mlp"}, "architecture=perceptron")]


def test_an_optimizer_of_ones_own_is_exchanged_at_two_rates() -> None:
    found = suspects(compose("optimizer={_target_: torch.optim.NAdam, lr: 0.01}"), regression=False)
    assert [each.label for each in found] == ["optimizer=adam", "optimizer=adam optimizer.learning_rate=0.003"]
    assert {each.foreign for each in found} == {"torch.optim.NAdam"}
    assert all_back(found) == {"optimizer": "adam"}  # the usual one, where all is taken back


def test_advice_that_the_config_follows_already_is_not_given() -> None:
    finding = Finding("dead_units", "all are dead", overrides=("initialization=he", "trainer.clip_norm=1")).to_dict()
    [left] = effective([finding], compose("initialization=he"))
    assert left["override"] == "trainer.clip_norm=1"
    [left] = effective([finding], compose("initialization=he", "trainer.clip_norm=1"))
    assert left["override"] == ""


def test_a_symptom_is_called_one_and_the_probe_is_offered(tmp_path: Path) -> None:
    lines = advice([Finding("plateau", "the loss stays").to_dict()], [], tmp_path)
    assert lines[0].startswith("diagnosis: a symptom, its cause is not known: plateau")
    assert f"nnlab diagnose {tmp_path} --probe" in lines[-1]


def test_the_command_probes_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*QUICK, "optimizer.eps=1", "callbacks=[statistics,diagnosis,checkpoint]", f"output_dir={tmp_path}"]
    assert main(["train", *words]) == 0
    [run] = (tmp_path / "train").iterdir()
    assert main(["diagnose", str(run), "--probe", "budget=5"]) == 0
    shown = capsys.readouterr().out
    assert "setting at fault: `optimizer.eps=1e-08` instead of `optimizer.eps=1`" in shown
    assert "next: nnlab train data=digits" in shown
    for wrong in (["--prob"], ["budget=5"], ["--probe", "budget=x"], ["--probe", "budget=-1"]):
        assert main(["diagnose", str(run), *wrong]) == 2
    assert main(["diagnose", "--probe"]) == 2


def test_of_large_examples_a_sample_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose(*QUICK)
    assert run._sound(Experiments(config, 10, None, 60.0), [])["data"]["limit"] is None
    monkeypatch.setattr(run, "SAMPLE", 300 * 64 * 4)
    assert run._sound(Experiments(config, 10, None, 60.0), [])["data"]["limit"] == 300


def test_experiments_that_would_take_minutes_are_left_to_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trials = Trials(compose(*QUICK, "optimizer.eps=1"))
    [record] = records(trials.make([{}]).fit())
    monkeypatch.setattr(Experiments, "expected", lambda *_: 400.0)
    monkeypatch.setattr(Experiments, "run", lambda *_: pytest.fail("it was tried"))
    with caplog.at_level("INFO", "nnlab"):
        assert probe(trials.config, record, [], asked=False) == []
    assert "experiments would take about 7 minutes" in caplog.text
    with pytest.raises(pytest.fail.Exception, match="it was tried"):
        probe(trials.config, record, [])


def test_the_model_of_speed_counts_what_convolutions_do_at_every_place() -> None:
    small, large = (
        Experiments(compose("architecture=convnet", "data=digits", *size), 100, None, 60.0).step_seconds
        for size in ([], ["architecture.channels=[64,64]"])
    )
    assert large > 4 * small


def test_a_trial_that_fails_is_told_with_its_reason_and_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    experiments = Experiments(compose(*QUICK), 4, None, 60.0)

    def train(changes: Sequence[Changes]) -> list[tuple[float, float, float]]:
        if any("optimizer.eps" in each for each in changes):
            raise AttributeError("no such thing\nmore")
        return [(0.5, 0.6, 0.7) for _ in changes]

    monkeypatch.setattr(experiments, "_train", train)
    other, failing = experiments.run([{}, {"optimizer.eps": 1.0}])
    assert (other.shown, other.failure) == ("0.6", "")
    assert (failing.known, failing.failure) == (False, "AttributeError: no such thing")
    failed = [Tried(Suspect("optimizer.eps", {"optimizer.eps": 1.0}, ""), failing)]
    evidence = Evidence(other, other, [], [], 0.1, failed=failed)
    words = cause_unknown(evidence, [], experiments).tried
    assert words.endswith("Could not be tried: `optimizer.eps=1.0` (AttributeError: no such thing).")
    assert "diverged" not in words


def test_trials_are_validated_less_often_where_that_takes_longer_than_training() -> None:
    experiments = Experiments(compose(*QUICK), 4, None, 60.0)
    examples = len(experiments.trials.dataset.validation)
    experiments.length = 4
    assert 8 * examples > 3 * 4 * 32
    assert experiments.length_of({})["trainer.validate_every"] == 4 // max(1, 3 * 4 * 32 // examples)
    experiments.length = 4000
    assert experiments.length_of({})["trainer.validate_every"] == 500
