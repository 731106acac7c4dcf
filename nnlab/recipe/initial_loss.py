"""Step 1: is the loss before training what theory says, and is the network ready to learn?

With weights near zero every class is equally likely, so softmax starts at log C. Fresh networks are not exactly there:
their outputs already vary. For outputs f = m + s e with independent noise e, the loss exceeds that of the constant
output m by an amount that s alone decides (about s^2 / 2 for softmax and for squared error); the verdict looks at s.

Source: the lecture's recipe, step 1; A. Karpathy 2019, "A recipe for training neural networks".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nnlab.diagnosis.facts.data import DataFacts, data_facts
from nnlab.diagnosis.facts.fresh import Signal, measure_signal
from nnlab.diagnosis.facts.levels import Levels, is_large, make_room
from nnlab.diagnosis.facts.linear import linear_metrics
from nnlab.diagnosis.finding import Finding, shown
from nnlab.diagnosis.rules.data import data_findings
from nnlab.diagnosis.rules.fresh import signal_findings
from nnlab.diagnosis.rules.layers import check_layers, check_loss
from nnlab.diagnosis.rules.mechanics import (
    check_evaluation,
    check_independence,
    check_optimizer,
    check_outputs,
)
from nnlab.diagnosis.rules.slopes import check_directions, check_slope
from nnlab.loss.base import Loss
from nnlab.metric_names import title
from nnlab.randomness import generator
from nnlab.recipe.changes import UNREGULARIZED
from nnlab.recipe.numbers import InitialLossNumbers
from nnlab.recipe.report import StepReport, Table
from nnlab.recipe.trials import Trials
from nnlab.streaming import SAMPLED, Streamed, at_once
from nnlab.training import Trainer
from nnlab.training.stack import OutputError, Stack
from nnlab.types import Task

TITLE = "Check the initial loss"
EXAMPLES = 1024  # training examples that pass through the fresh networks
FEWEST, KEPT = 8, 1 << 28  # but of large images at most so many as a pass of all networks keeps so many bytes of
UNSTABLE = ("inputs_not_standardized", "inputs_constant", "inputs_not_finite")


def check_initial_loss(trials: Trials, seeds: Sequence[int] = (0, 1, 2, 3, 4)) -> StepReport[InitialLossNumbers]:
    """Look at data, loss, and fresh networks of several seeds, before any training; regularization is off."""
    report = StepReport(1, TITLE, InitialLossNumbers())
    try:
        trainer = trials.make([{**UNREGULARIZED, "seed": seed} for seed in seeds])
    except OutputError as error:
        report.findings = [_wrong_output_size(str(error))]
        report.conclusion = "the output layer does not fit the loss"
        return report
    split = trainer.members[0].dataset.train
    count = _examples(trainer.stack, split.inputs)
    inputs, targets = split.inputs[:count], split.targets[:count]
    size = trials.dataset.target_size
    wrong = check_loss_at_zero(trials.loss, targets, size, trials.loss.output_size(size))
    report.findings += wrong
    if any(finding.name == "wrong_output_size" for finding in wrong):
        report.conclusion = "the output layer does not fit the loss"
        return report
    data = data_facts(trials.dataset, trials.loss)
    make_room(split)
    levels, signal = data.levels, measure_signal(trainer, inputs, targets)
    report.findings = [*data_findings(data), *report.findings]
    report.numbers.inputs = input_numbers(data)
    at_scale = not any(name in UNSTABLE for name in report.names())
    report.findings += signal_findings(signal, at_scale, _remedy(trials))
    if not report.faults:
        report.findings += check_outputs(trainer, inputs)
        report.findings += check_slope(trainer, inputs, targets) or check_directions(trainer, inputs, targets)
    report.findings += [*check_independence(trainer, inputs), *check_optimizer(trainer)]
    report.findings += [*check_layers(trainer, inputs), *check_loss(trials.loss, targets, size)]
    report.findings += check_evaluation(trials.make([{"seed": seeds[0]}]), inputs)
    _describe(report, trials, trainer, signal, levels, targets)
    _baselines(report, trials, levels)
    report.findings = _sorted(report.findings)
    report.conclusion = _conclusion(report, levels)
    return report


def _examples(stack: Stack, inputs: Tensor | Streamed) -> int:
    """How many examples pass through all networks; of large images few, for what a pass keeps of each."""
    count = at_once(inputs, SAMPLED, min(EXAMPLES, len(inputs)))
    if count <= FEWEST or not is_large(tuple(inputs.shape[1:])):
        return count
    each = stack.pass_size(inputs[:2].unsqueeze(0)).kept // 2  # batch normalization needs two
    return max(FEWEST, min(count, KEPT // max(each, 1)))


def input_numbers(data: DataFacts) -> dict[str, float]:
    """Mean, root mean square and number of the training inputs, as the report keeps them."""
    facts = data.inputs
    center = max(facts.mean, key=abs)
    counts = {"constant_features": facts.constant, "features": facts.features, "examples": data.examples["train"]}
    return {"largest_mean": center, "rms": facts.rms, **counts}


def _remedy(trials: Trials) -> tuple[str, ...]:
    """The override that takes back what makes the initial weights too large or too small."""
    if trials.value("initialization.scale", 1.0) != 1.0:
        return ("initialization.scale=1",)
    return () if trials.option("initialization") == "he" else ("initialization=he",)


def check_loss_at_zero(loss: Loss, targets: Tensor, target_size: int, outputs: int) -> list[Finding]:
    """Compare the loss of outputs that are exactly zero with the closed form, such as log C."""
    expected = loss.loss_at_zero(targets, target_size)
    try:
        found = float(loss.losses(torch.zeros(len(targets), outputs, device=targets.device), targets).mean())
    except (RuntimeError, ValueError, IndexError) as error:
        return [_wrong_output_size(f"the loss cannot be computed from {outputs} outputs: {str(error).splitlines()[0]}")]
    if abs(found - expected) <= 1e-3 * max(1.0, abs(expected)):
        return [] if found >= 0 else [_wrong_sign(found)]
    if found * expected < 0:
        return [_wrong_sign(found)]
    if outputs > 1 and abs(found - math.log(outputs)) < 1e-3 and outputs != target_size:
        return [
            _wrong_output_size(
                f"the loss at zero outputs is {found:.3f} = log {outputs}, but {target_size} classes "
                f"give log {target_size} = {math.log(target_size):.3f}"
            )
        ]
    return [
        Finding(
            "loss_not_as_in_theory",
            f"the loss at zero outputs is {found:.3f}; theory gives {expected:.3f}",
        )
    ]


def _wrong_sign(found: float) -> Finding:
    return Finding(
        "loss_of_wrong_sign",
        f"the loss at zero outputs is {found:.3f}, below zero",
        why="A loss that starts below its lowest possible value has the wrong sign: training will make the network "
        "worse.",
    )


def _wrong_output_size(evidence: str) -> Finding:
    return Finding("wrong_output_size", evidence)


def explained_excess(loss: Loss, outputs: Tensor, targets: Tensor, draws: int = 8) -> tuple[float, float]:
    """Loss of the mean output, and what Gaussian outputs of the measured spread add to it; outputs (N, O)."""
    mean, spread = outputs.mean(0), outputs.std(0, correction=0)
    constant = float(loss.losses(mean.expand_as(outputs), targets).mean())
    source = generator(0, "initial outputs")
    total = 0.0
    for _ in range(draws):
        noise = torch.randn(outputs.shape, generator=source).to(outputs)
        total += float(loss.losses(mean + spread * noise, targets).mean())
    return constant, total / draws - constant


def _describe(
    report: StepReport[InitialLossNumbers],
    trials: Trials,
    trainer: Trainer,
    signal: Signal,
    levels: Levels,
    targets: Tensor,
) -> None:
    """Numbers and tables of the fresh networks."""
    losses = signal.losses.double()
    deviation = float(losses.std()) if len(losses) > 1 else 0.0
    excess = [explained_excess(trainer.loss, each.float(), targets) for each in signal.outputs]
    at_mean, added = (sum(column) / len(excess) for column in zip(*excess, strict=True))
    numbers = report.numbers
    numbers.initial_loss, numbers.initial_loss_std, numbers.theory = float(losses.mean()), deviation, levels.initial
    numbers.at_mean_output, numbers.explained_by_variance, numbers.output_std = at_mean, added, signal.output_std
    numbers.constant, numbers.floor, numbers.seeds = levels.constant, levels.floor, len(losses)
    report.tables.append(
        Table(
            "Loss at initialization",
            ["", "loss"],
            [
                ["theory, outputs zero", levels.initial],
                ["at the mean output (bias)", at_mean],
                ["added by the outputs' variance", added],
                ["measured, mean of the seeds", float(losses.mean())],
                ["measured, spread of the seeds", deviation],
                ["best answer without inputs", levels.constant],
            ],
        )
    )
    if signal.layers:
        report.tables.append(
            Table(
                "Activations at initialization",
                ["layer", "rms", "mean", "spread between examples", "dead", "saturated"],
                [[x.name, x.rms, x.mean, x.spread, x.dead, x.saturated if x.two_sided else ""] for x in signal.layers],
            )
        )
    report.tables.append(
        Table(
            "Weights and gradients at initialization",
            ["weight", "rms", "gradient rms"],
            [[x.name, x.rms, x.gradient] for x in signal.weights],
        )
    )


def _baselines(report: StepReport[InitialLossNumbers], trials: Trials, levels: Levels) -> None:
    """What a linear model and an answer without inputs achieve on validation."""
    if any(name in ("inputs_not_finite", "loss_of_wrong_sign", "loss_not_as_in_theory") for name in report.names()):
        return
    found = trials.linear
    report.numbers.linear = found.metrics
    report.numbers.linear_decay = found.decay
    report.numbers.linear_train = linear_metrics(found.model, trials.dataset, trials.loss, trials.dataset.train)
    report.tables.append(
        Table(
            "Linear baseline (validation)",
            ["weight decay", *map(title, found.metrics)],
            [[found.decay, *found.metrics.values()]],
        )
    )
    if trials.dataset.task is not Task.REGRESSION:
        targets = trials.dataset.validation.targets
        report.numbers.majority = float(torch.bincount(targets).max() / len(targets))


def _sorted(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: not finding.fault)


def _conclusion(report: StepReport[InitialLossNumbers], levels: Levels) -> str:
    if report.faults:
        return f"{report.faults[0].name}: {report.faults[0].observed}"
    loss, spread = report.numbers.initial_loss or math.nan, report.numbers.output_std or 0.0
    return (
        f"initial loss {loss:.3f}, in theory {levels.initial:.3f} for outputs of zero; the outputs here have standard "
        f"deviation {shown(spread)}"
    )
