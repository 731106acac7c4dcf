"""Optimizers: rules that move the stacked parameters of M networks."""

from nnlab.optimizer.adadelta import Adadelta
from nnlab.optimizer.adafactor import Adafactor
from nnlab.optimizer.adagrad import Adagrad
from nnlab.optimizer.adam import Adam
from nnlab.optimizer.adamw import AdamW
from nnlab.optimizer.base import Closure, FirstOrder, HessianClosure, Optimizer, SecondOrder, State
from nnlab.optimizer.bfgs import BFGS
from nnlab.optimizer.heavy_ball import HeavyBall
from nnlab.optimizer.lbfgs import LBFGS
from nnlab.optimizer.lion import Lion
from nnlab.optimizer.momentum import Momentum
from nnlab.optimizer.muon import Muon
from nnlab.optimizer.nesterov import Nesterov
from nnlab.optimizer.newton import Newton
from nnlab.optimizer.rmsprop import RMSProp
from nnlab.optimizer.sgd import SGD
from nnlab.optimizer.torch_optimizer import TorchClosureOptimizer, TorchOptimizer, from_torch

__all__ = [
    "BFGS",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Closure",
    "FirstOrder",
    "HeavyBall",
    "HessianClosure",
    "Lion",
    "Momentum",
    "Muon",
    "Nesterov",
    "Newton",
    "Optimizer",
    "RMSProp",
    "SecondOrder",
    "State",
    "TorchClosureOptimizer",
    "TorchOptimizer",
    "from_torch",
]
