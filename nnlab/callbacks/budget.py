"""How much of a run's time may go into looking at it: a share of the time that it has been training."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from nnlab.validation import check

FIRST = 0.02  # seconds


class Budget:
    """Keeps count of the time spent.

    Args:
        share: of the training time that may be spent; 1 always allows. [0, 1]
        first: seconds that a look is expected to take before there has been one.
    """

    def __init__(self, share: float, first: float = FIRST) -> None:
        self.share = check("share", share, "[0, 1]")
        self._first = first
        self.start()

    def start(self) -> None:
        """Training begins."""
        self._started = time.perf_counter()
        self._spent, self._last = 0.0, self._first

    def allows(self) -> bool:
        """Whether spending as much as the last time keeps within the share."""
        elapsed = time.perf_counter() - self._started
        return self.share == 1 or self._spent + self._last <= self.share * elapsed

    @contextlib.contextmanager
    def spending(self) -> Iterator[None]:
        """The time inside the block is spent."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            # A first, small look says little of the cost of the next.
            self._last = max(spent, 0.5 * self._last)
            self._spent += spent
