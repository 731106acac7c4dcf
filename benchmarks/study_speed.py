"""How long `nnlab study` takes on 1000 finished runs (claim: under 5 s).

    python benchmarks/study_speed.py [--runs 1000] [--keep FOLDER]

Makes a grid of rate, weight decay, architecture, optimizer and five seeds, with results as a trainer would leave them,
among them diverged ones, and times the command in a process of its own, three times. `--histories` gives every run a
`history.csv` of 1350 steps, from which the curves over seeds are made the first time.

On a 2-core machine, otherwise idle: 2.73, 3.04, 2.86 s, of which 2.78 s are processor time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

AXES = {
    "optimizer.learning_rate": ["0.0001", "0.0003", "0.001", "0.003", "0.01"],
    "regularizer.weight_decay.strength": ["0", "1e-05", "0.0001", "0.001", "0.01"],
    "architecture.widths": ["[32]", "[64]", "[64,64]", "[128,128]"],
    "optimizer": ["adam", "momentum"],
    "seed": ["0", "1", "2", "3", "4"],
}


def fake_result(values: dict[str, str], noise: random.Random) -> dict[str, object]:
    """What a run with these values might have come to."""
    rate, decay = float(values["optimizer.learning_rate"]), float(values["regularizer.weight_decay.strength"])
    target = -2.3 if values["optimizer"] == "adam" else -1.9
    quality = 0.97 - 0.02 * (math.log10(rate) - target) ** 2 - 0.01 * abs(math.log10(decay + 1e-6) + 4)
    quality += 0.004 * len(values["architecture.widths"]) / 4 + noise.gauss(0, 0.003)
    diverged = rate >= 0.01 and values["optimizer"] == "momentum" and noise.random() < 0.5
    metrics = {
        split: {"loss": 2.5 * (1 - accuracy), "accuracy": accuracy, "ece": 0.02}
        for split, accuracy in (("train", quality + 0.02), ("validation", quality), ("test", quality - 0.003))
    }
    status = "diverged" if diverged else "completed"
    return {"status": status, "metrics": metrics, "best_step": 900, "steps": 1350, "seconds": 3.1, "reason": "",
            "identity": "0" * 12, "diagnosis": []}  # fmt: skip


def history(noise: random.Random) -> str:
    """A `history.csv` of 30 epochs of 45 steps."""
    lines = ["step,epoch,learning_rate,loss/train,loss/validation,accuracy/validation"]
    for step in range(1, 1351):
        loss = 2.3 * math.exp(-step / 300) + noise.gauss(0, 0.05)
        tail = f"{loss!r},{1 - loss / 3!r}" if step % 45 == 0 else ","
        lines.append(f"{step},{step / 45!r},0.001,{loss!r},{tail}")
    return "\n".join(lines) + "\n"


def grid(runs: int) -> Iterator[dict[str, str]]:
    """The first points of the grid."""
    points = itertools.product(*AXES.values())
    return (dict(zip(AXES, point, strict=True)) for point in itertools.islice(points, runs))


def make_study(folder: Path, runs: int, histories: bool = False) -> None:
    """Fill a folder with finished runs."""
    noise = random.Random(0)
    for values in grid(runs):
        own = sorted(f"{key}={value}" for key, value in values.items())
        run = folder / ",".join(own)
        run.mkdir(parents=True)
        (run / "result.json").write_text(json.dumps(fake_result(values, noise), indent=2))
        (run / "overrides.yaml").write_text("".join(f"- {line}\n" for line in ["name=study1", *own]))
        (run / "config.yaml").write_text("".join(f"{line.replace('=', ': ')}\n" for line in own))
        if histories:
            (run / "history.csv").write_text(history(noise))


def main() -> None:
    """Make the study, time the command, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--histories", action="store_true")
    parser.add_argument("--keep", type=Path, help="where to make the study, which then stays")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary) / "study1"
        make_study(folder, given.runs, given.histories)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-m", "nnlab", "study", str(folder)], check=True, capture_output=True)
            seconds.append(time.perf_counter() - started)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"nnlab study on {given.runs} runs: " + ", ".join(f"{each:.2f}" for each in seconds) + " s")
    print(
        f"median {statistics.median(seconds):.2f} s (claim: under 5 s); "
        f"processor time {(used.ru_utime + used.ru_stime) / 3:.2f} s each"
    )


if __name__ == "__main__":
    main()
