"""The sweeper `search`: trials in ranges, chosen by Optuna, in batches that the launcher runs together."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SearchSweeper(Sweeper):  # type: ignore[misc]
    """Asks for trials and tells their results.

    Args:
        sampler, n_trials, batch_size, metric, storage, seed: see `nnlab.sweep.search.SearchSettings`.
    """

    def __init__(
        self,
        sampler: str = "tpe",
        n_trials: int | None = None,
        batch_size: int | None = None,
        metric: str | None = None,
        storage: str | None = None,
        seed: int = 0,
    ) -> None:
        self.settings = (sampler, n_trials, batch_size, metric, storage, seed)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives, and make the launcher.

        Raises:
            UserError: the launcher is not installed, or it or the sweeper does not take its values.
        """
        from hydra_plugins.nnlab_launcher.grid_sweeper import check_installed, check_plugins, keep_ray_private

        self.config, self.loader = config, hydra_context.config_loader
        check_installed(config)
        check_plugins(config)
        keep_ray_private(config)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the search until it has its trials.

        Raises:
            UserError: a range or a setting is wrong, Optuna is missing, or the study belongs to another search.
        """
        from nnlab.cli.ranges import search_plan
        from nnlab.cli.templates import Jobs
        from nnlab.storage.files import at
        from nnlab.sweep.search import SearchSettings
        from nnlab.sweep.trials import run_search

        settings = SearchSettings(*self.settings)
        composer = Jobs(self.loader, self.config)
        batches: list[Any] = []

        def launch(jobs: Sequence[Sequence[str]]) -> list[Any]:
            returned = self.launcher.launch(jobs, initial_job_idx=sum(map(len, batches)))
            batches.append(returned)
            return [_result(each) for each in returned]

        run_search(search_plan(arguments), settings, at(self.config.hydra.sweep.dir), composer.compose, launch)
        return batches


def _result(returned: Any) -> Any:
    """The result of a job; the launchers of others give an exception where it failed."""
    if returned.status == JobStatus.FAILED:
        return SimpleNamespace(status="failed", metrics={}, reason="", steps=0)
    return returned.return_value
