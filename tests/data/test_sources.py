"""What every data set promises, and what the shared options do."""

import dataclasses
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from nnlab.data import XOR, Blobs, BreastCancer, Diabetes, Digits, Heteroscedastic, Moons, Raw, Source, Spirals
from nnlab.data.augmentation import Flip, GaussianNoise, Shift
from nnlab.data.preprocessing import PCA, NoPreprocessing, Standardize
from nnlab.errors import UserError
from nnlab.types import Task

NOWHERE = Path("no such folder")
OFFLINE = (Digits, BreastCancer, Diabetes, XOR, Moons, Spirals, Blobs, Heteroscedastic)
EVERY = pytest.mark.parametrize("kind", OFFLINE, ids=lambda kind: kind.__name__)


@dataclasses.dataclass(kw_only=True)
class Fixed(Source):
    """A data set made of given examples."""

    raw: Raw

    def read(self, seed: int, root: Path) -> Raw:
        return self.raw


def fixed(inputs=None, targets=None, task=Task.MULTICLASS, names=("a", "b", "c"), own=None, **options):
    inputs = torch.arange(60.0).reshape(30, 2) if inputs is None else inputs
    targets = torch.arange(len(inputs)) % 3 if targets is None else targets
    return Fixed(raw=Raw(inputs, targets, task, names, "a file", own), **options)


def regression(**options):
    targets = torch.arange(60, dtype=torch.float64).reshape(30, 2) * torch.tensor([1.0, 10.0])
    return fixed(targets=targets, task=Task.REGRESSION, names=("u", "v"), **options)


@EVERY
def test_every_data_set_keeps_the_contract(kind):
    data = kind().load(0, NOWHERE)
    for split in (data.train, data.validation, data.test):
        assert len(split) == len(split.targets) > 0
        assert split.inputs.dtype == torch.float32
        assert split.inputs.shape[1:] == data.input_shape
        assert torch.isfinite(split.inputs).all()
        if data.task is Task.REGRESSION:
            assert split.targets.dtype == torch.float32
            assert split.targets.shape[1:] == (data.target_size,)
        else:
            assert split.targets.dtype == torch.int64
            assert split.targets.ndim == 1
            assert set(split.targets.tolist()) == set(range(data.target_size))
    assert (data.task is Task.BINARY) <= (data.target_size == 2)
    assert (data.units is not None) == (data.task is Task.REGRESSION)


@EVERY
def test_the_seed_decides(kind):
    first, again, other = (kind().load(seed, NOWHERE) for seed in (0, 0, 1))
    for name in ("train", "validation", "test"):
        assert torch.equal(getattr(first, name).inputs, getattr(again, name).inputs)
        assert torch.equal(getattr(first, name).targets, getattr(again, name).targets)
    if kind is not XOR:  # without noise, xor has nothing to draw
        assert not torch.equal(first.train.inputs, other.train.inputs)


@EVERY
def test_training_inputs_are_standardized_by_default(kind):
    inputs = kind().load(0, NOWHERE).train.inputs.double()
    axes = (0, 2, 3) if inputs.ndim == 4 else (0,)
    assert inputs.mean(axes).abs().max() < 1e-5
    assert inputs.std(axes, correction=0) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "loader"), [(Digits, "load_digits"), (BreastCancer, "load_breast_cancer"), (Diabetes, "load_diabetes")]
)
def test_bundled_data_are_those_of_scikit_learn(kind, loader):
    import sklearn.datasets

    options = {"scaled": False} if kind is Diabetes else {}
    inputs, targets = getattr(sklearn.datasets, loader)(return_X_y=True, **options)
    raw = kind().read(0, NOWHERE)
    np.testing.assert_allclose(raw.inputs.flatten(1).numpy() * (16 if kind is Digits else 1), inputs, rtol=1e-7)
    np.testing.assert_array_equal(raw.targets.flatten().numpy(), targets)


