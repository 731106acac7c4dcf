"""Processor time of a training step: nnlab's engines, the bare PyTorch loop, and JAX where it is installed.

    OMP_NUM_THREADS=1 NNLAB_DATA=... python benchmarks/engine_speed.py
    OMP_NUM_THREADS=1 NNLAB_DATA=... python benchmarks/engine_speed.py --jax python-that-has-jax
    OMP_NUM_THREADS=1 NNLAB_DATA=... python benchmarks/engine_speed.py --threads

Every figure is microseconds of processor time per step and network, on one thread, the median of rounds in which the
contestants take turns. Bare: fused Adam on resident tensors, one network at a time, the loop that one would write by
hand. nnlab: `fit` of a trainer without callbacks and with one validation at the end, on `trainer.engine=auto`, and on
`trainer.engine=torch`. JAX: `vmap` over the networks, `lax.scan` over the steps inside `jit`, donated buffers; the
networks share their batches, or each has its own order. Compiling is not counted for JAX, building not for nnlab.

Below the table: what a second thread brings (wall clock), and the memory that 1,024 networks take on top of the data,
in multiples of their parameters, moments and gradients.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnlab.cli import compose
from nnlab.config.build import build_trainer, load_dataset
from nnlab.training import Trainer
from nnlab.types import Dataset


class Case(NamedTuple):
    """A population: how many networks, of which hidden widths, on which data, and how long."""

    members: int
    data: str
    widths: tuple[int, ...]
    batch: int
    steps: int
    dropout: bool = False

    @property
    def name(self) -> str:
        inputs = {"digits": 64, "mnist": 784}[self.data]
        sizes = "-".join(map(str, (inputs, *self.widths, 10)))
        return f"{self.members:,} x {sizes}{', dropout' if self.dropout else ''}"


CASES = [
    Case(1, "digits", (32,), 32, 4100),
    Case(64, "digits", (32,), 32, 410),
    Case(1024, "digits", (32,), 32, 123),
    Case(16, "mnist", (32,), 128, 211),
    Case(64, "mnist", (32,), 128, 106),
    Case(1, "mnist", (256, 256), 128, 211),
    Case(32, "mnist", (32,), 128, 106, dropout=True),
    Case(32, "digits", (128, 128), 32, 205, dropout=True),
]


def members_config(case: Case, engine: str, threads: int = 1, steps: int | None = None) -> list[dict[str, Any]]:
    """The configs of a case's networks, which differ in their seed."""
    steps = steps or case.steps
    config = compose(
        f"data={case.data}", f"architecture.widths={list(case.widths)}", "callbacks=[]", "data_seed=0",
        f"regularizer=[{'dropout' if case.dropout else ''}]", f"trainer.batch_size={case.batch}",
        f"trainer.steps={steps}", "trainer.validate_unit=step", f"trainer.validate_every={steps}",
        f"trainer.engine={engine}", f"trainer.threads={threads}", "trainer.device=cpu",
    )  # fmt: skip
    return [{**copy.deepcopy(config), "seed": seed} for seed in range(case.members)]


def nnlab(case: Case, engine: str) -> float:
    """Processor time of `fit`, microseconds per step and network."""
    trainer = build_trainer(members_config(case, engine))
    return processor_time(trainer.fit) / case.steps / case.members * 1e6


def processor_time(function: Callable[[], object]) -> float:
    """Seconds."""
    start = time.process_time()
    function()
    return time.process_time() - start


