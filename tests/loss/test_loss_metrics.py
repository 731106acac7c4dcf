"""Predictions, their combination in an ensemble, and metrics against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from loss_cases import SIZES, draw_outputs, draw_targets, every_case, load
from sklearn import metrics as sk
from torch import Tensor
from torch.distributions import Normal

from nnlab.loss import GaussianNLL, Loss, decisions, ranking
from nnlab.loss.metrics import classification_metrics, negative_log_likelihood, regression_metrics
from nnlab.metric_names import METRICS
from nnlab.types import Task

Case = tuple[Loss, Task]


@pytest.fixture(params=every_case())
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def classification_reference(prediction: np.ndarray, targets: np.ndarray, probabilistic: bool) -> dict[str, float]:
    size, decided = prediction.shape[1], prediction.argmax(1)
    score = prediction[:, 1] if probabilistic else prediction[:, 1] - prediction[:, 0]
    binary = [(targets == 1, score)]
    ranked = binary if size == 2 else [(targets == c, prediction[:, c]) for c in range(size) if (targets == c).any()]
    of_classes = {
        "accuracy": sk.accuracy_score(targets, decided),
        "balanced_accuracy": sk.balanced_accuracy_score(targets, decided),
        "f1": sk.f1_score(targets, decided, average="macro"),
        "auroc": np.mean([sk.roc_auc_score(*each) for each in ranked]),
        "average_precision": np.mean([sk.average_precision_score(*each) for each in ranked]),
    }
    if not probabilistic:
        return of_classes
    confidence, right = prediction.max(1), prediction.argmax(1) == targets
    gaps = []
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        gaps.append(inside.sum() * abs(right[inside].mean() - confidence[inside].mean()) if inside.any() else 0)
    return of_classes | {
        "nll": sk.log_loss(targets, prediction, labels=range(size)),
        "brier": sum(np.mean((prediction[:, c] - (targets == c)) ** 2) for c in range(size)),
        "ece": sum(gaps) / len(targets),
    }


def regression_reference(prediction: np.ndarray, targets: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    prediction, targets = prediction * scale, targets * scale
    return {
        "rmse": sk.mean_squared_error(targets, prediction) ** 0.5,
        "mae": sk.mean_absolute_error(targets, prediction),
        "r2": sk.r2_score(targets, prediction),
    }


def test_metrics_are_those_of_scikit_learn_for_each_member(case: Case) -> None:
    loss, task = case
    targets = draw_targets(task, 3, 40)
    prediction = loss.prediction(2 * draw_outputs(loss, task, 3, 40))
    scale = torch.tensor([0.1, 2.0, 30.0], dtype=torch.float64) if task is Task.REGRESSION else None
    measured = loss.metrics(prediction, targets, scale)
    assert all(value.shape == (3,) for value in measured.values())
    for member in range(3):
        if scale is not None:
            mean = prediction[member, :, :3].numpy()
            expected = regression_reference(mean, targets[member].numpy(), scale.numpy())
            if isinstance(loss, GaussianNLL):
                std = prediction[member, :, 3:].sqrt() * scale
                density = Normal(torch.as_tensor(mean) * scale, std).log_prob(targets[member] * scale)
                expected["nll"] = -density.sum(-1).mean().item()
        else:
            expected = classification_reference(prediction[member].numpy(), targets[member].numpy(), loss.probabilistic)
        assert {name: value[member].item() for name, value in measured.items()} == pytest.approx(expected, rel=1e-9)


def test_the_primary_metric_is_among_the_metrics(case: Case) -> None:
    loss, task = case
    measured = loss.metrics(loss.prediction(draw_outputs(loss, task, 5)), draw_targets(task, 5))
    assert loss.primary_metric(task) in measured
    assert loss.primary_metric(task) == ("rmse" if task is Task.REGRESSION else "accuracy")
    assert ("nll" in measured) == loss.probabilistic


def test_class_predictions_have_a_column_for_each_class_and_probabilities_sum_to_one(case: Case) -> None:
    loss, task = case
    prediction = loss.prediction(draw_outputs(loss, task, 2, 5))
    if task is Task.REGRESSION:
        assert prediction.shape == (2, 5, 6 if loss.probabilistic else 3)
        return
    assert prediction.shape == (2, 5, SIZES[task])
    if loss.probabilistic:
        torch.testing.assert_close(prediction.sum(-1), torch.ones(2, 5).double())
        assert (prediction >= 0).all()


def test_lower_loss_means_the_right_class_is_predicted(case: Case) -> None:
    """Descending on the loss of an example makes its class the argmax of the prediction."""
    loss, task = case
    if task is Task.REGRESSION:
        pytest.skip("no classes")
    targets = torch.arange(SIZES[task])
    outputs = draw_outputs(loss, task, SIZES[task])
    for _ in range(200):
        outputs -= 0.2 * loss.gradient(outputs, targets)
    assert loss.metrics(loss.prediction(outputs), targets)["accuracy"] == 1


@pytest.mark.parametrize("name", ["binary_cross_entropy", "hinge"])
def test_one_positive_output_means_class_one(name: str) -> None:
    prediction = load(name).prediction(torch.tensor([[2.0], [-2.0]]))
    assert prediction.argmax(-1).tolist() == [1, 0]
    assert prediction[0].tolist() == prediction[1].flip(0).tolist()


def test_an_ensemble_averages_probabilities() -> None:
    loss = load("softmax_cross_entropy")
    outputs = draw_outputs(loss, Task.MULTICLASS, 4, 5)
    torch.testing.assert_close(loss.combine(loss.prediction(outputs)), outputs.softmax(-1).sum(0) / 4)


@pytest.mark.parametrize("variance", ["predicted", "fixed", "covariance"])
def test_an_ensemble_of_gaussians_has_the_moments_of_samples_from_the_mixture(variance: str) -> None:
    loss = GaussianNLL(variance, 0.5)
    predictions = loss.prediction(draw_outputs(loss, Task.REGRESSION, 4, 2))
    mean, std = predictions[..., :3], predictions[..., 3:].sqrt()
    torch.manual_seed(0)
    samples = Normal(mean, std).sample((50_000,)).flatten(0, 1)
    combined = loss.combine(predictions)
    standard_error = (samples.var(0) / len(samples)).sqrt()
    assert ((combined[:, :3] - samples.mean(0)).abs() < 4 * standard_error).all()
    torch.testing.assert_close(combined[:, 3:], samples.var(0), rtol=0.03, atol=0)


def test_an_ensemble_of_one_gaussian_is_that_gaussian() -> None:
    loss = GaussianNLL()
    prediction = loss.prediction(draw_outputs(loss, Task.REGRESSION, 1, 5))
    torch.testing.assert_close(loss.combine(prediction), prediction[0], rtol=0, atol=0)


def test_calibration_error_is_zero_where_confidence_equals_accuracy_and_the_gap_where_not() -> None:
    probabilities = torch.tensor([[0.75, 0.25]] * 4).double()
    assert classification_metrics(probabilities, torch.tensor([0, 0, 0, 1]), True, ())["ece"].item() == pytest.approx(0)
    assert classification_metrics(probabilities, torch.tensor([1, 1, 1, 1]), True, ())["ece"].item() == pytest.approx(
        0.75
    )
    sure = torch.tensor([[1.0, 0.0]] * 4)
    assert classification_metrics(sure, torch.tensor([0, 0, 1, 1]), True, ())["ece"].item() == pytest.approx(0.5)


def test_calibration_error_of_numbers_that_are_none_is_none_and_leaves_the_other_members_theirs() -> None:
    probabilities = torch.tensor([0.25, 0.75]).repeat(2, 4, 1)
    probabilities[0, 2] = torch.nan
    found = classification_metrics(probabilities, torch.tensor([1, 1, 1, 1]), True, ())["ece"]
    assert found.isnan().tolist() == [True, False]
    assert found[1].item() == pytest.approx(0.25)


def test_a_probability_of_zero_costs_a_finite_amount() -> None:
    nll = negative_log_likelihood(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert nll.item() == pytest.approx(-np.log(np.finfo(np.float32).tiny), rel=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_r2_of_a_constant_target_is_that_of_scikit_learn(offset: float) -> None:
    targets = torch.stack([torch.ones(6), torch.arange(6.0)], -1).double()
    prediction = targets + offset
    measured = regression_metrics(prediction, targets)["r2"].item()
    assert measured == pytest.approx(sk.r2_score(targets, prediction))


def test_a_single_example_has_no_r2() -> None:
    assert math.isnan(regression_metrics(torch.ones(1, 1), torch.ones(1, 1))["r2"].item())


def shuffled(values: Tensor) -> Tensor:
    return values[torch.randperm(len(values), generator=torch.Generator().manual_seed(0))]


def test_metrics_do_not_depend_on_the_order_of_examples(case: Case) -> None:
    loss, task = case
    prediction, targets = loss.prediction(draw_outputs(loss, task, 30)), draw_targets(task, 30)
    torch.testing.assert_close(loss.metrics(prediction, targets), loss.metrics(shuffled(prediction), shuffled(targets)))


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("distinct", [1, 2, 5, 1000])
@pytest.mark.parametrize("lowest", [0.0, -0.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ranking_metrics_count_ties_as_scikit_learn_does(size: int, distinct: int, lowest: float, dtype: str) -> None:
    random = np.random.default_rng(size * distinct)
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    targets = random.integers(size, size=(3, 200))
    scores = (random.integers(distinct, size=(3, 200, size)) / distinct + lowest).astype(dtype)
    for name, reference in (("auroc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)):
        measured = getattr(ranking, name)(torch.tensor(scores), torch.tensor(targets), probabilistic=True)
        for member in range(3):
            classes = [1] if size == 2 else range(size)
            expected = [reference(targets[member] == c, scores[member, :, c]) for c in classes]
            assert measured[member].item() == pytest.approx(np.mean(expected), rel=tolerance)


def test_both_zeros_are_one_score() -> None:
    prediction = torch.tensor([[1.0, 0.0], [1.0, -0.0], [1.0, 0.0], [1.0, -0.0]])
    assert ranking.auroc(prediction, torch.tensor([0, 1, 0, 1]), probabilistic=True).item() == 0.5


def test_ranking_in_pieces_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, targets = torch.rand(5, 40, 3), torch.randint(3, (5, 40))
    whole = ranking.auroc(prediction, targets, probabilistic=True)
    monkeypatch.setattr(ranking, "CHUNK", 80)
    assert torch.equal(ranking.auroc(prediction, targets, probabilistic=True), whole)


def test_targets_of_one_class_and_numbers_that_are_none_cannot_be_ranked() -> None:
    prediction = torch.rand(2, 10, 2)
    assert ranking.auroc(prediction, torch.ones(10, dtype=torch.long), probabilistic=True).isnan().all()
    prediction[0, 3] = torch.nan
    found = ranking.auroc(prediction, torch.arange(10) % 2, probabilistic=True)
    assert found.isnan().tolist() == [True, False]


def test_counts_of_each_class_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    targets, scores = random.integers(4, size=60), random.random((60, 5))  # class 4 is decided for, but never true
    counts = decisions.count(torch.tensor(scores).argmax(-1), torch.tensor(targets), 5)
    expected = sk.precision_recall_fscore_support(targets, scores.argmax(1), labels=range(5), zero_division=0)
    for measured, wanted in zip((counts.precision, counts.recall, counts.f1, counts.actual), expected, strict=True):
        np.testing.assert_allclose(measured.numpy(), wanted, rtol=1e-6)


def test_only_the_metrics_asked_for_are_measured_of_those_that_take_longer() -> None:
    loss = load("softmax_cross_entropy")
    prediction, targets = loss.prediction(draw_outputs(loss, Task.BINARY, 5)), draw_targets(Task.BINARY, 5)
    assert set(loss.metrics(prediction, targets, thorough=("f1",))) == {"accuracy", "nll", "brier", "ece", "f1"}
    numbers = load("squared_error").metrics(torch.ones(3, 1), torch.ones(3, 1))
    assert {"loss", *loss.metrics(prediction, targets), *numbers} == set(METRICS)
