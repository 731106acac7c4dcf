"""A job of a study: what it is to compute, where, and what has become of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnlab.errors import UserError
from nnlab.storage.claim import Claim
from nnlab.storage.directories import foreign_file, is_run
from nnlab.storage.folder import read_result

FINISHED = ("completed", "diverged")  # divergence is a result


@dataclass(eq=False)
class Job:
    """One point of a grid or of a search.

    Attributes:
        overrides: all that led to its config, as they were written.
        config: the config; a sweep hands it on without looking into it.
        directory: its run directory.
        identity: hash of what it computes.
        key: jobs with equal keys can be trained as one population; None: it runs alone.
        why_alone: the reason, where `key` is None.
        data: jobs with equal ones share their data set.
        claim: the claim on the directory, while this process holds it.
    """

    overrides: Sequence[str]
    config: Mapping[str, Any]
    directory: Path
    identity: str
    key: str | None = None
    why_alone: str = ""
    data: str = ""
    claim: Claim | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The name of its run."""
        return self.directory.name


@dataclass
class Outcome:
    """What became of a job.

    Attributes:
        result: the content of its `result.json`, with at least `status`; a job that was not run has `pending`.
        signals: the signals that interrupted it.
        skipped: whether it had finished before.
    """

    result: dict[str, Any]
    signals: Sequence[int] = ()
    skipped: bool = False

    @property
    def status(self) -> str:
        """`completed`, `diverged`, `failed`, `interrupted` or `pending`."""
        return str(self.result["status"])


PENDING = {"status": "pending", "metrics": {}, "reason": ""}


def finished(job: Job) -> Outcome | None:
    """The outcome that the job's directory holds, if the job has finished; a failed one has not."""
    result = read_result(job.directory)
    if result is None or result.get("status") not in FINISHED:
        return None
    return Outcome(result, skipped=True)


def condition(job: Job) -> str:
    """What the job's directory says: `new`, `interrupted`, `failed`, `completed` or `diverged`."""
    result = read_result(job.directory)
    if result is not None:
        return str(result["status"])
    return "interrupted" if is_run(job.directory) else "new"


def check_directory(job: Job) -> None:
    """Refuse a directory of the job's name that something else is in.

    Raises:
        UserError: it is no run directory.
    """
    strange = foreign_file(job.directory)
    if strange is not None:
        raise UserError(f"`{job.directory}` is in the way: it is no run directory (it holds `{strange}`)")
