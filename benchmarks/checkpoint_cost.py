"""What one checkpoint an epoch costs on the MNIST MLP (784-256-256-10, batch 128, Adam): under 3 % of the time.

NNLAB_DATA=... python benchmarks/checkpoint_cost.py
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

from nnlab.callbacks import Checkpoint
from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.training import Run, Trainer

OVERRIDES = (
    *("data=mnist", "architecture.widths=[256,256]", "trainer.batch_size=128", "trainer.device=cpu"),
    *("callbacks=[tensorboard]", "scheduler=constant"),
)


def clocks() -> tuple[float, float]:
    """Seconds on the wall, and of this process: on a busy machine only the second means something."""
    return time.perf_counter(), time.process_time()


def elapsed(since: tuple[float, float]) -> tuple[float, ...]:
    """Seconds since then, by both clocks."""
    return tuple(now - before for before, now in zip(since, clocks(), strict=True))


class Timed(Checkpoint):
    """Saves after every epoch, and notes how long that and the epoch took."""

    def __init__(self) -> None:
        super().__init__(seconds=1e9)
        self.saves: list[tuple[float, ...]] = []
        self.epochs: list[tuple[float, ...]] = []
        self._began = clocks()

    def step_start(self, trainer: Trainer) -> None:
        if trainer.step % trainer.steps_per_epoch or not trainer.step:
            return
        now = clocks()
        self.save(trainer)
        self.saves.append(elapsed(now))
        self.epochs.append(tuple(b - a for a, b in zip(self._began, now, strict=True)))
        self._began = clocks()


def main() -> int:
    """Print medians; exit code 1 where a save costs 3 % of an epoch or more."""
    epochs = 8
    config = compose(*OVERRIDES, f"trainer.epochs={epochs}")
    with tempfile.TemporaryDirectory(dir=os.environ.get("NNLAB_SCRATCH")) as folder:
        run = Run(Path(folder), [0], config)
        run.create({})
        trainer = build_trainer([config], [run])
        timed = Timed()
        trainer.callbacks.append(timed)
        trainer.fit()
        size = (Path(folder) / "checkpoints" / "last.ckpt").stat().st_size
        run.close()
    shares = []
    for position, clock in enumerate(("wall", "processor")):
        epoch, save = (statistics.median(each[position] for each in kind) for kind in (timed.epochs, timed.saves))
        shares.append(save / epoch)
        times = f"epoch {epoch * 1e3:6.0f} ms, save {save * 1e3:5.1f} ms ({size / 1e6:.1f} MB)"
        print(f"{clock:10} {times}, {save / epoch:.2%}")
    return int(max(shares) >= 0.03)


if __name__ == "__main__":
    sys.exit(main())
