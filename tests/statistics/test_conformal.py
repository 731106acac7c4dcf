"""Conformal sets and intervals: as MAPIE makes them, and with the coverage that they state."""

from __future__ import annotations

import numpy as np
import pytest

from nnlab.statistics import conformal

RNG = np.random.default_rng(3)


def test_sets_of_classes_are_those_of_mapie() -> None:
    from mapie.classification import SplitConformalClassifier
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression

    x, y = load_wine(return_X_y=True)
    order = RNG.permutation(len(x))
    model = LogisticRegression(C=1e-3, max_iter=10000).fit(x[order[:60]], y[order[:60]])
    held, new = order[60:120], order[120:]
    mapie = SplitConformalClassifier(model, confidence_level=0.85, conformity_score="lac", prefit=True)
    _, expected = mapie.conformalize(x[held], y[held]).predict_set(x[new])
    scores = conformal.class_scores(model.predict_proba(x[held]), y[held])
    found = conformal.class_sets(model.predict_proba(x[new]), conformal.threshold(scores, 0.85))
    assert 0 < found.sum() != len(new), "every set has one class: nothing is compared"
    np.testing.assert_array_equal(found, expected[:, :, 0])


def test_intervals_are_those_of_mapie() -> None:
    from mapie.regression import SplitConformalRegressor
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import LinearRegression

    x, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(x[:150], y[:150])
    mapie = SplitConformalRegressor(model, confidence_level=0.9, prefit=True).conformalize(x[150:300], y[150:300])
    _, expected = mapie.predict_interval(x[300:])
    scores = conformal.number_scores(model.predict(x[150:300])[:, None], None, y[150:300, None])
    lower, upper = conformal.intervals(model.predict(x[300:])[:, None], None, conformal.threshold(scores, 0.9))
    np.testing.assert_allclose(np.stack([lower[:, 0], upper[:, 0]], 1), expected[:, :, 0])


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_the_truth_is_inside_as_often_as_stated_however_bad_the_model(coverage: float) -> None:
    held = []
    for _ in range(400):
        truth = RNG.standard_exponential((60, 1))
        guess, std = np.full((60, 1), 5.0), 0.1 + RNG.random((60, 1))
        limit = conformal.threshold(conformal.number_scores(guess[:40], std[:40], truth[:40]), coverage)
        lower, upper = conformal.intervals(guess[40:], std[40:], limit)
        held.append(((lower <= truth[40:]) & (truth[40:] <= upper)).mean())
    exact = np.ceil(41 * coverage) / 41
    assert np.mean(held) == pytest.approx(exact, abs=4 * np.std(held) / 20)


@pytest.mark.parametrize(("coverage", "fewest"), [(0.5, 1), (0.9, 9), (0.95, 19), (0.99, 99), (0.9999, 9999)])
def test_a_coverage_needs_enough_examples(coverage: float, fewest: int) -> None:
    scores = RNG.random((fewest, 1))
    assert conformal.fewest(coverage) == fewest
    assert conformal.threshold(scores, coverage) == scores.max()
    with pytest.raises(ValueError, match=f"at least {fewest} examples"):
        conformal.threshold(scores[1:], coverage)


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1.0, float("nan")])
def test_what_is_no_coverage_is_refused(coverage: float) -> None:
    with pytest.raises(ValueError, match=r"in \(0, 1\)"):
        conformal.threshold(np.zeros((10, 1)), coverage)
