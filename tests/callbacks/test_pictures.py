"""Pictures show what they should, and PNG files hold the pixels that were drawn."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nnlab.callbacks import drawing, pictures


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 300, 3), (64, 5, 3)])
def test_a_png_holds_the_pixels(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(decoded(drawing.png(pixels)), pixels)


def test_signed_colours_are_white_at_zero_and_pure_at_the_limits() -> None:
    colours = drawing.signed(np.array([[-2.0, 0.0, 2.0, 5.0]]), 2.0)[0]
    assert np.abs(colours.astype(int) - [drawing.NEGATIVE, (255, 255, 255), *[drawing.POSITIVE] * 2]).max() <= 1


def test_units_without_weights_are_white() -> None:
    assert (drawing.signed(np.zeros((2, 3, 3)), np.zeros((2, 1, 1))) == 255).all()


def test_text_is_as_wide_as_announced_and_leaves_the_rest_alone() -> None:
    canvas = drawing.blank(20, 200)
    drawing.write(canvas, 50, 2, "fgj 0 %")
    columns = np.flatnonzero((canvas < 255).any((0, 2)))
    assert columns[0] >= 50
    assert columns[-1] < 50 + drawing.text_width("fgj 0 %")
    assert (canvas[:2] == 255).all()


def test_light_text_stands_on_dark_ground_and_is_cut_at_the_edge() -> None:
    canvas = np.zeros((drawing.LINE, 30, 3), np.uint8)
    drawing.write(canvas, 20, 0, "WWW", drawing.WHITE)
    assert canvas[:, :20].max() == 0
    assert canvas[:, 20:].max() > 200


def test_tiles_stand_in_rows_below_their_captions() -> None:
    tile = np.zeros((3, 6, 10, 3), np.uint8)
    plain = drawing.tiles(tile, columns=2, gap=4)
    assert plain.shape == (4 + 2 * 10, 4 + 2 * 14, 3)
    dark = (plain == 0).all(2)
    assert dark.sum() == 3 * 60
    assert dark[4:10, 4:14].all()
    assert dark[14:20, 4:14].all()
    captioned = drawing.tiles(tile, [["1"]] * 3, columns=2, gap=4)
    assert captioned.shape[0] == plain.shape[0] + 2 * drawing.LINE


def test_filters_have_the_shape_of_the_input() -> None:
    weight = np.zeros((2, 6))
    weight[0, 4] = 1.0  # row 1, column 1 of 2 x 3
    weight[1, 0] = -2.0
    picture = pictures.filters(weight, (1, 2, 3))
    factor = round(pictures.SIDE / 3)
    first = picture[3 : 3 + 2 * factor, 3 : 3 + 3 * factor]
    assert np.abs(first[factor + 1, factor + 1] - drawing.POSITIVE).max() <= 1
    assert (first[0, 0] == 255).all()
    second = picture[3:, 3 + 3 * factor + 3 :]
    assert np.abs(second[1, 1] - drawing.NEGATIVE).max() <= 1


@pytest.mark.parametrize(("shape", "size"), [((5, 3, 4, 4), 5), ((70, 1, 4, 4), 64), ((5, 7), 5)])
def test_filters_of_any_kind_are_pictures(shape: tuple[int, ...], size: int) -> None:
    picture = pictures.filters(np.random.default_rng(0).normal(size=shape), (7,))
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    if len(shape) == 2:
        assert picture.shape[1] == size * (picture.shape[0] // shape[1])


def test_wrong_predictions_are_framed() -> None:
    images = np.random.default_rng(0).normal(size=(2, 1, 8, 8))
    picture = pictures.predictions(images, [("is 1", "as 2"), ("is 1", "as 1")], [True, False])
    orange = (np.abs(picture.astype(int) - drawing.NEGATIVE) <= 1).all(2)
    side = 5 * 8 + 4
    assert orange.sum() == side**2 - (side - 4) ** 2
    assert not orange[:, picture.shape[1] // 2 :].any()


@pytest.mark.parametrize("classes", [2, 10, 40])
def test_the_confusion_matrix_colours_right_and_wrong(classes: int) -> None:
    counts = np.eye(classes, dtype=int) * 5
    right = pictures.confusion(counts, [f"class {i}" for i in range(classes)])
    blue = (np.abs(right.astype(int) - drawing.POSITIVE) <= 1).all(2)
    orange = (np.abs(right.astype(int) - drawing.NEGATIVE) <= 1).all(2)
    assert blue.sum() > 0
    assert not orange.any()
    wrong = pictures.confusion(np.roll(counts, 1, 1), [f"class {i}" for i in range(classes)])
    assert (np.abs(wrong.astype(int) - drawing.NEGATIVE) <= 1).all(2).sum() > 0


def test_a_decision_surface_has_its_classes_where_they_are_predicted() -> None:
    values = np.zeros((10, 10, 2))
    values[:5, :, 0] = 1.0  # above
    values[5:, :, 1] = 1.0
    picture = pictures.surface(values, np.array([[0.5, 0.75]]), np.array([1])).astype(int)
    height, width, _ = picture.shape
    top, bottom = picture[2, 2], picture[-3, -3]
    assert top[2] > top[0]  # blue
    assert bottom[0] > bottom[2]  # orange
    dot = picture[round(0.25 * (height - 1)), round(0.5 * (width - 1))]
    assert np.abs(dot - drawing.CLASSES[1] * 0.85).max() <= 1
