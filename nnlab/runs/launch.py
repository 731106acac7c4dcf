"""Train what configs describe: claim the run directories, continue what is unfinished, train, write the results."""

from __future__ import annotations

import contextlib
import datetime
import functools
import logging
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import nnlab
from nnlab.callbacks.diagnosis import findings_of
from nnlab.config import identity
from nnlab.config.build import build_trainer
from nnlab.config.command_line import CONFIG_DIR
from nnlab.config.folder import own_folder
from nnlab.device import give_back, resolve_device, set_up
from nnlab.errors import UserError
from nnlab.runs import continuation, one_by_one
from nnlab.runs.advice import effective
from nnlab.runs.cautions import caution
from nnlab.runs.fitted import Fitted
from nnlab.runs.joining import group_for
from nnlab.runs.own_data import check_unchanged
from nnlab.runs.references import with_references
from nnlab.runs.result import Result
from nnlab.storage.claim import claimed, try_claim
from nnlab.storage.directories import is_unused, remove_unused
from nnlab.storage.files import WriteError, explained, make_folder, side_by_side
from nnlab.storage.folder import read_config, read_environment, read_overrides, remove_events
from nnlab.storage.run import Run
from nnlab.training import Trainer, checkpoint
from nnlab.training.evaluation import Interrupted
from nnlab.training.final import final_metrics
from nnlab.training.group import Command, Group, GroupBroken
from nnlab.training.signals import Signals, graceful

LARGE = 1 << 20  # weights of a population
_THREADS = torch.get_num_threads()
Completion = Callable[[Result, Mapping[str, Any]], Result]  # what a result of a config is completed with
log = logging.getLogger(__name__)


def train(config: Mapping[str, Any], overrides: Sequence[str] = (), complete: Completion = with_references) -> Result:
    """Train one run: continue the newest unfinished run of this identity, or start a new one.

    Args:
        config: of the run.
        overrides: that led to it.
        complete: what is done to the result before it is written.

    Raises:
        UserError: something in the config, the data or the output folder is not as it must be.
    """
    key = identity(config)
    folder = Path(config["output_dir"]) / config["name"]
    with contextlib.ExitStack() as stack:
        if config.get("resume"):
            directory = Path(config["resume"])
            stack.enter_context(claimed(directory))
            log.info(f"continuing {directory}")
            config = {**config, "resume": None}
            overrides = list(dict.fromkeys([*(read_overrides(directory) or ()), *overrides]))
        else:
            directory = stack.enter_context(unfinished_or_new(folder, key))
        return train_runs([config], [directory], [list(overrides)], complete)[0]


def train_runs(
    configs: Sequence[Mapping[str, Any]],
    directories: Sequence[Path],
    overrides: Sequence[Sequence[str]],
    complete: Completion | None = None,
) -> list[Result]:
    """Train runs that can be stacked as one population, each into its claimed directory.

    Those that have a checkpoint continue from it; runs at different steps are trained one group after another.

    Args:
        configs: of the runs.
        directories: theirs.
        overrides: that led to each config.
        complete: what is done to each result before it is written, such as fitting simple methods beside it.
    """
    with group_for(configs[0]["trainer"]) as group:
        if len(configs) == 1 and one_by_one.needed(configs[0]):
            whole = one_by_one.train(configs[0], directories[0], overrides[0], train_runs)
            return [whole if complete is None else complete(whole, configs[0])]
        results: dict[int, Result] = {}
        with graceful() as signals:
            while len(results) < len(directories) and not signals.received:
                left = [i for i in range(len(directories)) if i not in results]
                states = dict(zip(left, continuation.find_states([directories[i] for i in left]), strict=True))
                together = [left[i] for i in continuation.together(list(states.values()))[0]]
                runs = [Run(directories[i], [0], configs[i], overrides[i], identity(configs[i])) for i in together]
                try:
                    trained = _train_together(runs, [states[i] for i in together], signals, group, complete)
                except GroupBroken as error:
                    if group is not None and not signals.received:
                        group.revive(error)
                    continue
                results |= zip(together, trained, strict=True)
        stopped = [Result(each, "interrupted", {}, signals=tuple(signals.received)) for each in directories]
        return [results.get(i, stopped[i]) for i in range(len(directories))]


def _train_together(
    runs: Sequence[Run],
    states: Sequence[continuation.State | None],
    signals: Signals,
    group: Group | None,
    complete: Completion | None,
) -> list[Result]:
    for run, state in zip(runs, states, strict=True):
        continuation.check_config(run.directory, state, run.config)
        run.offsets = state["files"] if state else {}
        if state is None:
            remove_events(run.directory)  # of an attempt that died before its first checkpoint
    trainer = prepare([run.config for run in runs], runs, group)
    caution(trainer, runs)
    for run, state in zip(runs, states, strict=True):
        continuation.announce(run.directory, state, trainer.total_steps)
        dataset = trainer.members[run.members[0]].dataset
        if state is not None:
            continuation.check_length(run.directory, trainer, state)
            check_unchanged(run.directory, dataset)
        own = own_folder() or read_environment(run.directory).get(CONFIG_DIR)
        run.create({**environment(run.config, trainer, run.identity), CONFIG_DIR: own})
        kept = Fitted.of(dataset)
        if kept is not None:
            kept.write(run.directory)
    known = [state for state in states if state is not None]
    if known:
        checkpoint.resume(trainer, known)
    signals.trainer = trainer
    try:
        trainer.fit()
        results = [result_of(trainer, run, signals.received, complete) for run in runs]
        side_by_side(lambda pair: finish(*pair), zip(runs, results, strict=True))
        return results
    except (SystemExit, Interrupted) as stop:
        if isinstance(stop, SystemExit) and not (trainer.saved and signals.received):
            raise
        # A signal came in the middle of an evaluation, which the same command repeats from the last checkpoint.
        how: dict[str, Any] = {"steps": trainer.step, "signals": tuple(signals.received), "trainer": trainer}
        return [Result(run.directory, "interrupted", {}, **how) for run in runs]
    except Exception:
        continuation.note_failure(run.directory for run in runs)
        raise
    finally:
        signals.trainer = None
        for run in runs:
            with contextlib.suppress(WriteError):  # the first error is the one to tell
                run.close()


