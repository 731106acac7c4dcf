"""Compiled steps of any chain equal those of torch, and a member those of itself alone, to the last bit."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from native_cases import Case, Population, cases
from torch import Tensor

from nnlab.loss import SoftmaxCrossEntropy
from nnlab.training.native import build

pytestmark = pytest.mark.skipif(not build.compilers(), reason="no C++ compiler here")
EXAMPLES = 60
NARROWER = {"x86_64": ["-march=x86-64", "-march=haswell"], "aarch64": ["-march=armv8-a"]}


NUDGE = 1e-14


def assert_close(got: Tensor, expected: Tensor, slack: Tensor, rtol: float, atol: float) -> None:
    beyond = (got - expected).abs() - (atol + rtol * expected.abs() + 10 * slack.max())
    assert bool((beyond <= 0).all()), f"{beyond.max().item():.3g} more than {slack.max().item():.3g} explains"


def assert_same_training(case: Case, library: ctypes.CDLL) -> None:
    """Losses, parameters and buffers agree as far as float64 lets two orders of summation agree.

    Some chains are ill-conditioned: batch norm over two examples divides by their distance, and what follows multiplies
    the last digits by a million. How much a chain does so is measured: torch trains it a second time from weights that
    differ by about 50 units in the last place, and what that moves is allowed on top of the fixed tolerance.
    """
    one, nudged, other = Population(case), Population(case), Population(case)
    nudged.stack.theta.mul_(1 + NUDGE * torch.randn_like(nudged.stack.theta))
    expected, moved, got = one.by_torch(), nudged.by_torch(), other.by_compiled(library)
    assume(all(run.stack.theta.isfinite().all() for run in (one, nudged)))  # what diverges has no digits to compare
    assert_close(got, expected, (moved - expected).abs().cummax(0).values, rtol=1e-9, atol=1e-11)
    assert_close(other.stack.theta, one.stack.theta, (nudged.stack.theta - one.stack.theta).abs(), rtol=1e-7, atol=1e-9)
    for name, value in one.stack.buffers.items():
        if name.rpartition(".")[2] != "key":
            slack = (nudged.stack.buffers[name] - value).abs()
            assert_close(other.stack.buffers[name], value, slack, rtol=1e-7, atol=1e-9)
    inputs = torch.randn(len(one.members), 5, case.features, dtype=torch.float64)
    one.stack.theta.copy_(other.stack.theta)
    for name, value in other.stack.buffers.items():
        one.stack.buffers[name].copy_(value)
    torch.testing.assert_close(other.compiled(library).outputs(inputs), one.stack.outputs(inputs))


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(cases())
def test_any_chain_trains_as_by_torch(case: Case) -> None:
    assert_same_training(case, build.library())


@settings(max_examples=30, deadline=None, derandomize=True)
@given(cases(), st.integers(1, 4), st.integers(1, 7))
def test_threads_blocks_and_company_change_no_bit(case: Case, threads: int, block: int) -> None:
    library = build.library()
    together, cut = Population(case, torch.float32), Population(case, torch.float32)
    losses = together.by_compiled(library)
    assert torch.equal(cut.by_compiled(library, threads, block), losses)
    assert torch.equal(cut.stack.theta, together.stack.theta)
    for member in range(case.members):
        alone = Population(case, torch.float32)
        alone.stack.select(torch.tensor([member]))
        alone.members = alone.members[member : member + 1]
        alone.batches.select([member])
        alone.keys, alone.rates = alone.keys[member : member + 1], alone.rates[member : member + 1]
        alone.state = {name: value[member : member + 1].clone() for name, value in alone.state.items()}
        assert torch.equal(alone.by_compiled(library)[:, 0], losses[:, member])
        assert torch.equal(alone.stack.theta[0], together.stack.theta[member])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(cases(), st.sampled_from([0.0, 0.2]), st.booleans(), st.integers(1, 150))
def test_probabilities_and_losses_are_those_of_torch_in_pieces_of_any_size(
    case: Case, smoothing: float, weighted: bool, piece: int
) -> None:
    case = dataclasses.replace(case, loss=SoftmaxCrossEntropy)
    weights = [1.0 + c for c in range(case.classes)] if weighted else None
    population = Population(case)
    population.loss = SoftmaxCrossEntropy(label_smoothing=smoothing, class_weights=weights)
    inputs, targets = torch.randn(150, case.features, dtype=torch.float64), torch.randint(0, case.classes, (150,))
    compiled = population.compiled(build.library(), threads=3)
    predicted, losses = compiled.probabilities([inputs], [targets])
    outputs = population.stack.outputs(inputs.unsqueeze(0))
    torch.testing.assert_close(predicted, population.loss.prediction(outputs), rtol=1e-9, atol=1e-12)
    expected = population.loss.losses(outputs, targets.expand(case.members, -1))
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-12)
    parts = zip(inputs.split(piece), targets.split(piece), strict=True)
    pieces = [compiled.probabilities([some], [labels]) for some, labels in parts]
    assert torch.equal(torch.cat([found for found, _ in pieces], 1), predicted)
    assert torch.equal(torch.cat([found for _, found in pieces], 1), losses)


def built(folder: Path, *flags: str) -> Path:
    """A library with other flags than this machine's own."""
    compiler = build.compilers()[0]
    path = folder / "chain.so"
    command = [*compiler, *build.FLAGS, *flags, str(build.SOURCE / "chain.cpp"), "-o", str(path), "-lm"]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("flag", NARROWER.get(os.uname().machine, []))
def test_narrower_vectors_train_the_same(flag: str, tmp_path: Path) -> None:
    library = build._load(built(tmp_path, flag))

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
    @given(cases())
    def check(case: Case) -> None:
        assert_same_training(case, library)

    check()


@pytest.mark.slow
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    compiler = build.compilers()[0][0]
    runtime = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not shutil.which(compiler) or not Path(runtime).exists():
        pytest.skip("the compiler has no address sanitizer")
    flags = ["-march=native", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DPOISON"]
    path = built(tmp_path, *flags)
    environment = {
        **os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0", "LIBRARY": str(path),
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(Path(__file__).parent)]),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SANITIZED], env=environment, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "done"


SANITIZED = """
import os
from pathlib import Path
import torch
from hypothesis import given, settings
from nnlab.loss import SoftmaxCrossEntropy
from nnlab.training.native import build
from native_cases import Population, cases
from test_native_chains import assert_same_training

library = build._load(Path(os.environ["LIBRARY"]))

@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(cases())
def check(case):
    assert_same_training(case, library)  # also of what nobody has written, which is NaN here
    for dtype in (torch.float32, torch.float64):
        population = Population(case, dtype)
        population.by_compiled(library, threads=2, block=3)
        inputs = torch.randn(1, 70, case.features, dtype=dtype)
        population.compiled(library).outputs(inputs)
        if case.loss is SoftmaxCrossEntropy:
            population.compiled(library, 2).probabilities(list(inputs), [torch.randint(0, case.classes, (70,))])

check()
print("done")
"""
