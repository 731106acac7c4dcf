"""nnlab: train neural networks the way a good lecture teaches it.

import nnlab

result = nnlab.train("data=digits", "optimizer.learning_rate=0.003", "trainer.epochs=10")
print(result.metrics["test"]["accuracy"], result.directory)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnlab.runs.evaluation import Measurement
    from nnlab.runs.prediction import Predictor
    from nnlab.runs.result import Result

__version__ = "0.1.0"


def train(*overrides: str, config_dir: str | Path | None = None) -> Result:
    """Train what `nnlab train <overrides>` would, and return the result with its trainer.

    Args:
        overrides: as on the command line, such as `"optimizer=sgd"`.
        config_dir: a folder with options of your own.

    Raises:
        UserError: something in the overrides, the data or the output folder is not as it must be.
    """
    from nnlab import console
    from nnlab.cli import compose
    from nnlab.runs.launch import train as launch

    console.show()
    return launch(compose(*overrides, config_dir=config_dir), overrides)


def evaluate(run: str | Path, split: str = "test") -> Measurement:
    """Measure a finished run again, at its best weights, on `train`, `validation` or `test`."""
    from nnlab.runs.evaluation import evaluate as measure

    return measure(run, split)


def load(run: str | Path, device: str | None = None) -> Predictor:
    """A finished run as an object with `predict`, `predict_proba`, `classes_`, `columns` and `module`.

    The run folder is all that is needed, wherever it lies: not its data, nor the machine that made it.

    Args:
        run: the run's folder.
        device: such as `cpu` or `cuda:1`; None: the run's own where this machine has it.

    Raises:
        UserError: it is no finished run, or its folder is damaged.
    """
    from nnlab.config import trust
    from nnlab.runs.prediction import load as open_run

    trust.reading(run)
    return open_run(run, device)
