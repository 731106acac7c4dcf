#!/usr/bin/env bash
# Temperature scaling of a two-class model in scikit-learn: the temperature is doubled if the model has decision_function.
#
# Happens: CalibratedClassifierCV(method="temperature") takes the scores of decision_function when there is one and
# spreads a binary score d into the two logits (-d, d), whose difference is 2 d; it takes the logarithm of predict_proba
# otherwise, with difference d. For one logistic model and one calibration set, the fitted 1 / beta_ is 11.95 one way
# and 5.98 the other; the calibrated probabilities are the same. With three classes and more the two agree.
# Guessed: the temperature of a model is that by which its logits are divided, whichever method it is read from.
# Matters: the temperature is read as a verdict (1 calibrated, above overconfident). LogisticRegression and a network
# (MLPClassifier has predict_proba only) are not comparable, and a well calibrated binary model reports 2.
# Version: scikit-learn 1.9.1 (the method came with 1.8). Source: scikit-learn user guide, section Calibration,
# "Temperature scaling"; Guo et al. 2017, arXiv:1706.04599, section 4.2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "scikit-learn==1.9.1" "numpy==2.4.6" "scipy==1.17.1"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression


class OnlyProbabilities(ClassifierMixin, BaseEstimator):
    """The same model without decision_function."""

    def __init__(self, model=None):
        self.model = model

    def fit(self, x, y):
        self.classes_ = self.model.classes_
        return self

    def predict(self, x):
        return self.model.predict(x)

    def predict_proba(self, x):
        return self.model.predict_proba(x)


def temperature_and_probabilities(model, x, y):
    calibrated = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(x, y)
    return 1 / calibrated.calibrated_classifiers_[0].calibrators[0].beta_, calibrated.predict_proba(x)


print("scikit-learn", sklearn.__version__)
seen = {}
for classes in (2, 3):
    x, y = make_classification(400, 60, n_informative=6, n_classes=classes, flip_y=0.2, random_state=0)
    model = LogisticRegression(C=1e4, max_iter=5000).fit(x[:200], y[:200])
    bare = OnlyProbabilities(model).fit(x[:200], y[:200])
    by_score, first = temperature_and_probabilities(model, x[200:], y[200:])
    by_probability, second = temperature_and_probabilities(bare, x[200:], y[200:])
    seen[classes] = by_score / by_probability
    print(f"{classes} classes: temperature by decision_function {by_score:.3f}, by predict_proba {by_probability:.3f},",
          f"largest difference of the probabilities {np.abs(first - second).max():.1e}")
    assert np.allclose(first, second, atol=1e-3)
assert abs(seen[2] - 2) < 0.01 and abs(seen[3] - 1) < 0.01
PYTHON
