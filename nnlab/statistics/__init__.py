"""Statistics as pure functions of tensors; what belongs to a population has a leading members axis M.

The names are short and meant to be read with their module's: `activations.std(y)`, `gradients.norm(rows)`.
"""

from nnlab.statistics import activations, calibration, curves, gradients, uncertainty, updates

__all__ = ["activations", "calibration", "curves", "gradients", "uncertainty", "updates"]
