"""What a training run has seen: losses of every step, and the sparse scalars of validations and statistics."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BLOCK = 256  # steps whose losses wait on the device before they are fetched together


@dataclass(frozen=True, slots=True)
class Record:
    """Scalars of one member after `step` updates: their tags, such as `loss/validation`, and their numbers.

    A large population has tens of thousands of records, so its tags are shared, and numbers lie side by side.
    """

    step: int
    member: int
    tags: tuple[str, ...]
    numbers: array[float]

    @classmethod
    def of(cls, step: int, member: int, values: Mapping[str, float]) -> Record:
        """The record of scalars by tag."""
        return cls(step, member, tuple(values), array("d", values.values()))

    @property
    def values(self) -> dict[str, float]:
        """The scalars by tag."""
        return dict(zip(self.tags, self.numbers, strict=True))


class History:
    """Losses and learning rates of every step, and records, of M members.

    Losses stay on the device until `flush`, so that training never waits for the device.

    Attributes:
        losses: (steps, M) float64, the mean loss of the minibatch of step 0, 1, ...; NaN where a member had ended.
        rates: (steps, M) float64, the learning rates of those steps.
        records: in the order in which they came.
    """

    def __init__(self, members: int) -> None:
        self.members = members
        self._losses = np.empty((0, members))
        self._rates = np.empty((0, members))
        self._count = 0
        self._pending: list[Tensor] = []
        self._pending_rates: list[Tensor] = []
        self._waiting = 0
        self._columns: list[int] = list(range(members))
        self.records: list[Record] = []
        self._tags: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._latest: list[dict[tuple[str, ...], Record]] = [{} for _ in range(members)]  # of all tags, the newest last

    @property
    def losses(self) -> np.ndarray:
        return self._losses[: self._count]

    @property
    def rates(self) -> np.ndarray:
        return self._rates[: self._count]

    def add(self, losses: Tensor, rates: Tensor) -> None:
        """Append steps: losses (steps, m) of the members still in the stack, and rates (steps, 1) or (steps, m)."""
        self._pending.append(losses)
        self._pending_rates.append(rates)
        self._waiting += len(losses)
        if self._waiting >= BLOCK:
            self.flush()

    def record(self, step: int, member: int, values: Mapping[str, float]) -> None:
        """Append sparse scalars."""
        self.record_numbers(step, member, tuple(values), array("d", values.values()))

    def record_numbers(self, step: int, member: int, tags: tuple[str, ...], numbers: array[float]) -> None:
        """Append sparse scalars as a `Record` has them."""
        record = Record(step, member, self._tags.setdefault(tags, tags), numbers)
        self.records.append(record)
        latest = self._latest[member]
        latest.pop(record.tags, None)
        latest[record.tags] = record

    def records_of(self, groups: Sequence[Sequence[int]], first: int = 0) -> list[list[Record]]:
        """The records from position `first` on of each group of members, in the order in which they came."""
        found: list[list[Record]] = [[] for _ in groups]
        place = {member: own for members, own in zip(groups, found, strict=True) for member in members}
        for record in self.records[first:]:
            if record.member in place:
                place[record.member].append(record)
        return found

    def flush(self) -> None:
        """Fetch what waits on the device."""
        if not self._pending:
            return
        losses = torch.cat(self._pending).to("cpu", torch.float64).numpy()
        rates = [block.numpy() for block in self._pending_rates]
        self._append(losses, np.concatenate([np.broadcast_to(rate, (len(rate), losses.shape[1])) for rate in rates]))
        self._pending, self._pending_rates, self._waiting = [], [], 0

    def _append(self, losses: np.ndarray, rates: np.ndarray) -> None:
        end = self._count + len(losses)
        if end > len(self._losses):
            capacity = max(end, 2 * len(self._losses))
            self._losses, self._rates = self._grown(self._losses, capacity), self._grown(self._rates, capacity)
        for kept, block in ((self._losses, losses), (self._rates, rates)):
            if len(self._columns) < self.members:
                kept[self._count : end] = np.nan
            kept[self._count : end, self._columns] = block
        self._count = end

    def _grown(self, kept: np.ndarray, capacity: int) -> np.ndarray:
        """The steps so far in an array with room for more, which takes no memory before it is written."""
        grown = np.empty((capacity, self.members))
        grown[: self._count] = kept[: self._count]
        return grown

    def forget(self, member: int, step: int) -> None:
        """Leave out the steps of a member from `step` = 0, 1, ... on, which it has not taken."""
        self.flush()
        self._losses[step : self._count, member] = self._rates[step : self._count, member] = np.nan
        while self._count > step and np.isnan(self._rates[self._count - 1]).all():
            self._count -= 1

    def select(self, columns: Sequence[int]) -> None:
        """From now on only the members `columns` are in the stack."""
        self.flush()
        self._columns = list(columns)

    def latest(self, tag: str, member: int) -> float | None:
        """The newest value of `tag` for a member."""
        newest = (record for record in reversed(self._latest[member].values()) if tag in record.tags)
        return next((record.numbers[record.tags.index(tag)] for record in newest), None)

    def series(self, tag: str, member: int) -> tuple[list[int], list[float]]:
        """Steps and values of `tag` for a member."""
        rows = [(r.step, r.numbers[r.tags.index(tag)]) for r in self.records if r.member == member and tag in r.tags]
        return [step for step, _ in rows], [value for _, value in rows]

    def load(self, member: int, losses: np.ndarray, rates: np.ndarray, records: Sequence[Record]) -> None:
        """Take up what a member's log file holds, when a run continues."""
        steps = len(losses)
        if steps > self._count:
            self._append(
                np.full((steps - self._count, len(self._columns)), np.nan),
                np.full((steps - self._count, len(self._columns)), np.nan),
            )
        self._losses[:steps, member] = losses
        self._rates[:steps, member] = rates
        for record in records:
            self.record_numbers(record.step, record.member, record.tags, record.numbers)
