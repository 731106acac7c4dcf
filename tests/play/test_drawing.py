"""A drawn digit comes to the network as those of the data set came."""

from __future__ import annotations

import base64

import pytest
import torch

from nnlab.errors import UserError
from nnlab.play.drawing import SIDE, placed, received


def stroke(top: int, bottom: int, left: int, right: int) -> torch.Tensor:
    drawing = torch.zeros(SIDE, SIDE)
    drawing[top:bottom, left:right] = 1
    return drawing


@pytest.mark.parametrize("place", [(4, 44, 4, 12), (60, 100, 90, 98)])
def test_wherever_and_however_large_it_is_drawn_it_lies_as_in_mnist(place: tuple[int, int, int, int]) -> None:
    image = placed(stroke(*place), 28, 28)
    rows, columns = (torch.nonzero(image.amax(axis) > 0.05).flatten() for axis in (1, 0))
    assert len(rows) == 20
    assert len(columns) == 4
    mass = [float((image.sum(1 - axis) * torch.arange(28)).sum() / image.sum()) for axis in (0, 1)]
    assert mass == pytest.approx([13.5, 13.5], abs=0.5)


def test_a_small_digit_fills_the_height() -> None:
    image = placed(stroke(20, 90, 50, 60), 8, 8)
    assert bool((image.amax(1) > 0.5).all())
    assert image.shape == (8, 8)
    assert float(image.max()) <= 1


def test_what_is_no_drawing_is_refused() -> None:
    blank = base64.b64encode(bytes(SIDE * SIDE)).decode()
    for text, sentence in ((blank, "nothing is drawn"), ("AAAA", "112 x 112 pixels"), ("?", "112 x 112 pixels")):
        with pytest.raises(UserError, match=sentence):
            received(text)
