"""The trials of a recipe in TensorBoard: their curves, and charts on the page that `nnlab board` opens."""

from __future__ import annotations

import re
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from nnlab.recipe.events import write_events
from nnlab.recipe.numbers import RateNumbers
from nnlab.recipe.report import StepReport, TrialRecord


def test_every_trial_has_its_curves_and_the_charts_that_show_them(tmp_path: Path) -> None:
    curves = {tag: ([1.0, 2.0], [3.0, 2.0]) for tag in ("loss/train", "loss/validation", "accuracy/validation")}
    trial = TrialRecord("rate 0.1", "nnlab train", "completed", {}, curves)
    write_events(tmp_path, StepReport(3, "Find a learning rate", RateNumbers(), trials=[trial]))
    events = EventAccumulator(str(tmp_path / "step3" / "rate_0.1")).Reload()
    for tag in curves:
        assert [(event.step, event.value) for event in events.Scalars(tag)] == [(1, 3.0), (2, 2.0)]
    [layout] = events.Tensors("custom_scalars__config__")
    [category] = layout_pb2.Layout.FromString(layout.tensor_proto.string_val[0]).category
    shown = [tag for chart in category.chart for tag in curves if re.match(chart.multiline.tag[0], tag)]
    assert shown == list(curves)
