"""Draw a computation graph as on a lecture slide: boxes with the value above and the error signal below.

Colours of Okabe and Ito (2008), which stay apart for all common kinds of colour vision; position and the bar over a
letter say the same without colour.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnlab.backprop.formulas import Edge, edges, expression_text
from nnlab.backprop.graph import Graph, Node
from nnlab.backprop.layout import Layout, lay_out
from nnlab.backprop.numbers import entry_text
from nnlab.backprop.operations import Array
from nnlab.backprop.tex import name_to_tex, number_to_tex, to_tex

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORWARD, BACKWARD, INK, ARROW = "#0072B2", "#D55E00", "#1a1a1a", "#7f7f7f"
_INPUT_FILL, _FILL, _OUTPUT_FILL = "#f0f0f0", "#ffffff", "#fff6d6"
_SIZE, _SMALL, _MATRIX = 17.0, 13.0, 12.0  # font sizes in points
_PAD, _ROW_GAP, _GAP, _LABEL_GAP = 0.12, 0.07, 0.34, 0.8  # inches
_LARGEST_SIDE = 4  # of a matrix whose entries are drawn
_LONGEST_LABEL = 60  # characters of mathtext on an arrow


def draw_graph(graph: Graph, visible: Sequence[Node], path: Path) -> None:
    """Write the figure of a graph whose backward pass has run; the suffix of `path` is the format.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    scalars = {name for node in visible if node.is_scalar for name in (node.name, f"{node.name}_bar")}
    arrows = edges(graph, visible)
    labels = {(arrow.parent.name, arrow.child.name): _edge_label(arrow, scalars) for arrow in arrows}
    boxes = {node.name: _box(node, visible, scalars, node is graph.output) for node in visible}
    inputs = [node.name for node in visible if node.is_input]
    layout = lay_out({name: box.height for name, box in boxes.items()}, list(labels), inputs, _GAP)
    centres = _centres(layout, boxes, labels)
    left, right = min(0.0, *centres.values()), max(centres[name] + box.width / 2 for name, box in boxes.items())
    top = max(layout.height[name] + box.height / 2 for name, box in boxes.items())
    bottom = min(layout.height[name] - box.height / 2 for name, box in boxes.items()) - 0.55
    figure = Figure(figsize=(right - left + 0.4, top - bottom + 0.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left - 0.2, right + 0.2), ylim=(bottom - 0.2, top + 0.2))
    axes.axis("off")
    for arrow in arrows:
        _draw_arrow(axes, arrow, layout, centres, boxes, labels[arrow.parent.name, arrow.child.name])
    for name, box in boxes.items():
        _draw_box(axes, box, centres[name], layout.height[name])
    _draw_legend(axes, graph.output, (left + right) / 2, bottom + 0.1)
    figure.savefig(path, dpi=200, facecolor="white")


@dataclasses.dataclass(frozen=True)
class _Line:
    """A line of a box: text, or a prefix beside a matrix of several lines."""

    prefix: str
    rows: tuple[str, ...]
    colour: str
    size: float

    @property
    def width(self) -> float:
        rows = max((_measure(row, _MATRIX, True)[0] for row in self.rows), default=0.0)
        return _measure(self.prefix, self.size)[0] + rows + (0.06 if self.rows and self.prefix else 0.0)

    @property
    def height(self) -> float:
        return max(self.size / 72 * 1.25, len(self.rows) * _MATRIX / 72 * 1.2)


@dataclasses.dataclass(frozen=True)
class _Box:
    lines: tuple[_Line, ...]
    fill: str

    @property
    def width(self) -> float:
        return max(line.width for line in self.lines) + 2 * _PAD

    @property
    def height(self) -> float:
        return sum(line.height for line in self.lines) + (len(self.lines) - 1) * _ROW_GAP + 2 * _PAD


def _box(node: Node, visible: Sequence[Node], scalars: set[str], is_output: bool) -> _Box:
    name = name_to_tex(node.name)
    expression = f"${name}$" if node.is_input else f"${name} = {to_tex(expression_text(node, visible), scalars)}$"
    value, signal = _entries(node.value), _entries(node.error_signal)
    bar = name_to_tex(f"{node.name}_bar")
    lines = (
        _Line(value[0] if len(value) == 1 else "", value if len(value) > 1 else (), FORWARD, _SMALL + 1.5),
        _Line(expression, (), INK, _SIZE),
        _Line(
            f"${bar} = {signal[0].strip('$')}$" if len(signal) == 1 else f"${bar} =$",
            signal if len(signal) > 1 else (),
            BACKWARD,
            _SMALL + 1.5,
        ),
    )
    return _Box(lines, _OUTPUT_FILL if is_output else _INPUT_FILL if node.is_input else _FILL)


def _entries(value: Array) -> tuple[str, ...]:
    """A scalar as one line, a matrix with one line for each row between square brackets, a large one as its shape."""
    rows, columns = value.shape
    if rows == columns == 1:
        return (f"${number_to_tex(entry_text(value.item(), 3))}$",)
    if max(rows, columns) > _LARGEST_SIDE:
        return (rf"${rows} \times {columns}$",)
    entries = [[entry_text(entry, 3) for entry in row] for row in value.tolist()]
    width = max(len(entry) for row in entries for entry in row)
    lines = [" ".join(entry.rjust(width) for entry in row) for row in entries]
    if rows == 1:
        return (f"$[{', '.join(number_to_tex(entry) for entry in entries[0])}]$",)
    sides = [("⎡", "⎤"), *[("⎢", "⎥")] * (rows - 2), ("⎣", "⎦")]
    return tuple(f"{left}{line}{right}" for line, (left, right) in zip(lines, sides, strict=True))


