"""Every precision with every loss and all callbacks of a default run: whatever they compute, types fit.

The experiments after a run train networks as the run does, and are tried with two of them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import nnlab
from nnlab.cli import compose
from nnlab.config.build import build_trainer

SMALL = ["data.limit=60", "architecture.widths=[6]", "trainer.epochs=2", "trainer.batch_size=16", "trainer.device=cpu"]
NO_PROBE = "callbacks.diagnosis.probe=false"
PROBED = [("softmax_cross_entropy", "bf16"), ("squared_error", "float64")]
TASKS = {
    "softmax_cross_entropy": ["data=digits"],
    "multiclass_svm": ["data=digits"],
    "binary_cross_entropy": ["data=moons"],
    "hinge": ["data=breast_cancer"],
    "squared_error": ["data=diabetes"],
    "gaussian_nll": ["data=heteroscedastic"],
}
FURTHER = {
    "squared error of classes": ["data=digits", "loss=squared_error"],
    "full covariance": ["data=diabetes", "loss=gaussian_nll", "loss.variance=covariance"],
    "convolutions": [
        "architecture=convnet",
        "architecture.channels=[2,3]",
        "architecture.hidden=6",
    ],
    "second order": ["optimizer=lbfgs", "trainer.batch_size=full"],
    "dropout over samples": [
        *("regularizer=[dropout]", "regularizer.dropout.inference=monte_carlo", "regularizer.dropout.samples=2"),
    ],
    "an ensemble": ["regularizer=[ensemble]", "regularizer.ensemble.members=2"],
}


def train(folder: Path, caplog: pytest.LogCaptureFixture, *overrides: str) -> None:
    """Train; nothing may be left out."""
    result = nnlab.train(*overrides, f"output_dir={folder}")
    assert result.status == "completed"
    written = json.loads((result.directory / "result.json").read_text())
    assert set(written["metrics"]) == {"train", "validation", "test"}
    assert not [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16", "float64"])
@pytest.mark.parametrize("loss", TASKS)
def test_a_default_run_works_in_every_precision_with_every_loss(
    loss: str, precision: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = [] if (loss, precision) in PROBED else [NO_PROBE]
    train(tmp_path, caplog, *SMALL, *more, *TASKS[loss], f"loss={loss}", f"trainer.precision={precision}")


@pytest.mark.parametrize("precision", ["bf16", "float64"])
@pytest.mark.parametrize("name", FURTHER)
def test_so_do_other_networks_and_rules(
    name: str, precision: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    common = [NO_PROBE, *(each for each in SMALL if not (name == "convolutions" and "widths" in each))]
    train(tmp_path, caplog, *common, *FURTHER[name], f"trainer.precision={precision}")


def test_the_memory_of_gradients_that_have_vanished_becomes_zero_and_elsewhere_small_numbers_stay() -> None:
    config = compose("callbacks=[]", "activation=relu", "optimizer=adam", "trainer.engine=torch", "trainer.epochs=2")
    trainer = build_trainer([config])
    next(value for name, value in trainer.stack.views.items() if name.endswith("bias"))[:] = -1e6  # all units are dead
    trainer.engine.state["m"][:] = 1e-37
    trainer.fit()
    classes = trainer.members[0].dataset.target_size  # the output layer's bias is alive
    assert not trainer.engine.state["m"][:, :-classes].any()
    smallest = torch.finfo(torch.float32).smallest_normal
    assert (torch.full((3,), smallest) / 4 > 0).all()
