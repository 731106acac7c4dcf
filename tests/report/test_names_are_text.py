"""Names that come from data are no formulas, and no HTML."""

from __future__ import annotations

import torch

from nnlab.report import figures


def test_a_class_with_dollars_is_drawn_as_it_is_called() -> None:
    names = ["$\\frac{$", "$0-$50"]
    figure = figures.confusion_matrix(torch.tensor([[3, 1], [0, 2]]), names)
    svg = figures.to_svg(figure)
    assert figures.to_png(figure)[:4] == b"\x89PNG"
    drawn = {text.get_text(): text.get_parse_math() for axis in figure.axes for text in axis.get_xticklabels()}
    assert drawn == dict.fromkeys(names, False)
    assert svg.startswith("<?xml")