def test_digits_load_fast_without_scikit_learn_and_torchvision():
    script = """
        import sys, time
        from pathlib import Path
        import nnlab.data
        seconds = []
        for _ in range(3):  # the best of them in processor time, because the machine may be busy with other tests
            start = time.process_time()
            nnlab.data.Digits().load(0, Path("."))
            seconds.append(time.process_time() - start)
        heavy = {"sklearn", "torchvision", "matplotlib", "PIL", "rich"}
        print(min(seconds), *(heavy & set(sys.modules)))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads that wait for each other count as busy
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds, *imported = result.stdout.split()
    assert float(seconds) < 0.1
    assert imported == []


def test_preprocessing_is_fitted_on_the_training_split_only():
    source = fixed(preprocessing=NoPreprocessing())
    plain, standardized = (
        source.load(0, NOWHERE),
        dataclasses.replace(source, preprocessing=Standardize()).load(0, NOWHERE),
    )
    mean, std = plain.train.inputs.mean(0), plain.train.inputs.std(0, correction=0)
    for name in ("train", "validation", "test"):
        expected = (getattr(plain, name).inputs - mean) / std
        assert torch.allclose(getattr(standardized, name).inputs, expected, atol=1e-5)


def test_bytes_become_numbers_from_0_to_1():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8)[:, None, None, None].expand(3, 1, 2, 2).repeat(10, 1, 1, 1)
    data = fixed(images, preprocessing=None).load(0, NOWHERE)
    assert sorted(set(data.train.inputs.flatten().tolist())) == pytest.approx([0, 0.2, 1])


def test_standardized_targets_return_to_their_own_units():
    data, plain = regression().load(0, NOWHERE), regression(standardize_targets=False).load(0, NOWHERE)
    assert data.train.targets.mean(0).abs().max() < 1e-6
    assert data.train.targets.std(0, correction=0) == pytest.approx(1.0, abs=1e-5)
    for name in ("train", "validation", "test"):
        restored = data.units.restored(getattr(data, name).targets)
        assert torch.allclose(restored, getattr(plain, name).targets, rtol=1e-5, atol=1e-4)
    assert plain.units is None


def test_constant_targets_are_only_centred():
    data = fixed(targets=torch.full((30, 1), 7.0, dtype=torch.float64), task=Task.REGRESSION, names=("u",)).load(
        0, NOWHERE
    )
    assert (data.test.targets == 0).all()
    assert data.units.std.item() == 1


def test_limit_keeps_training_examples_in_proportion_and_leaves_the_other_splits():
    everything, limited = Digits().load(0, NOWHERE), Digits(limit=100).load(0, NOWHERE)
    assert torch.bincount(limited.train.targets).tolist() == pytest.approx([10] * 10, abs=1)
    assert torch.equal(limited.validation.targets, everything.validation.targets)
    assert torch.equal(limited.test.targets, everything.test.targets)


def test_label_noise_touches_the_training_labels_only():
    clean, noisy = (Digits(label_noise=noise, preprocessing=None).load(0, NOWHERE) for noise in (0.0, 0.5))
    assert (clean.train.targets != noisy.train.targets).double().mean().item() == pytest.approx(0.45, abs=0.04)
    assert torch.equal(clean.train.inputs, noisy.train.inputs)
    assert torch.equal(clean.validation.targets, noisy.validation.targets)
    assert torch.equal(clean.test.targets, noisy.test.targets)


def test_the_test_splits_of_all_folds_are_the_data_set():
    tests = [fixed(folds=4, fold=fold, preprocessing=None).load(0, NOWHERE).test.inputs for fold in range(4)]
    assert sorted(torch.cat(tests)[:, 0].tolist()) == list(range(0, 60, 2))


def test_a_published_test_split_is_used_unless_asked_otherwise():
    own = (torch.full((3, 2), -1.0), torch.arange(3))
    options = {"test": None, "preprocessing": None}
    published = fixed(own=own, **options)
    assert torch.equal(published.load(0, NOWHERE).test.inputs, own[0])
    assert (dataclasses.replace(published, test=0.2).load(0, NOWHERE).test.inputs >= 0).all()
    assert (dataclasses.replace(published, folds=3).load(0, NOWHERE).test.inputs >= 0).all()
    assert len(fixed(**options).load(0, NOWHERE).test) == 6


def test_augmentations_may_be_a_list_or_a_mapping():
    flip, shift = Flip(), Shift()
    assert Digits().augmentations == []
    assert Digits(augmentation=[flip, shift]).augmentations == [flip, shift]
    assert Digits(augmentation={"shift": shift, "flip": flip}).augmentations == [shift, flip]


def test_vectors_may_be_augmented_with_noise():
    assert fixed(augmentation=[GaussianNoise()]).load(0, NOWHERE).input_shape == (2,)


def lonely():
    return fixed(targets=torch.tensor([0] * 15 + [1] * 14 + [2]))


def broken(value):
    inputs = torch.ones(30, 2)
    inputs[4, 1] = inputs[7, 0] = value
    return fixed(inputs)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Digits(limit=0), "`limit` must be in [1, inf), got 0"),
        (lambda: Digits(label_noise=1.5), "`label_noise` must be in [0, 1], got 1.5"),
        (lambda: Digits(validation=1.0), "`validation` must be in (0, 1), got 1.0"),
        (lambda: Digits(test=0.0), "`test` must be in (0, 1), got 0.0"),
        (lambda: Digits(folds=1), "`folds` must be in [2, inf), got 1"),
        (lambda: Digits(folds=5, fold=5), "`fold` must be in [0, 5), got 5"),
        (lambda: Digits(folds=5, fold=-1), "`fold` must be in [0, 5), got -1"),
        (lambda: Digits(fold=2), "`fold` is 2 but there are no folds; set `folds` too"),
        (lambda: XOR(examples=5), "`examples` must be 4 (the corners) or in [16, inf), got 5"),
        (lambda: XOR(folds=2), "the four points of xor cannot be split"),
        (lambda: XOR(limit=2), "the four points of xor cannot be split"),
        (lambda: Spirals(classes=1), "`classes` must be in [2, inf), got 1"),
        (lambda: Spirals(classes=10, examples=39), "`examples` must be in [40, inf), got 39"),
        (lambda: Spirals(turns=0.0), "`turns` must be in (0, inf), got 0.0"),
        (lambda: Blobs(features=0), "`features` must be in [1, inf), got 0"),
        (lambda: Digits(limit=9).load(0, NOWHERE), "`data.limit` must be at least 10, one for each class, got 9"),
        (lambda: Digits(limit=1295).load(0, NOWHERE), "`data.limit=1295` is more than the 1294 training examples"),
        (lambda: regression(limit=31).load(0, NOWHERE), "`data.limit=31` is more than the 22 training examples"),
        (lambda: regression(label_noise=0.1).load(0, NOWHERE), "`data.label_noise` needs classes"),
        (lambda: fixed(folds=31).load(0, NOWHERE), "`data.folds` must be at most the number of examples, 30, got 31"),
        (lambda: fixed(test=0.99).load(0, NOWHERE), "30 examples are too few for training, validation and test"),
        (lambda: lonely().load(0, NOWHERE), "a file: class `c` has a single example, which cannot be both"),
        (lambda: broken(np.nan).load(0, NOWHERE), "a file: 2 of the inputs are NaN, infinite or beyond float32"),
        (lambda: broken(np.inf).load(0, NOWHERE), "the first in row 4, column 1 (counted from 0); remove or replace"),
        (lambda: fixed(torch.full((30, 1, 2, 2), np.nan)).load(0, NOWHERE), "the first in row 0, position (0, 0, 0)"),
        (lambda: fixed(augmentation=[Flip()]).load(0, NOWHERE), "Flip needs images (K, H, W), but the inputs have"),
        (lambda: Digits(preprocessing=PCA(4), augmentation=[Shift()]).load(0, NOWHERE), "Shift needs images"),
    ],
)  # fmt: skip
def test_mistakes_are_named(call, message):
    with pytest.raises(UserError) as error:
        call()
    assert message in str(error.value)


def test_a_missing_or_damaged_scikit_learn_is_named(monkeypatch, tmp_path):
    import importlib.util
    from types import SimpleNamespace

    from nnlab.data.bundled import bundled_file

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    bundled_file.cache_clear()
    with pytest.raises(UserError, match=r"bundled with scikit-learn .*: pip install scikit-learn"):
        Digits().load(0, NOWHERE)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[tmp_path])
    )
    bundled_file.cache_clear()
    (tmp_path / "datasets" / "data").mkdir(parents=True)
    (tmp_path / "datasets" / "data" / "digits.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(UserError, match=r"cannot read .*digits\.csv\.gz .*; reinstall scikit-learn"):
        Digits().load(0, NOWHERE)
    bundled_file.cache_clear()
