"""Statistics against scikit-learn, numpy and closed forms; and a population's are those of its members alone."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nnlab.errors import UserError
from nnlab.loss.metrics import calibration_error
from nnlab.statistics import activations, calibration, curves, gradients, uncertainty, updates


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def probabilities(*shape: int, seed: int = 0) -> Tensor:
    return torch.softmax(2 * randn(*shape, seed=seed), -1)


def labels(*shape: int, classes: int, seed: int = 1) -> Tensor:
    return torch.randint(classes, shape, generator=torch.Generator().manual_seed(seed))


def diagram(probabilities: Tensor, targets: Tensor) -> Tensor:
    table = calibration.reliability(probabilities, targets, bins=4)
    return torch.stack([table.confidence, table.accuracy, table.count], -1)


PER_MEMBER: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": activations.mean,
    "std": activations.std,
    "second_moment": activations.second_moment,
    "saturated_fraction": lambda y: activations.saturated_fraction(y, -1.0, 1.0, 0.3),
    "dead_fraction": lambda y: activations.dead_fraction(y.relu() * (y[:, :1] > 0)),
    "norm": gradients.norm,
    "update_to_weight": lambda y: updates.ratio(gradients.norm(0.1 * y.sin()), gradients.norm(y)),
    "ece": lambda y: ece(y.flatten(2).softmax(-1), labels(*y.shape[:2], classes=4) * 0),
    "confusion": lambda y: calibration.confusion_matrix(
        labels(y.shape[1], classes=4), y.flatten(2)[..., :4].argmax(-1), 4
    ),
    "reliability": lambda y: diagram(y.flatten(2).softmax(-1), labels(y.shape[1], classes=4)),
}


@pytest.mark.parametrize("shape", [(3, 20, 6), (3, 10, 4, 2, 5)], ids=["features", "maps"])
@pytest.mark.parametrize("name", PER_MEMBER)
def test_a_populations_statistic_is_that_of_each_member_alone(name: str, shape: tuple[int, ...]) -> None:
    statistic, y = PER_MEMBER[name], randn(*shape)
    together = statistic(y)
    assert together.shape[0] == 3
    alone = torch.cat([statistic(member.unsqueeze(0)) for member in y])
    torch.testing.assert_close(together, alone, equal_nan=True)
    assert len({str(value) for value in together.tolist()}) > 1 or name == "dead_fraction"


@pytest.mark.parametrize("module", [calibration, curves], ids=lambda module: module.__name__)
def test_examples_in_docstrings_hold(module: object) -> None:
    result = doctest.testmod(module, extraglobs={"torch": torch})
    assert result.attempted > 0
    assert result.failed == 0


class TestActivations:
    def test_moments_equal_numpy(self) -> None:
        y = randn(2, 30, 4, 3) + 0.5
        rows = y.reshape(2, -1).numpy()
        np.testing.assert_allclose(activations.mean(y), rows.mean(1), rtol=1e-12)
        np.testing.assert_allclose(activations.std(y), rows.std(1), rtol=1e-12)
        np.testing.assert_allclose(activations.second_moment(y), (rows**2).mean(1), rtol=1e-12)

    def test_half_precision_is_measured_in_float32(self) -> None:
        y = torch.full((1, 100, 100), 300.0, dtype=torch.float16)
        assert activations.second_moment(y).item() == pytest.approx(90000)
        assert gradients.norm(y).item() == pytest.approx(30000)

    def test_saturation_counts_only_the_sides_that_exist(self) -> None:
        y = torch.tensor([[-1.0, -0.99, 0.0, 0.99, 1.0, -1.5]])
        assert activations.saturated_fraction(y, -1.0, 1.0).item() == pytest.approx(4 / 6)
        assert activations.saturated_fraction(y, -1.0, None).item() == pytest.approx(2 / 6)
        assert activations.saturated_fraction(y, None, 1.0, tolerance=0.0).item() == pytest.approx(1 / 6)
        assert activations.saturated_fraction(y, None, None).item() == 0

    def test_a_unit_is_dead_only_if_it_is_off_for_every_example(self) -> None:
        y = torch.zeros(2, 5, 4)
        y[0, 3, 1] = 0.1
        y[1, :, :3] = 1.0
        assert activations.dead_fraction(y).tolist() == [0.75, 0.25]

    def test_a_channel_is_dead_only_if_it_is_off_everywhere(self) -> None:
        y = torch.zeros(1, 5, 4, 3, 3)
        y[0, 2, 1, 0, 2] = 0.1
        assert activations.dead_fraction(y).item() == 0.75

    def test_the_floor_is_the_activations_own(self) -> None:
        y = torch.tensor([[[-1.0, 0.0], [-0.9999, 0.0]]])
        assert activations.dead_fraction(y, floor=-1.0).item() == 0
        assert activations.dead_fraction(y, floor=-1.0, tolerance=1e-3).item() == 0.5

    def test_nan_is_not_dead(self) -> None:
        assert activations.dead_fraction(torch.full((1, 2, 3), math.nan)).item() == 0


class TestGradientsAndUpdates:
    def test_norm_equals_numpy(self) -> None:
        rows = randn(3, 50)
        np.testing.assert_allclose(gradients.norm(rows), np.linalg.norm(rows, axis=1), rtol=1e-12)

    def test_the_ratio_is_relative_and_defined_at_zero(self) -> None:
        weight = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.0]])
        update = torch.tensor([[0.0, 0.005], [0.0, 1.0], [0.0, 0.0]])
        assert updates.ratio(gradients.norm(update), gradients.norm(weight)).tolist() == pytest.approx(
            [1e-3, math.inf, 0]
        )


def ece(p: torch.Tensor, t: torch.Tensor, bins: int = 15) -> torch.Tensor:
    """The calibration error of decisions for the most probable class."""
    confidence, decided = p.max(-1)
    return calibration_error(confidence, (decided == t).to(p.dtype), bins)


def guo(probabilities: np.ndarray, targets: np.ndarray, bins: int) -> float:
    """Equation 3 of Guo et al., word by word."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == targets
    total = 0.0
    for m in range(1, bins + 1):
        inside = (confidence > (m - 1) / bins) & (confidence <= m / bins)
        if inside.any():
            total += inside.sum() / len(targets) * abs(right[inside].mean() - confidence[inside].mean())
    return total


