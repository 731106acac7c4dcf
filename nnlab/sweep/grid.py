"""Grids: the jobs of `nnlab train -m` from their configs, checked and announced before the first of them starts.

Floor 6 joins here what `nnlab.sweep` does not know: configs become jobs, and chunks of jobs become trainers.
"""

from __future__ import annotations

import collections
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nnlab import interpreter
from nnlab.console import counted
from nnlab.errors import UserError
from nnlab.runs.result import Result
from nnlab.storage.folder import read_result
from nnlab.study.write import conclude
from nnlab.sweep.cost import Measured, measure
from nnlab.sweep.driver import Driver
from nnlab.sweep.grouping import Group, by_key, plan
from nnlab.sweep.job import FINISHED, PENDING, Job, Outcome, condition
from nnlab.sweep.jobs import Config, Overrides, check_tasks, make_jobs, message, policy_of, result_of, train_here
from nnlab.sweep.processes import Processes, visible_gpus
from nnlab.sweep.stacking import keys_by_inputs
from nnlab.sweep.summary import Summary, axes

log = logging.getLogger(__name__)

TIMED_GROUPS = 8  # groups whose steps are timed for the estimate
MEASURED_GROUPS = 200  # groups of which one network is built before the first job starts
CHILD = interpreter.running("nnlab.sweep.child")


class Grid:
    """The jobs of one command, grouped, announced and run.

    Args:
        configs: one for each job, composed and checked.
        overrides: what led to them.
        stack: `auto`, `always` or `never`.
        memory: gigabytes that a population may take; None: a share of what is free.

    Raises:
        UserError: a job cannot be run as it is.
    """

    def __init__(
        self, configs: Sequence[Config], overrides: Overrides, stack: str = "auto", memory: float | None = None
    ) -> None:
        self.policy = policy_of(configs[0])
        self.dry = bool(configs[0]["sweep"]["dry_run"])
        check_tasks(configs)
        every = make_jobs(configs, overrides)
        self.jobs = list({job.directory: job for job in every}.values())
        self.of_call = [job.directory for job in every]
        self.conditions = {job: condition(job) for job in self.jobs}
        self.open = [job for job in self.jobs if self.conditions[job] not in FINISHED]
        self.groups: list[Group] = []
        self.seconds: float | None = 0.0
        self._plan(stack, memory)
        folders: dict[Path, list[Job]] = {}
        for job in self.jobs:
            folders.setdefault(job.directory.parent, []).append(job)
        self.summaries = {folder: Summary(folder, jobs) for folder, jobs in folders.items()}

    def _plan(self, stack: str, memory: float | None) -> None:
        """Group the open jobs, and measure one network of each group, which also shows whether it can be built."""
        keys = keys_by_inputs([job.key for job in self.open], [job.config for job in self.open])
        for job, key in zip(self.open, keys, strict=True):
            job.key = key
        known: dict[str, Measured] = {}
        for position, jobs in enumerate(map(_side_by_side, by_key(self.open))):
            timed = min(8, len(jobs) if jobs[0].key else 1) if position < TIMED_GROUPS else 0
            parts = [jobs] if jobs[0].key else [[job] for job in jobs]
            found: list[Measured] = []
            for part in parts:
                shape = _shape(part[0])
                if shape not in known and len(known) < MEASURED_GROUPS:
                    known[shape] = _measured(part, timed if not found else 0)
                found.append(known.get(shape) or next(iter(known.values())))
            group = plan(jobs, found[0].cost, stack, memory)
            self.groups.append(group)
            self._estimate(group, found[0])

    def _estimate(self, group: Group, measured: Measured) -> None:
        if measured.step_seconds is None:
            self.seconds = None
        elif self.seconds is not None:
            alone = measured.alone_seconds or measured.step_seconds
            step = measured.step_seconds if group.together else alone
            self.seconds += len(group.jobs) * measured.steps * step

    def announcement(self, how: str = "") -> str:
        """What is about to happen, in a few lines."""
        folders = ", ".join(f"`{folder}`" for folder in self.summaries)
        counts = collections.Counter(self.conditions.values())
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        lines = [f"{counted(len(self.jobs), 'job')} in {folders}: {states}"]
        groups = [group for group in self.groups if len(group.jobs) > 1 or group.reason or how]
        lines += [f"  {_described(group, how)}" for group in groups]
        single = len(self.groups) - len(groups)
        if single:
            lines.append("  1 job alone" if single == 1 else f"  {single} jobs alone: no two of them can be stacked")
        if self.open:
            lines.append("  " + self._time())
        return "\n".join(lines)

    def _time(self) -> str:
        if not self.seconds:
            return "how long it takes cannot be estimated"
        device = self.groups[0].cost.device.type
        return f"estimated time: {_duration(self.seconds)} (steps alone, on {device})"

    def run_here(self) -> list[Result]:
        """Run the jobs in this process, in populations where that is planned."""
        total, done = len(self.open), 0

        def train(jobs: Sequence[Job]) -> list[Outcome]:
            nonlocal done
            what = jobs[0].name if len(jobs) == 1 else f"{len(jobs)} jobs as one population"
            log.info(f"[{min(done + len(jobs), total)}/{total}] {what}")
            outcomes = train_here(jobs)
            done += len(jobs)
            return outcomes

        chunks = [chunk for group in self.groups for chunk in group.chunks]
        return self._run(Driver(train, self.policy, self._record), lambda driver: driver.run(chunks))

    def run_in_processes(self, slots: int | None, threads: int | None) -> list[Result]:
        """Run each job in a process of its own."""
        devices = {str(job.config["trainer"]["device"]) for job in self.open}
        gpus = visible_gpus() if devices <= {"auto", "cuda"} else []
        processes = Processes(CHILD, message, slots, threads, gpus)
        driver = Driver(processes.train, self.policy, self._progress)
        return self._run(driver, lambda each: processes.run(each, self.open))

    def _run(self, driver: Driver, run: Callable[[Driver], None]) -> list[Result]:
        for job in self.jobs:
            if self.conditions[job] in FINISHED:
                driver.outcomes[job] = Outcome(read_result(job.directory) or dict(PENDING), skipped=True)
        try:
            run(driver)
        finally:
            for summary in self.summaries.values():
                summary.write()
        by_directory = {job.directory: result_of(job, driver.outcome(job)) for job in self.jobs}
        log.info(self.conclusion(driver))
        if not any(outcome.signals for outcome in driver.outcomes.values()):
            self._write_studies()
        return [by_directory[directory] for directory in self.of_call]

    def _record(self, outcomes: Mapping[Job, Outcome]) -> None:
        for folder, summary in self.summaries.items():
            summary.add({job: outcome for job, outcome in outcomes.items() if job.directory.parent == folder})

    def _progress(self, outcomes: Mapping[Job, Outcome]) -> None:
        self._record(outcomes)
        for job, outcome in outcomes.items():
            log.info(f"{outcome.status}: {job.name}")

    def _write_studies(self) -> None:
        for folder, summary in self.summaries.items():
            if len(summary.jobs) > 1:
                conclude(folder)

    def conclusion(self, driver: Driver) -> str:
        """How the study ended, in a line for the counts and one for the table."""
        counts = collections.Counter(driver.outcome(job).status for job in self.jobs)
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        tables = ", ".join(str(folder / "summary.csv") for folder in self.summaries)
        return f"{counted(len(self.jobs), 'job')}: {states}\ntable: {tables}"


