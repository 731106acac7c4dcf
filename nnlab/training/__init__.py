"""The training engine: one loop for one network, an ensemble or a grid."""

from nnlab.storage.run import Run
from nnlab.training.callback import Callback
from nnlab.training.history import History, Record
from nnlab.training.member import Member
from nnlab.training.settings import TrainerSettings
from nnlab.training.trainer import Trainer

__all__ = ["Callback", "History", "Member", "Record", "Run", "Trainer", "TrainerSettings"]
