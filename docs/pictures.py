"""Takes the pictures of the site's first page from real runs, in Chromium: `python docs/pictures.py`.

A recipe on the digits (about a minute) and the playground on two spirals; both land in docs/figures as PNG with few
colors, so that they stay small. The figures of docs/reading-a-run.md are drawn by the commands at its end.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import nnlab

FIGURES = Path(__file__).resolve().parent / "figures"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PLAY = ("data=spirals", "loss=softmax_cross_entropy", "architecture.widths=[8,8]", "trainer.epochs=400")


def main() -> None:
    """Take both pictures."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        page = playwright.chromium.launch(executable_path=chromium, args=FLAGS).new_page(
            viewport={"width": 1100, "height": 800}
        )
        result = nnlab.recipe()
        page.goto((result.directory.resolve() / "report.html").as_uri())
        page.wait_for_timeout(1000)
        save(page, "recipe_report")
        playground(page)


def playground(page: Page) -> None:
    """The page after some seconds of training."""
    command = [sys.executable, "-m", "nnlab", "play", "--no-browser", *PLAY]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    page.set_viewport_size({"width": 1300, "height": 900})
    page.goto(process.stdout.readline().split()[-1])
    page.wait_for_selector("#knob-list label")
    page.click("#run")
    page.wait_for_function("Number(document.querySelector('#n-step').innerText) > 3000", timeout=120_000)
    page.click("#run")
    page.wait_for_timeout(1000)
    save(page, "playground")
    process.send_signal(signal.SIGINT)
    process.wait(30)


def save(page: Page, name: str) -> None:
    """A picture of what is in the window, with a palette of 64 colors."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(FIGURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
