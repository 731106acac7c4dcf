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
from nnlab.console import silenced
from nnlab.diagnosis import Finding
from nnlab.diagnosis.facts.once import once
from nnlab.diagnosis.facts.simple import Name, SimpleModel, advantage, comparable, simple_models
from nnlab.diagnosis.finding import shown
from nnlab.loss.base import Loss
from nnlab.metric_names import HIGHER_IS_BETTER
from nnlab.runs.networks import load_networks
from nnlab.runs.prediction import combined, predictions
from nnlab.runs.result import Result
from nnlab.storage.folder import write_result
from nnlab.types import Dataset

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
    better = _better(models, prediction, dataset, loss, result)
    if better is not None:
        findings.append(better.to_dict())
    references = {model.name: model.metrics for model in models}
    found = dataclasses.replace(result, references=references, diagnosis=findings)
    if result.trainer is None:
        write_result(result.directory, found.content())
    return found


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
    """The finding that the best of the simple models is better, by more than the test examples' chance; or None."""
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
        f"{WORDS[model.name]} {verb} {metric} {shown(reached, 4)} on the test split, the network {shown(own, 4)}, "
        f"which is {shown(-gain, 2)} worse (standard error {shown(error, 2)})",
        {"reference": model.name, "metric": metric, "of the reference": reached, "of the network": own, "error": error},
        level="fault",
    )


def _on_cpu(dataset: Dataset) -> Dataset:
    """The data set where the simple models' predictions are."""
    return dataset.to(torch.device("cpu"), dataset.train.inputs.dtype)
