"""Jobs of a grid: made from their configs, checked, trained, and told to a process of their own."""

from __future__ import annotations

import collections
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.config import difference, identity
from nnlab.config.build import dataset_key, load_dataset
from nnlab.config.overrides import own_overrides, run_name
from nnlab.errors import UserError
from nnlab.runs.launch import train_runs
from nnlab.runs.result import Result
from nnlab.storage.directories import is_run
from nnlab.storage.folder import read_config, read_environment
from nnlab.sweep.driver import Driver, Policy
from nnlab.sweep.job import PENDING, Job, Outcome, check_directory
from nnlab.sweep.stacking import stacking_key
from nnlab.sweep.summary import Summary
from nnlab.types import Dataset, Task

Config = Mapping[str, Any]
Overrides = Sequence[Sequence[str]]

_kept: collections.deque[Dataset] = collections.deque(maxlen=2)  # data sets that the next job may want again


def make_jobs(configs: Sequence[Config], overrides: Overrides) -> list[Job]:
    """One job for each config, with what is on the disk checked.

    Raises:
        UserError: a directory holds a run with another config, or something that is no run.
    """
    jobs = []
    for config, own in zip(configs, overrides, strict=True):
        directory = Path(config["output_dir"]) / config["name"] / run_name(own)
        key, why = stacking_key(config)
        shared, data = key and sys.intern(key), sys.intern(dataset_key(config))  # as large as the rest of a job
        jobs.append(Job(list(own), config, directory, identity(config), shared, why, data))
    for job in jobs:
        check_directory(job)
        check_config(job)
    return jobs


def check_config(job: Job) -> None:
    """Refuse to continue a run with another config.

    Raises:
        UserError: the job's directory holds a run with another config; the difference is shown.
    """
    if not is_run(job.directory) or read_environment(job.directory).get("identity") == job.identity:
        return
    changed = difference(read_config(job.directory), job.config)
    if changed:
        raise UserError(
            f"`{job.directory}` holds a run with another config ({'; '.join(changed)}); "
            "choose another `name`, or remove that run"
        )


def check_duplicates(configs: Sequence[Config], overrides: Overrides) -> None:
    """Refuse a grid that holds a job twice.

    Raises:
        UserError: names the job.
    """
    seen: dict[str, Sequence[str]] = {}
    for config, own in zip(configs, overrides, strict=True):
        text = json.dumps(config, sort_keys=True, default=repr)
        if text in seen:
            first, second = ",".join(own_overrides(seen[text])), ",".join(own_overrides(own))
            how = f"`{second}` twice" if first == second else f"one job twice, as `{first}` and as `{second}`"
            raise UserError(f"the grid holds {how}; leave out one of them")
        seen[text] = own


def check_tasks(configs: Sequence[Config]) -> None:
    """Refuse a grid whose runs cannot be compared.

    Raises:
        UserError: some are for regression, others for classification.
    """
    kinds: dict[str, str] = {}
    sources = {json.dumps(config["data"].get("_target_")): config for config in configs}
    for config in sources.values() if len(sources) > 1 else ():
        kind = "regression" if load_dataset(config).task is Task.REGRESSION else "classification"
        kinds.setdefault(kind, str(config["data"]["_target_"]).rpartition(".")[2])
    if len(kinds) > 1:
        found = " and ".join(f"{kind} ({name})" for kind, name in kinds.items())
        raise UserError(f"the grid mixes tasks, {found}, whose results cannot be compared; give each a grid of its own")


def policy_of(config: Config) -> Policy:
    """The policy that a config asks for."""
    section = config["sweep"]
    return Policy(section["on_failure"], section["retries"])


def train_here(jobs: Sequence[Job]) -> list[Outcome]:
    """Train jobs that can be stacked in this process, from their checkpoints if they have any."""
    if len(jobs) == 1:
        _kept.append(load_dataset(jobs[0].config))
    configs, directories = [job.config for job in jobs], [job.directory for job in jobs]
    return [outcome_of(result) for result in train_runs(configs, directories, [job.overrides for job in jobs])]


def outcome_of(result: Result) -> Outcome:
    """The outcome for a result; its trainer is let go."""
    result.trainer = None
    known = {**PENDING, "status": result.status} if result.status == "interrupted" else result.content()
    return Outcome(known, tuple(result.signals))


def result_of(job: Job, outcome: Outcome) -> Result:
    """The result for an outcome."""
    content = outcome.result
    return Result(
        directory=job.directory,
        status=outcome.status,
        metrics=content.get("metrics") or {},
        metric=content.get("metric", ""),
        best_step=content.get("best_step", 0),
        steps=content.get("steps", 0),
        seconds=content.get("seconds", 0.0),
        reason=content.get("reason", ""),
        identity=job.identity,
        ensemble=content.get("ensemble"),
        diagnosis=content.get("diagnosis", ()),
        signals=tuple(outcome.signals),
    )


def run_job(config: Config, overrides: Sequence[str]) -> Result:
    """One job of a sweep whose launcher starts the jobs itself, maybe on another machine."""
    [job] = make_jobs([config], [overrides])
    summary = Summary(job.directory.parent, [job])
    driver = Driver(train_here, policy_of(config))
    driver.run([[job]])
    summary.write()
    return result_of(job, driver.outcome(job))


def message(job: Job) -> str:
    """What a child process needs to know of its job, in one line."""
    content = {"config": job.config, "overrides": list(job.overrides), "directory": str(job.directory)}
    return json.dumps(content)
