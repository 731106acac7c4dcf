"""Initializations: where the weights start, which decides whether the signal survives the layers."""

from nnlab.initialization.base import Initialization, fans, weight_layers
from nnlab.initialization.constant import Constant
from nnlab.initialization.data_dependent import DataDependent
from nnlab.initialization.gaussian import Gaussian
from nnlab.initialization.given import Given
from nnlab.initialization.he import He
from nnlab.initialization.orthogonal import Orthogonal
from nnlab.initialization.pytorch import PyTorch
from nnlab.initialization.xavier import Xavier

__all__ = [
    "Constant",
    "DataDependent",
    "Gaussian",
    "Given",
    "He",
    "Initialization",
    "Orthogonal",
    "PyTorch",
    "Xavier",
    "fans",
    "weight_layers",
]