def prepare(configs: Sequence[Mapping[str, Any]], runs: Sequence[Run], group: Group | None = None) -> Trainer:
    """Set torch up as the runs' settings ask for, and build their trainer; then let a group's followers do the same."""
    settings = configs[0]["trainer"]
    set_up(resolve_device(settings["device"]), settings["precision"], bool(settings["deterministic"]))
    trainer = build_trainer(configs, runs, group)
    if trainer.stack.theta.numel() > LARGE:
        give_back()  # what the networks took before they were stacked
    torch.set_num_threads(settings["threads"] or suitable_threads(trainer, group.local_size if group else 1))
    if group is not None:
        group.say(Command.PREPARE)
        group.share(([dict(config) for config in configs], torch.get_num_threads()))
    return trainer


def result_of(trainer: Trainer, run: Run, signals: Sequence[int], complete: Completion | None = None) -> Result:
    """How a run ended, evaluated at its best weights, and completed."""
    outcomes = [trainer.outcomes[member] for member in run.members]
    status = _status([outcome.status for outcome in outcomes])
    ended = status != "interrupted"
    metrics, ensemble = final_metrics(trainer, run.members) if ended else ({}, None)
    best = [trainer.best.steps[member] for member in run.members]
    reasons = "; ".join(dict.fromkeys(outcome.reason for outcome in outcomes if outcome.reason))
    result = Result(
        directory=run.directory,
        status=status,
        metrics=metrics,
        metric=trainer.primary_metric,
        best_step=best[0] if len(best) == 1 else max(best),
        steps=max(outcome.ended_at for outcome in outcomes),
        seconds=round(trainer.seconds, 3),
        reason=reasons,
        identity=run.identity,
        ensemble=ensemble,
        diagnosis=effective(findings_of(trainer.callbacks, list(run.members)), run.config) if ended else (),
        signals=tuple(signals),
        trainer=trainer,
    )
    return result if complete is None else complete(result, run.config)


def finish(run: Run, result: Result) -> None:
    """Write how a run ended, all at once."""
    if result.status != "interrupted":
        run.finish(result.content())
    run.close()


def _status(statuses: Sequence[str]) -> str:
    """An ensemble has completed when any of its members has."""
    for status in ("interrupted", "completed"):
        if status in statuses:
            return status
    return statuses[0]


SMALL_STEP = 8e7  # multiply-adds below which a second thread costs more than it gives


def suitable_threads(trainer: Trainer, processes: int = 1) -> int:
    """One thread for small steps, otherwise the number that torch was started with, shared by `processes`.

    A step takes about three multiply-adds for every parameter and example (convolutions more). On a machine whose
    cores are busy, threads that wait for each other make small steps many times slower.
    """
    convolutional = any(len(slot.shape) > 2 for slot in trainer.stack.layout.slots)
    cost = 3 * trainer.stack.theta.numel() * trainer.engine.batches.batch_size
    return 1 if cost < SMALL_STEP and not convolutional else max(1, _THREADS // processes)


def environment(config: Mapping[str, Any], trainer: Trainer, key: str) -> dict[str, Any]:
    """What a number depends on besides the config."""
    return {
        "nnlab": nnlab.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(trainer.device) if trainer.engine.processes == 1 else trainer.device.type,
        "device_name": torch.cuda.get_device_name(trainer.device)
        if trainer.device.type == "cuda"
        else platform.machine(),
        "engine": trainer.engine.name,
        "processes": trainer.engine.processes,
        "threads": torch.get_num_threads(),
        "population": len(trainer.members),
        "seed": config["seed"],
        "identity": key,
    }


@functools.cache
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
def unfinished_or_new(folder: Path, key: str) -> Iterator[Path]:
    """Claim the newest run under `folder` with this identity that has not ended, or a new directory."""
    present = sorted(folder.glob("*/"), reverse=True) if folder.is_dir() else []
    mine = [each for each in present if _identity_of(each) == key and not continuation.is_finished(each)]
    for directory in (*mine, *filter(is_unused, present)):
        file = try_claim(directory)
        if file is not None:
            with file:
                if directory in mine:
                    log.info(f"continuing {directory}")
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
            try:
                yield directory
            except UserError:
                remove_unused(directory)
                raise
        return


def _identity_of(directory: Path) -> str | None:
    """The identity of a run: what it noted when it began, which is quicker to read than its config."""
    noted = read_environment(directory).get("identity")
    try:
        return str(noted) if noted else identity(read_config(directory))
    except UserError:
        return None
