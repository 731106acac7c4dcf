"""What simple methods reach on the split of a finished run: its references, and whether one of them is better.

The constant answer, a linear model and boosted trees are fitted to the same training examples; see
`nnlab.diagnosis.facts.simple`. A data set names them in `references`; tables do.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nnlab.config.build import load_dataset
from nnlab.console import counted, silenced
from nnlab.diagnosis import Finding
from nnlab.diagnosis.facts.chance import CHANCE, association
from nnlab.diagnosis.facts.once import once
from nnlab.diagnosis.facts.simple import Name, SimpleModel, advantage, comparable, simple_models
from nnlab.diagnosis.finding import shown
from nnlab.diagnosis.rules.data import HANDFUL
from nnlab.diagnosis.rules.fit import TELLING
from nnlab.loss.base import Loss
from nnlab.metric_names import HIGHER_IS_BETTER, title
from nnlab.runs.networks import load_networks
from nnlab.runs.prediction import combined, predictions
from nnlab.runs.result import Result
from nnlab.storage.folder import write_result
from nnlab.types import Dataset

SURE = 2.0  # standard errors from which an answer may be better than the constant's
ENOUGH = 30  # held-out examples, below which that says little about the data
LEARNED = 0.05  # share of the constant's errors on the training split that a network which has learned it still makes
CLEAR = 3.0  # standard errors by which the best of several simple models must be ahead
SMALL = 1 << 16  # numbers of a prediction that is kept
MATTERS = 0.05  # of its own errors that the network's are larger by, from which that is worth a word
WORDS = {"constant": "the best constant answer", "linear": "a linear model", "trees": "boosted trees"}


def with_references(result: Result, config: Mapping[str, Any]) -> Result:
    """A completed run's result with the references that its data name; others as they are.

    What was trained one by one is in its folder already, where the references are added.
    """
    names = config["data"].get("references") or []
    if result.status != "completed" or not names:
        return result
    dataset, loss, prediction = _of_test(result, config)
    models = _models(dataset, loss, names)
    findings = list(result.diagnosis)
    found = _better(models, prediction, dataset, loss, result) or _nothing(models, prediction, dataset, loss, result)
    if found is not None and found.name not in _names(findings):
        findings.append(found.to_dict())
    references = {model.name: model.metrics for model in models}
    whole = dataclasses.replace(result, references=references, diagnosis=findings)
    if result.trainer is None:
        write_result(result.directory, whole.content())
    return whole


def _names(findings: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names of findings, and of those that they explain."""
    return {each["name"] for finding in findings for each in (finding, *finding.get("symptoms", ()))}


def _models(dataset: Dataset, loss: Loss, names: Sequence[Name]) -> list[SimpleModel]:
    """The simple models with their answers to the test split; fitted once a process, if these are small."""

    def fitted() -> list[SimpleModel]:
        found = simple_models(dataset, loss, names)
        return [dataclasses.replace(each, predictions={"test": each.predictions["test"]}) for each in found]

    few = len(dataset.test) * dataset.target_size <= SMALL
    return once(f"simple models {list(names)}", dataset, loss, fitted) if few else fitted()


def keeps_up(result: Result) -> bool:
    """Whether the errors of a finished run are about those of the best simple model, boosted trees among them.

    Where trees cannot do better, noise in the targets is the likely reason, and not the network.
    """
    trainer = result.trainer
    if trainer is None or "trees" not in result.references:
        return False
    metric = comparable(result.metric, trainer.members[0].dataset, trainer.loss)
    reached = [by_split["test"].get(metric, math.nan) for by_split in result.references.values()]
    least = min(_errors(metric, value) for value in reached)
    return _errors(metric, result.metrics["test"].get(metric, math.nan)) <= (1 + MATTERS) * least


def _errors(metric: str, value: float) -> float:
    """How far a metric is from that of a perfect fit."""
    return 1 - value if metric in HIGHER_IS_BETTER else abs(value)


def _of_test(result: Result, config: Mapping[str, Any]) -> tuple[Dataset, Loss, Tensor]:
    """The data set, the loss, and what the run predicts for the test split, (N, *)."""
    trainer = result.trainer
    if trainer is None:  # an ensemble whose members were trained one by one
        networks = load_networks(result.directory)
        with silenced():
            dataset = load_dataset(config)
        each, loss = predictions(networks.stack, dataset.test.inputs), networks.loss
    else:
        dataset, loss = trainer.members[0].dataset, trainer.loss
        each = trainer.final_evaluations()["test"].prediction
    return dataset, loss, combined(loss, each)


