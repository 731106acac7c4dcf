"""Preprocessing: inputs that a network learns from easily, fitted on the training split only."""

from nnlab.data.preprocessing.base import Identity, Preprocessing, Projection, Rescale, Transform
from nnlab.data.preprocessing.none import NoPreprocessing
from nnlab.data.preprocessing.pca import PCA
from nnlab.data.preprocessing.standardize import Standardize
from nnlab.data.preprocessing.whiten import Whiten

__all__ = [
    "PCA",
    "Identity",
    "NoPreprocessing",
    "Preprocessing",
    "Projection",
    "Rescale",
    "Standardize",
    "Transform",
    "Whiten",
]
