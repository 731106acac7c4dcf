"""The scikit-learn face: scikit-learn's own checks, pipelines, cross-validation and searches."""

from __future__ import annotations

import pickle

import numpy as np
import polars
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import nnlab
from nnlab.errors import UserError

# What scikit-learn skips where pandas is not installed, and where SCIPY_ARRAY_API is not set before it is imported.
NOT_HERE = {
    "check_array_api_input",
    "check_classifier_data_not_an_array",
    "check_regressor_data_not_an_array",
    "check_transformer_data_not_an_array",
}
INPUTS, LABELS = make_blobs(120, centers=3, n_features=4, cluster_std=2.0, random_state=0)
QUICK = {"trainer__epochs": 5}


@pytest.mark.parametrize("estimator", [nnlab.Classifier(), nnlab.Regressor()], ids=lambda each: type(each).__name__)
@pytest.mark.filterwarnings("ignore")  # of the checks themselves, which feed what warns
@pytest.mark.slow
def test_all_of_scikit_learns_checks_pass(estimator: object) -> None:
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 50
    wrong = {each["check_name"]: each["exception"] for each in results if each["status"] not in ("passed", "skipped")}
    assert not wrong
    assert {each["check_name"] for each in results if each["status"] == "skipped"} <= NOT_HERE


def test_labels_come_back_as_they_were_and_probabilities_in_their_order() -> None:
    names = np.array(["wet", "dry", "ice"])[LABELS]
    model = nnlab.Classifier(trainer__epochs=20).fit(INPUTS, names)
    assert model.classes_.tolist() == ["dry", "ice", "wet"]
    assert model.score(INPUTS, names) > 0.8
    probabilities = model.predict_proba(INPUTS)
    assert (model.classes_[probabilities.argmax(1)] == model.predict(INPUTS)).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-12)


def test_it_works_in_pipelines_cross_validation_and_searches() -> None:
    pipeline = make_pipeline(StandardScaler(), nnlab.Classifier(**QUICK))
    assert cross_val_score(pipeline, INPUTS, LABELS, cv=3).mean() > 0.7
    grid = {"classifier__optimizer__learning_rate": [1e-5, 1e-2], "classifier__architecture__widths": [[8]]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="roc_auc_ovr").fit(INPUTS, LABELS)
    assert search.best_params_["classifier__optimizer__learning_rate"] == 1e-2


def test_parameters_are_overrides() -> None:
    model = nnlab.Classifier(optimizer="sgd", optimizer__learning_rate=0.5, loss__class_weights="balanced", **QUICK)
    assert clone(model).get_params() == model.get_params()
    model.set_params(optimizer__learning_rate=0.25)
    config = model.fit(INPUTS, LABELS).predictor_.networks.config
    assert (config["optimizer"]["_target_"], config["optimizer"]["learning_rate"]) == ("nnlab.optimizer.SGD", 0.25)
    assert config["loss"]["class_weights"] == "balanced"
    assert model.n_iter_ == 5
    with pytest.raises(UserError, match=r"did you mean `trainer\.epochs`"):
        nnlab.Classifier(trainer__epoch=3).fit(INPUTS, LABELS)
    with pytest.raises(UserError, match="the data are those that `fit` is given"):
        nnlab.Classifier(data="moons").fit(INPUTS, LABELS)


def test_regression_gives_numbers_in_their_units_and_standard_deviations() -> None:
    inputs, targets = make_regression(200, 5, n_targets=2, noise=5, random_state=0)
    model = nnlab.Regressor(loss="gaussian_nll", trainer__epochs=60).fit(inputs, targets + 1000)
    assert model.score(inputs, targets + 1000) > 0.8
    values, std = model.predict(inputs, return_std=True)
    assert values.shape == std.shape == (200, 2)
    assert (std > 0).all()
    with pytest.raises(ValueError, match="standard deviations"):
        nnlab.Regressor(**QUICK).fit(inputs, targets[:, 0]).predict(inputs, return_std=True)


@pytest.mark.parametrize(
    "options",
    [
        {"regularizer": ["ensemble", "dropout"], "regularizer__ensemble__members": 3},
        {"regularizer": ["snapshot_ensemble"], "scheduler": "cyclic"},
        {"loss": "multiclass_svm"},
    ],
)
def test_an_estimator_can_be_stored_and_predicts_the_same(options: dict[str, object]) -> None:
    model = nnlab.Classifier(**QUICK, **options).fit(INPUTS, LABELS)
    again = pickle.loads(pickle.dumps(model))
    assert (again.predictor_.of_raw(INPUTS).values == model.predictor_.of_raw(INPUTS).values).all()
    assert hasattr(model, "predict_proba") == ("loss" not in options)


def test_names_of_columns_are_checked() -> None:
    frame = polars.DataFrame(dict(zip("abcd", INPUTS.T, strict=True)))
    model = nnlab.Classifier(**QUICK).fit(frame, LABELS)
    assert model.feature_names_in_.tolist() == list(model.predictor_.columns) == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename({"a": "z"}))
    with pytest.raises(NotFittedError):
        nnlab.Classifier().predict(INPUTS)


def test_columns_that_hold_no_numbers_are_named() -> None:
    frame = polars.DataFrame({"a": INPUTS[:, 0], "color": ["red", "blue"] * 60, "b": INPUTS[:, 1] > 0})
    with pytest.raises(
        ValueError, match=r"columns that hold no numbers: color; encode them in a pipeline, .*OneHotEnc"
    ):
        nnlab.Classifier(**QUICK).fit(frame, LABELS)
    model = nnlab.Regressor(**QUICK).fit(frame[["a", "b"]], LABELS)
    with pytest.raises(ValueError, match="columns that hold no numbers: a; encode"):
        model.predict(frame.with_columns(a=polars.col("color"))[["a", "b"]])


def test_every_class_is_in_the_training_part() -> None:
    labels = LABELS.copy()
    labels[:1] = 7  # a class with a single example
    assert (nnlab.Classifier(**QUICK).fit(INPUTS, labels).predictor_.networks.fitted.class_counts[-1]) == 1
