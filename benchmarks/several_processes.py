"""A convnet on two processes of one thread each, against one process of two threads: time of a step.

    NNLAB_DATA=... python benchmarks/several_processes.py

MNIST, `architecture=convnet`, batch 128, Adam; contestants take turns, and the medians over the rounds are printed. One
process of one thread is beside them. Only times by the clock can tell, so nothing else should run.

Measured on 2 virtual cores, torch 2.14.1, while other programs kept the machine at a load of 16 (9 rounds) and of 7
(5), where a process of two threads waits most of the time for the thread that has no core; a quiet machine was not to
be had:

    two processes, one thread each    64.4   116.7 ms a step
    one process, two threads         886.9   844.7 ms a step
    one process, one thread           81.1   146.0 ms a step
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.runs.joining import group_for
from nnlab.training import Trainer
from nnlab.training.group import Command


def block(trainer: Trainer, first: int, steps: int, threads: int) -> float:
    """Milliseconds a step of a block of steps."""
    torch.set_num_threads(threads)
    started = time.perf_counter()
    trainer.engine.advance(first, steps)
    return (time.perf_counter() - started) / steps * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    shown = ["data=mnist", "architecture=convnet", "trainer.batch_size=128", "trainer.device=cpu", "callbacks=[]"]
    config = compose(*shown, "trainer.processes=2", "trainer.threads=1")
    with group_for(config["trainer"]) as group:
        if group is None:
            raise RuntimeError("two processes make a group")
        two = build_trainer([config], group=group)
        group.say(Command.PREPARE)
        group.share(([config], 1))
        one = build_trainer([config])
        contestants = {
            "two processes, one thread each": (two, 1),
            "one process, two threads": (one, 2),
            "one process, one thread": (one, 1),
        }
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(options.rounds + 1):
            for name, (trainer, threads) in contestants.items():
                times[name].append(block(trainer, number * options.steps, options.steps, threads))
    reference = times["one process, two threads"][1:]
    for name, values in times.items():
        ratio = statistics.median(b / a for a, b in zip(values[1:], reference, strict=True))
        print(f"{name:32} median {statistics.median(values[1:]):7.1f} ms a step   {ratio:.2f}x")


if __name__ == "__main__":
    main()
