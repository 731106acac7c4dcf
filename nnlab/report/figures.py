"""The figures of a run, a recipe and a study, each a function of plain arrays that returns a matplotlib figure.

Every figure fits a slide, names its axes with their units, and tells its curves apart without colour too. See
`nnlab.report.style` for the look, and `save`, `to_png` and `to_svg` for files and pages.
"""

from nnlab.report.curve_figures import (
    Curve,
    averaged,
    gradient_flow,
    layer_statistics,
    learning_rate,
    loss_curve,
    overlay,
    smooth,
    train_validation,
)
from nnlab.report.map_figures import (
    activation_histograms,
    calibration,
    confusion_matrix,
    image_grid,
    loss_surface,
)
from nnlab.report.style import save, shortened, to_png, to_svg

__all__ = [
    "Curve",
    "activation_histograms",
    "averaged",
    "calibration",
    "confusion_matrix",
    "gradient_flow",
    "image_grid",
    "layer_statistics",
    "learning_rate",
    "loss_curve",
    "loss_surface",
    "overlay",
    "save",
    "shortened",
    "smooth",
    "to_png",
    "to_svg",
    "train_validation",
]
