"""What training does on CUDA can be done there: no operation mixes devices, no part of a step waits for the GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from pretended import PretendedCuda
from test_equality import CASES, configs
from torch import Tensor

from nnlab.config.build import build_trainer
from nnlab.training import Trainer, recorded
from nnlab.training.recorded import RecordedEngine


def _zero_gradients(_outputs: Tensor, leaves: list[Tensor], *_: object, **__: object) -> list[Tensor]:
    """Autograd's own threads look for the GPU; the shapes and places of its results are known without."""
    return [torch.zeros_like(leaf) for leaf in leaves]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedCuda]:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.autograd.grad", _zero_gradients)
    monkeypatch.setattr("nnlab.training.stack.gradients", _zero_gradients)
    with PretendedCuda() as mode:
        yield mode


class Once:
    """A recording that does at once what it would record."""

    def __init__(self, device: PretendedCuda) -> None:
        self.device = device

    def record(self, function: Any) -> None:
        self.device.recording = True
        function()
        self.device.recording = False

    def replay(self) -> None:
        pass


def trained(
    device: PretendedCuda, chosen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, steps: int = 3
) -> Trainer:
    """Three steps, which as graphs are one as it stands, one that is recorded, and one that is replayed."""
    monkeypatch.setattr("torch.allclose", lambda *_: True)
    monkeypatch.setattr(recorded, "WARM_UP", 1)
    trainer = build_trainer(chosen)
    if isinstance(trainer.engine, RecordedEngine):
        trainer.engine.new_graph = lambda: Once(device)
    for step in range(steps):
        trainer.engine.advance(step, 1)
    return trainer


@pytest.mark.parametrize("seeds", [[0, 1, 7], [5]], ids=["together", "alone"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_steps_do_not_wait_and_do_not_mix_devices(
    case: str, seeds: list[int], device: PretendedCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, differing = CASES[case]
    differing = {key: values[: len(seeds)] for key, values in differing.items()}
    chosen = configs(shared, differing, seeds, "trainer.device=cuda")
    for config in chosen:
        config["trainer"]["cuda_graphs"] = False
    assert trained(device, chosen, monkeypatch, 1).stack.theta.is_cuda
    for config in chosen:
        config["trainer"]["cuda_graphs"] = True
    trainer = trained(device, chosen, monkeypatch)
    assert isinstance(trainer.engine, RecordedEngine) == (case != "accumulate")
    with pytest.raises(torch._subclasses.fake_tensor.DataDependentOutputException):
        trainer.evaluate("validation").metrics["loss"].tolist()  # all that is computed before is computed there


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("seeds", [[0, 1, 7], [3, 3, 3], [5]], ids=["own", "shared", "alone"])
def test_training_on_cuda_is_training_on_the_processor(seeds: list[int]) -> None:
    different = []
    for case, (shared, differing) in CASES.items():
        own = {key: values[: len(seeds)] for key, values in differing.items()}
        losses = []
        for device, graphs in (("cpu", False), ("cuda", False), ("cuda", True)):
            chosen = configs(shared, own, seeds, f"trainer.device={device}", "trainer.precision=float64")
            for config in chosen:
                config["trainer"] |= {"steps": 20, "cuda_graphs": graphs}
            trainer = build_trainer(chosen).fit()
            assert isinstance(trainer.engine, RecordedEngine) == (graphs and case != "accumulate"), case
            losses.append(trainer.history.losses)
        if not all(np.allclose(each, losses[0], rtol=1e-7, atol=1e-9) for each in losses):
            different.append(case)
    assert not different
