"""What keeps a network from overfitting: penalties, constraints, and noise inside the network."""

from nnlab.regularizer.base import Constraint, Noise, NoiseModule, Penalty, Regularizer
from nnlab.regularizer.batch_ensemble import BatchEnsemble
from nnlab.regularizer.dropconnect import DropConnect, DropConnectLinear
from nnlab.regularizer.dropout import Dropout, DropoutLayer
from nnlab.regularizer.ema import WeightAverage
from nnlab.regularizer.ensemble import Ensemble
from nnlab.regularizer.l1 import L1
from nnlab.regularizer.max_norm import MaxNorm
from nnlab.regularizer.sam import SharpnessAware
from nnlab.regularizer.weight_decay import WeightDecay

__all__ = [
    "L1",
    "BatchEnsemble",
    "Constraint",
    "DropConnect",
    "DropConnectLinear",
    "Dropout",
    "DropoutLayer",
    "Ensemble",
    "MaxNorm",
    "Noise",
    "NoiseModule",
    "Penalty",
    "Regularizer",
    "SharpnessAware",
    "WeightAverage",
    "WeightDecay",
]