class TestCalibration:
    @pytest.mark.parametrize("classes", [2, 10])
    @pytest.mark.parametrize("bins", [1, 5, 15])
    def test_ece_equals_its_definition(self, classes: int, bins: int) -> None:
        p, t = probabilities(500, classes), labels(500, classes=classes)
        measured = ece(p, t, bins).item()
        assert measured == pytest.approx(guo(p.numpy(), t.numpy(), bins), abs=1e-12)

    def test_a_confidence_on_an_edge_belongs_to_the_bin_below(self) -> None:
        p = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]], dtype=torch.float64)
        assert calibration.reliability(p, torch.tensor([0, 1, 1]), bins=4).count.tolist() == [0, 1, 1, 1]

    def test_the_diagram_equals_scikit_learns(self) -> None:
        from sklearn.calibration import calibration_curve

        p, t = probabilities(2000, 2), labels(2000, classes=2)
        table = calibration.reliability(p, t, bins=10)
        right = (p.argmax(-1) == t).numpy()
        expected_accuracy, expected_confidence = calibration_curve(right, p.max(-1).values.numpy(), n_bins=10)
        filled = table.count > 0
        np.testing.assert_allclose(table.confidence[filled], expected_confidence, rtol=1e-12)
        np.testing.assert_allclose(table.accuracy[filled], expected_accuracy, rtol=1e-12)
        assert table.confidence[~filled].isnan().all()
        assert table.count.sum() == 2000

    def test_labels_drawn_from_the_probabilities_are_calibrated(self) -> None:
        p = probabilities(40000, 3)
        t = torch.multinomial(p, 1, generator=torch.Generator().manual_seed(2)).squeeze(1)
        assert ece(p, t).item() < 0.01
        assert ece(p**3 / (p**3).sum(-1, keepdim=True), t).item() > 0.05

    def test_rounding_above_one_stays_in_the_last_bin(self) -> None:
        p = torch.tensor([[1.0000001, 0.0]])
        assert calibration.reliability(p, torch.tensor([0])).count.tolist() == [0] * 14 + [1]

    def test_confusion_equals_scikit_learn(self) -> None:
        from sklearn import metrics

        t, p = labels(200, classes=4), labels(3, 200, classes=4, seed=2)
        counts = calibration.confusion_matrix(t, p, 5)
        assert counts.dtype == torch.int64
        for member, own in zip(counts, p, strict=True):
            np.testing.assert_array_equal(member, metrics.confusion_matrix(t, own, labels=range(5)))

    @pytest.mark.parametrize("label", [-1, 3])
    def test_labels_out_of_range_are_refused(self, label: int) -> None:
        with pytest.raises(ValueError, match=r"labels must be in \[0, 3\)"):
            calibration.confusion_matrix(torch.tensor([0, 1]), torch.tensor([label, 0]), 3)


