"""The launchers `population` and `processes`: they compose all jobs, and hand them to `nnlab.sweep.grid`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from nnlab.validation import check, check_choice

if TYPE_CHECKING:
    from nnlab.sweep.grid import Grid


log = logging.getLogger(f"nnlab.{__name__}")  # where the console listens


class NnlabLauncher(Launcher):  # type: ignore[misc]
    """What both launchers share; `run` tells them apart."""

    how = ""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives."""
        from nnlab.cli.templates import Jobs

        self.task_function, self.config = task_function, config
        self.jobs = Jobs(hydra_context.config_loader, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Compose and check all jobs, announce them, and run them; a job's failure is in its result.

        Raises:
            UserError: a job's config is wrong; no job has started.
        """
        self.check()
        configs = [self.jobs.compose(overrides) for overrides in job_overrides]
        if not getattr(self.task_function, "trains", False):
            return [
                _returned(overrides, self.task_function.run(config, list(overrides)))
                for config, overrides in zip(configs, job_overrides, strict=True)
            ]
        from nnlab.sweep.jobs import check_duplicates

        if str(self.config.hydra.sweeper._target_).endswith("GridSweeper"):
            check_duplicates(configs, job_overrides)
        study = self.study(configs, job_overrides)
        log.info(study.announcement(self.how))
        if study.dry:
            log.info("`sweep.dry_run=true`: nothing was started")
            return []
        results = self.run(study)
        return [_returned(overrides, result) for overrides, result in zip(job_overrides, results, strict=True)]

    def check(self) -> None:
        """Check the launcher's own values; in the constructor, Hydra would wrap the mistake."""

    def study(self, configs: Sequence[Any], overrides: Sequence[Sequence[str]]) -> Grid:
        """The study of these jobs."""
        raise NotImplementedError

    def run(self, study: Grid) -> list[Any]:
        """Run the jobs of a study."""
        raise NotImplementedError


class PopulationLauncher(NnlabLauncher):
    """Jobs that can be stacked train as one population, the others one by one, in this process.

    Args:
        stack: `auto`, `always`, or `never`.
        memory: gigabytes that a population may take; None: a share of what is free.
    """

    def __init__(self, stack: str = "auto", memory: float | None = None) -> None:
        self.stack, self.memory = stack, memory

    def check(self) -> None:
        check_choice("hydra.launcher.stack", self.stack, ("auto", "always", "never"))
        if self.memory is not None:
            check("hydra.launcher.memory", self.memory, "(0, inf)")

    def study(self, configs: Sequence[Any], overrides: Sequence[Sequence[str]]) -> Grid:
        from nnlab.sweep.grid import Grid

        return Grid(configs, overrides, self.stack, self.memory)

    def run(self, study: Grid) -> list[Any]:
        return study.run_here()


class ProcessesLauncher(NnlabLauncher):
    """Each job in a process of its own.

    Args:
        slots: jobs at a time; None: one for each GPU, or else for each core.
        threads: processor threads of a job; None: cores / slots.
    """

    how = "each in a process of its own"

    def __init__(self, slots: int | None = None, threads: int | None = None) -> None:
        self.slots, self.threads = slots, threads

    def check(self) -> None:
        for name, value in (("slots", self.slots), ("threads", self.threads)):
            if value is not None:
                check(f"hydra.launcher.{name}", value, "[1, inf)")

    def study(self, configs: Sequence[Any], overrides: Sequence[Sequence[str]]) -> Grid:
        from nnlab.sweep.grid import Grid

        return Grid(configs, overrides, "never")

    def run(self, study: Grid) -> list[Any]:
        return study.run_in_processes(self.slots, self.threads)


def _returned(overrides: Sequence[str], result: Any) -> JobReturn:
    return JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED, _return_value=result)
