"""What a user sees in a browser: TensorBoard with real runs. The screenshots are kept in outputs/browser."""

from __future__ import annotations

import importlib.util
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnlab.callbacks.drawing import CARD
from nnlab.cli import compose, main
from nnlab.commands.board import board
from nnlab.commands.board import page as board_page
from nnlab.runs.launch import train

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ABSENT = "no Chromium on this machine" if CHROMIUM is None else "playwright is not installed"
SHOTS = Path(__file__).parents[2] / "outputs" / "browser"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 90_000  # milliseconds that a page may take on a machine that is busy; nothing waits when it is there

pytestmark = pytest.mark.skipif(CHROMIUM is None or importlib.util.find_spec("playwright") is None, reason=ABSENT)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, and a study of two rates with two seeds each."""
    folder = tmp_path_factory.mktemp("runs")
    common = ("trainer.epochs=5", "data.limit=200", "architecture.widths=[32,32]", f"output_dir={folder}")
    for overrides in (["optimizer.learning_rate=0.003"], ["data=moons", "loss=binary_cross_entropy"]):
        name = "moons" if "data=moons" in overrides else "digits"
        train(compose(*common, *overrides, f"name={name}"), overrides)
    for name in ("digits", "moons"):
        [run] = (folder / name).iterdir()
        run.rename(folder / name / f"{name} run")
    grid = ["optimizer.learning_rate=0.01,0.001", "seed=0,1", "trainer.epochs=5", "data.limit=200"]
    assert main(["train", "-m", *grid, f"output_dir={folder.parent}", "name=study"]) == 0
    return folder


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with board([runs]) as found:
        yield found


@pytest.fixture(scope="module")
def study_address(runs: Path) -> Iterator[str]:
    with board([runs.parent / "study"]) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


Open = Callable[[str], Any]


@pytest.fixture
def show(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens a tab of TensorBoard, and keeps a screenshot at the end."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(PATIENCE)

    def open_tab(tab: str) -> Any:
        page.goto(tab if tab.startswith("http") else re.sub(r"#.*", tab if "#" in tab else f"#{tab}", address))
        return page

    yield open_tab
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(500)  # for what moves
    page.screenshot(path=SHOTS / f"{request.node.name.removeprefix('test_')}.png")
    page.close()


def until(page: Any, holds: Callable[[], bool], what: str) -> None:
    """Wait until something is on the page."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not holds():
        assert time.monotonic() < deadline, f"not on the page: {what}"
        page.wait_for_timeout(100)


def curves(page: Any, card: str) -> int:
    """How many lines of more than a point or two the charts of CUSTOM SCALARS show."""
    paths = page.locator(f"{card} vz-line-chart2 svg path")
    found: int = paths.evaluate_all("all => all.filter(p => (p.getAttribute('d') || '').length > 100).length")
    return found


def test_the_printed_address_leads_to_the_charts_for_few_runs(address: str) -> None:
    assert "#custom_scalars" in address


def test_the_custom_layout_is_on_the_page(show: Open) -> None:
    page = show("custom_scalars")
    page.get_by_text("loss: training (moving average) and validation").first.wait_for()
    for text in ("learning rate", "Gradients and updates", "update norm of every weight", "Activations"):
        page.get_by_text(text).first.wait_for()
    until(page, lambda: curves(page, "tf-custom-scalar-multi-line-chart-card") >= 6, "the curves of two runs")


def test_a_study_opens_on_the_mean_over_seeds_in_its_band(show: Open, study_address: str) -> None:
    page = show(study_address)
    for title in ("training loss over seeds", "accuracy on validation over seeds"):
        page.get_by_text(title).first.wait_for()
    until(page, lambda: curves(page, "tf-custom-scalar-margin-chart-card") >= 4, "two curves in their bands")
    listed = page.locator("tf-multi-checkbox .item-label-container").all_inner_texts()
    assert len(listed) == 2
    assert all(name.startswith("mean/") for name in listed)


def test_loss_curves_are_on_the_page(show: Open) -> None:
    page = show(board_page(1000))
    for tag in ("loss/train_average", "loss/validation", "accuracy/validation"):
        page.locator(f'card-view [title="{tag}"], card-view :text-is("{tag}")').first.wait_for()
    page.locator("line-chart").nth(2).wait_for()
    until(page, lambda: page.locator("line-chart canvas, line-chart svg path").count() >= 3, "three charts")


def test_images_are_on_the_page(show: Open) -> None:
    page = show("images")
    for tag in ("images/batch", "images/filters", "images/confusion_matrix", "images/predictions"):
        page.get_by_text(tag, exact=False).first.wait_for()
    pictures = page.locator("tf-image-loader img")
    widths: list[int] = []

    def loaded() -> bool:
        widths[:] = pictures.evaluate_all("all => all.map(i => i.naturalWidth).filter(width => width)")
        return len(widths) >= 5

    until(page, loaded, "five pictures")
    page.get_by_text("images/decision_surface").first.wait_for()
    shown = pictures.first.evaluate("image => image.getBoundingClientRect().width")
    assert shown == CARD  # TensorBoard neither stretches nor shrinks what has this width
    assert max(widths) <= CARD


def test_hyper_parameters_and_metrics_are_on_the_page(show: Open) -> None:
    page = show("hparams")
    page.get_by_text("best/accuracy/validation").first.wait_for()
    page.get_by_text("optimizer.learning_rate").first.wait_for()
    page.get_by_text("digits/digits run").first.wait_for()
    for value in ("ReLU", "MLP"):
        page.get_by_text(value, exact=True).first.wait_for()


def test_histograms_are_on_the_page(show: Open) -> None:
    page = show("histograms")
    page.get_by_text("activations/activation1", exact=False).first.wait_for()
    until(page, lambda: page.locator("vz-histogram-timeseries svg path").count() >= 4, "histograms of several steps")


def test_distributions_are_on_the_page(show: Open) -> None:
    page = show("distributions")
    page.get_by_text("activations/activation1", exact=False).first.wait_for()
    until(page, lambda: page.locator("vz-distribution-chart svg path").count() >= 4, "distributions")


def test_precision_and_recall_are_on_the_page(show: Open) -> None:
    page = show("pr_curves")
    page.get_by_text("precision_recall/validation", exact=False).first.wait_for()
    until(page, lambda: page.locator("tf-pr-curve-card vz-line-chart2 svg path").count() >= 1, "a curve")


def test_the_last_hidden_layer_is_in_the_projector(show: Open) -> None:
    page = show("projector")
    frame = page.frame_locator("iframe").frame_locator("iframe")
    frame.locator(".numDataPoints:text('144')").wait_for()
    assert "last hidden layer" in frame.locator("input").evaluate_all("all => all.map(input => input.value)")
    page.wait_for_timeout(1500)  # for the points, which have no elements
