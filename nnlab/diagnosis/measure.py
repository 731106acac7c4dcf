"""From a trainer to the records of its members."""

from __future__ import annotations

from nnlab.diagnosis.record import RunRecord
from nnlab.training import Trainer


def records(trainer: Trainer) -> list[RunRecord]:
    """One record for each member, from what has been recorded so far and a few passes over the data."""
    raise NotImplementedError
