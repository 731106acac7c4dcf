"""What looking costs: how much longer a run takes with the default callbacks, and with each of them alone.

    python -m benchmarks.callback_cost [--repetitions 9] [--case digits|long|mnist] [--together]

Runs with and without callbacks alternate, each with networks and files of its own; measured are `fit`, the final
evaluation and the files, as processor time, which other programs on the machine hardly change, and as time on the
clock. What is added is the median of the differences within a round. Asked: at most 50 ms in a run of up to 5,000 steps
of 64-32-10 on the digits, and 5% of ten epochs on MNIST.

On two cores of an AMD EPYC that did little else (load 1), medians of 3 rounds, a disk in memory, torch 2.14.1:

    5,000 steps         processor ms    added
    none                        65.4
    tensorboard                 72.0     +6.6
    statistics                  81.3    +15.9
    diagnosis                   80.0    +14.6
    histograms                  73.4     +8.0
    images                      88.6    +23.2
    precision_recall            65.5     +0.0
    projector                   67.5     +2.0
    progress                    71.2     +5.9
    checkpoint                  67.1     +1.9
    all                        137.2    +72.0

With other programs beside it (load 8), where 5,000 steps had 92.7 more:

    default run
    none                        62.6
    all                        142.3    +79.8

So a run of 5,000 steps took 22 ms more than asked. Most of it does not depend on the length of a run: pictures,
the looks of the statistics in the first steps, and the diagnosis at the end. Since then pictures are drawn four times
in such a run, not five, and the facts of the data are found once a process: a run on data that another has seen adds
0.89 of what it added before (medians of 15 rounds in turn with the version before, load 11).
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

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.training import Run

CASES = {
    "digits, default run": [],
    "long: digits, 64-32-10, 5,000 steps": ["architecture.widths=[32]", "trainer.batch_size=32", "trainer.steps=5000"],
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
    print(f"{'callbacks':18} {'processor ms':>12} {'added':>8} {'clock ms':>10} {'added':>8}")
    for label, pairs in times.items():
        columns = []
        for kind in (0, 1):
            own, bare = [pair[kind] for pair in pairs], [pair[kind] for pair in times["none"]]
            # Against the bare run of the same round, so that a load that comes and goes counts for both.
            added = statistics.median(value - other for value, other in zip(own, bare, strict=True))
            columns += [1e3 * statistics.median(own), 1e3 * added]
        print(f"{label:18} {columns[0]:12.1f} {columns[1]:+8.1f} {columns[2]:10.1f} {columns[3]:+8.1f}", flush=True)


def main() -> None:
    """Measure the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--case", choices=("digits", "long", "mnist", "all"), default="all")
    parser.add_argument("--together", action="store_true", help="only all callbacks, none of them alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name, overrides in CASES.items():
            if arguments.case == "all" or name.lower().startswith(arguments.case):
                compare(name, overrides, arguments.repetitions, Path(folder), each_alone=not arguments.together)


if __name__ == "__main__":
    main()
