"""The scikit-learn face: networks as estimators, for pipelines, cross-validation and searches.

    nnlab.Classifier(trainer__epochs=50, optimizer="adamw", optimizer__learning_rate=0.003).fit(X, y).predict(X)

Parameters are the overrides of the command line, `__` standing for the dot, as scikit-learn writes nested parameters.
Nothing is written to the disk. A part of the examples (`data__validation`) chooses the best weights.
"""

from __future__ import annotations

import functools
import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from nnlab.callbacks import SnapshotEnsemble
from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.config.construct import construct
from nnlab.data.given import Given
from nnlab.data.raw import Raw
from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.runs.fitted import Fitted
from nnlab.runs.networks import assemble
from nnlab.runs.prediction import Prediction, Predictor, flat
from nnlab.training import Trainer
from nnlab.types import Task

# Options of the data that are not components.
SHARED = ("limit", "label_noise", "validation", "target_transform", "standardize_targets")


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """What both have in common: overrides as parameters, training, and prediction.

    Attributes after `fit`:
        predictor_: the trained networks as `nnlab.load` gives them.
        n_features_in_: D, and `feature_names_in_` where `X` was a DataFrame.
        n_iter_: epochs that were trained.
    """

    defaults: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, **overrides: Any) -> None:
        if overrides:
            self.overrides = overrides

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The overrides."""
        return dict(self.overrides)

    def set_params(self, **params: Any) -> Self:
        """Set overrides, such as `trainer__epochs=10`."""
        self.overrides = {**self.overrides, **params}
        return self

    def _train(self, inputs: npt.NDArray[Any], targets: torch.Tensor, task: Task, names: tuple[str, ...]) -> None:
        lines = (*self.defaults, *map(_override, self.overrides.items()))
        config = _composed(lines)
        if config["trainer"]["processes"] > 1:
            raise UserError("an estimator trains in one process; `trainer__processes` is for `nnlab.train`")
        section = config["data"]
        columns = tuple(getattr(self, "feature_names_in_", ()))
        raw = Raw(torch.from_numpy(np.array(inputs, dtype=np.float64)), targets, task, names, "X", columns=columns)
        options = {key: section[key] for key in SHARED}
        preprocessing = construct(section.get("preprocessing"), "data/preprocessing")
        dataset = Given(raw=raw, preprocessing=preprocessing, **options).load(config["seed"], Path())
        trainer = build_trainer([config], overrides=lines, dataset=dataset).fit()
        if "diverged" in trainer.statuses:
            warnings.warn(
                f"training diverged ({trainer.outcomes[0].reason}); lower `optimizer__learning_rate`",
                ConvergenceWarning,
                stacklevel=3,
            )
        fitted = Fitted.of(dataset)
        assert fitted is not None
        networks = assemble(Path("memory"), config, fitted, *_weights(trainer), str(trainer.device))
        self.predictor_ = Predictor(networks)
        self.n_iter_ = max(1, round(trainer.epoch))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "predictor_")

    def _predicted(self, X: Any) -> Prediction:
        """The prediction for checked inputs (n, D)."""
        check_is_fitted(self)
        return self.predictor_.of_given(np.array(_checked(self, X, reset=False)))


def _checked(estimator: _Estimator, X: Any, *y: Any, **options: Any) -> Any:
    """Inputs (n, D) float64, and targets where they are given, as scikit-learn checks them.

    Raises:
        ValueError: they are not finite numbers; columns of a DataFrame that are none are named.
    """
    try:
        return validate_data(estimator, X, *y, dtype=np.float64, **options)
    except (TypeError, ValueError) as error:
        words = [str(name) for name in getattr(X, "columns", ()) if np.asarray(X[name]).dtype.kind not in "biuf"]
        if not words:
            raise
        raise ValueError(
            f"X has columns that hold no numbers: {', '.join(words)}; encode them in a pipeline, for instance with "
            "make_column_transformer((OneHotEncoder(), [...]), remainder='passthrough'), or train on the table as it "
            "is: nnlab.train('data=table', ...)"
        ) from error


def _is_probabilistic(estimator: Any) -> bool:
    """Whether the loss predicts probabilities."""
    lines = (*estimator.defaults, *map(_override, estimator.overrides.items()))
    loss: Loss = construct(_composed(lines)["loss"], "loss")
    return loss.probabilistic


class Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A network that classifies, as a scikit-learn estimator.

    Attributes after `fit`, besides those of every estimator here:
        classes_: the labels as `y` had them, sorted.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on inputs (n, D) and labels (n,).

        Raises:
            ValueError: inputs are not finite numbers, labels are no classes or a single one, or an override is wrong.
        """
        X, y = _checked(self, X, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        count = len(self.classes_)
        if count < 2:
            raise ValueError(f"a classifier needs two classes or more, but y holds 1 class, {self.classes_[0]}")
        names = tuple(map(str, self.classes_.tolist()))
        task = Task.BINARY if count == 2 else Task.MULTICLASS
        self._train(X, torch.from_numpy(labels.astype(np.int64)), task, names)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Labels (n,)."""
        decided = self._predicted(X).values.argmax(1)
        labels: npt.NDArray[Any] = self.classes_[decided]
        return labels

    @available_if(_is_probabilistic)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        """Probabilities (n, C) of `classes_`, where the loss gives them."""
        values = self._predicted(X).values.astype(np.float64)
        shares: npt.NDArray[Any] = values / values.sum(1, keepdims=True)
        return shares


class Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A network that predicts numbers, as a scikit-learn estimator; the loss is `squared_error` unless given."""

    defaults = ("loss=squared_error",)

    def fit(self, X: Any, y: Any) -> Self:
        """Train on inputs (n, D) and numbers (n,) or (n, C).

        Raises:
            ValueError: inputs or targets are not finite numbers, or an override is wrong.
        """
        X, y = _checked(self, X, y, multi_output=True, y_numeric=True)
        self._flat = y.ndim == 1
        targets = torch.from_numpy(np.array(y, dtype=np.float64)).reshape(len(y), -1)
        names = tuple(f"y{position}" for position in range(targets.shape[1]))
        self._train(X, targets, Task.REGRESSION, names)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Numbers (n,) or (n, C); with `return_std` their standard deviations too, where the loss gives them."""
        found = self._predicted(X)
        if return_std and found.std is None:
            raise ValueError("only a loss such as `gaussian_nll` predicts standard deviations")
        values, std = (flat(each) if self._flat and each is not None else each for each in (found.values, found.std))
        return (values, std) if return_std else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _override(item: tuple[str, Any]) -> str:
    """A parameter as an override of the command line.

    >>> _override(("optimizer__learning_rate", 0.1)), _override(("loss__class_weights", "balanced"))
    ('optimizer.learning_rate=0.1', 'loss.class_weights=balanced')
    """
    key, value = item
    value = value.item() if isinstance(value, np.generic) else value
    plain = isinstance(value, str) and re.fullmatch(r"[\w.-]+", value)
    return f"{key.replace('__', '.')}={value if plain else json.dumps(value)}"


@functools.lru_cache(maxsize=32)
def _text(lines: tuple[str, ...]) -> str:
    """The config of overrides as text, since composing takes a tenth of a second."""
    wrong = [line for line in lines if line.startswith(("data=", "data.path=", "data.target=", "resume="))]
    if wrong:
        raise UserError(f"the data are those that `fit` is given; leave out `{wrong[0]}`")
    return json.dumps(compose("data=arrays", "data.path=memory", "callbacks=[]", *lines))


def _composed(lines: tuple[str, ...]) -> dict[str, Any]:
    """The config of overrides."""
    config: dict[str, Any] = json.loads(_text(lines))
    return config


def _weights(trainer: Trainer) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
    """The best weights (M, P) and buffers (M, ...), or those of the snapshots of a snapshot ensemble."""
    for callback in trainer.callbacks:
        if isinstance(callback, SnapshotEnsemble) and (kept := callback.snapshots(trainer.device, 0)) is not None:
            return kept
    return trainer.best.theta, trainer.best.buffers
