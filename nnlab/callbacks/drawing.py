"""Small pictures as arrays of pixels (H, W, 3) uint8: colours, text, tiles, and PNG files.

Pictures are made while a network is training, so they must cost next to nothing: matplotlib takes 0.7 s to load and
0.1 s a figure, Pillow 50 ms to load; this takes about a millisecond a picture. PNG: ISO/IEC 15948, chapter 11.

The letters in `glyphs.npz` are those of Aileron (Sora Sagano, dotcolon.net, CC0) at 13 pixels, ASCII 32 to 126 side
by side, with their widths.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

Pixels = np.ndarray  # (H, W, 3) uint8
LINE = 16  # height of a line of text
# Pixels across a picture in TensorBoard. It shrinks wider ones to that by leaving out pixels: letters fall apart.
CARD = 350
FEWEST_COLUMNS = 4  # of tiles; where fewer fit, they are too large for a card, and can be looked at in their own size
# Okabe and Ito's colours (2008), which stay apart for all common kinds of colour vision.
CLASSES = np.array(
    [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (240, 228, 66)],
    dtype=float,
)
POSITIVE, NEGATIVE = CLASSES[0], CLASSES[1]
INK, QUIET, WHITE = (34, 34, 34), (111, 111, 111), (255, 255, 255)


def png(pixels: Pixels) -> bytes:
    """A PNG file of colours (H, W, 3), uint8."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # every row begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, content in chunks:
        parts += [struct.pack(">I", len(content)), name, content, struct.pack(">I", zlib.crc32(name + content))]
    return b"".join(parts)


def blank(height: int, width: int) -> Pixels:
    """A white picture."""
    return np.full((height, width, 3), 255, np.uint8)


def grey(values: np.ndarray) -> Pixels:
    """Values in [0, 1], (..., H, W), from black to white."""
    return np.repeat(bright(values)[..., None], 3, -1)


def bright(values: np.ndarray) -> np.ndarray:
    """Values in [0, 1] of any shape as bytes."""
    scaled: np.ndarray = (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
    return scaled


def signed(values: np.ndarray, limit: np.ndarray | float) -> Pixels:
    """Values (..., H, W) from orange (-limit) over white (0) to blue (limit)."""
    share = np.clip(values / np.where(limit, limit, 1.0), -1, 1)
    level = (share * 255 + 255.5).astype(np.int16)
    pixels: Pixels = _signed_colours()[level]
    return pixels


@functools.cache
def _signed_colours() -> np.ndarray:
    """Colours (511, 3) of the levels -255 to 255."""
    share = np.arange(-255, 256)[:, None] / 255
    colours: np.ndarray = (255.5 - np.abs(share) * (255 - np.where(share > 0, POSITIVE, NEGATIVE))).astype(np.uint8)
    return colours


def enlarged(pixels: Pixels, factor: int) -> Pixels:
    """Every pixel of pictures (..., H, W, 3) as a square of `factor` by `factor`."""
    return pixels.repeat(factor, -3).repeat(factor, -2)


@functools.cache
def _glyphs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coverage (LINE, all widths) in [0, 1], and of every character where it begins and how wide it is."""
    with np.load(Path(__file__).with_name("glyphs.npz")) as file:
        widths = file["widths"].astype(int)
        return file["pixels"].astype(np.float32) / 255, np.concatenate([[0], np.cumsum(widths)[:-1]]), widths


@functools.lru_cache(maxsize=1024)
def _line(words: str) -> np.ndarray:
    """Coverage (LINE, width) of a line of text; what is not ASCII appears as a question mark."""
    pixels, starts, widths = _glyphs()
    codes = [ord(letter) - 32 if 32 <= ord(letter) < 127 else ord("?") - 32 for letter in words]
    pieces = [pixels[:, starts[code] : starts[code] + widths[code]] for code in codes]
    return np.concatenate(pieces, 1) if pieces else np.zeros((LINE, 0), np.float32)


def text_width(words: str) -> int:
    """Pixels that a line of text takes."""
    return int(_line(words).shape[1])


@functools.lru_cache(maxsize=1024)
def _inked(words: str, colour: tuple[int, int, int]) -> Pixels:
    """A line of text on white, or in a light colour on black."""
    ground = 0 if _is_light(colour) else 255
    pixels: Pixels = (ground + _line(words)[:, :, None] * (np.array(colour) - ground) + 0.5).astype(np.uint8)
    return pixels


def _is_light(colour: tuple[int, int, int]) -> bool:
    return sum(colour) > 382


def write(pixels: Pixels, x: int, y: int, words: str, colour: tuple[int, int, int] = INK, align: float = 0.0) -> None:
    """Write a line with its top at `y`; `align` 0 begins at `x`, 0.5 is centred there, 1 ends there.

    Dark colours are for light grounds, and light ones for dark grounds.
    """
    text = _inked(words, colour)
    left = max(0, round(x - align * text.shape[1]))
    area = pixels[y : y + LINE, left : left + text.shape[1]]
    merge = np.maximum if _is_light(colour) else np.minimum
    merge(area, text[: area.shape[0], : area.shape[1]], out=area)


def tiles(
    pictures: np.ndarray, captions: Sequence[Sequence[str]] = (), columns: int | None = None, gap: int = 4
) -> Pixels:
    """Pictures (N, H, W, 3) in rows, each below its caption's lines; `columns`: None takes what fits a card."""
    count, height, width, _ = pictures.shape
    lines = max((len(caption) for caption in captions), default=0)
    cell_width = max([width, *(text_width(line) for caption in captions for line in caption)])
    columns = min(columns or max(FEWEST_COLUMNS, (CARD - gap) // (cell_width + gap)), count)
    rows = -(-count // columns)
    cell_height = height + lines * LINE
    cells = np.full((rows * columns, cell_height + gap, cell_width + gap, 3), 255, np.uint8)
    start = gap + (cell_width - width) // 2
    cells[:count, gap + lines * LINE :, start : start + width] = pictures
    grid = cells.reshape(rows, columns, cell_height + gap, cell_width + gap, 3).swapaxes(1, 2)
    canvas = blank(rows * (cell_height + gap) + gap, columns * (cell_width + gap) + gap)
    canvas[:-gap, :-gap] = grid.reshape(rows * (cell_height + gap), columns * (cell_width + gap), 3)
    for position, caption in enumerate(captions):
        row, column = divmod(position, columns)
        for number, line in enumerate(caption):
            x = gap + column * (cell_width + gap) + cell_width // 2
            write(canvas, x, gap + row * (cell_height + gap) + number * LINE, line, align=0.5)
    return canvas


def on_card(pixels: Pixels) -> Pixels:
    """A picture with white on its right, as wide as TensorBoard shows it."""
    height, width, _ = pixels.shape
    return np.concatenate([pixels, blank(height, max(0, CARD - width))], 1)


def framed(pictures: Pixels, colours: np.ndarray, width: int = 2) -> Pixels:
    """Pictures (N, H, W, 3) with frames of colours (N, 3) around them."""
    count, height, length, _ = pictures.shape
    canvas = np.empty((count, height + 2 * width, length + 2 * width, 3), np.uint8)
    canvas[:] = colours.astype(np.uint8)[:, None, None]
    canvas[:, width:-width, width:-width] = pictures
    return canvas
