"""Figures show the data they are given, name their axes, and are the same files each time."""

from __future__ import annotations

import functools
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnlab.report import figures, style
from nnlab.report.recipe_axes import dots

RANDOM = np.random.default_rng(0)
STEPS = np.arange(1, 201)
LOSSES = 2.3 * np.exp(-STEPS / 60) + 0.1 + 0.05 * RANDOM.random(200)
AT = np.arange(20, 201, 20)
SURFACE = np.add.outer(np.linspace(-1, 1, 15) ** 2, 10 * np.linspace(-2, 2, 21) ** 2) + 0.01
PATH = np.stack([np.linspace(-1, 0, 30), np.linspace(0.8, 0, 30)], 1)
FIGURES: dict[str, Callable[[], Any]] = {
    "loss_curve": lambda: figures.loss_curve(STEPS, LOSSES, expected=2.303, steps_per_epoch=20, ylabel="loss (nats)"),
    "train_validation": lambda: figures.train_validation(
        (STEPS, LOSSES), (AT, LOSSES[AT - 1]), metric=(AT, 1 - LOSSES[AT - 1] / 3), best_step=120, steps_per_epoch=20
    ),
    "train_validation, no metric": lambda: figures.train_validation((STEPS, LOSSES), (AT, LOSSES[AT - 1])),
    "overlay": lambda: figures.overlay(
        {f"rate={k}": [(AT, LOSSES[AT - 1] * k)] * 3 for k in range(1, 4)}, title="Rates"
    ),
    "overlay of many": lambda: figures.overlay(
        {f"rate={k}": [(AT, LOSSES[AT - 1] * k)] for k in range(1, 25)}, title="x"
    ),
    "overlay of accuracy": lambda: figures.overlay({"": [(AT, LOSSES[AT - 1])]}, from_zero=False, title="x"),
    "activation_histograms": lambda: figures.activation_histograms(
        {f"layer {i}": np.tanh(RANDOM.normal(size=500)) for i in range(6)}
    ),
    "activation_histograms before and after": lambda: figures.activation_histograms(
        {f"layer {i}": RANDOM.normal(size=50) for i in range(8)}, before={f"layer {i}": np.ones(50) for i in range(8)}
    ),
    "layer_statistics of many, with a guide": lambda: figures.layer_statistics(
        {f"w{i}": (AT, AT / 10**i) for i in range(9)}, ylabel="x", title="x", guide=(1, "one"), logarithmic=True
    ),
    "activation_histograms of a dead layer": lambda: figures.activation_histograms({"dead": np.zeros(50)}),
    "gradient_flow": lambda: figures.gradient_flow({f"w{i}": (AT, 10.0**-i * LOSSES[AT - 1]) for i in range(5)}),
    "learning_rate": lambda: figures.learning_rate({"cosine": (STEPS, np.cos(STEPS / 200)), "x": (STEPS, STEPS)}),
    "layer_statistics": lambda: figures.layer_statistics({"a": (AT, AT)}, ylabel="std", title="Layers"),
    "calibration": lambda: figures.calibration([0.25, np.nan, 0.9], [0.4, np.nan, 0.8], [5, 0, 20], error=0.11),
    "loss_surface": lambda: figures.loss_surface(
        np.linspace(-2, 2, 21), np.linspace(-1, 1, 15), SURFACE, paths={"sgd": PATH, "adam": -PATH}
    ),
    "loss_surface with infinities": lambda: figures.loss_surface(
        np.arange(4.0), np.arange(3.0), np.array([[1, 2, np.inf, np.nan]] * 3)
    ),
    "confusion_matrix": lambda: figures.confusion_matrix(np.diag([3, 4]), ["cat", "a long name"]),
    "confusion_matrix of few": lambda: figures.confusion_matrix(
        np.diag([3, 4, 5]),
        ["Adelie", "Chinstrap", "a species of a long name"],
        title="Confusion matrix on the test split",
    ),
    "confusion_matrix of many": lambda: figures.confusion_matrix(np.eye(40, dtype=int), list(map(str, range(40)))),
    "dots of long labels": lambda: style.styled(dots)(
        "What each change gave",
        ["round 2: weight decay 1, cosine schedule, widths [128, 128], tanh, dropout 0, rate 0.0019", "as given"],
        *([0.01, -0.002], [0.02, 0.001], "gain in validation loss"),
    ),
    "image_grid": lambda: figures.image_grid(RANDOM.random((10, 5, 5)), ["is 1"] * 10, title="Worst"),
}


@functools.cache
def drawn(name: str) -> tuple[Any, bytes]:
    """A figure, and its PNG file."""
    figure = FIGURES[name]()
    return figure, style.to_png(figure)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_picture_readable_on_a_slide(name: str) -> None:
    figure, content = drawn(name)
    image = Image.open(io.BytesIO(content))
    assert min(image.size) >= 300
    assert np.asarray(image.convert("L")).std() > 5
    for axis in figure.axes:
        for label in (axis.xaxis.label, axis.yaxis.label, axis.title):
            assert not label.get_text() or label.get_fontsize() >= 10


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_of_a_figure_is_cut_off(name: str) -> None:
    figure, _ = drawn(name)
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.02  # inches


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_well_formed_svg(name: str) -> None:
    assert ElementTree.fromstring(style.to_svg(drawn(name)[0])).tag.endswith("svg")


