"""A run on a handful of rows, or on splits that lie apart, is told what is so, and warns of nothing else."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from test_rules import GOOD, changed

from nnlab.commands.train import ensemble_table
from nnlab.data.given import Given
from nnlab.data.raw import Raw
from nnlab.diagnosis import Series, diagnose
from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.facts.data import DataFacts, constant_metric, data_facts
from nnlab.diagnosis.rules.data import data_findings
from nnlab.diagnosis.rules.fit import overfitting
from nnlab.loss import SquaredError
from nnlab.types import Dataset, Split, Task


def dataset(train: list[float], validation: list[float]) -> Dataset:
    targets = torch.tensor([*train, *validation], dtype=torch.float64)[:, None]
    own = Given(raw=Raw(targets, targets, Task.REGRESSION, ("y",), "X"), standardize_targets=False, preprocessing=None)
    found = own.load(0, None)  # type: ignore[arg-type]
    parts = [torch.tensor(each)[:, None] for each in (train, validation)]
    return dataclasses.replace(found, train=Split(parts[0], parts[0]), validation=Split(parts[1], parts[1]))


def facts(train: list[float], validation: list[float]) -> DataFacts:
    return data_facts(dataset(train, validation), SquaredError(), clean=True)


def test_skill_in_training_is_measured_beside_the_constant_of_the_training_split() -> None:
    data = dataset([0.0, 2.0, 4.0, 6.0], [3.0, 3.1, 2.9])
    found = data_facts(data, SquaredError(), clean=True)
    assert found.baseline_metric == pytest.approx(math.sqrt(0.02 / 3), abs=1e-5)
    assert constant_metric(data, data.train.targets) == pytest.approx(math.sqrt(5))
    half = dataclasses.replace(GOOD, metric=math.sqrt(2.5), baseline=math.sqrt(5))
    splits = {"train": half, "validation": dataclasses.replace(half, baseline=found.baseline_metric)}
    enough = vars(found) | {"examples": {"train": 4, "validation": 4}}
    view = View(changed(data=enough, splits=splits, task=Task.REGRESSION))
    assert view.skill("train") == pytest.approx(0.5)
    assert view.skill("validation") < -100
    few = vars(found) | {"examples": {"train": 4, "validation": 3}}
    assert math.isnan(View(changed(data=few, splits=splits, task=Task.REGRESSION)).skill("validation"))


def test_a_single_training_row_is_named_and_neither_its_inputs_nor_its_target() -> None:
    [found] = data_findings(facts([3.0], [3.0, 4.0]))
    assert found.name == "inputs_constant"
    assert found.observed == "there is a single training example"
    assert "Bring more rows" in found.explanation


@pytest.mark.parametrize(("count", "said"), [(1, "There is only 1 validation example: "), (12, "There are only 12 ")])
def test_few_validation_rows_are_counted_without_a_value_that_another_place_of_the_page_has(count, said) -> None:
    facts = dataclasses.replace(GOOD, error=0.0 if count == 1 else 0.12)
    data = {"examples": {"train": 600, "validation": count, "test": 200}}
    record = changed(data=data, splits={"train": GOOD, "validation": facts})
    [found] = [each for each in diagnose(record) if each.name == "noisy_validation"]
    assert found.observed.startswith(said)
    assert ("standard error" in found.evidence) == (count > 1)
    assert "0.99" not in found.observed


def test_the_table_of_an_ensemble_has_no_column_of_what_a_single_row_leaves_undefined() -> None:
    row = {"loss": 1.0, "r2": math.nan}
    gain = {"loss": -0.0, "r2": math.nan}
    table = ensemble_table({"mean": row, "std": {"loss": 0.0, "r2": math.nan}, "by_size": [row], "gain": gain})
    names, cells = zip(*((column.header, list(column.cells)) for column in table.columns), strict=True)
    assert names == ("averaged", "loss")
    assert cells[1] == ["1.0000", "1.0000", "± 0.0000", "+0.0000"]


@pytest.mark.parametrize(("count", "known"), [(1, False), (9, False), (10, True)])
def test_a_handful_of_validation_rows_shows_no_overfitting_however_far_their_loss_rises(count, known) -> None:
    loss = Series(list(range(20, 201, 20)), [0.5, 0.4, 0.4, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    record = changed(data={"examples": {"train": 600, "validation": count, "test": 200}}, curves={"loss": loss})
    assert bool(list(overfitting(View(record)))) == known
