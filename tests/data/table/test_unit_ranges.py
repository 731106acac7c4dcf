"""Other units are asked about from rows of the whole of a file, however long it is."""

import numpy as np
import polars
import pytest

import nnlab
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


@pytest.mark.slow
def test_arrays_data_frames_and_targets_are_asked_about_as_files_are(tmp_path, caplog):
    x = np.random.default_rng(0).standard_normal((200, 2)) + 5
    np.savez(tmp_path / "a.npz", x=x, y=x.sum(1))
    polars.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x.sum(1)}).write_csv(tmp_path / "t.csv")
    few = ["trainer.epochs=1", "callbacks=[checkpoint]", f"output_dir={tmp_path}/out", "data.references=[]"]
    arrays = nnlab.train(f"{tmp_path}/a.npz", "target=y", *few[:3]).directory
    table = nnlab.train(f"{tmp_path}/t.csv", "target=y", *few, "regularizer=[]").directory
    estimator = nnlab.Regressor(trainer__epochs=1).fit(x, x.sum(1))
    rows = x * [1, 1000]
    np.savez(tmp_path / "other.npz", x=x, y=x.sum(1) * 100)
    polars.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x.sum(1) * 100}).write_csv(tmp_path / "other.csv")
    for ask, said in (
        (lambda: nnlab.load(arrays).predict(rows), "column `1`: most numbers are near"),
        (lambda: nnlab.load(table).predict({"b": rows[:, 1], "a": rows[:, 0]}), "column `b`: most numbers are near"),
        (lambda: nnlab.load(table).predict(rows), "column `b`: most numbers are near"),
        (lambda: estimator.predict(rows), "column `1`: most numbers are near"),
        (lambda: nnlab.evaluate(arrays, data=tmp_path / "other.npz"), "the target `y`: most numbers are near"),
        (lambda: nnlab.evaluate(table, data=tmp_path / "other.csv"), "the target `y`: most numbers are near"),
    ):
        caplog.clear()
        ask()
        [line] = [each.getMessage() for each in caplog.records if "another unit?" in each.getMessage()]
        assert said in line
    caplog.clear()
    assert (nnlab.load(arrays).predict(x) < 1e3).all()
    estimator.predict(x)
    assert "another unit" not in caplog.text