@pytest.mark.parametrize("name", ["learning_rate", "train_validation", "confusion_matrix"])
def test_a_figure_is_the_same_svg_each_time(name: str) -> None:
    assert style.to_svg(FIGURES[name]()) == style.to_svg(FIGURES[name]())


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "image_grid"])
def test_every_figure_says_what_its_axes_are(name: str) -> None:
    figure, _ = drawn(name)
    texts = [axis.get_xlabel() + axis.get_ylabel() for axis in figure.axes]
    texts += [figure.get_supxlabel(), figure.get_supylabel()]
    assert sum(bool(text) for text in texts) >= 1
    assert any(axis.get_title(loc="left") for axis in figure.axes) or figure.get_suptitle()


def test_the_loss_curve_holds_every_minibatch_and_their_moving_average() -> None:
    axis = figures.loss_curve(STEPS, LOSSES, window=10).axes[0]
    dots, line = axis.lines[:2]
    np.testing.assert_array_equal(dots.get_ydata(), LOSSES)
    np.testing.assert_allclose(line.get_ydata()[50], LOSSES[41:51].mean())


def test_a_loss_that_spans_decades_is_logarithmic() -> None:
    assert figures.loss_curve(STEPS, np.geomspace(1, 1e-4, 200)).axes[0].get_yscale() == "log"
    assert figures.loss_curve(STEPS, LOSSES).axes[0].get_yscale() == "linear"
    assert figures.loss_curve(STEPS, LOSSES - 1).axes[0].get_yscale() == "linear"


def test_smoothing_leaves_out_what_is_not_finite() -> None:
    np.testing.assert_allclose(figures.smooth([1.0, np.nan, 3.0, np.inf], 2), [1, 1, 3, 3])


def test_repetitions_are_averaged_with_their_deviation() -> None:
    curves = [([1, 2, 3], [1.0, 2.0, 3.0]), ([1, 2], [3.0, 6.0])]
    x, mean, std, count = figures.averaged(curves)
    np.testing.assert_allclose(x, [1, 2, 3])
    np.testing.assert_allclose(mean, [2, 4, 3])
    np.testing.assert_allclose(std, [2**0.5, 8**0.5, 0])
    assert count == 2


def test_the_band_of_a_logarithmic_chart_is_that_of_the_logarithm() -> None:
    curves = [([1, 2], [1.0, 1e-4]), ([1, 2], [100.0, 1e-2])]
    axis = figures.overlay({"rate=1": curves}).axes[0]
    assert axis.get_yscale() == "log"
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [10, 1e-3])
    deviation = np.exp(np.std(np.log([1, 100]), ddof=1))
    ends = axis.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([ends.min(), ends.max()], [1e-3 / deviation, 10 * deviation])


def test_activations_before_training_stand_above_those_after() -> None:
    layers = {"a": np.zeros(20), "b": np.ones(20)}
    axes = figures.activation_histograms(layers, before={"a": np.ones(20), "b": np.ones(20)}).axes
    assert [axis.get_ylabel() for axis in axes] == ["before training", "", "at the best weights", ""]
    assert [axis.texts[0].get_text()[:8] for axis in axes] == ["mean 1.0", "mean 1.0", "mean 0.0", "mean 1.0"]


def test_bins_of_few_examples_are_paler() -> None:
    axis = figures.calibration([0.6, 0.7, 0.9], [0.5, 0.7, 0.9], [9, 10, 500]).axes[0]
    bars = {round(bar.get_height(), 6): bar.get_facecolor() for bar in axis.patches if not bar.get_hatch()}
    assert bars[0.7] == bars[0.9] != bars[0.5]


def test_a_picture_has_few_colours_and_a_white_ground() -> None:
    image = Image.open(io.BytesIO(style.to_png(FIGURES["train_validation"]())))
    assert image.mode == "P"
    assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)


def test_twenty_four_curves_look_different() -> None:
    assert len({(str(s["color"]), str(s["linestyle"])) for s in map(style.line_style, range(24))}) == 24


def test_neighbouring_colours_differ_for_colour_blind_eyes() -> None:
    """Machado et al. 2009 (doi:10.1109/TVCG.2009.113): full protanopia and deuteranopia, in linear RGB."""
    from matplotlib.colors import to_rgb

    simulations = [
        np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
        np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    ]
    colours = np.array([to_rgb(colour) for colour in style.CYCLE]) ** 2.2
    for simulation in simulations:
        seen = np.clip(colours @ simulation.T, 0, 1) ** (1 / 2.2)
        distance = np.abs(seen[:, None] - seen[None]).sum(2) + np.eye(len(seen))
        assert distance.min() > 0.15


def test_the_users_own_style_is_left_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.learning_rate({"": (STEPS, STEPS)})
    assert dict(matplotlib.rcParams) == before


def test_figures_are_saved_in_both_formats(tmp_path: Path) -> None:
    paths = style.save(FIGURES["learning_rate"](), tmp_path / "new" / "rate=0.1")
    assert [path.name for path in paths] == ["rate=0.1.png", "rate=0.1.svg"]
    assert all(path.stat().st_size > 1000 for path in paths)


def test_the_gap_of_calibration_lies_between_accuracy_and_confidence() -> None:
    axis = FIGURES["calibration"]().axes[0]
    gaps = [patch for patch in axis.patches if patch.get_hatch()]
    spans = [(round(gap.get_y(), 6), round(gap.get_y() + gap.get_height(), 6)) for gap in gaps]
    assert spans == [(0.25, 0.4), (0.8, 0.9)]
