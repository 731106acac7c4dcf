"""What a network has learned, as pictures: filters, minibatches, mispredictions, confusions, decision surfaces.

Pure functions of arrays that return pixels (H, W, 3) uint8; see `nnlab.callbacks.drawing`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nnlab.callbacks import drawing
from nnlab.callbacks.drawing import CLASSES, INK, NEGATIVE, QUIET, WHITE, Pixels

FILTERS = 64  # at most
SIDE = 42  # pixels, about the side of a tile
LARGEST_TABLE = 30  # classes whose confusions are written as numbers
DOT = 3  # radius of an example on a decision surface


def is_picture(shape: Sequence[int]) -> bool:
    """Whether examples of this shape are images that can be shown: one or three channels."""
    return len(shape) == 3 and shape[0] in (1, 3)


def filters(weight: np.ndarray, input_shape: Sequence[int]) -> Pixels:
    """First-layer weights (units, ...) in the shape of the input, or as a table with a column a unit for vectors.

    Blue weights are positive and orange ones negative, each unit on its own scale; weights on colours are colours.
    """
    units = weight[:FILTERS]
    if weight.ndim == 2 and is_picture(input_shape):
        units = units.reshape(len(units), *input_shape)
    if units.ndim == 2:
        table = drawing.signed(units[:, :256].T, float(np.abs(units).max()))
        height, width = (max(1, min(16, drawing.CARD // int(size))) for size in table.shape[:2])
        return table.repeat(height, 0).repeat(width, 1)
    return drawing.on_card(drawing.tiles(_enlarged(_coloured(units)), gap=3))


def _coloured(units: np.ndarray) -> Pixels:
    """Weights (N, K, H, W) as pictures (N, H, W, 3)."""
    if units.shape[1] == 3:
        limit = np.abs(units).max((1, 2, 3), keepdims=True)
        return drawing.bright(0.5 + 0.5 * units / np.where(limit, limit, 1.0)).transpose(0, 2, 3, 1)
    planes = units.mean(1)
    return drawing.signed(planes, np.abs(planes).max((1, 2), keepdims=True))


def _enlarged(pictures: Pixels) -> Pixels:
    return drawing.enlarged(pictures, max(1, round(SIDE / max(pictures.shape[1:3]))))


def photographs(images: np.ndarray) -> Pixels:
    """Images (N, K, H, W) as pictures (N, H, W, 3) on one scale, the darkest and brightest hundredth clipped."""
    clipped = images.size // 100
    values = np.partition(images, (clipped, images.size - 1 - clipped), None)
    low, high = values[clipped], values[images.size - 1 - clipped]
    shown = (images - low) / max(high - low, 1e-12)
    return drawing.bright(shown).transpose(0, 2, 3, 1) if images.shape[1] == 3 else drawing.grey(shown[:, 0])


def batch(images: np.ndarray, labels: Sequence[str]) -> Pixels:
    """A minibatch (N, K, H, W) with its labels."""
    return drawing.on_card(drawing.tiles(_enlarged(photographs(images)), [[label] for label in labels], gap=3))


def predictions(images: np.ndarray, labels: Sequence[Sequence[str]], wrong: Sequence[bool]) -> Pixels:
    """Examples (N, K, H, W) with what they are and what was predicted; those that are wrong have an orange frame."""
    colours = np.where(np.array(wrong)[:, None], NEGATIVE, 255.0)
    return drawing.on_card(drawing.tiles(drawing.framed(_enlarged(photographs(images)), colours), labels, gap=6))


def contact_sheet(images: np.ndarray) -> Pixels:
    """Images (N, K, H, W) in a square without gaps, row by row."""
    pictures = photographs(images)
    side = math.ceil(math.sqrt(len(pictures)))
    _, height, width, _ = pictures.shape
    cells = np.full((side * side, height, width, 3), 255, np.uint8)
    cells[: len(pictures)] = pictures
    return cells.reshape(side, side, height, width, 3).swapaxes(1, 2).reshape(side * height, side * width, 3)


def confusion(counts: np.ndarray, names: Sequence[str]) -> Pixels:
    """Counts (C, C) of true classes (rows) by predicted classes (columns); blue is right and orange is wrong."""
    classes = len(names)
    written = classes <= LARGEST_TABLE
    short = [name[:10] for name in names]
    left = max(map(drawing.text_width, short)) + 8 if written else 0
    room = (drawing.CARD - left - 8) // classes
    cell = min(80, max(24, room)) if written else max(2, room)
    top = 2 * drawing.LINE + 4
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    colours = drawing.signed(np.where(np.eye(classes, dtype=bool), share, -np.sqrt(share)), 1.0)
    heading = "columns: predicted, rows: true"
    canvas = drawing.blank(top + cell * classes + 4, left + max(cell * classes, drawing.text_width(heading)) + 8)
    canvas[top : top + cell * classes, left : left + cell * classes] = drawing.enlarged(colours, cell)
    drawing.write(canvas, left, 0, heading, QUIET)
    for row in range(classes if written else 0):
        middle = top + row * cell + (cell - drawing.LINE) // 2
        drawing.write(canvas, left - 6, middle, short[row], align=1)
        fits = drawing.text_width(short[row]) <= cell
        drawing.write(
            canvas, left + row * cell + cell // 2, drawing.LINE + 2, short[row] if fits else f"{row}", align=0.5
        )
        for column in np.flatnonzero(counts[row]):
            colour = WHITE if share[row, column] > 0.75 else INK
            x = left + column * cell + cell // 2
            drawing.write(canvas, int(x), middle, str(int(counts[row, column])), colour, align=0.5)
    return drawing.on_card(canvas)


def surface(values: np.ndarray, points: np.ndarray, classes: np.ndarray | None) -> Pixels:
    """What is predicted over a rectangle, with examples as dots.

    Args:
        values: class probabilities (H, W, C) from the top left, or one regression output (H, W, 1).
        points: examples (n, 2) in units of the rectangle, [0, 1] from the bottom left.
        classes: their labels (n,), or None.
    """
    factor = max(1, drawing.CARD // len(values))
    if values.shape[2] == 1:
        plane = values[:, :, 0]
        colours = drawing.signed(plane - plane.mean(), float(np.abs(plane - plane.mean()).max()))
    else:
        palette = CLASSES[np.arange(values.shape[2]) % len(CLASSES)]
        colours = (255 - 0.62 * (255 - values @ palette)).astype(np.uint8)
    canvas = drawing.enlarged(colours, factor)
    height, width, _ = canvas.shape
    inks = [CLASSES[label % len(CLASSES)] * 0.85 for label in classes] if classes is not None else [INK] * len(points)
    span = np.arange(-DOT - 1, DOT + 2)
    distance = np.hypot(span[:, None], span[None, :])
    rim, disc = distance <= DOT + 1, distance <= DOT
    for (x, y), ink in zip(points, inks, strict=True):
        column, row = round(x * (width - 1)), round((1 - y) * (height - 1))
        if DOT < row < height - DOT - 1 and DOT < column < width - DOT - 1:
            area = canvas[row - DOT - 1 : row + DOT + 2, column - DOT - 1 : column + DOT + 2]
            area[rim] = 255
            area[disc] = ink
    return drawing.on_card(canvas)
