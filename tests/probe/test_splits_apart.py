"""Targets that belong to their inputs in one split alone are said to, whichever split that is; and columns of noise."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from nnlab.cli import compose
from nnlab.diagnosis import Finding
from nnlab.probe.columns import related_columns
from nnlab.probe.data import data_findings
from nnlab.types import Dataset, Split, Task

DRAW = torch.Generator().manual_seed(0)
X = torch.randn(700, 5, generator=DRAW)
Y = X[:, :1] - X[:, 1:2] + 0.1 * torch.randn(700, 1, generator=DRAW)
SOUND = Dataset(Split(X[:400], Y[:400]), Split(X[400:], Y[400:]), Split(X[400:], Y[400:]), Task.REGRESSION, ("y",))


def found(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    monkeypatch.setattr("nnlab.probe.data.load_dataset", lambda _: data)
    return data_findings(compose("data=diabetes", "loss=squared_error", "trainer.epochs=20"))


def shuffled(split: Split) -> Split:
    return Split(split.inputs, split.targets[torch.randperm(len(split), generator=torch.Generator().manual_seed(1))])


def test_training_targets_that_were_shuffled_are_told_from_a_task_that_is_hard(monkeypatch: pytest.MonkeyPatch) -> None:
    [finding] = found(dataclasses.replace(SOUND, train=shuffled(SOUND.train)), monkeypatch)
    assert finding.name == "splits_differ"
    assert "targets of the training split do not belong to its inputs" in finding.reason
    hopeless = dataclasses.replace(SOUND, train=shuffled(SOUND.train), validation=shuffled(SOUND.validation))
    assert found(hopeless, monkeypatch) == []


def test_validation_targets_that_were_shuffled_are_those_of_the_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    [finding] = found(dataclasses.replace(SOUND, validation=shuffled(SOUND.validation)), monkeypatch)
    assert finding.name == "splits_differ"
    assert "In the validation split targets depend on inputs in another way" in finding.reason


def test_columns_of_noise_are_told_from_those_that_go_with_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = torch.randn(700, 300, generator=DRAW)
    wide = torch.cat([X, noise], 1)
    parts = [Split(wide[rows], Y[rows]) for rows in (slice(0, 120), slice(120, 700), slice(120, 700))]
    [finding] = found(Dataset(parts[0], parts[1], parts[2], Task.REGRESSION, ("y",)), monkeypatch)
    assert finding.name == "columns_without_use"
    assert related_columns(parts[0], 1)[:2] in ([0, 1], [1, 0])
    assert related_columns(Split(noise[:400], Y[:400]), 1) == []
    assert found(SOUND, monkeypatch) == []
