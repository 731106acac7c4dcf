"""Out-of-fold predictions: every example by a network that has not seen it, the folds as one population."""

from __future__ import annotations

import pytest
import torch

from nnlab.cli import compose
from nnlab.config.build import load_dataset
from nnlab.diagnosis.facts.labels import label_facts
from nnlab.errors import UserError
from nnlab.runs.out_of_fold import assign_folds, out_of_fold
from nnlab.training import Trainer


def test_folds_are_equal_and_have_the_classes_in_proportion() -> None:
    targets = torch.tensor([0] * 50 + [1] * 30 + [2] * 22)
    fold = assign_folds(targets, 4, seed=1)
    counts = torch.bincount(fold[fold >= 0], minlength=4)
    assert counts.tolist() == [25] * 4
    for label in range(3):
        own = torch.bincount(fold[(targets == label) & (fold >= 0)], minlength=4)
        assert int(own.max() - own.min()) <= 1


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(UserError, match="4 folds need 8 training examples"):
        assign_folds(torch.zeros(7, dtype=torch.long), 4, seed=0)


def test_predictions_out_of_fold_are_as_good_as_on_the_validation_split() -> None:
    config = compose("data=digits", "trainer.epochs=6")
    dataset = load_dataset(config)
    found = out_of_fold(config)
    own = (found.prediction.argmax(1) == dataset.train.targets).double().mean()
    held = (found.validation.argmax(1) == dataset.validation.targets).double().mean()
    assert abs(float(own - held)) < 0.05
    assert float(own) > 0.9
    again = out_of_fold(config)
    assert torch.equal(found.prediction, again.prediction)


def test_planted_labels_are_ranked_before_sound_ones() -> None:
    config = compose("data=digits", "trainer.epochs=8")
    sound = load_dataset(config)
    noisy = load_dataset(compose("data=digits", "data.label_noise=0.3"))
    planted = (noisy.train.targets != sound.train.targets).nonzero().flatten().tolist()
    found = out_of_fold(compose("data=digits", "data.label_noise=0.3", "trainer.epochs=8"))
    facts = label_facts(
        found.prediction,
        noisy.train.inputs,
        noisy.train.targets,
        found.learned,
        found.validation,
        noisy.validation.targets,
    )
    first = facts.suspicious[:50]
    assert len(set(first) & set(planted)) >= 47
    assert facts.share == pytest.approx(len(planted) / len(noisy.train), abs=0.06)
    assert facts.late > 0.8  # what is learned by heart is learned last


def test_regression_is_predicted_by_its_means() -> None:
    config = compose("data=diabetes", "loss=squared_error", "trainer.epochs=5")
    found = out_of_fold(config, folds=3)
    assert found.prediction.shape == (len(load_dataset(config).train), 1)
    assert bool(found.learned.isnan().all())


def test_a_batch_larger_than_a_fold_takes_the_whole_fold() -> None:
    shared = ["data=digits", "data.limit=200", "trainer.epochs=5"]
    rows = len(load_dataset(compose(*shared)).train)
    found = out_of_fold(compose(*shared, f"trainer.batch_size={rows}"))
    assert torch.equal(found.prediction, out_of_fold(compose(*shared, "trainer.batch_size=full")).prediction)


def test_examples_that_stay_on_disk_are_predicted_as_those_in_memory() -> None:
    found = [
        out_of_fold(compose("data=digits", "data.limit=200", "trainer.epochs=2", f"data.resident={resident}"))
        for resident in ("true", "false")
    ]
    assert torch.equal(found[0].prediction, found[1].prediction)
    assert torch.equal(found[0].validation, found[1].validation)


@pytest.mark.parametrize("free", [0, 100_000, 10**12])
def test_networks_that_the_memory_does_not_hold_together_are_trained_one_after_another(
    monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    config = compose("data=digits", "data.limit=120", "trainer.epochs=3")
    expected = out_of_fold(config)
    trained: list[int] = []
    fit = Trainer.fit

    def noted(trainer: Trainer) -> None:
        trained.append(len(trainer.members))
        fit(trainer)

    monkeypatch.setattr(Trainer, "fit", noted)
    monkeypatch.setattr("nnlab.training.memory.free_memory", lambda device: free)
    found = out_of_fold(config)
    assert sum(trained) == 4
    assert max(trained) == {0: 1, 10**12: 4}.get(free, max(trained))
    assert torch.allclose(found.prediction, expected.prediction, atol=1e-6)
    assert torch.allclose(found.validation, expected.validation, atol=1e-6)
    assert torch.equal(found.learned, expected.learned)
