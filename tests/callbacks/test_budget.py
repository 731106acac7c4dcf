"""Looking costs at most its share."""

from __future__ import annotations

import pytest

from nnlab.callbacks import budget as module
from nnlab.callbacks.budget import Budget
from nnlab.errors import UserError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("cost", [0.2, 3.0])
def test_the_time_spent_stays_within_the_share(monkeypatch: pytest.MonkeyPatch, share: float, cost: float) -> None:
    clock = Clock()
    monkeypatch.setattr(module.time, "perf_counter", clock)
    budget = Budget(share)
    budget.start()
    spent, looks = 0.0, 0
    for _ in range(1000):
        clock.now += 1.0
        if budget.allows():
            with budget.spending():
                clock.now += cost
            spent, looks = spent + cost, looks + 1
        # What the first look costs is not known beforehand.
        assert spent - cost <= share * clock.now + 1e-9
    assert looks >= min(1000, 0.8 * share * clock.now / cost)


def test_a_share_beyond_the_whole_is_refused() -> None:
    with pytest.raises(UserError, match="share"):
        Budget(1.5)
