"""Search in ranges of hyper-parameters with Optuna (Akiba et al. 2019, arXiv:1907.10902), in batches of trials.

Trials that are asked for together run together, as one population where they stack. The study is kept in a journal in
the folder of its runs, so that the same command continues it. What trial number k tries follows from the seed, k, and
the results that were known when its batch began: a search that was interrupted continues as if it had not been.

samplers    tpe             tree-structured Parzen estimator (Bergstra et al. 2011): learns from the trials before
            random          uniform on each scale
            quasi_random    more even than chance: a Sobol sequence
            grid            every combination of listed values
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnlab.errors import UserError
from nnlab.metric_names import HIGHER_IS_BETTER
from nnlab.storage.files import at, make_folder
from nnlab.sweep.search_space import Choice, Dimension, lines, points, sobol_point
from nnlab.sweep.search_storage import JOURNAL, explained_storage, import_optuna, mend
from nnlab.validation import check, check_choice

SAMPLERS = ("tpe", "random", "quasi_random", "grid")
STUDY = "nnlab"  # the study's name inside its storage
TPE_BATCH = 10  # trials at a time, so that later ones can learn from earlier ones
DONE = ("COMPLETE", "PRUNED")


@dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Args:
        sampler: `tpe`, `random`, `quasi_random` or `grid`.
        n_trials: trials in all, also of earlier commands; None: 20, or all points of a grid. [1, inf)
        batch_size: trials that are asked for together; None: 10 for tpe, which learns between batches, else all.
        metric: what to optimize, such as `loss/validation`; None: the task's own, on the validation split.
        storage: None: a journal file in the study's folder; or another file, or a URL such as `sqlite:///file.db`.
        seed: of the sampler.
    """

    sampler: str = "tpe"
    n_trials: int | None = None
    batch_size: int | None = None
    metric: str | None = None
    storage: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("hydra.sweeper.sampler", self.sampler, SAMPLERS)
        for name in ("n_trials", "batch_size"):
            if getattr(self, name) is not None:
                check(f"hydra.sweeper.{name}", getattr(self, name), "[1, inf)")


@dataclass(frozen=True)
class Suggestion:
    """A point to try: its number in the study, and its overrides."""

    number: int
    overrides: list[str]