def _better(
    models: list[SimpleModel], prediction: Tensor, dataset: Dataset, loss: Loss, result: Result
) -> Finding | None:
    """The finding that the best of the simple models is better, by more than the test examples' chance; or None.

    A handful of them does not tell its own standard error, which the bootstrap finds too small.
    """
    if len(dataset.test) < HANDFUL:
        return None
    metric = comparable(result.metric, dataset, loss)
    values = prediction[..., : dataset.target_size]
    one = 1.5 / len(dataset.test) if metric == "accuracy" else 0.0  # a single example says nothing
    behind = []
    for model in models:
        gain, error = advantage(metric, [values.cpu()], model.predictions["test"].cpu(), _on_cpu(dataset), "test")
        reached = model.metrics["test"][metric]
        if gain < -max(CLEAR * error, one, MATTERS * _errors(metric, reached)):
            behind.append((gain, error, model))
    if not behind:
        return None
    gain, error, model = min(behind, key=lambda each: each[0])
    reached, own = model.metrics["test"][metric], result.metrics["test"][metric]
    verb = "reach" if model.name == "trees" else "reaches"
    return Finding(
        "simple_model_better",
        f"{WORDS[model.name]} {verb} {title(metric)} {shown(reached, 4)} on the test split, the network "
        f"{shown(own, 4)}, which is {shown(-gain, 2)} worse (standard error {shown(error, 2)})",
        {"reference": model.name, "metric": metric, "of the reference": reached, "of the network": own, "error": error},
        level="fault",
    )


def _nothing(
    models: list[SimpleModel], prediction: Tensor, dataset: Dataset, loss: Loss, result: Result
) -> Finding | None:
    """The finding that nothing is better than the constant answer on held-out examples; None where something may be.

    A metric of decisions has no use for a rare class, or for a weak relation: what orders the examples better than
    chance, on the validation split besides, is better than the constant, too.
    """
    constant = next((model for model in models if model.name == "constant"), None)
    if constant is None or result.trainer is None:
        return None
    held_out = combined(loss, result.trainer.final_evaluations()["validation"].prediction)
    metric, data, size = comparable(result.metric, dataset, loss), _on_cpu(dataset), dataset.target_size
    rival = constant.predictions["test"].cpu()
    if len(held_out) + len(prediction) < ENOUGH:
        return None

    def tells(answers: Tensor, others: Sequence[Tensor] = (), targets: Sequence[Tensor] = ()) -> bool:
        gain, error = advantage(metric, [answers], rival, data, "test")
        every = torch.cat([answers, *others]), torch.cat([data.test.targets, *targets])
        return not gain <= SURE * error or association(*every) > CHANCE

    own, others = (each[..., :size].cpu() for each in (prediction, held_out))
    rest = [model for model in models if model is not constant]
    if tells(own, [others], [data.validation.targets]) or any(tells(each.predictions["test"].cpu()) for each in rest):
        return None
    who = f"neither {' nor '.join(['the network', *(WORDS[model.name] for model in rest)])}"
    beats = "beat" if rest and rest[-1].name == "trees" else "beats"
    train, known = result.metrics["train"][metric], constant.metrics["train"][metric]
    by_heart = (
        f", though the network has learned the {len(dataset.train)} training examples by heart ({title(metric)} "
        f"{shown(train, 4)})"
        if _errors(metric, train) < LEARNED * _errors(metric, known)
        else ""
    )
    few = None if len(dataset.train) >= TELLING else counted(len(dataset.train), "training example")
    return Finding(
        "targets_unrelated",
        f"On the {len(data.test)} test examples {who if rest else 'the network'} {beats if rest else 'does not beat'} "
        f"the constant answer by more than two standard errors, {'or' if rest else 'nor does it'} "
        f"order{'' if beats == 'beat' or not rest else 's'} them clearly better than chance{by_heart}",
        {
            "metric": metric,
            "of the network": result.metrics["test"][metric],
            "of the constant": constant.metrics["test"][metric],
            "in training": train,
        },
        why="" if few is None else f"What the inputs say about the targets may take more than {few}.",
        level="fault",
    )


def _on_cpu(dataset: Dataset) -> Dataset:
    """The data set where the simple models' predictions are."""
    return dataset.to(torch.device("cpu"), dataset.train.inputs.dtype)
