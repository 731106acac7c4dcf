"""The recipe on images so large that few of them are in memory together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnlab.cli import compose
from nnlab.diagnosis.facts.fresh import measure_signal
from nnlab.recipe import initial_loss
from nnlab.recipe.initial_loss import check_initial_loss
from nnlab.recipe.trials import Trials


@pytest.mark.parametrize(("side", "passed"), [(130, 9), (20, 58)])  # 130 x 130 pixels are large
def test_of_large_images_as_many_pass_through_fresh_networks_as_memory_is_meant_for(
    side: int, passed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    y = np.arange(80) % 2
    np.savez(tmp_path / "images.npz", x=draw.integers(0, 255, (80, side, side), dtype=np.uint8), y=y)
    config = compose(
        *("data=arrays", f"data.path={tmp_path / 'images.npz'}", "architecture=convnet", "architecture.channels=[2]"),
        *("architecture.hidden=2", "callbacks=[]"),
    )
    trials = Trials(config)
    each = trials.make([{}, {"seed": 1}]).stack.pass_size(trials.dataset.train.inputs[:2].unsqueeze(0)).kept // 2
    monkeypatch.setattr(initial_loss, "KEPT", 9 * each)
    seen: list[int] = []

    def measured(trainer, inputs, targets):
        seen.append(len(inputs))
        return measure_signal(trainer, inputs, targets)

    monkeypatch.setattr(initial_loss, "measure_signal", measured)
    check_initial_loss(trials, (0, 1))
    assert seen == [passed]
