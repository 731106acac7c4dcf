"""The bytes that nnlab writes are those that TensorBoard's own classes read and write."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c as reference_crc32c
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.pr_curve import metadata as pr_curves
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

from nnlab.callbacks import tensorboard_summaries as summaries
from nnlab.callbacks.crc32c import LANE, SHORT, checksums, checksums_of_variants, crc32c
from nnlab.callbacks.tensorboard_records import message, record, scalar_events
from nnlab.callbacks.tensorboard_summaries import LAYOUT


def events(data: bytes) -> list[Any]:
    """The events of records whose checksums are right."""
    found, position = [], 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 8], "little")
        content = data[position + 12 : position + 12 + length]
        expected = io.BytesIO()
        RecordWriter(expected).write(content)
        assert data[position : position + 16 + length] == expected.getvalue()
        found.append(Event.FromString(content))
        position += 16 + length
    return found


def parsed(value: bytes) -> Any:
    return Summary.Value.FromString(value)


@settings(deadline=None, max_examples=60)
@given(st.binary(min_size=0, max_size=300))
def test_short_checksums_are_those_of_the_reference(data: bytes) -> None:
    assert crc32c(data) == reference_crc32c(data)


@pytest.mark.parametrize("size", [SHORT, SHORT + 1, LANE - 1, LANE, LANE + 1, 2 * LANE, 2 * LANE + 1, 5000, 300_000])
def test_long_checksums_are_those_of_the_reference(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    assert crc32c(data) == reference_crc32c(data)


@pytest.mark.parametrize("length", [4, 60, LANE, LANE + 30])
def test_checksums_of_several_messages_are_those_of_each(length: int) -> None:
    draw = np.random.default_rng(length)
    rows = draw.integers(0, 256, (7, length), dtype=np.uint8)
    assert checksums(rows).tolist() == [reference_crc32c(row.tobytes()) for row in rows]
    places = np.sort(draw.choice(length, 3, replace=False))
    variants = np.tile(rows[0], (7, 1))
    variants[:, places] = rows[:, :3]
    expected = [reference_crc32c(row.tobytes()) for row in variants]
    assert checksums_of_variants(rows[0], places, rows[:, :3]).tolist() == expected


@pytest.mark.parametrize("content", [b"x", b"some text", bytes(3000)])
def test_a_record_is_the_reference_writers(content: bytes) -> None:
    expected = io.BytesIO()
    RecordWriter(expected).write(content)
    assert record(content) == expected.getvalue()


def test_a_block_of_scalars_holds_every_step_and_value() -> None:
    steps = np.array([1, 2, 126, 127, 128, 129, 16383, 16384, 20000, 2097151, 2097152, 2**33])
    losses = np.linspace(3, -1, len(steps))
    losses[4] = math.nan
    found = events(scalar_events(12.5, steps, {"loss/train": losses, "learning_rate": losses**2}))
    assert [event.step for event in found] == steps.tolist()
    assert {event.wall_time for event in found} == {12.5}
    for event, loss in zip(found, losses, strict=True):
        values = {value.tag: value.simple_value for value in event.summary.value}
        assert list(values) == ["loss/train", "learning_rate"]
        np.testing.assert_equal(values["loss/train"], np.float32(loss))
        np.testing.assert_equal(values["learning_rate"], np.float32(loss**2))


def test_an_event_of_several_values_is_read_back() -> None:
    content = message([(1, 1.5), (2, 300), (5, message([(1, summaries.scalar("a/b", -2.5))]))])
    event = Event.FromString(content)
    assert (event.wall_time, event.step) == (1.5, 300)
    assert [(value.tag, value.simple_value) for value in event.summary.value] == [("a/b", -2.5)]


def test_an_image_has_size_bytes_and_description() -> None:
    value = parsed(summaries.image("images/filters", b"\x89PNG", 30, 20, "what it shows"))
    assert value.metadata.plugin_data.plugin_name == "images"
    assert value.metadata.summary_description == "what it shows"
    assert list(tensor_util.make_ndarray(value.tensor)) == [b"30", b"20", b"\x89PNG"]


def test_a_histogram_has_edges_and_counts() -> None:
    edges, counts = np.array([-1.0, 0.0, 2.0]), np.array([3.0, 4.0])
    value = parsed(summaries.histogram("weights/linear1", edges, counts))
    assert value.metadata.plugin_data.plugin_name == "histograms"
    assert tensor_util.make_ndarray(value.tensor).tolist() == [[-1, 0, 3], [0, 2, 4]]


def test_a_precision_recall_curve_has_its_thresholds() -> None:
    table = np.arange(18.0).reshape(6, 3)
    value = parsed(summaries.precision_recall("precision_recall", table))
    assert value.metadata.plugin_data.plugin_name == pr_curves.PLUGIN_NAME
    assert pr_curves.parse_plugin_metadata(value.metadata.plugin_data.content).num_thresholds == 3
    assert tensor_util.make_ndarray(value.tensor).tolist() == table.tolist()


def test_the_layout_is_the_one_declared() -> None:
    value = parsed(summaries.usual_layout())
    assert (value.tag, value.metadata.plugin_data.plugin_name) == ("custom_scalars__config__", "custom_scalars")
    layout = Layout.FromString(tensor_util.make_ndarray(value.tensor).item())
    charts = {c.title: {chart.title: list(chart.multiline.tag) for chart in c.chart} for c in layout.category}
    assert charts == LAYOUT


def test_hyper_parameters_keep_their_types_and_the_metrics_their_tags() -> None:
    values = {"optimizer": "Adam", "seed": 3, "rate": 0.25, "on": True, "widths": [8, 8], "limit": None}
    first, second = summaries.hyper_parameters(values, {"seed"}, ["best/loss/test"], 5.0)
    experiment = hparams.parse_experiment_plugin_data(parsed(first).metadata.plugin_data.content)
    assert [info.name for info in experiment.hparam_infos] == list(values)
    assert [info.type for info in experiment.hparam_infos] == [1, 3, 3, 2, 1, 1]
    assert [info.name for info in experiment.hparam_infos if info.differs] == ["seed"]
    assert [(info.name.group, info.name.tag) for info in experiment.metric_infos] == [("", "best/loss/test")]
    start = hparams.parse_session_start_info_plugin_data(parsed(second).metadata.plugin_data.content)
    plain = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    assert plain == {"optimizer": "Adam", "seed": 3.0, "rate": 0.25, "on": True, "widths": "[8, 8]", "limit": "none"}


@pytest.mark.parametrize("status", [summaries.SUCCESS, summaries.FAILURE])
def test_the_end_of_a_session_has_its_status(status: int) -> None:
    content = parsed(summaries.session_end(status, 5.0)).metadata.plugin_data.content
    assert hparams.parse_session_end_info_plugin_data(content).status == status
