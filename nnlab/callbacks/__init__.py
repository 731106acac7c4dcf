"""Observers of training: logs, statistics, pictures, progress, checkpoints, diagnosis, early stopping."""

from nnlab.callbacks.checkpoint import Checkpoint
from nnlab.callbacks.diagnosis import Diagnosis
from nnlab.callbacks.early_stopping import EarlyStopping
from nnlab.callbacks.histograms import Histograms
from nnlab.callbacks.history_file import HistoryFile
from nnlab.callbacks.images import Images
from nnlab.callbacks.precision_recall import PrecisionRecall
from nnlab.callbacks.progress import Progress
from nnlab.callbacks.projector import Projector
from nnlab.callbacks.snapshot_ensemble import SnapshotEnsemble
from nnlab.callbacks.statistics import Statistics
from nnlab.callbacks.tensorboard import TensorBoard

__all__ = [
    "Checkpoint",
    "Diagnosis",
    "EarlyStopping",
    "Histograms",
    "HistoryFile",
    "Images",
    "PrecisionRecall",
    "Progress",
    "Projector",
    "SnapshotEnsemble",
    "Statistics",
    "TensorBoard",
]