def _side_by_side(jobs: list[Job]) -> list[Job]:
    """Jobs that can be stacked with those of one seed next to each other: the engine reads their batches once."""
    return jobs if jobs[0].key is None else sorted(jobs, key=lambda job: int(job.config["seed"]))


def _shape(job: Job) -> str:
    """Jobs with the same shape need not be built both to see that they can be."""
    parts = ("architecture", "activation", "loss", "optimizer", "regularizer", "data", "trainer")
    return json.dumps([job.config.get(part) for part in parts], sort_keys=True, default=repr)


def _measured(jobs: Sequence[Job], members: int) -> Measured:
    try:
        return measure(jobs[0].config, members, jobs[0].overrides)
    except UserError as error:
        raise UserError(f"{error} (job `{jobs[0].name}`)") from error


def _described(group: Group, how: str) -> str:
    """A group in one line."""
    count = len(group.jobs)
    keys = list(axes(job.overrides for job in group.jobs))
    differ = f", which differ in {', '.join(keys)}" if keys and count > 1 else ""
    if how:
        return f"{counted(count, 'job')} {how}{differ}"
    if not group.together:
        why = f": {group.reason}" if group.reason else ""
        return f"{counted(count, 'job')} one by one{why}" if count > 1 else f"1 job alone{why}"
    chunks = len(group.chunks)
    parts = "as one population" if chunks == 1 else f"as {chunks} populations that fit into memory"
    return f"{count} jobs {parts}{differ}"


def _duration(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> _duration(0.3), _duration(90), _duration(600), _duration(9000)
    ('under a second', 'about 90 s', 'about 10 min', 'about 2.5 h')
    """
    if seconds < 1:
        return "under a second"
    if seconds < 120:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 7200 else f"about {seconds / 3600:.1f} h"
