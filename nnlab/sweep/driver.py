"""The driver of a study: claims jobs, trains them in groups, survives what fails, and never trains a job twice.

for each chunk of jobs that can be trained together:
    claim        what another process holds is set aside
    look         what has finished meanwhile is taken as it is
    train        out of memory: in halves; another failure: one by one; a single job: by the policy
    record       the result is in the run directory, the table follows
then wait for what other processes hold, and train what they leave behind
"""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnlab.console import counted
from nnlab.device import out_of_memory
from nnlab.errors import UserError
from nnlab.storage.claim import try_claim
from nnlab.storage.files import make_folder
from nnlab.storage.folder import remove_result, write_result
from nnlab.sweep.job import PENDING, Job, Outcome, finished
from nnlab.validation import check, check_choice

log = logging.getLogger(__name__)

POLL = 0.2  # seconds between two looks at a job that another process holds
LAST_LINES = 6  # of a failure that are shown

Train = Callable[[Sequence[Job]], Sequence[Outcome]]


class JobFailed(Exception):
    """A job's process failed; the text is the last that it said."""


@dataclass(frozen=True)
class Policy:
    """What follows from a failure.

    Args:
        on_failure: `continue` with the other jobs, `stop` after the first failure, or `retry` a job before going on.
        retries: how many times a failed job is tried again, for `retry`. [1, inf)
    """

    on_failure: str = "continue"
    retries: int = 1

    def __post_init__(self) -> None:
        check_choice("sweep.on_failure", self.on_failure, ("continue", "stop", "retry"))
        check("sweep.retries", self.retries, "[1, inf)")
        if self.retries != Policy.retries and self.on_failure != "retry":
            raise UserError("`sweep.retries` has no effect without `sweep.on_failure=retry`")

    @property
    def attempts(self) -> int:
        """How many times a job is tried in all."""
        return 1 + self.retries if self.on_failure == "retry" else 1


class Driver:
    """Trains jobs, in chunks that it is given.

    Args:
        train: trains jobs that it may stack, from their checkpoints if they have any, and writes their results.
        policy: what follows from a failure.
        record: called with jobs and their outcomes, when they are known.
        say: shows a line.

    Attributes:
        outcomes: of the jobs that have one.
        stopped: whether a failure or a signal ended the study early.
    """

    def __init__(
        self,
        train: Train,
        policy: Policy,
        record: Callable[[Mapping[Job, Outcome]], None] = lambda outcomes: None,
        say: Callable[[str], None] = log.info,
    ) -> None:
        self.train, self.policy, self.record, self.say = train, policy, record, say
        self.outcomes: dict[Job, Outcome] = {}
        self.stopped = False
        self.elsewhere: list[Job] = []

    def run(self, chunks: Iterable[Sequence[Job]]) -> None:
        """Train all chunks, then what other processes held."""
        for chunk in chunks:
            if self.stopped:
                return
            self.run_chunk(chunk)
        self.run_elsewhere()

    def run_chunk(self, jobs: Sequence[Job]) -> None:
        """Claim and train the jobs of one chunk that are free and unfinished."""
        with contextlib.ExitStack() as stack:
            mine = [job for job in jobs if self._take(job, stack)]
            self._together(mine)

    def run_elsewhere(self) -> None:
        """Wait for the jobs that other processes hold; those that they left unfinished are trained here."""
        waiting, self.elsewhere = self.elsewhere, []
        if waiting and not self.stopped:
            self.say(f"waiting for {counted(len(waiting), 'job')} in the hands of another process")
        while waiting and not self.stopped:
            with contextlib.ExitStack() as stack:
                free = [job for job in waiting if self._take(job, stack)]
                waiting, self.elsewhere = self.elsewhere, []
                for job in free:
                    if not self.stopped:
                        self._together([job])
            if waiting:
                time.sleep(POLL)

    def _take(self, job: Job, stack: contextlib.ExitStack) -> bool:
        """Claim a job; False where another process holds it."""
        make_folder(job.directory)
        claim = try_claim(job.directory)
        if claim is None:
            self.elsewhere.append(job)
            return False
        job.claim = claim
        stack.callback(_release, job)
        return True

    def _together(self, jobs: Sequence[Job]) -> None:
        """Train jobs whose directories are claimed, as far as they have not finished."""
        rest = []
        for job in jobs:
            outcome = finished(job)
            if outcome is not None:
                self._settle({job: outcome})
            else:
                remove_result(job.directory)  # of an attempt that failed
                rest.append(job)
        if len(rest) == 1:
            self._alone(rest[0])
        elif rest:
            self._population(rest)

    def _population(self, jobs: list[Job]) -> None:
        try:
            outcomes = self.train(jobs)
        except Exception as error:
            if out_of_memory(error):
                half = len(jobs) // 2
                self.say(f"out of memory with {len(jobs)} jobs together; going on with {half} at a time")
                parts = [jobs[:half], jobs[half:]]
            else:
                self.say(f"{len(jobs)} jobs failed together ({last_line(error)}); going on one by one")
                parts = [[job] for job in jobs]
            del error
        else:
            self._settle(dict(zip(jobs, outcomes, strict=True)))
            return
        for part in parts:
            if not self.stopped:
                self._together(part)

    def _alone(self, job: Job) -> None:
        """Train one job, again where the policy says so."""
        for attempt in range(1, self.policy.attempts + 1):
            try:
                [outcome] = self.train([job])
            except Exception as error:
                lines = _lines(error)
                again = attempt < self.policy.attempts and not isinstance(error, UserError)
                self.say("\n".join([f"FAILED {job.directory}", *(f"  | {line}" for line in lines[-LAST_LINES:])]))
                if again:
                    self.say(f"trying {job.name} again ({attempt} of {self.policy.retries})")
                    continue
                self._settle({job: failure(job, lines)})
                self.stopped = self.stopped or self.policy.on_failure == "stop"
            else:
                self._settle({job: outcome})
            return

    def _settle(self, outcomes: Mapping[Job, Outcome]) -> None:
        """Keep what became of jobs; a signal ends the study."""
        self.outcomes |= outcomes
        if any(outcome.status == "interrupted" or outcome.signals for outcome in outcomes.values()):
            self.stopped = True
        self.record(outcomes)

    def outcome(self, job: Job) -> Outcome:
        """What became of a job; `pending` where the study ended before it."""
        return self.outcomes.get(job) or Outcome(dict(PENDING))


def _release(job: Job) -> None:
    if job.claim is not None:
        job.claim.close()
        job.claim = None


def failure(job: Job, lines: Sequence[str]) -> Outcome:
    """Write that a job has failed, with the last lines of what it said."""
    result: dict[str, Any] = {
        "status": "failed",
        "metrics": {},
        "best_step": 0,
        "steps": 0,
        "seconds": 0.0,
        "reason": lines[-1] if lines else "",
        "identity": job.identity,
        "diagnosis": [],
        "error": list(lines[-40:]),
    }
    write_result(job.directory, result)
    return Outcome(result)


def _lines(error: BaseException) -> list[str]:
    """A user's mistake is its sentence; a process's failure its last lines; anything else a traceback."""
    if isinstance(error, UserError | JobFailed):
        return str(error).splitlines()
    return "".join(traceback.format_exception(error)).splitlines()


def last_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    lines = _lines(error)
    return lines[-1] if lines else type(error).__name__
