"""What evaluating the best weights takes, per epoch of training: all three splits, and one over the epoch's examples.

    NNLAB_DATA=... OMP_NUM_THREADS=1 python benchmarks/final_evaluation.py [--rounds 9] [--widths 32]

The three splits of MNIST have 70,000 examples, an epoch 55,000, which are also those of the training split: `one` is
its evaluation per epoch over the same examples. Of it, `its passes` are those of compiled code with softmax and losses;
what is left are the metrics, most of them the ranking of 550,000 probabilities for AUROC and average precision.
Training and evaluation take turns; printed are medians of processor time, and of its ratios within a round.

Asked: 0.25 of an epoch. `products` says why that cannot be had: of the multiply-adds of a step, a forward pass has a
third where layers are many, and half where all but the first are small. Memory hardly slows it: over examples that stay
in the cache, a pass takes 0.88 of the time. A quarter would need examples to be left out.

Two cores of an AMD EPYC with AVX-512, other programs beside it (load 15; at load 3 to 6 the first epoch took 39 ms):

                   epoch, ms   of it: all splits     one  its passes  products
784-32-10               63.2                1.10    0.81        0.47      0.50
784-256-256-10         707.3                0.44    0.34        0.31      0.44
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import torch

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.training import Trainer


def passes(trainer: Trainer) -> None:
    """Probabilities and losses of the training split, and nothing else."""
    split = trainer.members[0].dataset.train
    trainer.stack.evaluated([split.inputs], [split.targets])


def split(trainer: Trainer) -> None:
    """The training split with all metrics, as the end measures it."""
    trainer.engine.evaluate(trainer.stack, "train", [0])


def final(trainer: Trainer) -> None:
    """The best weights on all three splits, as if that had not been done."""
    trainer.evaluator._final = None
    trainer.final_evaluations()


def products(widths: list[int]) -> float:
    """Multiply-adds of a forward pass, per those of a training step: forward, and by weights and inputs backward.

    >>> f"{products([784, 32, 10]):.2f}, {products([784, 256, 256, 10]):.2f}"
    '0.50, 0.44'
    """
    layers = [a * b for a, b in itertools.pairwise(widths)]
    return sum(layers) / (3 * sum(layers) - layers[0])  # nobody asks for the gradient by the examples


def milliseconds(function: Callable[[], object]) -> float:
    """Processor time of a call."""
    started = time.process_time()
    function()
    return 1e3 * (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--widths", default="32", help="of the hidden layers, such as 256,256")
    given = parser.parse_args()
    torch.set_num_threads(1)
    overrides = ("data=mnist", f"architecture.widths=[{given.widths}]", "trainer.batch_size=128", "callbacks=[]")
    trainer = build_trainer([compose(*overrides)])
    steps = trainer.steps_per_epoch
    functions = {"final": final, "split": split, "passes": passes}
    times: dict[str, list[float]] = {name: [] for name in ("epoch", *functions)}
    for epoch in range(given.rounds + 1):
        times["epoch"].append(milliseconds(lambda at=epoch: trainer.engine.advance(at * steps, steps)))  # type: ignore[misc]
        for name, function in functions.items():
            times[name].append(milliseconds(lambda of=function: of(trainer)))  # type: ignore[misc]
    print(f"{'':16}{'epoch, ms':>12}{'of it: all splits':>20}{'one':>8}{'its passes':>12}{'products':>10}")
    widths = [784, *map(int, given.widths.split(",")), 10]
    shares = [
        statistics.median(own / epoch for own, epoch in zip(times[name][1:], times["epoch"][1:], strict=True))
        for name in functions
    ]
    values = (statistics.median(times["epoch"][1:]), *shares, products(widths))
    print("{:16}{:12.1f}{:20.2f}{:8.2f}{:12.2f}{:10.2f}".format("-".join(map(str, widths)), *values))


if __name__ == "__main__":
    main()
