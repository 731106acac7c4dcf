"""Of changes that restore a run about as well, the one that a rule names is the cause."""

from __future__ import annotations

from nnlab.probe.cause import NOISE, Evidence, Tried, acquitting, chance, single_cause
from nnlab.probe.experiments import UNKNOWN, Outcome, judged
from nnlab.probe.suspects import Suspect
from tests.diagnosis.test_rules import changed


def outcome(skill: float) -> Outcome:
    return Outcome((skill, skill), skill, 1 - skill)


WIDER = Tried(Suspect("architecture.widths", {"architecture.widths": [128, 128]}, ""), outcome(0.62))
WEAKER = Tried(Suspect("regularizer.weight_decay.strength", {"regularizer.weight_decay.strength": 0}, ""), outcome(0.6))
USELESS = Tried(Suspect("seed", {"seed": 1}, ""), outcome(0.1))
EVIDENCE = Evidence(outcome(0.1), outcome(0.62), [WIDER, WEAKER, USELESS], [], 0.04)


def test_a_rule_decides_between_changes_that_give_about_as_much() -> None:
    assert single_cause(EVIDENCE.own, EVIDENCE) is WIDER
    assert single_cause(EVIDENCE.own, EVIDENCE, lambda suspect: suspect is WEAKER.suspect) is WEAKER
    assert single_cause(EVIDENCE.own, EVIDENCE, lambda suspect: suspect is USELESS.suspect) is WIDER


def test_a_component_of_ones_own_comes_before_a_setting_that_makes_up_for_it() -> None:
    own = Tried(Suspect("optimizer", {"optimizer": "adam"}, "", foreign="mine.Optimizer"), outcome(0.61))
    assert single_cause([WIDER, own], EVIDENCE) is own
    assert single_cause([WIDER, own], EVIDENCE, lambda suspect: suspect is WIDER.suspect) is WIDER


def test_what_helps_less_than_the_run_itself_reached_is_no_cause() -> None:
    lucky = Evidence(outcome(0.1), outcome(0.62), [WIDER], [], 0.04, run=0.6)
    assert single_cause(lucky.own, lucky) is None


def test_a_gain_within_the_noise_of_a_few_validation_examples_is_no_cause() -> None:
    assert chance(NOISE, 0.01, 0.02) < 0.1  # of many
    # Of 35 targets, rmse 82 with a standard error of 10 and a deviation of 83: a gain from 79 to 71 is 0.18 in skill.
    margin = 4 * 10 * 82 / 83**2
    assert chance(NOISE, 0.01, margin) > 0.18
    assert chance(NOISE, 0.01, 10 * margin) < 0.5  # what does not learn at all is found by few, too


def test_a_trial_with_no_skill_to_measure_is_unknown_and_not_called_diverged() -> None:
    assert judged(changed(data={"examples": {"train": 60, "validation": 3, "test": 9}})) == UNKNOWN
    assert judged(changed(status="diverged"))[0] == -1


def test_a_component_is_at_fault_only_if_its_exchange_is_clearly_better_than_every_remedy_that_keeps_it() -> None:
    own = Tried(Suspect("architecture", {"architecture": "mlp"}, "", foreign="mine.Net"), outcome(0.6))
    longer = Tried(Suspect("trainer", {"trainer.epochs": 500, "optimizer.learning_rate": 0.002}, ""), outcome(0.57))
    both = Tried(Suspect("both", {"architecture": "mlp", "trainer.epochs": 500}, ""), outcome(0.9))
    evidence = Evidence(outcome(0.1), outcome(0.6), [own], [longer, both], 0.04)
    assert acquitting([own.suspect], own.outcome, evidence) is longer
    assert acquitting([own.suspect], outcome(0.7), evidence) is None
    makes_up = Tried(longer.suspect, Outcome((0.57, 0.57), 0.57, 3.0))  # answers mended, and the loss much higher
    evidence = Evidence(outcome(0.1), outcome(0.6), [own], [makes_up], 0.04)
    assert acquitting([own.suspect], own.outcome, evidence) is None


def test_a_regularizer_is_kept_by_changes_that_leave_it_in_the_list() -> None:
    mine = Suspect("regularizer.mine", {"regularizer": ["dropout"]}, "", foreign="mine.Penalty")
    assert mine.exchanges(mine)
    assert not Suspect("regularizer.dropout", {"regularizer": ["mine"]}, "").exchanges(mine)
    assert not Suspect("regularizer.mine.strength", {"regularizer.mine.strength": 1}, "").exchanges(mine)
