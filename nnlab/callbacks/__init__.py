"""Observers of training: logs, statistics, progress, checkpoints, early stopping."""

from nnlab.callbacks.checkpoint import Checkpoint
from nnlab.callbacks.early_stopping import EarlyStopping
from nnlab.callbacks.history_file import HistoryFile
from nnlab.callbacks.progress import Progress
from nnlab.callbacks.snapshot_ensemble import SnapshotEnsemble
from nnlab.callbacks.statistics import Statistics
from nnlab.callbacks.tensorboard import TensorBoard

__all__ = ["Checkpoint", "EarlyStopping", "HistoryFile", "Progress", "SnapshotEnsemble", "Statistics", "TensorBoard"]
