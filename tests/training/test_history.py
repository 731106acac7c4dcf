"""What a run has seen: the newest values, and the records of each member."""

from __future__ import annotations

import numpy as np

from nnlab.training.history import History, Record


def filled() -> History:
    history = History(2)
    history.record(1, 0, {"loss/validation": 0.5, "accuracy/validation": 0.7})
    history.record(1, 1, {"loss/validation": 0.4})
    history.record(2, 0, {"loss/validation": 0.3})
    return history


def test_the_newest_value_of_a_tag_is_that_of_its_last_record() -> None:
    history = filled()
    assert history.latest("loss/validation", 0) == 0.3
    assert history.latest("accuracy/validation", 0) == 0.7
    assert history.latest("accuracy/validation", 1) is None


def test_what_a_log_held_counts_as_recorded() -> None:
    history = History(1)
    history.load(0, np.zeros(3), np.zeros(3), filled().records_of([[0], [1]])[0])
    assert history.latest("loss/validation", 0) == 0.3
    assert [record.step for record in history.records] == [1, 2]


def test_groups_of_members_have_their_records_in_the_order_in_which_they_came() -> None:
    history = filled()
    assert [len(own) for own in history.records_of([[0], [1]])] == [2, 1]
    assert history.records_of([[0], [1]], 2) == [[Record.of(2, 0, {"loss/validation": 0.3})], []]
    assert history.records_of([[1, 0]]) == [history.records]
    assert history.records_of([]) == []
