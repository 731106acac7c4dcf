"""The page of labels that look wrong: pictures or rows, worst first, in one HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from nnlab.report.pages import filled

MOST, COLUMNS = 60, 8  # examples, and cells of each


class Suspect(Protocol):
    """An example with its label, the likeliest other class, and their probabilities."""

    @property
    def label(self) -> str: ...
    @property
    def suggested(self) -> str: ...
    @property
    def probability(self) -> float: ...
    @property
    def other(self) -> float: ...
    @property
    def split(self) -> str: ...
    @property
    def issue(self) -> bool: ...


class Ranked(Protocol):
    """Examples, worst label first, with what is to be seen of each."""

    @property
    def suspects(self) -> Any: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def constant(self) -> float: ...
    @property
    def informed(self) -> bool: ...
    @property
    def issues(self) -> int: ...
    def where(self, suspect: Any) -> str: ...
    def cells(self, suspect: Any) -> Mapping[str, str]: ...
    def image(self, suspect: Any) -> Tensor | None: ...


def render(name: str, ranked: Ranked) -> str:
    """The page as HTML text; every name and cell in it is escaped."""
    shown = [
        {
            "where": ranked.where(each),
            "suspect": each,
            "image": _picture(ranked.image(each)),
            "cells": list(ranked.cells(each).items())[:COLUMNS],
        }
        for each in ranked.suspects[:MOST]
    ]
    return filled("labels_page.html.j2", name=name, ranked=ranked, shown=shown)


def _picture(image: Tensor | None) -> str:
    """An image (K, H, W) as the address of an `img`; empty where there is none."""
    if image is None:
        return ""
    from torchvision.transforms.functional import to_pil_image

    pixels = image.float()
    low, high = pixels.min(), pixels.max()
    scaled = (255 * (pixels - low) / (high - low).clamp_min(1e-12)).byte()
    picture = to_pil_image(scaled if len(scaled) in (1, 3) else scaled[:1])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
