"""What a run and a grid cost from call to return in a warm process: the fit, and all that surrounds it.

    OMP_NUM_THREADS=1 python benchmarks/around_the_fit.py [--rounds 5] [--jobs 1000] [--only NAME]
                                                              [--memory 1024 [--only none]]

Everything is called as a user of Python calls it, `nnlab.train` and `nnlab.sweep` on the digits with 64-32-10 and
batches of 32, into a fresh temporary folder (`TMPDIR` says where: making a file takes 10 to 250 us, as the file system
has it). Printed are the time on the clock and the processor time, medians of rounds after a warm-up, without any
callbacks and with the default ones. Asked: a run of 410 steps 60 ms without callbacks and 100 with the default ones, a
grid of 64 such runs 12 us a step and member, a grid of 1,000 jobs of one epoch 8 ms a job. With `--memory`: the peak
memory of a grid, everything included, per parameters, moments and gradients of its networks; asked: 3.

Processor time on two cores of an AMD EPYC that did little else (load 1), medians of 3 rounds, on a file system in
memory, torch 2.14.1:

                                   callbacks=[]     default
    one run of 410 steps, ms                 29          67
    64 runs, us a step and member            16          34
    1,000 jobs, ms a job                    3.9         9.4
    memory of 1,024 networks                3.0  3.6 to 3.9

Since then the facts of the data are found once a process: with the default callbacks, one more run on the same split
takes 0.81 of that, a grid of three widths and three seeds 0.74 (in turn with the version before, load 13 to 20). Jobs
whose seeds all have splits of their own, as here, take 0.97.

Single runs, jobs without callbacks and their memory are as asked; grids with their figures and 64 long runs are not. On
a disk a job takes about twice as long, and the clock has what files wait for as well: 0.4 ms a file where several runs
are saved side by side.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nnlab

COMMON = ("architecture.widths=[32]", "trainer.batch_size=32")
STEPS, PARAMETERS = 410, 64 * 32 + 32 + 32 * 10 + 10


def run(*overrides: str) -> None:
    """One run of 410 steps."""
    with tempfile.TemporaryDirectory() as folder:
        nnlab.train(*COMMON, f"trainer.steps={STEPS}", f"output_dir={folder}", *overrides)


def grid(jobs: int, length: str, *overrides: str) -> None:
    """A grid of seeds."""
    with tempfile.TemporaryDirectory() as folder:
        nnlab.sweep(*COMMON, f"seed=range({jobs})", length, f"output_dir={folder}", *overrides)


def memory(networks: int, *overrides: str) -> float:
    """Peak memory of a grid, per parameters, moments and gradients of its networks; the data are shared (Linux)."""
    grid(8, f"trainer.steps={STEPS}", "data_seed=0", *overrides)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
    grid(networks, f"trainer.steps={STEPS}", "data_seed=0", *overrides)
    return (_status("VmHWM") - before) / (4 * 4 * PARAMETERS * networks)


def _status(name: str) -> int:
    """A figure of this process, bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(lines[name].split()[0])


def measured(function: Callable[[], None], rounds: int) -> tuple[float, float]:
    """Seconds on the clock and of the processor, medians after one round to warm up."""
    times = []
    for _ in range(rounds + 1):
        clock, spent = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            function()
        times.append((time.perf_counter() - clock, time.process_time() - spent))
    first, second = zip(*times[1:], strict=True)
    return statistics.median(first), statistics.median(second)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--only", default="", help="lines whose name contains this")
    parser.add_argument("--memory", type=int, metavar="NETWORKS", help="measure the memory of so many, nothing else")
    given = parser.parse_args()
    if given.memory:  # a process of its own for each: what one has had is not given back
        with contextlib.redirect_stdout(io.StringIO()):
            found = memory(given.memory, *(["callbacks=[]"] if given.only == "none" else []))
        print(f"{given.memory:,} networks: {found:.1f} times their parameters, moments and gradients")
        return
    lines: list[tuple[str, Callable[..., None], float, int]] = [
        (f"one run of {STEPS} steps, ms", run, 1e3, given.rounds),
        ("64 runs, us a step and member", lambda *o: grid(64, f"trainer.steps={STEPS}", *o), 1e6 / 64 / STEPS, 3),
        (f"{given.jobs:,} jobs, ms a job", lambda *o: grid(given.jobs, "trainer.epochs=1", *o), 1e3 / given.jobs, 1),
    ]
    print(f"{'':34}{'callbacks':>12}{'clock':>10}{'processor':>12}")
    for name, function, unit, rounds in lines:
        for label, overrides in (("none", ["callbacks=[]"]), ("default", [])):
            if given.only in name:
                clock, spent = measured(lambda f=function, o=overrides: f(*o), rounds)  # type: ignore[misc]
                print(f"{name:34}{label:>12}{clock * unit:10.1f}{spent * unit:12.1f}", flush=True)


if __name__ == "__main__":
    main()
