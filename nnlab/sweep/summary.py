"""`summary.csv` and `study.json`: what every run of a study came to, rewritten whole as jobs finish.

The table is made from what the run directories hold, so that it is true whoever trained them. It is written
as jobs end, as long as that takes less than a twentieth of the time, and in any case at the end.
"""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.config.overrides import key_of, own_overrides
from nnlab.errors import UserError
from nnlab.storage.claim import locked
from nnlab.storage.directories import is_run
from nnlab.storage.files import make_folder, remove_parts, write_whole
from nnlab.storage.folder import OVERRIDES, read_overrides, read_result
from nnlab.storage.spreadsheet import safe
from nnlab.sweep.job import FINISHED, PENDING, Job, Outcome

LOCK = ".summary.lock"
SHARE = 0.05  # of the time that writing the table may take
NUMBERS = ("best_step", "steps", "seconds", "reason")


class Summary:
    """The table of one study folder.

    Args:
        folder: the study, `<output_dir>/<name>`.
        jobs: the jobs of the present command that belong to it.
    """

    def __init__(self, folder: Path, jobs: Sequence[Job]) -> None:
        self.folder = folder
        self.jobs = {job.name: job for job in jobs}
        self._overrides = {job.name: own_overrides(job.overrides) for job in jobs}
        self._final: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._written, self._cost = 0.0, 0.0

    def add(self, outcomes: Mapping[Job, Outcome]) -> None:
        """Take up what became of jobs; the table follows when it is due, after the last ones at the end."""
        self._final |= {job.name: outcome.result for job, outcome in outcomes.items() if outcome.status != "pending"}
        due = self._written + self._cost / SHARE
        if time.monotonic() >= due and not self.jobs.keys() <= self._final.keys():
            self.write()

    def write(self) -> None:
        """Write both files now."""
        make_folder(self.folder)
        remove_parts(self.folder, seconds=60.0)
        with self._lock, locked(self.folder / LOCK):  # whoever writes last has seen what all others have done
            started = time.monotonic()
            self._find_others()
            results = {name: self._result(name) for name in self._overrides}
            write_whole(self.folder / "summary.csv", _table(self._overrides, results))
            content = {
                "counts": dict(Counter(result["status"] for result in results.values())),
                "axes": axes(self._overrides.values()),
                "jobs": {name: result["status"] for name, result in results.items()},
            }
            write_whole(self.folder / "study.json", json.dumps(content, indent=2) + "\n")
            self._written = time.monotonic()
            self._cost = self._written - started

    def _find_others(self) -> None:
        """Take up the runs that other commands have added to the study."""
        for directory in sorted(file.parent for file in self.folder.glob(f"*/{OVERRIDES}")):
            if directory.name not in self._overrides:
                self._overrides[directory.name] = own_overrides(read_overrides(directory) or ())

    def _result(self, name: str) -> dict[str, Any]:
        """What a run came to, as far as it has; only what cannot change any more is kept."""
        if name in self._final:
            return self._final[name]
        try:
            result = read_result(self.folder / name)
        except UserError:
            result = None
        if result is None:
            started = is_run(self.folder / name)
            return {**PENDING, "status": "interrupted"} if started and name not in self.jobs else PENDING
        if result.get("status") in FINISHED:
            self._final[name] = result
        return result


def axes(overrides: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    """The keys that differ among the runs, with their values in the order in which they came.

    >>> axes([["a=1", "b=2"], ["a=3", "b=2"]])
    {'a': ['1', '3']}
    """
    values: dict[str, dict[str, None]] = {}
    for own in overrides:
        for each in own:
            values.setdefault(key_of(each), {})[each.partition("=")[2]] = None
    return {key: list(found) for key, found in values.items() if len(found) > 1}


def _table(overrides: Mapping[str, Sequence[str]], results: Mapping[str, Mapping[str, Any]]) -> str:
    """The table as CSV: run, status, overrides, metrics as `<metric>/<split>`, and how long it took."""
    keys = list(dict.fromkeys(key_of(each) for own in overrides.values() for each in own))
    metrics: dict[str, None] = {}
    for result in results.values():
        for split, values in (result.get("metrics") or {}).items():
            metrics.update((f"{name}/{split}", None) for name in values)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(safe, ["run", "status", *keys, *metrics, *NUMBERS]))
    for name, own in overrides.items():
        result = results[name]
        values = {key_of(each): each.partition("=")[2] for each in own}
        measured = {
            f"{metric}/{split}": number
            for split, group in (result.get("metrics") or {}).items()
            for metric, number in group.items()
        }
        row = [name, result["status"], *(values.get(key, "") for key in keys), *(measured.get(m, "") for m in metrics)]
        writer.writerow(map(safe, [*row, *(result.get(column, "") for column in NUMBERS)]))
    return file.getvalue()
