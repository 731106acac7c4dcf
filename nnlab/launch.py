"""Train what configs describe: claim the run directories, continue what is unfinished, train, write the results."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import platform
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch

import nnlab
from nnlab.build import build_trainer
from nnlab.config import identity
from nnlab.errors import UserError
from nnlab.files import explained, make_folder
from nnlab.training import Run, Trainer, checkpoint
from nnlab.training.run import read_result
from nnlab.training.signals import EXIT_CODES, graceful

_THREADS = torch.get_num_threads()
DIVERGED = 3  # exit code of a single run that diverged


@dataclass
class Result:
    """How a run ended.

    Attributes:
        directory: the run directory.
        status: `completed`, `diverged`, `failed` or `interrupted`.
        metrics: `loss` and the task's metrics, at the best weights, by split.
        best_step, steps, seconds: when the weights were best, how long training was.
        signals: signals that interrupted it.
        trainer: the trainer with history and networks, where it ran in this process.
    """

    directory: Path
    status: str
    metrics: dict[str, dict[str, float]]
    best_step: int = 0
    steps: int = 0
    seconds: float = 0.0
    reason: str = ""
    identity: str = ""
    ensemble: dict[str, Any] | None = None
    signals: Sequence[int] = ()
    trainer: Trainer | None = field(default=None, repr=False)

    @property
    def exit_code(self) -> int:
        """0 done, 3 diverged, 75, 130 or 143 after a signal."""
        if self.signals:
            return EXIT_CODES[self.signals[0]]  # type: ignore[index]
        return {"completed": 0, "diverged": DIVERGED}.get(self.status, 1)


def train(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> Result:
    """Train one run: continue the newest unfinished run of this identity, or start a new one.

    Raises:
        UserError: something in the config, the data or the output folder is not as it must be.
    """
    key = identity(config)
    folder = Path(config["output_dir"]) / config["name"]
    with contextlib.ExitStack() as stack:
        if config.get("resume"):
            directory = Path(config["resume"])
            stack.enter_context(claimed(directory))
        else:
            directory = stack.enter_context(_unfinished_or_new(folder, key))
        return train_runs([config], [directory], [list(overrides)])[0]


def train_command(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> Result:
    """`nnlab train`: train, then print what came out and how to look at it."""
    result = train(config, overrides)
    if result.status == "interrupted":
        print(
            f"interrupted; the same command continues it, or: nnlab train resume={shlex.quote(str(result.directory))}"
        )
    else:
        print_summary(result)
    return result


def print_summary(result: Result) -> None:
    """A short table: metrics at the best weights, time, where the run is, and the command to look at it."""
    from rich.console import Console
    from rich.table import Table

    names = [name for name in result.metrics["test"] if name in result.metrics["train"]]
    table = Table("", *names, title=f"best weights (step {result.best_step} of {result.steps})", title_justify="left")
    for split, metrics in result.metrics.items():
        table.add_row(split, *(f"{metrics[name]:.4f}" for name in names))
    console = Console()
    console.print(table)
    print(f"{result.status} in {result.seconds:.1f} s" + (f": {result.reason}" if result.reason else ""))
    print(f"run:  {result.directory}")
    print(f"look: tensorboard --logdir {shlex.quote(str(result.directory.parent))}")


def train_runs(
    configs: Sequence[Mapping[str, Any]], directories: Sequence[Path], overrides: Sequence[Sequence[str]]
) -> list[Result]:
    """Train runs that can be stacked as one population, each into its claimed directory."""
    runs = [
        Run(directory, [i], config, own, identity(config))
        for i, (directory, config, own) in enumerate(zip(directories, configs, overrides, strict=True))
    ]
    if configs[0]["trainer"]["precision"] == "tf32":
        torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(bool(configs[0]["trainer"]["deterministic"]))
    states = [checkpoint.load_newest(run.directory / "checkpoints") for run in runs]
    for run, state in zip(runs, states, strict=True):
        run.offsets = state["files"] if state else {}
    trainer = build_trainer(configs, runs)
    torch.set_num_threads(configs[0]["trainer"]["threads"] or suitable_threads(trainer))
    for run, config in zip(runs, configs, strict=True):
        run.create(environment(config, trainer, run.identity))
    known = [state for state in states if state is not None]
    if len(known) == len(runs):
        checkpoint.resume(trainer, known)
    with graceful(trainer) as signals:
        try:
            trainer.fit()
        finally:
            for run in runs:
                run.flush()
    return [finish(trainer, run, signals) for run in runs]


def finish(trainer: Trainer, run: Run, signals: Sequence[int]) -> Result:
    """Evaluate a run at its best weights and write how it ended."""
    status = _status([trainer.statuses[member] for member in run.members])
    metrics, ensemble = ({}, None) if status == "interrupted" else trainer.final_metrics(run.members)
    best = [trainer.best.steps[member] for member in run.members]
    reasons = "; ".join(dict.fromkeys(trainer.reasons[m] for m in run.members if trainer.reasons[m]))
    result = Result(
        directory=run.directory,
        status=status,
        metrics=metrics,
        best_step=best[0] if len(best) == 1 else max(best),
        steps=max(trainer.ended_at[member] for member in run.members),
        seconds=round(trainer.seconds, 3),
        reason=reasons,
        identity=run.identity,
        ensemble=ensemble,
        signals=tuple(signals),
        trainer=trainer,
    )
    if status != "interrupted":
        names = ("status", "metrics", "best_step", "steps", "seconds", "reason", "identity")
        content = {name: getattr(result, name) for name in names} | {"diagnosis": []}
        run.finish(content | ({"ensemble": ensemble} if ensemble else {}))
    run.close()
    return result


def _status(statuses: Sequence[str]) -> str:
    """An ensemble has completed when any of its members has."""
    for status in ("interrupted", "completed"):
        if status in statuses:
            return status
    return statuses[0]


SMALL_STEP = 3e7  # multiply-adds below which a second thread costs more than it gives


def suitable_threads(trainer: Trainer) -> int:
    """One thread for small steps, otherwise the number that torch was started with.

    A step takes about three multiply-adds for every parameter and example (convolutions more). On a machine whose
    cores are busy, threads that wait for each other make small steps many times slower.
    """
    population = trainer.population
    convolutional = any(len(slot.shape) > 2 for slot in trainer.stack.layout.slots)
    cost = 3 * population.stack.theta.numel() * population.batches.batch_size
    return 1 if cost < SMALL_STEP and not convolutional else _THREADS


def environment(config: Mapping[str, Any], trainer: Trainer, key: str) -> dict[str, Any]:
    """What a number depends on besides the config."""
    return {
        "nnlab": nnlab.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(trainer.device),
        "device_name": torch.cuda.get_device_name(trainer.device)
        if trainer.device.type == "cuda"
        else platform.machine(),
        "threads": torch.get_num_threads(),
        "seed": config["seed"],
        "identity": key,
    }


def commit() -> str | None:
    """The commit of the checkout that nnlab runs from, if it is one."""
    root = Path(nnlab.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    return None


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[Path]:
    """Hold a run directory for this process; the claim of a process that died is void by itself.

    Raises:
        UserError: another process is writing into it.
    """
    file = _claim(directory)
    if file is None:
        raise UserError(f"`{directory}` is in use: another process is training this run")
    try:
        yield directory
    finally:
        file.close()


def _claim(directory: Path) -> IO[bytes] | None:
    with explained(directory):
        file = open(directory / ".claim", "ab")  # noqa: SIM115 (the lock lives as long as the file is open)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextlib.contextmanager
def _unfinished_or_new(folder: Path, key: str) -> Iterator[Path]:
    """Claim the newest run under `folder` with this identity that has not ended, or a new directory."""
    for directory in sorted(folder.glob("*/"), reverse=True) if folder.is_dir() else ():
        if read_result(directory) is None and _identity_of(directory) == key:
            file = _claim(directory)
            if file is not None:
                with file:
                    print(f"continuing {directory}", flush=True)
                    yield directory
                return
    make_folder(folder)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for attempt in range(1000):
        directory = folder / (stamp if attempt == 0 else f"{stamp}-{attempt}")
        try:
            with explained(directory):
                os.mkdir(directory)
        except UserError as error:
            if isinstance(error.__cause__, FileExistsError):
                continue
            raise
        with claimed(directory):
            yield directory
        return


def _identity_of(directory: Path) -> str | None:
    import json

    try:
        found: str | None = json.loads((directory / "environment.json").read_text()).get("identity")
    except (OSError, ValueError):
        return None
    return found
