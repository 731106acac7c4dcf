"""The names of all metrics, and which of them are better when they are higher; without torch, for all who read runs."""

from __future__ import annotations

# Metrics that cost next to nothing and are measured at every validation.
QUICK = ("loss", "accuracy", "nll", "brier", "ece", "rmse", "mae", "r2")

# Metrics of classes that are measured at the end, and at every validation where `trainer.metric` asks for one.
THOROUGH = ("balanced_accuracy", "f1", "auroc", "average_precision")

# Those that a table has room for, beside the one that decides.
SHOWN = ("loss", "accuracy", "nll", "f1", "auroc", "ece", "rmse", "mae", "r2")

METRICS = (*QUICK, *THOROUGH)
HIGHER_IS_BETTER = frozenset({"accuracy", "r2", *THOROUGH})
