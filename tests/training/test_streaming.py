"""Minibatches from disk are those from memory, bit for bit, whatever trains on them (resumed: tests/resume)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import nnlab
from nnlab.cli import compose
from nnlab.config.build import load_dataset
from nnlab.data import Digits
from nnlab.data.preprocessing import PiecewiseLinear, Quantile, Robust
from nnlab.device import _left_by_shell
from nnlab.diagnosis.facts.levels import sample
from nnlab.streaming import Streamed, as_streamed, pieces
from nnlab.training.batches import Batches
from nnlab.training.evaluation import SPLITS
from nnlab.training.prefetch import Prefetch
from nnlab.types import Dataset, Split, Task

QUICK = ("callbacks=[]", "trainer.epochs=2")
CASES = {
    "compiled": (),
    "compiled, one block": ("trainer.validate_every=2",),
    "compiled, with masks": ("regularizer=dropout", "trainer.batch_size=50"),
    "full batch": ("trainer.batch_size=full",),
    "accumulated": ("trainer.accumulate=3", "trainer.batch_size=50"),
    "torch": ("trainer.engine=torch",),
    "float64": ("trainer.precision=float64", "trainer.engine=torch"),
    "augmented convnet": ("architecture=convnet", "data/augmentation=[shift]", "trainer.epochs=0.3"),
    "principal components": ("data/preprocessing=pca",),
    "population": ("regularizer=ensemble", "trainer.epochs=1"),
    "restored": ("trainer.on_nonfinite=restore", "optimizer.learning_rate=1e9", "optimizer=sgd"),
}


def history(folder: Path, *overrides: str) -> list[str]:
    """Losses, rates and metrics of all members."""
    nnlab.train("data=digits", f"output_dir={folder}", *QUICK, *overrides)
    return [path.read_text() for path in sorted(folder.glob("**/history.csv"))]


@pytest.mark.parametrize("overrides", CASES.values(), ids=CASES.keys())
def test_streamed_and_resident_training_have_the_same_bits(tmp_path, overrides):
    resident = history(tmp_path / "resident", "data.resident=true", *overrides)
    streamed = history(tmp_path / "streamed", "data.resident=false", *overrides)
    assert resident
    assert streamed == resident


def arrays(folder: Path) -> dict[str, Path]:
    """Vectors, images, split arrays and a table, 60 examples of two classes each."""
    draw = np.random.default_rng(0)
    x, images = draw.normal(size=(60, 5)), draw.integers(0, 255, (60, 7, 6, 3), dtype=np.uint8)
    y = (x[:, 0] > 0).astype(int)
    np.savez(folder / "vectors.npz", x=x.astype(np.float32), y=y)
    np.savez(folder / "images.npz", x=images, y=y)
    np.savez(folder / "split.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    np.save(folder / "rows.npy", np.column_stack([x, y]))
    rows = [f"{a:.3f},{('Rome', 'Oslo', '')[i % 3]},2024-01-{1 + i // 2:02},{y[i]}" for i, a in enumerate(x[:, 0])]
    (folder / "table.csv").write_text("\n".join(["a,city,day,y", *rows]))
    return {path.stem: path for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "overrides",
    [
        "data=blobs",
        *(f"data={name} loss=squared_error" for name in ("diabetes", "heteroscedastic")),
        *(f"data=arrays data.path={{{name}}}" for name in ("vectors", "images", "split", "rows")),
        *(f"data=table data.path={{table}} data.target=y data.{key}" for key in ("time=day", "groups=city")),
        "data=digits data/preprocessing=quantile",
        "data=digits data.folds=4 data.fold=1 data.limit=200 data.label_noise=0.2",
    ],
)
def test_every_kind_of_data_has_the_same_bits_from_disk(tmp_path, overrides):
    words = overrides.format(**arrays(tmp_path)).split()
    resident, streamed = (load_dataset(compose(*words, f"data.resident={kind}")) for kind in ("true", "false"))
    assert (resident.target_names, resident.fingerprint) == (streamed.target_names, streamed.fingerprint)
    for split in SPLITS:
        expected, found = getattr(resident, split), getattr(streamed, split)
        assert torch.equal(found.inputs[:], expected.inputs)
        assert torch.equal(found.targets, expected.targets)
        assert expected.inputs.is_contiguous()


def dataset(streamed: bool) -> Dataset:
    splits = [Split(torch.arange(3.0 * 20).reshape(20, 3), torch.arange(20) % 2) for _ in range(3)]
    if streamed:
        splits = [Split(as_streamed(split.inputs), split.targets) for split in splits]  # type: ignore[arg-type]
    return Dataset(*splits, Task.BINARY, ("no", "yes"))


@pytest.mark.parametrize("seeds", [(0,), (0, 0, 1, 1), (0, 1, 2)])
@pytest.mark.parametrize("shared", [True, False])
def test_any_streamed_minibatch_can_be_asked_for_at_any_time(seeds, shared):
    sets = [[dataset(streamed)] * len(seeds) if shared else [dataset(streamed) for _ in seeds] for streamed in (0, 1)]
    resident, streamed = (Batches(each, seeds, 8) for each in sets)
    for step in (0, 1, 2, 3, 7, 8, 2, 2, 100):
        for expected, found in zip(resident(step), streamed(step), strict=True):
            assert torch.equal(found, expected)
    for batches in (resident, streamed):
        batches.select([0])
    assert torch.equal(resident(4)[0], streamed(4)[0])


def test_an_error_while_fetching_is_raised_where_the_minibatch_is_asked_for():
    def fill(room: tuple[torch.Tensor, ...], index: torch.Tensor) -> None:
        raise OSError("the disk is gone")

    prefetch = Prefetch(lambda step: torch.tensor([[step]]), lambda index: (), fill, torch.device("cpu"))
    with pytest.raises(OSError, match="the disk is gone"):
        prefetch(0)


def test_what_is_not_to_be_on_the_device_is_streamed_to_it(tmp_path):
    resident = Digits(resident=True).load(0, tmp_path)
    streamed = Digits(resident=False).load(0, tmp_path)
    assert isinstance(streamed.train.inputs, Streamed)
    moved = streamed.to(torch.device("cpu"), torch.float64)
    expected = resident.to(torch.device("cpu"), torch.float64)
    assert torch.equal(moved.validation.inputs[:], expected.validation.inputs)
    assert torch.equal(moved.train.inputs[torch.tensor([5, 3])], expected.train.inputs[[5, 3]])
    assert torch.equal(moved.train.inputs.flatten(1)[-1], expected.train.inputs.flatten(1)[-1])


def test_limits_of_the_shell_count_as_memory(monkeypatch):
    import resource

    infinite = resource.RLIM_INFINITY
    limits = {resource.RLIMIT_AS: (1 << 50, infinite), resource.RLIMIT_DATA: (infinite, infinite)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    (left,) = _left_by_shell()
    assert (1 << 49) < left < (1 << 50)


def test_a_run_from_disk_is_diagnosed_and_looks_at_a_bounded_number_of_numbers(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("nnlab.diagnosis.facts.levels.SAMPLED", 64 * 200)
    monkeypatch.setattr("nnlab.diagnosis.facts.linear.SAMPLED", 64 * 200)
    more = ("trainer.epochs=1", "callbacks.diagnosis.probe=false")
    nnlab.train("data=digits", "data.resident=false", *more, f"output_dir={tmp_path}")
    assert "could not be" not in caplog.text
    assert sample(Digits(resident=False).load(0, tmp_path).train, 4096).inputs.shape == (200, 1, 8, 8)


@pytest.mark.parametrize("rule", [Robust(), Quantile(20), PiecewiseLinear(3)])
def test_quantiles_of_a_few_columns_at_a_time_are_those_of_all_at_once(rule, monkeypatch):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(50, 2, 3, 4, generator=draw).mul(3).round()
    expected = rule.fit(inputs).apply(inputs)
    passes = []
    monkeypatch.setattr("nnlab.streaming.FEW", 7 * 50)
    monkeypatch.setattr("nnlab.streaming.READ", 24 * 8)
    monkeypatch.setattr("nnlab.streaming.free_memory", lambda device: 0)
    monkeypatch.setattr("nnlab.streaming.pieces", lambda *given: passes.append(given) or pieces(*given))
    assert torch.equal(rule.fit(as_streamed(inputs)).apply(inputs), expected)
    assert len(passes) == 4


def test_quantiles_of_many_numbers_are_those_of_some_examples(monkeypatch):
    inputs = torch.arange(600.0).reshape(100, 6)
    monkeypatch.setattr("nnlab.streaming.MOST", 599)
    monkeypatch.setattr("nnlab.streaming.SAMPLED", 60)
    some = inputs[torch.linspace(0, 99, 10).long()]
    assert torch.equal(Robust().fit(as_streamed(inputs)).median, some.quantile(0.5, 0))
