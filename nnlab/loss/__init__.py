"""Output layers with the losses that belong to them."""

from nnlab.loss.base import Loss, concrete_losses
from nnlab.loss.binary_cross_entropy import BinaryCrossEntropy
from nnlab.loss.gaussian_nll import GaussianNLL
from nnlab.loss.hinge import Hinge
from nnlab.loss.multiclass_svm import MulticlassSVM
from nnlab.loss.softmax_cross_entropy import SoftmaxCrossEntropy
from nnlab.loss.squared_error import SquaredError

__all__ = [
    "BinaryCrossEntropy",
    "GaussianNLL",
    "Hinge",
    "Loss",
    "MulticlassSVM",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "concrete_losses",
]
