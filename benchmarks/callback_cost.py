"""What looking costs: the time that a run with all default callbacks takes, against the same run without any.

Runs alternate, each with networks and files of its own, and what `fit` and the final evaluation take is compared: the
processor time, which other programs on the machine hardly change, and the time on the clock. Claim: at most 5%.

    python -m benchmarks.callback_cost [--repetitions 9] [--case digits] [--together]

Measured on 2 cores of an x86_64 machine (torch 2.14.1, one thread, seed 0, medians of 5 alternating repetitions):

    digits, default run     processor s     cost   clock s     cost
    none                          0.689              0.699
    tensorboard                   0.688    +0.9%     0.695    +0.7%
    statistics                    0.700    +2.5%     0.714    +3.0%
    histograms                    0.704    +2.6%     0.717    +3.9%
    images                        0.700    +2.5%     0.720    +3.1%
    precision_recall              0.676    -0.2%     0.692    -0.2%
    projector                     0.682    +0.6%     0.695    +1.1%
    progress                      0.698    +2.9%     0.714    +2.9%
    checkpoint                    0.692    +1.7%     0.734    +5.2%
    all                           0.737   +10.1%     0.752   +12.0%

So a run of 0.7 s, on digits, misses the claim: most of the 50 to 70 ms do not depend on its length (pictures, first and
last histograms, fourteen rounds of statistics, the last checkpoint).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from nnlab.build import build_trainer
from nnlab.config import compose
from nnlab.training import Run

CASES = {
    "digits, default run": [],
    "MNIST, MLP 784-256-256-10, 10 epochs": [
        "data=mnist",
        "architecture.widths=[256,256]",
        "trainer.batch_size=128",
        "trainer.epochs=10",
    ],
}


def callbacks_of(config: dict[str, Any]) -> list[str]:
    """Names of the configured callbacks."""
    return list(config["callbacks"])


def seconds(config: dict[str, Any], folder: Path) -> tuple[float, float]:
    """Processor time and clock time of `fit` into a fresh run directory, files flushed."""
    run = Run(Path(tempfile.mkdtemp(dir=folder)), [0], config)
    run.create({})
    trainer = build_trainer([config], [run])
    with contextlib.redirect_stdout(io.StringIO()):
        started, clock = time.process_time(), time.perf_counter()
        trainer.fit()
        trainer.final_evaluations()  # a run needs it with or without callbacks
        run.flush()
        return time.process_time() - started, time.perf_counter() - clock


def compare(name: str, overrides: list[str], repetitions: int, folder: Path, *, each_alone: bool) -> None:
    """Print medians for no callbacks, each alone if that is wanted, and all of them."""
    full = compose(*overrides)
    alone = {each: [each] for each in callbacks_of(full)} if each_alone else {}
    choices = {"none": [], **alone, "all": callbacks_of(full)}
    configs = {label: {**full, "callbacks": {n: full["callbacks"][n] for n in kept}} for label, kept in choices.items()}
    times: dict[str, list[tuple[float, float]]] = {label: [] for label in configs}
    for position in range(repetitions + 1):
        for label, config in configs.items():
            pair = seconds(config, folder)
            if position:  # the first round warms up
                times[label].append(pair)
    print(f"\n{name} ({torch.get_num_threads()} thread, {repetitions} repetitions, load {os.getloadavg()[0]:.1f})")
    print(f"{'callbacks':18} {'processor s':>12} {'cost':>8} {'clock s':>9} {'cost':>8}")
    for label, pairs in times.items():
        columns = []
        for kind in (0, 1):
            own, bare = [pair[kind] for pair in pairs], [pair[kind] for pair in times["none"]]
            # Against the bare run of the same round, so that a load that comes and goes counts for both.
            ratio = statistics.median(value / other for value, other in zip(own, bare, strict=True))
            columns += [statistics.median(own), 100 * (ratio - 1)]
        print(f"{label:18} {columns[0]:12.3f} {columns[1]:+7.1f}% {columns[2]:9.3f} {columns[3]:+7.1f}%")


def main() -> None:
    """Measure both cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--case", choices=("digits", "mnist", "both"), default="both")
    parser.add_argument("--together", action="store_true", help="only all callbacks, none of them alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name, overrides in CASES.items():
            if arguments.case == "both" or name.lower().startswith(arguments.case):
                compare(name, overrides, arguments.repetitions, Path(folder), each_alone=not arguments.together)


if __name__ == "__main__":
    main()
