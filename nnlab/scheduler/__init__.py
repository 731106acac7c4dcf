"""Schedulers: how the learning rate changes during a run."""

from nnlab.scheduler.base import Scheduler
from nnlab.scheduler.constant import Constant
from nnlab.scheduler.cosine import Cosine
from nnlab.scheduler.coslog import CosLog
from nnlab.scheduler.cyclic import Cyclic
from nnlab.scheduler.inverse_sqrt import InverseSqrt
from nnlab.scheduler.linear import Linear
from nnlab.scheduler.one_cycle import OneCycle
from nnlab.scheduler.step import Step

__all__ = ["Constant", "CosLog", "Cosine", "Cyclic", "InverseSqrt", "Linear", "OneCycle", "Scheduler", "Step"]