class Search:
    """A study in its storage.

    Args:
        space: what may be chosen.
        settings: how.
        folder: the study's, where the journal is; None keeps nothing.
        metric: what to optimize, as `<metric>/<split>`.
        fixed: overrides of all trials; they cannot change while the study goes on.

    Raises:
        UserError: Optuna is not installed, the storage cannot be used, or belongs to another search.
    """

    def __init__(
        self,
        space: Sequence[Dimension],
        settings: SearchSettings,
        folder: Path | None,
        metric: str,
        fixed: Sequence[str] = (),
    ) -> None:
        if not space:
            raise UserError("there is nothing to search; give ranges or lists of values, as in `KEY=interval(0.1,1)`")
        self.space, self.settings, self.metric = list(space), settings, metric
        self.optuna = import_optuna()
        self._points = list(points(space)) if settings.sampler == "grid" else []
        higher = metric.partition("/")[0] in HIGHER_IS_BETTER
        with explained_storage(settings.storage):
            self.study = self.optuna.create_study(
                storage=self._storage(folder),
                study_name=STUDY if folder is None or settings.storage is None else folder.name,
                direction="maximize" if higher else "minimize",
                load_if_exists=True,
            )
            self._check_same({"metric": metric, "fixed": sorted(fixed)})
        self._lost = self._unfinished()
        self._again = self._failed()

    def _storage(self, folder: Path | None) -> Any:
        place = self.settings.storage
        if folder is None:
            return None
        if place is not None and "://" in place:
            return place
        file = at(place) if place else folder / JOURNAL
        make_folder(file.parent)
        mend(file)
        journal = self.optuna.storages.journal
        return self.optuna.storages.JournalStorage(journal.JournalFileBackend(str(file)))

    def _check_same(self, content: Mapping[str, Any]) -> None:
        """Refuse to continue a study that was about something else."""
        space = {each.key: list(each.values) if isinstance(each, Choice) else "an interval" for each in self.space}
        now = {**content, "space": space}
        known = self.study.user_attrs.get("search")
        if known is None:
            self.study.set_user_attr("search", now)
        elif known != json.loads(json.dumps(now)):
            changed = "; ".join(
                f"{key}: {json.dumps(known.get(key))} -> {json.dumps(value)}"
                for key, value in now.items()
                if known.get(key) != json.loads(json.dumps(value))
            )
            raise UserError(f"the search in this folder was another one ({changed}); choose another `name`")

    @property
    def trials(self) -> list[Any]:
        """All trials that Optuna knows."""
        return list(self.study.get_trials(deepcopy=False))

    @property
    def total(self) -> int:
        """How many trials the search is to have."""
        if self.settings.sampler == "grid":
            return min(self.settings.n_trials or len(self._points), len(self._points))
        return self.settings.n_trials or 20

    @property
    def done(self) -> int:
        """How many trials have a result."""
        return sum(trial.state.name in DONE for trial in self.trials)

    @property
    def batch_size(self) -> int:
        """Trials to ask for together."""
        return self.settings.batch_size or (TPE_BATCH if self.settings.sampler == "tpe" else self.total)

    def batches(self) -> Iterator[list[Suggestion]]:
        """Batches until the search is complete; those that an earlier process left unfinished come first.

        Whoever takes a batch must `tell` its results before taking the next one.
        """
        while self._lost:
            batch, self._lost = self._lost[: self.batch_size], self._lost[self.batch_size :]
            yield batch
        left = self.total - self.done
        while left > 0:
            batch = [self._ask() for _ in range(min(left, self.batch_size))]
            left -= len(batch)  # failed ones are tried again by the next command, not by this one
            yield batch

    def _ask(self) -> Suggestion:
        known = self.trials
        number = len(known)
        if not any(trial.state.name == "WAITING" for trial in known):
            point = self._own_point(known)
            if point is not None:
                self.study.enqueue_trial(point)
        self.study.sampler = self._sampler(number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self.optuna.exceptions.ExperimentalWarning)
            trial = self.study.ask({each.key: each.distribution() for each in self.space})
        return Suggestion(trial.number, lines(self.space, trial.params))

    def _own_point(self, known: Sequence[Any]) -> dict[str, Any] | None:
        """The next point where we choose it: one that failed before, or the sampler's own."""
        if self._again:
            return self._again.pop(0)
        if self.settings.sampler == "grid":
            used = {tuple(trial.params.get(each.key) for each in self.space) for trial in known}
            free = (point for point in self._points if tuple(point.values()) not in used)
            return next(free, None)
        if self.settings.sampler == "quasi_random":
            return sobol_point(self.space, self.settings.seed, len(known))
        return None

    def _sampler(self, number: int) -> Any:
        """A sampler whose random numbers follow from the seed and the trial's number."""
        seed = (self.settings.seed * 1_000_003 + number) % 2**32
        if self.settings.sampler == "tpe":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", self.optuna.exceptions.ExperimentalWarning)
                return self.optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
        return self.optuna.samplers.RandomSampler(seed=seed)

    def _unfinished(self) -> list[Suggestion]:
        """Trials that were begun by a process that is no more."""
        running = [trial for trial in self.trials if trial.state.name == "RUNNING"]
        whole = [trial for trial in running if all(each.key in trial.params for each in self.space)]
        for trial in running:
            if trial not in whole:  # the process ended while it was being asked for
                self.study.tell(trial.number, state=self.optuna.trial.TrialState.FAIL)
        return [Suggestion(trial.number, lines(self.space, trial.params)) for trial in whole]

    def _failed(self) -> list[dict[str, Any]]:
        """Points whose trials have failed and were not tried again."""
        settled = [trial.params for trial in self.trials if trial.state.name != "FAIL"]
        failed = [t.params for t in self.trials if t.state.name == "FAIL" and len(t.params) == len(self.space)]
        return [params for i, params in enumerate(failed) if params not in settled and params not in failed[:i]]

    def tell(self, trial: Suggestion, results: Sequence[Any]) -> bool:
        """Tell the results of a trial's runs; False where they are not complete: an interrupted trial stays open.

        The value is the mean over the runs. A trial of which a run diverged counts as worse than any other; one of
        which a run was ended early counts with what it had reached.

        Args:
            trial: the trial.
            results: of its runs; each has `status`, `metrics` by split and name, `reason`, `steps`.
        """
        statuses = {each.status for each in results}
        states = self.optuna.trial.TrialState
        if not results or statuses & {"interrupted", "pending"}:
            return False
        values = [_value(each, self.metric) for each in results]
        known = [value for value in values if value is not None]
        if "failed" in statuses:
            self.study.tell(trial.number, state=states.FAIL)
        elif "diverged" in statuses or len(known) < len(values):
            self.study.tell(trial.number, state=states.PRUNED)
        else:
            mean = sum(known) / len(known)
            if any(str(each.reason).startswith("pruned") for each in results):
                frozen = next(each for each in self.trials if each.number == trial.number)
                self.optuna.trial.Trial(self.study, frozen._trial_id).report(mean, max(r.steps for r in results))
                self.study.tell(trial.number, state=states.PRUNED)
            else:
                self.study.tell(trial.number, mean)
        return True

    def summary(self) -> str:
        """How far the search is, in one line."""
        complete = [trial for trial in self.trials if trial.state.name == "COMPLETE"]
        line = f"search: {self.done} of {self.total} trials"
        if complete:
            best = self.study.best_trial
            line += f"; best {self.metric} {best.value:.4g} with {' '.join(lines(self.space, best.params))}"
        return line


def _value(result: Any, metric: str) -> float | None:
    """A finite metric of a run."""
    name, _, split = metric.partition("/")
    value = (result.metrics or {}).get(split, {}).get(name)
    return None if value is None or value != value or abs(value) == float("inf") else float(value)
