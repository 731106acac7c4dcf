"""The names of all metrics, and which of them are better when they are higher; without torch, for all who read runs."""

from __future__ import annotations

# Metrics that cost next to nothing and are measured at every validation.
QUICK = ("loss", "accuracy", "nll", "brier", "ece", "rmse", "mae", "r2")

# Metrics of classes that are measured at the end, and at every validation where `trainer.metric` asks for one.
THOROUGH = ("balanced_accuracy", "f1", "auroc", "average_precision")

# Those that a table has room for, beside the one that decides.
SHOWN = ("loss", "accuracy", "nll", "f1", "auroc", "ece", "rmse", "mae", "r2")

# Means over the classes, two of them included, where other libraries may have the value of one class by that name.
MACRO = frozenset({"f1", "average_precision"})

METRICS = (*QUICK, *THOROUGH)
HIGHER_IS_BETTER = frozenset({"accuracy", "r2", *THOROUGH})


def title(metric: str) -> str:
    """A metric's name above its numbers: a mean over the classes says so.

    >>> title("f1"), title("auroc")
    ('macro f1', 'auroc')
    """
    return f"macro {metric}" if metric in MACRO else metric
