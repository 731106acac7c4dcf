"""Activation functions: what makes a composition of layers more than one linear layer."""

from nnlab.activation.base import Activation
from nnlab.activation.elu import ELU
from nnlab.activation.gelu import GELU
from nnlab.activation.hard_threshold import HardThreshold
from nnlab.activation.identity import Identity
from nnlab.activation.leaky_relu import LeakyReLU
from nnlab.activation.mish import Mish
from nnlab.activation.prelu import PReLU
from nnlab.activation.relu import ReLU
from nnlab.activation.selu import SELU
from nnlab.activation.sigmoid import Sigmoid
from nnlab.activation.silu import SiLU
from nnlab.activation.softplus import Softplus
from nnlab.activation.tanh import Tanh

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "HardThreshold",
    "Identity",
    "LeakyReLU",
    "Mish",
    "PReLU",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
]
