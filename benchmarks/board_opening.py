"""How long TensorBoard takes to show many runs: 256 runs of 1,000 steps open within 10 s.

The runs are written as `nnlab train` writes them (losses and rate of every step, validations, statistics, layout and
hyper-parameters); then TensorBoard is started, and the time is taken until it lists all runs and serves the last
step of the last of them, and until the page in a browser shows a chart where Chromium is there.

    python -m benchmarks.board_opening [--runs 256] [--steps 1000]

Measured on 2 cores of an x86_64 machine (tensorboard 2.21, Chromium headless), one run, 256 runs of 1000 steps, 28 MB:

    writing all event files       2.01 s
    TensorBoard answers after     2.63 s
    all runs are loaded after     2.73 s
    first chart in Chromium       4.81 s after opening the page
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np

from nnlab.callbacks import tensorboard_summaries as summaries
from nnlab.callbacks.tensorboard import EventFile
from nnlab.commands.board import board
from nnlab.training import Run

LAYERS = ("linear1.weight", "linear2.weight", "output.weight")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"


def write_run(folder: Path, steps: int, seed: int) -> None:
    """A run with random curves."""
    folder.mkdir()
    run = Run(folder, [0])
    file = EventFile(run)
    draw = np.random.default_rng(seed)
    parameters = summaries.hyper_parameters({"seed": seed, "optimizer": "Adam"}, {"seed"}, ["best/loss/validation"])
    file.summaries(0, [summaries.layout(), *parameters])
    losses, every = np.exp(-np.arange(steps) / 300) + 0.1 * draw.random(steps), np.arange(1, steps + 1)
    dense = {"loss/train": losses, "loss/train_average": losses, "learning_rate": losses}
    file.scalar_block(every, dense, time.time())
    sparse = {
        f"{kind}/{layer}": draw.random(steps // 40) for kind in ("gradient_norm", "update_ratio") for layer in LAYERS
    }
    sparse |= {f"{name}/validation": draw.random(steps // 40) for name in ("loss", "accuracy", "nll", "brier", "ece")}
    file.scalar_block(every[39::40], sparse, time.time())
    file.scalars(steps, {"best/loss/validation": float(losses.min())})
    run.close()


def fetch(address: str) -> object:
    """What TensorBoard answers."""
    return json.load(urllib.request.urlopen(address, timeout=60))


def until_loaded(base: str, runs: int, last: str, steps: int) -> None:
    """Wait until all runs are listed and the last step of one is there."""
    query = urllib.parse.urlencode({"tag": "loss/train", "run": last})
    while True:
        if len(fetch(f"{base}data/runs")) == runs:  # type: ignore[arg-type]
            try:
                series = fetch(f"{base}data/plugin/scalars/scalars?{query}")
            except urllib.error.HTTPError:
                series = []
            if series and series[-1][1] == steps:  # type: ignore[index]
                return
        time.sleep(0.05)


def in_browser(address: str) -> float | None:
    """Seconds until the page shows a chart, in Chromium; None where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None or importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        started = time.perf_counter()
        page.goto(address)
        page.locator("line-chart svg path, line-chart canvas").first.wait_for(state="attached", timeout=120_000)
        seconds = time.perf_counter() - started
        browser.close()
        return seconds


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = [f"seed={seed:03d}" for seed in range(given.runs)]
        started = time.perf_counter()
        for seed, name in enumerate(names):
            write_run(Path(folder) / name, given.steps, seed)
        written = time.perf_counter() - started
        size = sum(path.stat().st_size for path in Path(folder).rglob("events*")) / 1e6
        started = time.perf_counter()
        with board([folder]) as address:
            answers = time.perf_counter() - started
            until_loaded(address.partition("?")[0].partition("#")[0], given.runs, names[-1], given.steps)
            loaded = time.perf_counter() - started
            page = in_browser(address)
    print(f"{given.runs} runs of {given.steps} steps, {size:.0f} MB, load {os.getloadavg()[0]:.1f}")
    print(f"writing all event files     {written:6.2f} s")
    print(f"TensorBoard answers after   {answers:6.2f} s")
    print(f"all runs are loaded after   {loaded:6.2f} s")
    if page is not None:
        print(f"first chart in Chromium     {page:6.2f} s after opening the page")


if __name__ == "__main__":
    main()
