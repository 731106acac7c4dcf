"""What became of one member of a population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["running", "completed", "diverged", "interrupted"]


@dataclass
class Outcome:
    """How the training of one member went so far.

    Attributes:
        status: `running` until it has ended.
        reason: one sentence where it ended early, or where steps were left out.
        ended_at: updates done when it ended.
        repairs: steps that were not taken because a number was not finite.
        ensemble: reports by split on an ensemble made of this member alone (snapshots).
    """

    status: Status = "running"
    reason: str = ""
    ended_at: int = 0
    repairs: int = 0
    ensemble: dict[str, Any] | None = None

    def end(self, status: Status, reason: str, step: int, repaired: str = "") -> None:
        """Note how training ended after `step` updates, and what was `repaired` on the way."""
        self.status, self.ended_at = status, step
        self.reason = "; ".join(filter(None, (reason, repaired)))
