"""nnlab: train neural networks the way a good lecture teaches it.

>>> import nnlab
>>> result = nnlab.train("data=digits", "optimizer.learning_rate=0.003", "trainer.epochs=10")  # doctest: +SKIP
>>> result.metrics["test"]["accuracy"], result.directory  # doctest: +SKIP

The functions here do what the commands of the same names do: `train`, `recipe`, `sweep`, `study`, `evaluate`,
`predict`, `plot`; `load` opens a finished run for use.
Overrides are those of the command line. A mistake raises `UserError` with one sentence; what nnlab says on the way goes
to the logger `nnlab`, which prints it where nobody has set up logging, and which `logging.getLogger("nnlab")` silences.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nnlab.errors import UserError

if TYPE_CHECKING:
    from nnlab.recipe.run import RecipeResult
    from nnlab.runs.evaluation import Measurement
    from nnlab.runs.prediction import Predictor
    from nnlab.runs.result import Result
    from nnlab.study.output import Report

__version__ = "0.1.0"
__all__ = ["UserError", "evaluate", "load", "plot", "predict", "recipe", "study", "sweep", "train"]


def train(*overrides: str, config_dir: str | Path | None = None) -> Result:
    """Train one network, or the ensemble, that `nnlab train <overrides>` would.

    A run that was interrupted, with the same overrides, is continued.

    Args:
        overrides: as on the command line, such as `"optimizer=sgd"` or `"trainer.epochs=3"`; `"resume=RUN"` continues
            the run in the folder RUN with its own config.
        config_dir: a folder with options of your own, laid out as nnlab's configs.

    Returns:
        How the run ended, with its metrics by split, its folder, and its trainer with history and networks.

    Raises:
        UserError: something in the overrides, the data or the output folder is not as it must be.
    """
    from nnlab import console
    from nnlab.cli import configure
    from nnlab.probe.after_training import train as launch

    console.show()
    return launch(*configure("train", overrides, config_dir))


def recipe(*overrides: str, config_dir: str | Path | None = None) -> RecipeResult:
    """Walk the seven steps from an untested network to a tuned one, as `nnlab recipe <overrides>` does.

    Args:
        overrides: as on the command line, such as `"data=digits"` or `"recipe.time_limit=60"`.
        config_dir: a folder with options of your own.

    Returns:
        Status, reports of the steps, and the folder with `report.html`.

    Raises:
        UserError: something in the overrides, the data or the output folder is not as it must be.
    """
    from nnlab import console
    from nnlab.cli import configure
    from nnlab.config.folder import own_folder
    from nnlab.recipe.run import recipe as walk

    console.show()
    config, rest = configure("recipe", overrides, config_dir)
    return walk(config, rest, own_folder())


def sweep(*overrides: str, config_dir: str | Path | None = None) -> list[Result]:
    """Train a grid of networks, or search, as `nnlab train -m <overrides>` does.

    Networks that can be stacked are trained as one population; runs that have finished before are not trained again.

    Args:
        overrides: as on the command line, values separated by commas: `"optimizer=adam,sgd"`, `"seed=range(5)"`.
        config_dir: a folder with options of your own.

    Returns:
        The result of every job, in the order of the grid; those that were not run have the status `pending`.

    Raises:
        UserError: something in the overrides, the data or the output folder is not as it must be.
    """
    from nnlab import console
    from nnlab.cli import sweep as launch

    console.show()
    return launch(overrides, config_dir)


def study(folder: str | Path, metric: str | None = None, *, curves: bool = True) -> Report:
    """Compare the runs of a study, and write its page, its table and TensorBoard's curves over seeds into its folder.

    Args:
        folder: the study, such as `outputs/study1`.
        metric: what decides, such as `"loss"` or `"accuracy/test"`; None: the runs' own, on the validation split.
        curves: whether to write the curves over seeds.

    Returns:
        The study and the command to run next; `print` shows the best configurations and what each axis does.

    Raises:
        UserError: there is nothing to compare.
    """
    from nnlab import console
    from nnlab.study.write import write

    console.show()
    return write(folder, metric, curves=curves)


def evaluate(
    run: str | Path, split: str | None = None, member: int | None = None, data: str | Path | None = None
) -> Measurement:
    """Measure a finished run again, at its best weights, on a split of its own data, or on other data.

    Args:
        run: its folder.
        split: `train`, `validation` or `test`; None: `test`, and of other data all examples.
        member: one network of an ensemble, or one snapshot from the newest on, from 0; None: their average.
        data: a file or folder with other data, or with the run's own at another place; None: its own where they were.

    Returns:
        Metrics, predictions and targets of all examples, and the names of the classes.

    Raises:
        UserError: there is no such run, split or member.
    """
    from nnlab import console
    from nnlab.config import trust
    from nnlab.runs.evaluation import evaluate as measure

    console.show()
    trust.reading(run)
    return measure(run, split, member, data)


def load(run: str | Path, device: str | None = None) -> Predictor:
    """A finished run as an object with `predict`, `predict_proba`, `classes_`, `columns` and `module`.

    The run folder is all that is needed, wherever it lies: not its data, nor the machine that made it.

    Args:
        run: the run's folder.
        device: such as `cpu` or `cuda:1`; None: the run's own where this machine has it.

    Returns:
        The networks with their best weights, and what was fitted to the training data.

    Raises:
        UserError: it is no finished run, or its folder is damaged.
    """
    from nnlab import console
    from nnlab.config import trust
    from nnlab.runs.prediction import load as open_run

    console.show()
    trust.reading(run)
    return open_run(run, device)


def predict(run: str | Path, data: Any, out: str | Path | None = None, *, id_column: str | None = None) -> Any:
    """Predict examples with a finished run.

    Args:
        run: its folder.
        data: a file or folder, as `nnlab predict` takes it; or a DataFrame, an array, or a tensor.
        out: a .csv or .tsv file for the predictions of a file, which is read and written piece by piece.
        id_column: column of the file that stands beside the predictions in `out`.

    Returns:
        Names of classes (n,), or numbers (n,) or (n, C); with `out` the number of examples.

    Raises:
        UserError: it is no finished run, or the data do not fit it.
    """
    from nnlab.runs.predicting import predict_file, predicted

    predictor = load(run)
    if out is not None:
        summary = predict_file(predictor, data, out, id_column)
        for line in summary.sentences():
            logging.getLogger(__name__).info("%s", line)
        return summary.rows
    return predicted(predictor, data) if isinstance(data, str | Path) else predictor.predict(data)


def plot(
    *runs: str | Path,
    out: str | Path | None = None,
    only: Sequence[str] | None = None,
    surface: str | None = None,
) -> list[Path]:
    """Draw the figures of a run, or of several runs overlaid, as PNG and SVG.

    Args:
        runs: folders of runs, or of studies for all of their runs.
        out: folder for the figures; None: `figures` in the run or study.
        only: names of figures, such as `["loss", "calibration"]`; None: all.
        surface: `principal` or `random`, for trajectories on the loss surface too, which trains the runs again.

    Returns:
        The files.

    Raises:
        UserError: there is no run, no such figure, or nothing to draw.
    """
    from nnlab import console
    from nnlab.config import trust
    from nnlab.runs.plotting import plot as draw

    console.show()
    for run in runs:
        trust.reading(run)
    return draw(runs, out, only, surface)


class _Package(ModuleType):
    """nnlab itself, whose rooms `recipe`, `sweep` and `study` have the names of functions.

    Importing a room binds it to its name here, over the function; so the room can be called, too.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        function = vars(self).get(name)
        if isinstance(value, ModuleType) and callable(function) and not isinstance(function, ModuleType):
            value.__class__ = _callable_module(function)
            value.__doc__ = f"{function.__doc__}\n\n{value.__doc__ or ''}"
        super().__setattr__(name, value)


def _callable_module(function: Callable[..., Any]) -> type[ModuleType]:
    namespace: Mapping[str, Any] = {"__call__": staticmethod(function), "__doc__": function.__doc__}
    return type("CallableModule", (ModuleType,), dict(namespace))


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """`nnlab.Classifier` and `nnlab.Regressor`, which scikit-learn is loaded for when they are first used."""
    if name in ("Classifier", "Regressor"):
        from nnlab import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module `nnlab` has no attribute `{name}`")