def _edge_label(arrow: Edge, scalars: set[str]) -> str:
    """The local derivative between scalars, with its number; else the term that goes back along the arrow."""
    if arrow.local_value is None:
        term = to_tex(arrow.term, scalars)
        return f"${term}$" if len(term) <= _LONGEST_LABEL else ""
    number = number_to_tex(entry_text(arrow.local_value, 3))
    parent, child = name_to_tex(arrow.parent.name), name_to_tex(arrow.child.name)
    symbols = to_tex(arrow.local, scalars)
    middle = "" if symbols == number or len(symbols) > _LONGEST_LABEL // 2 else f" = {symbols}"
    return rf"$\partial {child} / \partial {parent}{middle} = {number}$"


@functools.cache
def _measure(text: str, size: float, monospace: bool = False) -> tuple[float, float]:
    """Width and height of a text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text:
        return 0.0, 0.0
    font = FontProperties(family="DejaVu Sans Mono" if monospace else "DejaVu Sans", math_fontfamily="cm")
    extents = TextPath((0, 0), text, size=size, prop=font).get_extents()
    return extents.width / 72, extents.height / 72


def _centres(layout: Layout, boxes: dict[str, _Box], labels: dict[tuple[str, str], str]) -> dict[str, float]:
    """The horizontal centre of every node and way point: a layer is as wide as its widest box, a gap as its labels."""
    layers = range(max(layout.layer.values()) + 1)
    widths = [
        max((box.width for name, box in boxes.items() if layout.layer[name] == index), default=0.4) for index in layers
    ]
    gaps = [0.0] * len(widths)
    for (parent, _), label in labels.items():
        index = layout.layer[parent]  # the label stands on the first part of the arrow
        gaps[index] = max(gaps[index], _measure(label, _SMALL)[0])
    at, centres = 0.0, {}
    for index, width in enumerate(widths):
        for name in (name for name in layout.layer if layout.layer[name] == index):
            own = boxes[name].width if name in boxes else width
            centres[name] = at + width - own / 2  # right-aligned: its arrows start where the layer ends
        at += width + gaps[index] + _LABEL_GAP
    return centres


def _draw_arrow(
    axes: Axes, arrow: Edge, layout: Layout, centres: dict[str, float], boxes: dict[str, _Box], label: str
) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    parent, child = arrow.parent.name, arrow.child.name
    route = layout.routes[parent, child]
    points = [(centres[parent] + boxes[parent].width / 2, layout.height[parent])]
    points += [(centres[name], layout.height[name]) for name in route[1:-1]]
    points += [(centres[child] - boxes[child].width / 2, layout.height[child])]
    vertices, codes = [points[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        bend = (x1 - x0) * 0.45
        vertices += [(x0 + bend, y0), (x1 - bend, y1), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    patch = FancyArrowPatch(
        path=Curve(vertices, codes), arrowstyle="-|>", mutation_scale=16, color=ARROW, linewidth=1.6, zorder=1
    )
    axes.add_patch(patch)
    (x0, y0), (x1, y1) = points[0], points[1]
    # a flat arrow would disappear behind its label
    lift = 0.14 + abs(y1 - y0) / 2 if abs(y1 - y0) < 0.25 else 0.0
    axes.text(
        (x0 + x1) / 2,
        (y0 + y1) / 2 + lift,
        label,
        color=BACKWARD,
        fontsize=_SMALL,
        ha="center",
        va="center",
        zorder=3,
        math_fontfamily="cm",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )


def _draw_box(axes: Axes, box: _Box, x: float, y: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    left, bottom = x - box.width / 2, y - box.height / 2
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom),
            box.width,
            box.height,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor=box.fill,
            edgecolor=INK,
            linewidth=1.3,
            zorder=2,
        )
    )
    top = bottom + box.height - _PAD
    for line in box.lines:
        _draw_line(axes, line, x, top - line.height / 2)
        top -= line.height + _ROW_GAP


def _draw_line(axes: Axes, line: _Line, x: float, y: float) -> None:
    style: dict[str, Any] = {"color": line.colour, "va": "center", "zorder": 4, "math_fontfamily": "cm"}
    start = x - line.width / 2
    if line.prefix and not line.rows:
        axes.text(x, y, line.prefix, fontsize=line.size, ha="center", **style)
    elif line.prefix:
        axes.text(start, y, line.prefix, fontsize=line.size, ha="left", **style)
        start += _measure(line.prefix, line.size)[0] + 0.06
    step = _MATRIX / 72 * 1.2
    for index, row in enumerate(line.rows):
        height = y + ((len(line.rows) - 1) / 2 - index) * step
        axes.text(start, height, row, fontsize=_MATRIX, ha="left", family="DejaVu Sans Mono", **style)


def _draw_legend(axes: Axes, output: Node, x: float, y: float) -> None:
    name = name_to_tex(output.name)
    texts = [("above: value", FORWARD), (rf"below: error signal $\bar{{v}} = \partial {name} / \partial v$", BACKWARD)]
    widths = [_measure(text, _SMALL)[0] for text, _ in texts]
    at = x - (sum(widths) + 0.5 * (len(texts) - 1)) / 2
    for (text, colour), width in zip(texts, widths, strict=True):
        axes.text(at, y, text, color=colour, fontsize=_SMALL, ha="left", va="center", math_fontfamily="cm")
        at += width + 0.5
