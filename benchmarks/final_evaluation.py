"""What evaluating the best weights on all three splits takes, per epoch of training, and how much of it is products.

    NNLAB_DATA=... OMP_NUM_THREADS=1 python benchmarks/final_evaluation.py [--rounds 9] [--widths 32]

An epoch of MNIST has 55,000 examples, the three splits 70,000; training and evaluation take turns, medians of
processor time are printed. The passes alone are those of compiled code with softmax and losses; what is left are the
metrics, most of it the ranking of 700,000 probabilities for AUROC and average precision.

Asked: 0.25 of an epoch, when an epoch of 784-32-10 took 126 ms and evaluation 0.6 of it. An epoch takes about 35 ms
now, and the passes alone 0.55 of that: a training step is little more than two products of the size of a forward pass.
Memory hardly slows them: over examples that stay in the cache, a pass takes 0.88 of the time (and torch's first product
alone 2.6 times as long). A quarter would need examples to be left out.

Two cores of an AMD EPYC with AVX-512, other programs beside it (load 3 to 6):

                      epoch, ms   final, ms   of an epoch   the passes alone
    784-32-10              38.7        40.9          1.06               0.55
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.training import Trainer
from nnlab.training.evaluation import SPLITS


def passes(trainer: Trainer) -> None:
    """Probabilities and losses of all examples, and nothing else."""
    for name in SPLITS:
        split = getattr(trainer.members[0].dataset, name)
        trainer.stack.evaluated([split.inputs], [split.targets])


def final(trainer: Trainer) -> None:
    """The final evaluation, as if it had not been done."""
    trainer.evaluator._final = None
    trainer.final_evaluations()


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
    times: dict[str, list[float]] = {"epoch": [], "final": [], "passes": []}
    for epoch in range(given.rounds + 1):
        times["epoch"].append(milliseconds(lambda at=epoch: trainer.engine.advance(at * steps, steps)))  # type: ignore[misc]
        times["final"].append(milliseconds(lambda: final(trainer)))
        times["passes"].append(milliseconds(lambda: passes(trainer)))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    print(f"{'':16}{'epoch, ms':>15}{'final, ms':>12}{'of an epoch':>14}{'the passes alone':>19}")
    shape = "-".join(["784", *given.widths.split(","), "10"])
    columns = (
        medians["epoch"],
        medians["final"],
        medians["final"] / medians["epoch"],
        medians["passes"] / medians["epoch"],
    )
    print("{:16}{:15.1f}{:12.1f}{:14.2f}{:19.2f}".format(shape, *columns))


if __name__ == "__main__":
    main()
