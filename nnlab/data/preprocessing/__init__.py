"""Preprocessing: inputs that a network learns from easily, fitted on the training split only."""

from nnlab.data.preprocessing.base import Identity, Preprocessing, Projection, Rescale, Transform
from nnlab.data.preprocessing.none import NoPreprocessing
from nnlab.data.preprocessing.pca import PCA
from nnlab.data.preprocessing.piecewise_linear import PiecewiseLinear
from nnlab.data.preprocessing.quantile import Quantile
from nnlab.data.preprocessing.robust import Robust
from nnlab.data.preprocessing.standardize import Standardize
from nnlab.data.preprocessing.whiten import Whiten

__all__ = [
    "PCA",
    "Identity",
    "NoPreprocessing",
    "PiecewiseLinear",
    "Preprocessing",
    "Projection",
    "Quantile",
    "Rescale",
    "Robust",
    "Standardize",
    "Transform",
    "Whiten",
]
