"""What a sweep itself takes for each job, beside the training (claim: under 30 ms in a grid of 1000 jobs).

    python benchmarks/sweep_overhead.py [--jobs 1000] [--hydra-jobs 100]

Runs a grid of rates and seeds whose jobs only write a result, in this process: composing and checking all configs,
grouping, claims, directories, results, the table, and the study's page at the end. `--hydra-jobs` jobs run
through Hydra's own launcher (`hydra/launcher=basic`), which composes every config anew; nnlab's check of all configs
before the first job and its table come on top there.

On a 2-core machine, otherwise idle, one thread, one round:

| Launcher | Jobs | ms each |
|---|---|---|
| nnlab, in process (`stack=never`) | 1000 | 3.6 |
| Hydra's own | 50 | 75.9 |
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import nnlab.sweep.grid
import nnlab.sweep.jobs
from nnlab.cli import main as run
from nnlab.sweep.job import Job, Outcome

RATES = ["0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]


def train(jobs: Sequence[Job]) -> list[Outcome]:
    """Instead of training: what any run leaves behind, and a result."""
    outcomes = []
    for job in jobs:
        (job.directory / "config.yaml").write_text("{}\n")
        (job.directory / "overrides.yaml").write_text("".join(f"- {each}\n" for each in job.overrides))
        metrics = {"validation": {"loss": 0.1, "accuracy": 0.9}}
        result = {"status": "completed", "metrics": metrics, "best_step": 1, "steps": 1, "seconds": 0.0, "reason": ""}
        (job.directory / "result.json").write_text(json.dumps(result))
        outcomes.append(Outcome(result))
    return outcomes


def seconds_per_job(jobs: int, *launcher: str) -> float:
    """Time of a grid, divided by its jobs."""
    seeds, axes = jobs // len(RATES), f"optimizer.learning_rate={','.join(RATES)}"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for module in (nnlab.sweep.grid, nnlab.sweep.jobs):
            stack.enter_context(mock.patch.object(module, "train_here", train))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        started = time.perf_counter()
        code = run(["train", "-m", f"output_dir={folder}", axes, f"seed=range({seeds})", *launcher])
        seconds = time.perf_counter() - started
        written = len(list(Path(folder).glob("train/*/result.json")))
    if code or written != seeds * len(RATES):
        raise SystemExit(f"{written} of {jobs} jobs ended, with exit code {code}")
    return seconds / written


def main() -> None:
    """Time both launchers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--hydra-jobs", type=int, default=100)
    given = parser.parse_args()
    seconds_per_job(10)  # what is loaded at the first use
    ours = seconds_per_job(given.jobs, "hydra.launcher.stack=never")
    print(f"nnlab, {given.jobs} jobs: {1000 * ours:.1f} ms each (claim: under 30 ms)")
    hydra = seconds_per_job(given.hydra_jobs, "hydra/launcher=basic")
    print(f"Hydra's own launcher, {given.hydra_jobs} jobs: {1000 * hydra:.1f} ms each, {hydra / ours:.1f} times that")


if __name__ == "__main__":
    main()