class TestUncertainty:
    def test_agreement_has_entropy_but_no_information(self) -> None:
        p = torch.full((4, 2, 8), 1 / 8, dtype=torch.float64)
        np.testing.assert_allclose(uncertainty.predictive_entropy(p), math.log(8), rtol=1e-12)
        np.testing.assert_allclose(uncertainty.mutual_information(p), 0, atol=1e-12)

    def test_rounding_never_makes_information_negative(self) -> None:
        same = probabilities(1, 500, 7).float().expand(3, -1, -1)
        assert (uncertainty.mutual_information(same) >= 0).all()
        assert (uncertainty.predictive_entropy(same) < uncertainty.expected_entropy(same)).any()

    def test_certain_members_that_disagree_are_all_information(self) -> None:
        p = torch.eye(3, dtype=torch.float64).unsqueeze(1)
        assert uncertainty.mutual_information(p).item() == pytest.approx(math.log(3), rel=1e-12)
        assert uncertainty.expected_entropy(p).item() == 0

    def test_entropy_equals_scipy(self) -> None:
        from scipy.stats import entropy

        p = probabilities(5, 20, 6)
        np.testing.assert_allclose(uncertainty.entropy(p), entropy(p.numpy(), axis=-1), rtol=1e-12)
        np.testing.assert_allclose(uncertainty.predictive_entropy(p), entropy(p.mean(0).numpy(), axis=-1), rtol=1e-12)

    @given(k=st.integers(1, 5), classes=st.integers(2, 6), seed=st.integers(0, 1000))
    @settings(max_examples=30, deadline=None)
    def test_parts_add_up_and_stay_in_their_bounds(self, k: int, classes: int, seed: int) -> None:
        p = probabilities(k, 10, classes, seed=seed)
        total, information = uncertainty.predictive_entropy(p), uncertainty.mutual_information(p)
        torch.testing.assert_close(total, information + uncertainty.expected_entropy(p))
        assert (total <= math.log(classes) + 1e-12).all()
        assert ((information >= 0) & (information <= math.log(min(k, classes)) + 1e-12)).all()


class TestCurves:
    @given(length=st.integers(0, 30), window=st.integers(1, 40))
    @settings(max_examples=30, deadline=None)
    def test_moving_average_is_the_mean_of_the_last_values(self, length: int, window: int) -> None:
        values = randn(length, 3)
        smooth = curves.moving_average(values, window)
        assert smooth.shape == values.shape
        for step in range(length):
            expected = values[max(0, step + 1 - window) : step + 1].mean(0)
            torch.testing.assert_close(smooth[step], expected, rtol=1e-12, atol=1e-12)

    def test_a_value_that_is_not_finite_spoils_only_its_window(self) -> None:
        values = torch.tensor([1.0, math.nan, 1.0, 1.0, 1.0])
        assert curves.moving_average(values, 2).isnan().tolist() == [False, True, True, False, False]

    def test_constant_curves_stay_constant_from_the_first_value_on(self) -> None:
        values = torch.full((100,), 2.5)
        torch.testing.assert_close(curves.moving_average(values, 7), values)

    def test_an_empty_curve_is_empty(self) -> None:
        assert curves.moving_average(torch.empty(0, 2), 3).shape == (0, 2)

    def test_bad_windows_are_refused(self) -> None:
        with pytest.raises(UserError, match=r"`window` must be in \[1, inf\), got 0"):
            curves.moving_average(torch.zeros(3), 0)
