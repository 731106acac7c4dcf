"""`nnlab graph EXPRESSION | EXAMPLE`: a computation graph with values and error signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnlab.backprop.command import main as show


def main(arguments: Sequence[str]) -> int:
    """Show a computation graph; `--out` draws it."""

    def draw(*drawing: Any) -> None:
        from nnlab.report.graph import draw_graph

        draw_graph(*drawing)

    return show(list(arguments), draw)
