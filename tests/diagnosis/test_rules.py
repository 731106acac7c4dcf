"""Every rule on hand-made records: what it fires on, what it leaves alone, and what it is ranked below."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from nnlab.diagnosis import (
    NAMES,
    DataFacts,
    Finding,
    LayerFacts,
    RunRecord,
    Series,
    SplitFacts,
    WeightFacts,
    diagnose,
)
from nnlab.diagnosis.catalogue import CATALOGUE, FORMER, OUTCOME
from nnlab.diagnosis.facts.chance import Order
from nnlab.diagnosis.facts.curves import View, rounded
from nnlab.diagnosis.facts.data import InputFacts, TargetFacts
from nnlab.diagnosis.facts.giveaway import Giveaway
from nnlab.diagnosis.facts.leaks import Shared
from nnlab.diagnosis.facts.levels import Levels, best_constant_loss, held_out_constant_loss
from nnlab.diagnosis.facts.references import References, skill
from nnlab.diagnosis.facts.trained import symmetric_fraction
from nnlab.diagnosis.facts.values import LostRows, Placeholder
from nnlab.loss import BinaryCrossEntropy, GaussianNLL, Hinge, SoftmaxCrossEntropy, SquaredError
from nnlab.types import Task

STEPS = 200
MEASURED = [1, 2, 4, 8, 16, 32, 64, 128]


def series(*values: float) -> Series:
    """Values at the steps of the statistics; a single one is held throughout."""
    return Series(MEASURED, list(values) if len(values) > 1 else list(values) * len(MEASURED))


DATA = DataFacts(
    examples={"train": 600, "validation": 200, "test": 200},
    inputs=InputFacts(features=2),
    targets=TargetFacts(("a", "b"), {"train": (300, 300), "validation": (100, 100), "test": (100, 100)}),
    levels=Levels(math.log(2), math.log(2), 0.0, 2.0),
    baseline_metric=0.5,
    simple=References(0.98, balanced=0.98),
)
GOOD = SplitFacts(0.05, 0.99, 0.5, (300, 300), (0.99, 0.99), 0.45, 0.007)
BAD = SplitFacts(0.69, 0.5, 0.5, (300, 300), (0.5, 0.5), 0.01, 0.035)
CURVE = np.geomspace(0.8, 0.05, STEPS)
SOUND = RunRecord(
    losses=CURVE,
    rates=np.full(STEPS, 0.003),
    steps_per_epoch=20,
    total_steps=STEPS,
    status="completed",
    task=Task.BINARY,
    primary_metric="accuracy",
    curves={
        "loss": Series(list(range(20, 201, 20)), [0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.08, 0.07, 0.06]),
        "accuracy": Series(list(range(20, 201, 20)), [0.6, 0.7, 0.8, 0.9, 0.95, 0.96, 0.97, 0.98, 0.99, 0.99]),
    },
    statistics={
        "gradient_norm/linear1.weight": series(0.5),
        "gradient_norm/linear1.bias": series(0.1),
        "gradient_norm/linear2.weight": series(0.5),
        "gradient_norm/output.weight": series(0.4),
        "gradient_norm/all": series(1.0),
        "activation_std/activation1": series(0.8),
        "activation_std/activation2": series(0.7),
        "activation_dead/activation1": series(0.05),
        "activation_dead/activation2": series(0.05),
        "update_ratio/linear1.weight": series(0.003),
        "update_ratio/output.weight": series(0.004),
    },
    best_step=200,
    optimizer="adam",
    activation="relu",
    learning_rate=0.003,
    batch_size=32,
    data=DATA,
    layers=(LayerFacts("activation1", "relu", 0.0, 0.4, 0.8), LayerFacts("activation2", "relu", 0.0, 0.4, 0.7)),
    weights=(
        WeightFacts("linear1.weight", 0.0, (32, 2)),
        WeightFacts("linear2.weight", 0.0, (32, 32)),
        WeightFacts("output.weight", 0.0, (2, 32)),
    ),
    splits={"train": GOOD, "validation": GOOD},
)
FLAT = {"losses": np.full(STEPS, 0.69), "splits": {"train": BAD, "validation": BAD}}


def changed(**changes: object) -> RunRecord:
    """The sound run with changes; `data`, `statistics` and `curves` are merged into its own."""
    for key in ("statistics", "curves"):
        if key in changes:
            changes[key] = getattr(SOUND, key) | changes[key]
    if "data" in changes:
        changes["data"] = dataclasses.replace(DATA, **changes["data"])
    return dataclasses.replace(SOUND, **changes)


def split(train: SplitFacts, validation: SplitFacts) -> dict[str, SplitFacts]:
    return {"train": train, "validation": validation}


EXPLODED = np.concatenate([np.geomspace(0.7, 1e9, STEPS - 1), [np.nan]])
RISING = {"loss": Series(list(range(20, 201, 20)), [0.5, 0.4, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1])}
SKEWED = TargetFacts(("a", "b"), {"train": (570, 30), "validation": (190, 10), "test": (190, 10)})
MEDIOCRE_ON_NEW = dataclasses.replace(GOOD, metric=0.8)
WORSE = dataclasses.replace(GOOD, metric=0.5)
RARE = SplitFacts(0.2, 0.95, 0.95, (200, 0), (1.0, 0.0), 0.01, 0.01)
WRONG = SplitFacts(0.9, 0.9, 0.5, (300, 300), (0.9, 0.9), 0.3, 0.01)
HIGH = {"update_ratio/linear1.weight": series(1.5, 0.9, 0.6, 0.4, 0.2, 0.1, 0.1, 0.1)}
LOW = {"update_ratio/linear1.weight": series(1e-6), "update_ratio/output.weight": series(1e-6)}
REASON = "diverged at step 200: loss nan; first non-finite gradient: `linear2.weight`; the weights ..."

PLANTED = {
    "learning_rate_too_high": changed(**FLAT, statistics=HIGH),
    "learning_rate_too_low": changed(**FLAT, statistics=LOW, learning_rate=1e-7),
    "learning_rate_decayed_too_early": changed(
        **FLAT, rates=np.concatenate([np.full(20, 0.01), np.full(STEPS - 20, 1e-5)])
    ),
    "vanishing_gradients": changed(**FLAT, statistics={"gradient_norm/linear1.weight": series(1e-8)}),
    "exploding_gradients": changed(
        losses=np.full(STEPS, 1e4),
        splits=split(BAD, BAD),
        statistics={"activation_std/activation2": series(5e3), "gradient_norm/all": series(1e4)},
    ),
    "dead_units": changed(**FLAT, statistics={"activation_dead/activation1": series(0.9)}),
    "saturated_units": changed(**FLAT, activation="tanh", statistics={"activation_saturated/activation1": series(0.9)}),
    "symmetric_units": changed(
        **FLAT, weights=(WeightFacts("linear1.weight", 1.0, (32, 2)), WeightFacts("output.weight", 0.0, (2, 32)))
    ),
    "frozen_layers": changed(
        **FLAT, weights=(*SOUND.weights, WeightFacts("frozen.weight", 0.0, (32, 32), trainable=False))
    ),
    "hockey_stick_start": changed(losses=np.concatenate([[30.0, 10.0], CURVE[2:]])),
    "targets_unrelated": changed(**FLAT, data={"simple": References(0.01, find_order=lambda: Order(0.0, 0.5))}),
    "overfitting": changed(curves=RISING),
    "underfitting": changed(
        losses=np.full(STEPS, 0.4),
        splits=split(WRONG, dataclasses.replace(WRONG, metric=0.8)),
        data={"simple": References(1.0)},
    ),
    "penalty_too_strong": changed(**FLAT, penalties={"weight_decay": 1.0}),
    "still_improving": changed(losses=np.linspace(0.69, 0.4, STEPS), splits=split(WRONG, BAD)),
    "noisy_validation": changed(data={"examples": {"train": 600, "validation": 12, "test": 200}}),
    "train_evaluation_mismatch": changed(batch_norm=True, splits=split(WRONG, WRONG)),
    "inputs_not_standardized": changed(data={"inputs": InputFacts((100.0, 100.0), (50.0, 50.0), 50.0, 112.0)}),
    "targets_not_standardized": changed(
        task=Task.REGRESSION,
        primary_metric="rmse",
        splits={},
        data={"targets": TargetFacts(("y",), mean=150.0, std=77.0, rms=170.0)},
    ),
    "class_collapse": changed(
        losses=np.full(STEPS, 0.69),
        splits=split(dataclasses.replace(BAD, predicted=(600, 0)), BAD),
        class_weights=(2.0, 0.0),
    ),
    "imbalance_ignored": changed(splits=split(RARE, RARE), data={"targets": SKEWED, "baseline_metric": 0.95}),
    "leakage_between_splits": changed(data={"shared": {"validation": Shared(20, 200)}}),
    "target_among_inputs": changed(data={"giveaway": Giveaway(1, "`today`", 0.99, 0.1)}),
    "validation_easier": changed(losses=np.linspace(0.69, 0.6, STEPS), splits=split(WORSE, GOOD)),
    "placeholders": changed(data={"placeholder": Placeholder(("`age`",), -999.0, 0.05, 1)}),
    "inputs_lost": changed(data={"lost": LostRows(0.4, 2)}),
    "inputs_not_finite": changed(data={"inputs": InputFacts(broken=3)}),
    "inputs_constant": changed(data={"inputs": InputFacts(features=2, constant=2)}),
    "rows_standardized": changed(losses=np.full(STEPS, 0.5), data={"own_rows": 6}, splits=split(BAD, BAD)),
    "class_missing": changed(
        data={"targets": TargetFacts(("a", "b"), {"train": (600, 0), "validation": (100, 100), "test": (1, 1)})}
    ),
    "classes_spelled_alike": changed(
        data={"targets": TargetFacts(("no", "no "), {"train": (300, 300), "validation": (100, 100), "test": (1, 1)})}
    ),
    "target_outliers": changed(
        task=Task.REGRESSION,
        primary_metric="rmse",
        splits={},
        data={"targets": TargetFacts(("y",), std=1.0, tail=0.9, outliers=3, outlying=0.9)},
    ),
    "update_ratio_out_of_range": changed(statistics={"update_ratio/linear1.weight": series(0.2)}),
    "behind_simple_methods": changed(
        losses=np.full(STEPS, 0.005),
        splits=split(dataclasses.replace(GOOD, loss=0.005), MEDIOCRE_ON_NEW),
        curves={"accuracy": Series([100, 200], [0.7, 0.8])},
    ),
    "plateau": changed(
        losses=np.full(STEPS, 0.5),
        splits=split(GOOD, BAD),
    ),
}


def test_a_sound_run_has_no_findings() -> None:
    assert diagnose(SOUND) == []


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_the_planted_cause_is_named_first(name: str) -> None:
    findings = diagnose(PLANTED[name])
    assert findings[0].name == name, [finding.name for finding in findings]


def test_training_labels_known_to_be_noisy_are_no_leakage() -> None:
    worse = {"losses": np.linspace(0.69, 0.6, STEPS), "splits": split(dataclasses.replace(GOOD, metric=0.5), GOOD)}
    assert "validation_easier" in [finding.name for finding in diagnose(changed(**worse))]
    assert "validation_easier" not in [f.name for f in diagnose(changed(**worse, data={"label_noise": 0.3}))]


MEDIOCRE = dataclasses.replace(GOOD, metric=0.95)
HALFWAY = {"losses": np.linspace(0.69, 0.2, STEPS), "splits": split(MEDIOCRE, MEDIOCRE)}


def test_a_good_run_that_still_falls_gets_a_note_and_more_steps() -> None:
    [finding] = diagnose(changed(**HALFWAY, scheduler="constant"))
    assert (finding.name, finding.severity) == ("still_improving", "note")
    assert finding.overrides == ("trainer.epochs=75", "scheduler=cosine")


def test_a_run_as_good_as_simple_methods_gets_no_note() -> None:
    assert diagnose(changed(**HALFWAY, data={"simple": References(0.9)})) == []


def test_simple_methods_are_not_asked_where_they_cannot_matter() -> None:
    def asked() -> References:
        raise AssertionError

    learned = dataclasses.replace(GOOD, loss=0.005)
    assert diagnose(changed(data={"simple": asked}, splits=split(learned, learned))) == []


def test_frozen_layers_below_trained_ones_are_a_note_where_the_network_is_good() -> None:
    frozen = WeightFacts("frozen.weight", 0.0, (32, 32), trainable=False)
    [finding] = diagnose(changed(weights=(*SOUND.weights, frozen)))
    assert finding.severity == "note"
    [finding] = diagnose(changed(weights=(frozen, frozen)))
    assert finding.severity == "fault"


def test_early_stopping_is_judged_by_the_weights_that_it_leaves() -> None:
    assert diagnose(changed(curves=RISING))[0].name == "overfitting"
    assert diagnose(changed(curves=RISING, stopped=True)) == []


@pytest.mark.parametrize(("examples", "share"), [(1000, 0.25), (142, 0.39), (60, 0.5)])
def test_the_suggested_share_gives_enough_validation_examples(examples: int, share: float) -> None:
    counts = {"train": examples - 12, "validation": 12, "test": 200}
    assert f"data.validation={share}" in diagnose(changed(data={"examples": counts}))[0].overrides


def test_a_bottleneck_is_named_before_the_rate() -> None:
    narrow = (WeightFacts("linear1.weight", 0.0, (1, 2)), WeightFacts("output.weight", 0.0, (2, 1)))
    finding = diagnose(changed(**FLAT, statistics=HIGH, weights=narrow))[0]
    assert finding.name == "underfitting"
    assert "learning_rate_too_high" in [symptom.name for symptom in finding.symptoms]
    assert "architecture.widths=[64,64]" in finding.overrides


# What is seen elsewhere: in fresh networks, in the trials of a recipe or a probe, after the run.
SEEN_ELSEWHERE = {
    *("columns_without_use", "columns_sorted"),
    "labels_wrong_or_chance",
    "uneven_scale",
    *("component_at_fault", "setting_at_fault", "cause_not_found", "better_still"),  # tests/probe
    *("cut_off", "splits_differ", "classes_renamed", "targets_shifted", "labels_wrong", "lone_values"),
    *(
        "simple_model_better",
        "given_configuration_better",
        "outlying_seed",
        "rate_lowered",
        "failed_seed",
    ),  # of a finished table run, the guard, and a set of seeds
    *("all_diverged", "bad_initialization", "classes_imbalanced", "classes_mixed_up", "constant_features"),
    *("doubled_output_layer", "edge_of_grid", "examples_mixed", "fits_smaller_sample_only", "generalization_gap"),
    *("gradient_off", "gradients_not_cleared", "hidden_by_optimizer", "learns_too_slowly", "loss_does_not_fall"),
    *("loss_not_as_in_theory", "loss_of_wrong_sign", "noise_in_evaluation", "noisy_loss", "optimizer_worse_than_plain"),
    *("output_layer_not_linear", "stuck_above_floor", "wrong_output_size"),
}


def test_every_finding_of_a_run_is_planted_here() -> None:
    assert {*PLANTED, "loss_exploded"} | SEEN_ELSEWHERE == set(NAMES)


def test_every_kind_has_one_place_and_explains_kinds_that_exist() -> None:
    assert len({(kind.name, kind.variant) for kind in CATALOGUE}) == len(CATALOGUE)
    assert {name for kind in CATALOGUE for name in kind.explains} | set(OUTCOME) <= set(NAMES)
    assert set(FORMER.values()) <= set(NAMES)
    assert not set(FORMER) & set(NAMES)


def test_findings_of_earlier_versions_are_read_under_their_new_names() -> None:
    run = {
        "name": "inputs_not_normalised",
        "severity": "fault",
        "explanation": "So.",
        "override": "a=1",
        "evidence": {},
    }
    step = {
        "name": "labels_unrelated",
        "evidence": "no better",
        "explanation": "Chance.",
        "suggestion": "",
        "fault": True,
    }
    found = [Finding.from_dict(each) for each in (run, step)]
    assert [each.name for each in found] == ["inputs_not_standardized", "targets_unrelated"]
    assert found[0].overrides == ("a=1",)
    assert (found[1].observed, found[1].explanation, found[1].fault) == ("no better", "No better. Chance.", True)


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_finding_has_numbers_a_sentence_and_survives_json(name: str) -> None:
    finding = diagnose(PLANTED[name])[0]
    assert finding.evidence
    assert finding.explanation.endswith(".")
    assert json.loads(json.dumps(finding.to_dict(), allow_nan=False))["name"] == name


def test_an_explosion_names_layer_step_and_last_good_state_beneath_its_cause() -> None:
    record = changed(losses=EXPLODED, status="diverged", reason=REASON, best_step=40, splits={}, statistics=HIGH)
    first = diagnose(record)[0]
    assert first.name == "learning_rate_too_high"
    symptom = next(s for s in first.symptoms if s.name == "loss_exploded")
    assert (symptom.layer, symptom.step, symptom.evidence["last good step"]) == ("linear2.weight", 201, 40)


def test_a_cause_takes_its_symptoms_off_the_list() -> None:
    record = changed(**FLAT, statistics=HIGH | {"activation_dead/activation1": series(0.05)})
    record = dataclasses.replace(record, layers=(LayerFacts("activation1", "relu", 0.95, 0.9, 0.0), *SOUND.layers[1:]))
    findings = diagnose(record)
    assert [finding.name for finding in findings] == ["learning_rate_too_high"]
    assert "dead_units" in {symptom.name for symptom in findings[0].symptoms}


def test_overfitting_says_when_the_gap_opened_and_keeps_the_regularizers() -> None:
    falling = {"accuracy": Series(list(range(20, 201, 20)), [0.9, 0.95, 0.94, *[0.9] * 7])}
    record = dataclasses.replace(changed(curves=RISING | falling), noise={"dropout": 0.2})
    finding = diagnose(record)[0]
    assert finding.step == 40
    assert finding.overrides[0] == "regularizer=[weight_decay,dropout,early_stopping]"
    assert not any(line.startswith("regularizer.dropout") for line in finding.overrides)


def test_a_network_whose_predictions_still_improve_while_its_loss_rises_gets_a_little_decay_alone() -> None:
    finding = diagnose(PLANTED["overfitting"])[0]
    assert finding.overrides == ("regularizer=[weight_decay]", "regularizer.weight_decay.strength=0.001")


def test_a_longer_run_is_suggested_in_the_unit_the_run_was_planned_in() -> None:
    for by_steps, key in ((False, "trainer.epochs="), (True, "trainer.steps=")):
        finding = diagnose(dataclasses.replace(PLANTED["still_improving"], by_steps=by_steps))[0]
        assert finding.overrides[0].startswith(key)


@pytest.mark.parametrize(("steps", "rate"), [(400, "0.005"), (40_000, "0.0005")])
def test_the_suggested_rate_fits_the_first_update_and_the_length_of_the_run(steps: int, rate: str) -> None:
    ratio = {"update_ratio/linear1.weight": series(1.0), "update_ratio/output.weight": series(1.0)}
    record = changed(**FLAT, statistics=ratio, learning_rate=0.2, rates=np.full(STEPS, 0.2), total_steps=steps)
    assert diagnose(record)[0].overrides[0] == f"optimizer.learning_rate={rate}"


def test_running_statistics_that_have_not_arrived_are_a_mismatch() -> None:
    record = changed(**FLAT, batch_norm=True, norm_momentum=1e-4, architecture="mlp")
    finding = diagnose(record)[0]
    assert (finding.name, finding.overrides) == ("train_evaluation_mismatch", ("architecture.batch_norm=true",))


def test_nothing_is_blamed_on_the_outcome_while_training_has_hardly_begun() -> None:
    record = changed(losses=np.full(20, 0.69), rates=np.full(20, 0.003), status="running", splits={}, curves={})
    assert diagnose(record) == []


def test_a_record_of_losses_alone_can_be_diagnosed() -> None:
    bare = RunRecord(CURVE, np.full(STEPS, 0.1), 20, STEPS, "completed", Task.MULTICLASS, "accuracy")
    assert diagnose(bare) == []


@pytest.mark.parametrize(("rate", "text"), [(0.0234, "0.02"), (1.0, "1"), (9.9, "10"), (1e-5, "1e-05")])
def test_suggested_rates_are_round(rate: float, text: str) -> None:
    assert rounded(rate) == text


def test_an_override_can_be_pasted_into_a_shell() -> None:
    assert Finding("x", "", overrides=("regularizer=[a,b]", "seed=1")).override == "'regularizer=[a,b]' seed=1"


def test_the_best_constant_matches_closed_forms() -> None:
    labels = torch.tensor([0] * 80 + [1] * 20)
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    for loss in (SoftmaxCrossEntropy(), BinaryCrossEntropy()):
        assert best_constant_loss(loss, labels, 2) == pytest.approx(entropy, rel=1e-4)
    half = torch.tensor([0, 1])  # answered with the frequencies of the training split
    assert held_out_constant_loss(SoftmaxCrossEntropy(), torch.tensor([0, 0, 0, 1]), half, 2) == pytest.approx(
        -(math.log(0.75) + math.log(0.25)) / 2, rel=1e-3
    )
    assert best_constant_loss(Hinge(), labels, 2) == pytest.approx(0.4, rel=1e-4)
    values = torch.randn(500, 1, generator=torch.Generator().manual_seed(0)) * 2 + 3
    variance = float(values.var(correction=0))
    assert best_constant_loss(SquaredError(), values, 1) == pytest.approx(variance / 2, rel=1e-4)
    standard = (values - values.mean()) / values.std(correction=0)
    assert best_constant_loss(GaussianNLL(), standard, 1) == pytest.approx(0.5 * math.log(2 * math.pi) + 0.5, rel=1e-2)


@pytest.mark.parametrize("at_once", [1, 45, 1 << 21])  # weights, of 15 for a unit of each member
def test_equal_rows_are_symmetric_and_others_are_not(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnlab.diagnosis.facts.trained.AT_ONCE", at_once)
    weights = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0))
    weights[1] = weights[1, :1]
    weights[2, 4:] = 0.0
    assert symmetric_fraction(weights).tolist() == [0.0, 1.0, 0.0]
    assert symmetric_fraction(torch.zeros(1, 4, 5)).tolist() == [1.0]


def test_skill_is_r_squared_for_regression_and_avoided_mistakes_for_classes() -> None:
    targets = torch.tensor([[1.0], [2.0], [3.0]])
    assert skill(targets, targets.mean(0).expand(3, 1), targets) == 1.0
    labels = torch.tensor([0, 0, 0, 1])
    guess = torch.nn.functional.one_hot(labels, 2)
    assert skill(guess, torch.tensor([[1.0, 0.0]]).expand(4, 2), labels) == 1.0


def test_skill_before_a_probe_comes_from_the_validation_curve() -> None:
    assert View(dataclasses.replace(SOUND, splits={})).skill("validation") == pytest.approx(0.98)
