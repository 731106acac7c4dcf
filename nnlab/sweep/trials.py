"""Searches: the trials of `nnlab train -m hydra/sweeper=search`, checked before the first of them starts.

Floor 6 joins here what `nnlab.sweep.search` does not know: what a trial's config is, and how its runs are launched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.config.overrides import own_overrides
from nnlab.errors import UserError
from nnlab.sweep.search import Search, SearchSettings
from nnlab.sweep.search_space import Choice, Dimension, SearchPlan
from nnlab.sweep.search_storage import import_optuna, searching

log = logging.getLogger(__name__)

Config = Mapping[str, Any]
Compose = Callable[[Sequence[str]], Config]
Launch = Callable[[Sequence[Sequence[str]]], Sequence[Any]]  # overrides of every job -> their results, in order


def run_search(plan: SearchPlan, settings: SearchSettings, folder: Path, compose: Compose, launch: Launch) -> None:
    """Run trials until the search is complete, or something ends it.

    Args:
        plan: what may be chosen, and what is fixed.
        settings: how to search.
        folder: the study's.
        compose: the checked config for overrides.
        launch: trains jobs; an empty list means that nothing was to be started.

    Raises:
        UserError: a value is out of its range, Optuna is missing, or the study belongs to another search.
    """
    import_optuna()
    config = check_space(plan, compose)
    for key in ("zip", "grids"):
        if config["sweep"].get(key):
            raise UserError(f"`sweep.{key}` is for grids; a search chooses every value by itself")
    metric = metric_of(settings, config)
    same = own_overrides([*plan.fixed, *(line for each in plan.repetitions for line in each)])
    if config["sweep"]["dry_run"]:
        search = Search(plan.space, settings, None, metric, same)
        log.info(announcement(search, plan))
        launch(_jobs(plan, next(search.batches())))
        return
    with searching(folder):
        search = Search(plan.space, settings, folder, metric, same)
        log.info(announcement(search, plan))
        for trials in search.batches():
            results = launch(_jobs(plan, trials))
            runs = len(plan.repetitions)
            told = [search.tell(each, results[i * runs : (i + 1) * runs]) for i, each in enumerate(trials)]
            log.info(search.summary())
            if not all(told):
                break


def _jobs(plan: SearchPlan, trials: Sequence[Any]) -> list[list[str]]:
    return [[*plan.fixed, *trial.overrides, *own] for trial in trials for own in plan.repetitions]


def check_space(plan: SearchPlan, compose: Compose) -> Config:
    """Compose a trial for every listed value and both ends of every interval; returns the first of the configs.

    Raises:
        UserError: a value is wrong.
    """
    first = [_written(each)[0] for each in plan.space]
    found = compose([*plan.fixed, *first, *plan.repetitions[0]])
    for position, dimension in enumerate(plan.space):
        for line in _written(dimension)[1:]:
            compose([*plan.fixed, *first[:position], line, *first[position + 1 :], *plan.repetitions[0]])
    return found


def _written(dimension: Dimension) -> list[str]:
    """A dimension's values, or its two ends, as overrides."""
    values = dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)
    return [f"{dimension.key}={dimension.text(value)}" for value in values]


def metric_of(settings: SearchSettings, config: Config) -> str:
    """The metric to optimize, as `<metric>/<split>`."""
    if settings.metric is not None:
        return settings.metric if "/" in settings.metric else f"{settings.metric}/validation"
    from nnlab.config.build import build_loss, load_dataset

    dataset = load_dataset(config)
    metric = config["trainer"].get("metric") or build_loss(config, dataset).primary_metric(dataset.task)
    return f"{metric}/validation"


def announcement(search: Search, plan: SearchPlan) -> str:
    """What is searched, and how far the search is."""
    runs = f", each with {len(plan.repetitions)} runs" if len(plan.repetitions) > 1 else ""
    lines = [f"search for the best {search.metric}: {search.total} trials by {search.settings.sampler}{runs}"]
    lines += [f"  {each}" for each in plan.space]
    if search.done:
        lines.append(f"  {search.done} of them are done")
    return "\n".join(lines)
