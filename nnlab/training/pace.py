"""How many steps are taken together, so that a signal or a time limit is heard soon."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

LONGEST = 0.3  # seconds that a block of steps should take at most; each fetches and brings back what it changes


class Pace:
    """Finds the number of steps that fit into a third of a second; results do not depend on it.

    Attributes:
        steps: how many to take together next.
    """

    def __init__(self) -> None:
        self.steps = 1

    @contextlib.contextmanager
    def taking(self, count: int) -> Iterator[None]:
        """Steps are taken inside the block, at most `count`."""
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        fitting = int(count * LONGEST / max(seconds, 1e-9))
        if fitting < self.steps:
            self.steps = max(1, fitting)
        elif count == self.steps:
            self.steps = min(8 * self.steps, fitting)
