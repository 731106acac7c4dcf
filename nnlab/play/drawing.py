"""A digit that was drawn on the page, as the data set would have it: cut out, scaled to its box, and placed.

MNIST's digits fill a box of 20 x 20 of the 28 x 28 pixels and have their center of mass in the middle (LeCun et al.
1998); the small digits of 8 x 8 fill the height of the image.
"""

from __future__ import annotations

import base64

import torch
from torch import Tensor

from nnlab.errors import UserError

SIDE = 112  # pixels of the page's canvas, a multiple of 8 and of 28
SMALL = 20  # sides below which a digit fills its image
BOX = 20 / 28  # share of a larger image that its box has


def received(text: str) -> Tensor:
    """A drawing (SIDE, SIDE) in [0, 1] from its bytes as base64; 0 is background.

    Raises:
        UserError: it is no drawing, or nothing is on it.
    """
    try:
        pixels = base64.b64decode(text, validate=True)
    except ValueError:
        pixels = b""
    if len(pixels) != SIDE * SIDE:
        raise UserError(f"a drawing has {SIDE} x {SIDE} pixels; this has {len(pixels)} bytes")
    drawing = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(SIDE, SIDE).float() / 255
    if not bool(drawing.any()):
        raise UserError("nothing is drawn yet")
    return drawing


def placed(drawing: Tensor, height: int, width: int) -> Tensor:
    """A drawing (SIDE, SIDE) as an image (height, width) in [0, 1], whose longer side fills the box."""
    rows, columns = (torch.nonzero(drawing.amax(axis) > 0).flatten() for axis in (1, 0))
    cut = drawing[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]
    fills = min(height, width) < SMALL
    box = (1.0 if fills else BOX) * min(height, width)
    scale = box / max(cut.shape)
    size = [max(1, round(side * scale)) for side in cut.shape]
    small = torch.nn.functional.interpolate(cut[None, None], size, mode="bilinear", antialias=True)[0, 0].clamp(0, 1)
    middle = [(side - 1) / 2 for side in small.shape] if fills else _mass(small)
    image = torch.zeros(height, width)
    top, left = (
        min(max(round((side - 1) / 2 - at), 0), side - extent)
        for side, at, extent in zip((height, width), middle, small.shape, strict=True)
    )
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return image


def _mass(image: Tensor) -> list[float]:
    """Row and column of the center of mass."""
    total = image.sum()
    return [float((image.sum(1 - axis) * torch.arange(image.shape[axis])).sum() / total) for axis in (0, 1)]
