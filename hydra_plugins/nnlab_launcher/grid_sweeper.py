"""The sweeper `grid`: every combination of the values, except that zipped keys go through theirs side by side."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from nnlab.cli.expansion import concatenated
from nnlab.cli.messages import EXTRAS
from nnlab.cli.own_section import check_plugins
from nnlab.errors import UserError
from nnlab.storage.files import at

log = logging.getLogger(f"nnlab.{__name__}")  # where the console listens


class GridSweeper(Sweeper):  # type: ignore[misc]
    """Gives all jobs to the launcher at once.

    Args:
        params: values to sweep in every study, by key, as after `key=` on the command line, which has precedence.
    """

    def __init__(self, params: Mapping[str, str] | None = None) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives, and make the launcher.

        Raises:
            UserError: the launcher is not installed, or it or the sweeper does not take its values.
        """
        self.config, self.task_function = config, task_function
        self.loader = hydra_context.config_loader
        check_installed(config)
        check_plugins(config)
        keep_ray_private(config)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid.

        Raises:
            UserError: a value cannot be swept, keys cannot be zipped, `sweep` is no section, or a job's config is
                wrong.
        """
        given = {each.partition("=")[0] for each in arguments}
        lines = [f"{key}={value}" for key, value in (self.params or {}).items() if key not in given] + list(arguments)
        section = OmegaConf.select(self.config, "sweep")
        if not (section is None or OmegaConf.is_dict(section)):
            raise UserError(f"`sweep` is a section (`nnlab train --help` shows its keys), got {section!r}")
        grids, zipped = (_listed(section, key) for key in ("grids", "zip"))
        jobs = concatenated(lines, grids, zipped)
        if not self._is_ours() and self._announced(jobs, section):
            return []
        results = self._launched(jobs)
        if not self._is_ours() and len(jobs) > 1 and getattr(self.task_function, "trains", False):
            from nnlab.study.write import conclude

            conclude(at(self.config.hydra.sweep.dir))
        return [results]

    def _launched(self, jobs: Sequence[Sequence[str]]) -> Any:
        if self._is_ours():
            return self.launcher.launch(jobs, initial_job_idx=0)
        try:
            return self.launcher.launch(jobs, initial_job_idx=0)
        except (ValueError, TypeError) as error:  # of its own settings; what a job raises is in what it returns
            name = type(self.launcher).__name__
            raise UserError(f"`hydra.launcher`: {name} does not take these values: {error}") from error

    def _is_ours(self) -> bool:
        return type(self.launcher).__module__.startswith("hydra_plugins.nnlab_launcher")

    def _announced(self, jobs: Sequence[Sequence[str]], section: Any) -> bool:
        """Check all jobs of another launcher before the first starts; whether that is all that was asked for."""
        from nnlab.cli.templates import Jobs

        composer = Jobs(self.loader, self.config)
        for job in jobs:
            composer.compose(job)
        launcher = str(self.config.hydra.launcher._target_).rpartition(".")[2]
        log.info(f"{len(jobs)} jobs, one by one through {launcher}")
        dry = section is not None and bool(section.get("dry_run"))
        if dry:
            log.info("`sweep.dry_run=true`: nothing was started")
        return dry


def _listed(section: Any, key: str) -> list[Any]:
    """A list in the section `sweep`; empty where there is none."""
    found = OmegaConf.select(section, key) if section is not None else None
    return OmegaConf.to_container(found, resolve=True) if OmegaConf.is_list(found) else [found] if found else []


def check_installed(config: DictConfig) -> None:
    """Refuse a launcher whose package is missing.

    Raises:
        UserError: says how to install it.
    """
    if config.hydra.launcher._target_ in Plugins.instance().class_name_to_class:
        return
    option = str(config.hydra.runtime.choices.get("hydra/launcher"))
    if option in EXTRAS:
        raise UserError(
            f"`hydra/launcher={option}` is not installed; `pip install 'nnlab[{EXTRAS[option]}]'` installs it"
        )
    raise UserError(f"`hydra/launcher={option}` names `{config.hydra.launcher._target_}`, which is no launcher")


def keep_ray_private(config: DictConfig) -> None:
    """Before Ray is imported: no reports of usage to its makers, and a Ray of one's own listens on loopback alone.

    It would open unprotected ports on every interface. The second variable says that no other machine will join.
    """
    address = OmegaConf.select(config, "hydra.launcher.ray.init.address")
    if address is not None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if str(address).partition(":")[0] in ("local", "localhost", "127.0.0.1"):
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
