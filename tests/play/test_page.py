"""The page in a real browser. Screenshots are kept in outputs/browser."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nnlab

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ABSENT = "no Chromium on this machine" if CHROMIUM is None else "playwright is not installed"
SHOTS = Path(__file__).parents[2] / "outputs" / "browser"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PATIENCE = 60_000  # milliseconds

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None or importlib.util.find_spec("playwright") is None, reason=ABSENT),
    pytest.mark.slow,
]


class Server:
    """`nnlab play` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "nnlab", "play", "--no-browser", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[-1]

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        with self.process:
            return self.process.wait(timeout=300)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server("data.examples=200", "architecture.widths=[4]")
    yield started
    assert started.stop() in (0, 130)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    opened = open_page(browser, server.address)
    yield opened
    assert opened.faults == []
    opened.context.close()


def open_page(browser: Any, address: str) -> Any:
    page = browser.new_context(viewport={"width": 1300, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#knob-list label")
    return page


def step(page: Any) -> int:
    return int(page.inner_text("#n-step"))


def test_xor_is_learned_by_clicking(page: Any) -> None:
    page.select_option("#lesson", label="2. XOR with two units")
    page.wait_for_selector("#goal")
    page.click("#run")
    page.wait_for_function("document.querySelector('#goal').className === 'right'")
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "play_xor.png", full_page=True)
    page.click("button.choice >> nth=1")
    assert page.inner_text("#lesson-body p.right").startswith("Right")


def test_the_command_on_the_page_gives_the_loss_on_the_page(page: Any, tmp_path: Path) -> None:
    page.click("#epoch")
    page.wait_for_function("document.querySelector('#n-epoch').textContent === '1'")
    shown = float(page.get_attribute("#n-train", "data-value"))
    command = shlex.split(page.inner_text("#command"))
    result = nnlab.train(*command[2:], f"output_dir={tmp_path}", "callbacks=[]")
    assert float(f"{float(result.trainer.history.losses[-1, 0]):.5g}") == shown


def test_the_backward_pass_is_stepped_by_click_and_its_command_agrees(page: Any) -> None:
    page.click("#backward")
    page.wait_for_selector("#backward-steps li.now")
    page.click("#back-all")
    assert page.locator("#backward-steps li.later").count() == 0
    printed = subprocess.run(
        [sys.executable, "-m", *shlex.split(page.inner_text("#backward-command"))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    loss = page.locator("#backward-steps li", has_text="L = -(").locator("td").inner_text()
    assert loss in printed


def test_values_and_error_signals_stand_on_the_graph_until_the_weights_change(page: Any) -> None:
    page.click("#backward")
    page.wait_for_selector("#graph text.values")
    before = page.locator("#graph text.values").count()
    assert page.locator("#graph text.errors").count() == 0
    page.click("#back-all")
    assert page.locator("#graph text.values").count() > before
    errors = [float(text) for text in page.locator("#graph text.errors").all_text_contents()]
    steps = page.locator("#backward-steps li.back", has_text="z1")
    assert len(errors) >= 5  # four hidden units and one output
    numbers = steps.first.locator("td").all_inner_texts()
    assert [f"{float(n):.2f}" for n in numbers] == [f"{e:.2f}" for e in errors[:4]]
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "play_backward.png", full_page=True)
    page.click("#step")
    page.wait_for_function("document.querySelector('#n-step').textContent === '1'")
    assert page.locator("#graph text.values").count() == 0


def test_a_drawn_digit_is_recognized(page: Any) -> None:
    assert page.is_hidden("#draw")
    page.select_option("#knob-data", label="digits")
    page.wait_for_selector("#draw")
    for _ in range(12):
        page.click("#epoch")
    page.wait_for_function("+document.querySelector('#n-epoch').textContent >= 12")
    box = page.locator("#drawing").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 20, steps=8)
    page.mouse.up()
    page.wait_for_selector("#chances .best")
    page.screenshot(path=SHOTS / "play_drawn.png", full_page=True)
    assert page.locator("#chances div").count() == 10
    assert page.inner_text("#chances .best b") == "1"
    page.click("#clear")
    assert page.locator("#chances div").count() == 0


def test_settings_are_turned_and_mistakes_answered(page: Any) -> None:
    page.fill("[id='knob-optimizer.learning_rate']", "-3")
    page.keyboard.press("Tab")
    page.wait_for_function("document.querySelector('#notice').textContent.includes('learning_rate')")
    assert page.input_value("[id='knob-optimizer.learning_rate']") == "0.1"
    page.select_option("#knob-activation", label="relu")
    page.wait_for_function("document.querySelector('#command').textContent.includes('activation=relu')")


def test_a_dropped_table_trains_and_a_bad_one_gets_a_sentence(page: Any, tmp_path: Path) -> None:
    rows = "\n".join(f"{i % 7},{i % 5},{'yes' if i % 7 > 3 else 'no'}" for i in range(80))
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("a,b,answer\n" + rows)
    bad.write_text("a\n")
    page.set_input_files("#file", good)
    page.click("#own button")
    page.wait_for_function("document.querySelector('#command').textContent.includes('good.csv')")
    page.click("#step")
    page.wait_for_function("document.querySelector('#n-step').textContent === '1'")
    page.set_input_files("#file", bad)
    page.wait_for_function("document.querySelector('#own-target').value === 'a'")
    page.click("#own button")
    page.wait_for_function("document.querySelector('#notice').textContent.includes('bad.csv')")
    assert str(tmp_path) not in page.inner_text("#notice")


def test_what_is_not_drawn_is_not_explained_and_says_so(page: Any, tmp_path: Path) -> None:
    pictures = "A unit's picture is what it responds to."
    page.wait_for_selector("#graph image")
    assert pictures in page.inner_text("#graph-legend")
    table = tmp_path / "three.csv"
    table.write_text("a,b,c,answer\n" + "\n".join(f"{i % 7},{i % 5},{i % 3},{i % 7 > 3}" for i in range(80)))
    page.set_input_files("#file", table)
    page.click("#own button")
    page.wait_for_function("document.querySelector('#command').textContent.includes('three.csv')")
    page.wait_for_function("document.querySelectorAll('#graph image').length === 0")
    assert "A line is a weight" in page.inner_text("#graph-legend")
    assert pictures not in page.inner_text("#graph-legend")
    assert {float(rect.get_attribute("rx")) for rect in page.locator("#graph rect").all()} == {16}  # circles
    page.click("#compare button >> nth=0")
    for place in ("#graph-legend", "#statistics"):
        page.wait_for_function(f"document.querySelector('{place}').textContent === 'One network alone is drawn.'")
    assert page.locator("#graph > *").count() == 0
    assert page.inner_text("#n-whose") == "learning_rate 0.001"
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "play_compared.png", full_page=True)
    page.click("#compare-off")
    page.wait_for_selector("#statistics svg")
    assert "One network" not in page.inner_text("#statistics")
    assert page.locator("#whose").is_hidden()


