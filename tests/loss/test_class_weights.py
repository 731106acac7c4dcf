"""Weights of classes against scikit-learn's and torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from loss_cases import SIZES, draw_outputs, draw_targets, load
from sklearn.utils.class_weight import compute_class_weight

from nnlab.cli import compose
from nnlab.config.build import build_loss, load_dataset
from nnlab.errors import UserError
from nnlab.loss import Hinge
from nnlab.loss.class_weights import balanced_weights
from nnlab.sweep.stacking import stacking_key
from nnlab.types import Task

WEIGHTED = ["softmax_cross_entropy", "binary_cross_entropy", "hinge", "multiclass_svm"]


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    targets = torch.tensor([0] * 90 + [1] * 7 + [2] * 3)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets.numpy())
    assert balanced_weights(targets, 3) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("name", WEIGHTED)
def test_balanced_weights_give_every_class_the_same_part_in_the_loss(name: str) -> None:
    plain, loss = load(name), load(name, class_weights="balanced")
    targets = torch.tensor([0] * 9 + [1])
    loss.fit(targets, 2)
    outputs = torch.zeros(10, loss.output_size(2), dtype=torch.float64)
    parts = [loss.losses(outputs, targets)[targets == c].sum().item() for c in (0, 1)]
    assert parts[0] == pytest.approx(parts[1])
    assert loss.losses(outputs, targets).mean().item() == pytest.approx(plain.losses(outputs, targets).mean().item())


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_weight_multiplies_the_loss_of_its_class(name: str) -> None:
    task = Task.BINARY
    plain, loss = load(name), load(name, class_weights=[0.5, 1.5])
    outputs, targets = draw_outputs(plain, task, 3, 8), draw_targets(task, 3, 8)
    weights = torch.tensor([0.5, 1.5], dtype=torch.float64)[targets]
    torch.testing.assert_close(loss.losses(outputs, targets), plain.losses(outputs, targets) * weights)
    torch.testing.assert_close(
        loss.gradient(outputs, targets), plain.gradient(outputs, targets) * weights.unsqueeze(-1)
    )


def test_weights_that_do_not_fit_the_classes_are_refused() -> None:
    with pytest.raises(UserError, match="one weight for each of the 2 classes, got 3"):
        Hinge(class_weights=[1, 1, 1]).fit(torch.tensor([0, 1]), SIZES[Task.BINARY])
    with pytest.raises(UserError, match=r"class 1 .* has none"):
        Hinge(class_weights="balanced").fit(torch.zeros(4, dtype=torch.long), 2)
    with pytest.raises(RuntimeError, match="fit"):
        Hinge(class_weights="balanced").losses(torch.zeros(1, 1), torch.tensor([0]))


def test_balanced_weights_follow_from_the_training_split() -> None:
    config = compose("data=breast_cancer", "loss=binary_cross_entropy", "loss.class_weights=balanced")
    dataset = load_dataset(config)
    counts = torch.bincount(dataset.train.targets).double()
    expected = (len(dataset.train) / (2 * counts)).tolist()
    assert build_loss(config, dataset).class_weights == pytest.approx(expected)


def test_runs_with_balanced_weights_share_a_loss_only_where_they_share_the_training_split() -> None:
    def key(*overrides: str) -> str:
        return stacking_key(compose("data=breast_cancer", "loss.class_weights=balanced", *overrides))[0] or ""

    assert key("seed=0") != key("seed=1")
    assert key("seed=0", "data_seed=3") == key("seed=1", "data_seed=3")