def bare(case: Case, data: Dataset) -> float:
    """Processor time of the loop by hand for one network, microseconds per step."""
    inputs, targets = data.train.inputs.flatten(1), data.train.targets
    layers: list[nn.Module] = []
    for before, after in zip([inputs.shape[1], *case.widths], case.widths, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU(), *([nn.Dropout()] if case.dropout else [])]
    model = nn.Sequential(*layers, nn.Linear(case.widths[-1], 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    order = torch.randperm(len(inputs))
    steps = min(case.steps, 400)

    def step(index: Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[index]), targets[index]).backward()
        optimizer.step()

    def train() -> None:
        for number in range(steps):
            first = number * case.batch % (len(inputs) - case.batch)
            step(order[first : first + case.batch])

    step(order[: case.batch])
    return processor_time(train) / steps * 1e6


class Jax:
    """The same networks in JAX, in a process of its own that is asked for one measurement at a time."""

    def __init__(self, python: str) -> None:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name("engine_speed_jax.py"))], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        )  # fmt: skip

    def __call__(self, case: Case, own: bool) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**case._asdict(), "own": own}) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def two_threads(case: Case, rounds: int) -> float:
    """How many times as fast two threads are as one, by the wall clock."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for threads, found in seconds.items():
            trainer = build_trainer(members_config(case, "native", threads))
            start = time.perf_counter()
            trainer.fit()
            found.append(time.perf_counter() - start)
    return min(seconds[1]) / min(seconds[2])


def print_threads(rounds: int) -> None:
    """What a second thread brings to 64 networks, tiny ones and larger ones; both cores must be free."""
    for case in (CASES[1], CASES[4]):
        ratio = two_threads(case, 2 * rounds + 1)
        print(f"{case.name}, two threads: {ratio:.2f} times one thread (load {os.getloadavg()[0]:.1f})")


def resident() -> int:
    """Memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory(case: Case) -> float:
    """Peak of the memory that building and training takes, in multiples of parameters, two moments and gradients."""
    build_trainer(members_config(case._replace(members=1), "auto")).fit()  # the data, and what is loaded once
    configs = members_config(case, "auto")
    before, peak, done = resident(), 0, False

    def watch() -> None:
        nonlocal peak
        while not done:
            peak = max(peak, resident())
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    trainer: Trainer = build_trainer(configs).fit()
    done = True
    watcher.join()
    theta = trainer.stack.theta
    return (peak - before) / (4 * theta.numel() * theta.element_size())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jax", nargs="?", const=sys.executable, help="a Python that has JAX; default: this one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--memory", action="store_true", help="only print the memory of 1,024 networks")
    parser.add_argument("--threads", action="store_true", help="only print what a second thread brings, by the clock")
    options = parser.parse_args()
    if options.threads:
        print_threads(options.rounds)
        return
    if options.memory:
        print(f"{memory(CASES[2]):.2f}")
        return
    torch.set_num_threads(1)
    data = {name: load_dataset(compose(f"data={name}", "data_seed=0")) for name in ("digits", "mnist")}
    jax = Jax(options.jax) if options.jax else None
    heads = ["bare loop", "nnlab, torch", "nnlab", *(["JAX, shared batches", "JAX, own"] if jax else [])]
    print("| | " + " | ".join(heads) + " | bare / nnlab |" + (" JAX's best / nnlab |" if jax else ""))
    print("|---|" + "---|" * (len(heads) + 1 + bool(jax)))
    for case in CASES:
        if options.only in case.name:
            print(row(case, data[case.data], jax, options.rounds), flush=True)
    if not options.only:
        print()
        print_threads(options.rounds)
        told = subprocess.run([sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True).stdout
        print(f"{CASES[2].name}: {told.strip()} times parameters, moments and gradients")


def row(case: Case, data: Dataset, jax: Jax | None, rounds: int) -> str:
    """One line of the table."""
    contestants: list[Callable[[], float]] = [
        lambda: bare(case, data), lambda: nnlab(case, "torch"), lambda: nnlab(case, "auto"),
    ]  # fmt: skip
    if jax:
        contestants += [lambda: jax(case, False), lambda: jax(case, True)]
    times: list[list[float]] = [[] for _ in contestants]
    for number in range(rounds + 1):
        for found, contestant in zip(times, contestants, strict=True):
            value = contestant()
            if number:  # the first round warms up
                found.append(value)
    medians = [statistics.median(found) for found in times]
    cells = [*(f"{value:.1f}" for value in medians), f"{medians[0] / medians[2]:.1f}"]
    if jax:
        cells.append(f"{min(medians[3:]) / medians[2]:.2f}")
    return f"| {case.name}, batch {case.batch} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
