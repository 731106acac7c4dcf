"""What looking costs: the time that a run with all default callbacks takes, against the same run without any.

Runs alternate, each with networks and files of its own, and what `fit` and the final evaluation take is compared: the
processor time, which other programs on the machine hardly change, and the time on the clock. Claim: at most 5%.

    python -m benchmarks.callback_cost [--repetitions 9] [--case digits] [--together]

Measured on 2 cores of an x86_64 machine that two other programs shared (load 3; torch 2.14.1, one thread, seed 0,
medians of 11 alternating repetitions on digits and 7 on MNIST; a cost is the median of the ratios within a round, so
that it need not agree with the ratio of the medians, and here means about 3% more or less):

    digits, default run     processor s     cost   clock s     cost
    none                          0.481              0.515
    tensorboard                   0.483    +1.0%     0.532    +4.9%
    statistics                    0.491    +2.4%     0.525    +2.0%
    diagnosis                     0.485    +2.4%     0.529    +0.8%
    histograms                    0.482    +1.1%     0.495    +1.0%
    images                        0.496    +5.2%     0.538    +4.7%
    precision_recall              0.478    +1.5%     0.498    -0.9%
    projector                     0.490    +1.9%     0.532    +4.7%
    progress                      0.493    +3.1%     0.538    +9.4%
    checkpoint                    0.486    +2.0%     0.543    +3.2%
    all                           0.535   +14.1%     0.588   +18.0%

    MNIST, 10 epochs
    none                         14.612             22.084
    all                          14.841    +3.2%    22.223    +3.0%

MNIST keeps within the claim. A run of half a second on digits does not: three more series with all callbacks together
(21, 15 and 15 repetitions) read +9.8%, +7.9% and +10.5%, about 45 to 55 ms, which hardly depend on the length of a run.
Timed one by one they are fourteen rounds of statistics (9 ms), pictures (7), the diagnosis (7), events (6), the last
checkpoint (4), two looks at histograms (3), thirty lines of progress (3), the projector (3), and calls in every step
(3). Each is near what its few hundred small operations cost: halving the sum would take leaving some of them out.
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