def test_wide_matrices_of_the_backward_pass_stay_within_the_page(page: Any) -> None:
    page.fill("[id='knob-architecture.widths']", "12, 12")
    page.keyboard.press("Tab")
    page.wait_for_function("document.querySelector('#command').textContent.includes('[12')")
    page.click("#backward")
    page.wait_for_selector("#backward-steps table")
    right = (
        "Math.max(...[...document.querySelectorAll('#backward-steps table')].map(t => t.getBoundingClientRect().right))"
    )
    assert page.evaluate(f"{right} <= document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("last", "marks"), [(1, [0, 1]), (3, [0, 1, 2, 3]), (10, [0, 3, 5, 8, 10])])
def test_no_step_stands_twice_on_the_axis(page: Any, last: int, marks: list[int]) -> None:
    assert page.evaluate(f"import('/page/draw.js').then(draw => draw.marks({last}))") == marks


def test_two_pages_train_apart(browser: Any, server: Server, page: Any) -> None:
    other = open_page(browser, server.address)
    other.click("#step")
    other.wait_for_function("document.querySelector('#n-step').textContent === '1'")
    assert step(page) == 0
    other.context.close()


def test_a_page_without_the_token_is_refused(browser: Any, server: Server) -> None:
    page = browser.new_page()
    response = page.goto(server.address.partition("?")[0])
    assert response.status == 403
    page.close()


def test_the_page_is_narrow_enough_for_a_telephone(browser: Any, server: Server) -> None:
    page = open_page(browser, server.address)
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.context.close()


def test_a_server_that_comes_back_is_found_again_and_ctrl_c_ends_it(browser: Any, tmp_path: Path) -> None:
    first = Server()
    port = first.address.rpartition(":")[2].partition("/")[0]
    page = open_page(browser, first.address)
    assert first.stop() in (0, 130)
    page.wait_for_function("document.querySelector('#notice').textContent.includes('does not answer')")
    page.context.close()
    second = Server("--port", port)
    assert f":{port}/" in second.address
    again = open_page(browser, second.address)
    again.context.close()
    second.stop()
