"""Other units are asked about from rows of the whole of a file, however long it is."""

import numpy as np
import pytest

from nnlab.data.table import ranges
from nnlab.data.table.column import as_frame


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_a_sample_holds_rows_at_equal_distances_whatever_the_pieces(monkeypatch, size):
    monkeypatch.setattr(ranges, "MOST", 100)
    sample = ranges.Sample({"a": (0.0, 5.0, 9.0), "b": ()})
    values = np.arange(5000.0)
    for start in range(0, len(values), size):
        cells = values[start : start + size]
        sample.add(as_frame({"a": [f"{cell:g}" for cell in cells] if size == 7 else cells, "b": cells}))
    assert sample._kept[:, 0].tolist() == list(range(0, 5000, 64))


def test_a_sorted_file_is_not_judged_by_its_start():
    known = ranges.range_of(np.arange(1000.0))
    sample = ranges.Sample({"a": known})
    for start in range(0, 200_000, 10_000):
        sample.add(as_frame({"a": np.full(10_000, 5e5 if start < 80_000 else 500.0)}))
    assert not list(sample.doubts())
    for _ in range(20):
        sample.add(as_frame({"a": np.full(10_000, 5e5)}))
    assert list(sample.doubts()) == []
    for _ in range(40):
        sample.add(as_frame({"a": np.full(10_000, 5e5)}))
    assert list(sample.doubts()) == [
        "column `a`: most numbers are near 500000, and near 500 in training: another unit?"
    ]
