"""How nnlab's figures look: large type, few colours that everyone can tell apart, the same in every figure.

Colours of Okabe and Ito (2008, "Color Universal Design"), which stay apart for all common kinds of colour vision;
curves that run out of colours differ in their dashes too. Surfaces use maps whose lightness rises steadily.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from nnlab.storage.files import explained, write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
INK, QUIET, GRID = "#222222", "#6f6f6f", "#dddddd"
SEQUENTIAL, DIVERGING = "cividis", "PuOr"  # maps for surfaces and for signed values
SLIDE = (8.0, 4.5)  # inches, the shape of a slide; at 160 dots an inch 1280 x 720 pixels
DPI = 160
LONGEST = 44  # characters of a label beside curves, which leaves these room
LARGEST_SVG_POINTS = 2000  # marks of a scatter that stay vectors; more of them become a picture inside the SVG

STYLE: dict[str, Any] = {
    "font.size": 14,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 15,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 14,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "text.color": INK,
    "legend.fontsize": 12,
    "legend.frameon": True,  # curves do not run through the words
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.borderpad": 0.2,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.wspace": 0.04,
    "lines.linewidth": 2.2,
    "lines.solid_capstyle": "round",
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "svg.hashsalt": "nnlab",  # the same figure is the same file
}

P = ParamSpec("P")
R = TypeVar("R")


def shortened(label: str, length: int = LONGEST) -> str:
    """A label of so many characters at most.

    >>> shortened("Adelie"), shortened("a long name", 7)
    ('Adelie', 'a long…')
    """
    return label if len(label) <= length else f"{label[: length - 1]}…"


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run `draw` with nnlab's style; the user's own settings are as before afterwards."""

    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return inside


def panels(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = SLIDE, **arguments: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with its axes in reading order; it belongs to no window and needs no closing."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **arguments)
    return figure, [axis for row in axes for axis in row]


def line_style(position: int) -> dict[str, Any]:
    """Colour and dashes of the curve number `position`; 24 of them are distinct."""
    return {"color": CYCLE[position % len(CYCLE)], "linestyle": DASHES[position // len(CYCLE) % len(DASHES)]}


def shades(count: int) -> list[Any]:
    """`count` colours from dark to light, for things with an order such as layers."""
    import matplotlib

    positions = [0.0] if count == 1 else [0.85 * i / (count - 1) for i in range(count)]
    return [matplotlib.colormaps[SEQUENTIAL](position) for position in positions]


def epochs_above(axis: Axes, steps_per_epoch: float | None) -> None:
    """Count epochs on a second axis above one of steps."""
    if steps_per_epoch:
        per: Any = steps_per_epoch
        above: Any = axis.secondary_xaxis("top", functions=(lambda step: step / per, lambda epoch: epoch * per))
        above.set_xlabel("epoch", fontsize=12)
        above.tick_params(labelsize=11)


def _read_as_text(figure: Figure) -> None:
    """Draw names with a dollar as they are: they come from data. Only numbers of axes are formulas, by matplotlib."""
    from matplotlib.text import Text
    from matplotlib.ticker import LogFormatter, ScalarFormatter, StrMethodFormatter

    numbers = ScalarFormatter | LogFormatter | StrMethodFormatter
    for axis in (each for axes in figure.axes for each in (axes.xaxis, axes.yaxis)):
        if not isinstance(axis.get_major_formatter(), numbers):
            axis.get_ticklabels()  # sets the texts of the ticks
    for text in figure.findobj(Text):
        if isinstance(text, Text) and "$" in text.get_text() and "\\mathdefault" not in text.get_text():
            text.set_parse_math(False)


@styled
def to_png(figure: Figure) -> bytes:
    """The figure as a PNG file of 256 colours, which takes a third of the space of one with all of them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    _read_as_text(figure)
    canvas, buffer = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    colours = picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)  # white remains white
    colours.save(buffer, "png", dpi=(DPI, DPI))
    return buffer.getvalue()


@styled
def to_svg(figure: Figure) -> str:
    """The figure as SVG text; from `<svg` on it can stand in an HTML page."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    _read_as_text(figure)
    buffer = io.StringIO()
    # Not by `savefig`, which draws everything once more in advance.
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def save(figure: Figure, stem: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write `<stem>.png` and `<stem>.svg`; returns their paths.

    Raises:
        WriteError: the disk did not take them.
    """
    paths = []
    with explained(stem.parent):
        stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix in formats:
        path = stem.parent / f"{stem.name}.{suffix}"
        write_whole(path, to_png(figure) if suffix == "png" else to_svg(figure))
        paths.append(path)
    return paths
