"""Whitening: x -> diag(lambda + eps)^{-1/2} U^T (x - mu) (PCA), turned back by U for ZCA; the covariance becomes I.

Source: Bell and Sejnowski 1997, "The 'independent components' of natural scenes are edge filters" (ZCA);
Krizhevsky 2009, "Learning multiple layers of features from tiny images", appendix A.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nnlab.data.preprocessing.base import Preprocessing, Projection, Transform
from nnlab.data.preprocessing.pca import check_components, chosen_axes
from nnlab.streaming import Streamed
from nnlab.validation import check, check_choice


class Whiten(Preprocessing):
    """Decorrelates features and gives each unit variance.

    Directions without any variance are dropped (set to 0) whatever `eps` is.

    Args:
        method: `pca`: coordinates along principal axes, a vector; `zca`: turned back, the whitened inputs nearest to
            the original ones, so that images stay images.
        components: how many axes to keep, or their share of the variance, as in `pca`; None: all.
        eps: added to the variances, in squared units of the inputs, so that noise is not blown up; [0, inf).
    """

    def __init__(
        self, method: Literal["pca", "zca"] = "pca", components: int | float | None = None, eps: float = 1e-5
    ) -> None:
        self.method = check_choice("method", method, ("pca", "zca"))
        self.components = check_components(components)
        self.eps = check("eps", eps, "[0, inf)")

    def fit(self, inputs: Tensor | Streamed) -> Transform:
        """The linear map (n, ...) -> (n, components), or to the inputs' own shape for `zca`.

        Raises:
            UserError: more components than the inputs have.
        """
        found = chosen_axes(inputs, self.components)
        smallest = found.variances.amax() * len(found.mean) * torch.finfo(torch.float64).eps
        scale = torch.where(found.variances > smallest, (found.variances + self.eps).rsqrt(), 0.0)
        scaled = found.axes * scale
        if self.method == "zca":
            return Projection(found.mean, scaled @ found.axes.T, tuple(inputs.shape[1:]))
        return Projection(found.mean, scaled, (scaled.shape[1],))
