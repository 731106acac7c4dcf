"""What the defaults reach, from the prompt: test accuracy over seeds, and the time that a run takes.

    [NNLAB_DATA=...] OMP_NUM_THREADS=2 python benchmarks/accuracy.py [--case digits mnist] [--seeds 5]

Every run is `nnlab train` in a process of its own, with its default callbacks. Each seed has its own weights and order,
and its own splits where the data set brings none.
Claims: digits with the defaults at least 97.5%, under 15 s; MNIST, MLP 784-256-256-10, 10 epochs, at least 98.0%.

Measured on an AMD EPYC with 2 virtual cores, torch 2.14.1, one thread, five seeds, while another program used the other
core:

    digits                  98.50% ± 0.58%    3.4 s from prompt to prompt
    mnist                   98.30% ± 0.07%   18.5 s
    mnist, constant rate    97.78% ± 0.23%   19.4 s
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASES = {
    "digits": [],
    "mnist": ["data=mnist", "architecture.widths=[256,256]", "trainer.batch_size=128", "trainer.epochs=10"],
    "mnist, constant rate": [
        *["data=mnist", "architecture.widths=[256,256]", "trainer.batch_size=128", "trainer.epochs=10"],
        "scheduler=constant",
    ],
}


def run(overrides: list[str], seed: int) -> tuple[float, float]:
    """Test accuracy, and seconds from the prompt to the prompt."""
    nnlab = str(Path(sys.executable).with_name("nnlab"))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [nnlab, "train", *overrides, f"seed={seed}", f"output_dir={folder}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        (path,) = Path(folder).glob("train/*/result.json")
        return json.loads(path.read_text())["metrics"]["test"]["accuracy"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=["digits", "mnist"])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for case in options.case:
        found = [run(CASES[case], seed) for seed in range(options.seeds)]
        accuracies, seconds = zip(*found, strict=True)
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        each = " ".join(f"{value:.2%}" for value in accuracies)
        print(f"{case}: {statistics.mean(accuracies):.2%} ± {spread:.2%} ({each}), {statistics.median(seconds):.1f} s")


if __name__ == "__main__":
    main()
