"""What TensorBoard's plugins read, as messages: images, histograms, precision and recall, layout, hyper-parameters.

Field numbers are those of TensorBoard's .proto files (summary, tensor, custom_scalar/layout, hparams/api and
plugin_data, pr_curve/plugin_data). Each function returns one `Summary.Value`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from nnlab.callbacks.tensorboard_records import Value, field, message

FLOAT, DOUBLE, STRING = 1, 2, 7  # types of a tensor
TENSOR, BLOBS = 2, 3  # classes of data
LAYOUT_TAG = "custom_scalars__config__"
SUCCESS, FAILURE = 1, 2  # how a session ended
_TYPES = {bool: 2, int: 3, float: 3, str: 1}

# Charts by category, each the tags (regular expressions, matched at the beginning) that share it.
Charts = Mapping[str, Mapping[str, Sequence[str]]]
LEARNING = "Learning"  # the first category
LAYOUT: Charts = {
    LEARNING: {
        "loss: training (moving average) and validation": [r"loss/(train_average|validation)(/|$)"],
        "accuracy or error on validation": [r"(accuracy|rmse)/validation(/|$)"],
        "learning rate": [r"learning_rate"],
    },
    "Gradients and updates": {
        "gradient norm of every parameter, and of all": [r"gradient_norm/"],
        "update norm of every weight": [r"update_norm/"],
        "update / weight (healthy: near 0.001)": [r"update_ratio/"],
    },
    "Activations": {
        "standard deviation of every layer": [r"activation_std/"],
        "mean of every layer": [r"activation_mean/"],
        "dead units (fraction) of every layer": [r"activation_dead/"],
        "saturated outputs (fraction) of every layer": [r"activation_saturated/"],
    },
    "Calibration": {
        "expected calibration error and Brier score": [r"(ece|brier)/validation(/|$)"],
        "negative log-likelihood": [r"nll/validation(/|$)"],
    },
}


def scalar(tag: str, value: float) -> bytes:
    """A number."""
    with np.errstate(over="ignore"):  # what a diverging float64 run reaches is infinite in a file of float32
        return message([(1, tag), (2, np.float32(value))])


def image(tag: str, png: bytes, width: int, height: int, description: str = "") -> bytes:
    """A picture."""
    return _value(tag, "images", b"", BLOBS, _strings([str(width), str(height), png]), description)


def histogram(tag: str, edges: np.ndarray, counts: np.ndarray, description: str = "") -> bytes:
    """Counts (bins,) between edges (bins + 1,)."""
    table = np.stack([edges[:-1], edges[1:], counts], 1)
    return _value(tag, "histograms", b"", TENSOR, _numbers(table, DOUBLE), description)


def precision_recall(tag: str, table: np.ndarray, description: str = "") -> bytes:
    """True and false positives, true and false negatives, precision, recall: (6, thresholds)."""
    content = message([(2, table.shape[1])])
    return _value(tag, "pr_curves", content, TENSOR, _numbers(table, FLOAT), description)


@functools.cache
def usual_layout() -> bytes:
    """The charts of the tab CUSTOM SCALARS."""
    return layout(LAYOUT)


def layout(charts: Charts) -> bytes:
    """Charts of the tab CUSTOM SCALARS."""
    categories = b""
    for category, titles in charts.items():
        content = field(1, category)
        for title, tags in titles.items():
            lines = b"".join(field(1, tag) for tag in tags)
            content += field(2, message([(1, title), (2, lines)]))
        categories += field(2, content)
    return _layout(categories)


def band_layout(category: str, bands: Mapping[str, tuple[str, str, str]]) -> bytes:
    """Charts of a curve in a band, in a category of CUSTOM SCALARS: by title the tags of value, lower and upper end."""
    content = field(1, category)
    for title, tags in list(bands.items())[::-1]:  # TensorBoard shows the last first
        series = field(1, message(list(enumerate(tags, start=1))))
        content += field(2, message([(1, title), (3, series)]))
    return _layout(field(2, content))


def _layout(categories: bytes) -> bytes:
    return _value(LAYOUT_TAG, "custom_scalars", b"", TENSOR, _strings([categories]))


def hyper_parameters(
    values: Mapping[str, Any], given: Collection[str], metrics: Sequence[str], started: float
) -> list[bytes]:
    """What the tab HPARAMS shows of a run: its hyper-parameters, and the tags of scalars that are its metrics.

    Those that were `given` are marked as different between runs: the table begins with them.
    """
    known = {name: _plain(value) for name, value in values.items()}
    names = [_parameter(name, _TYPES[type(value)], name in given) for name, value in known.items()]
    tags = [field(5, message([(1, field(2, tag)), (3, tag)])) for tag in metrics]
    pairs = [_setting(name, value) for name, value in known.items()]
    return [
        _session("_hparams_/experiment", 2, b"".join([*names, *tags])),
        _session("_hparams_/session_start_info", 3, b"".join([*pairs, field(5, started)])),
    ]


@functools.lru_cache(maxsize=1024)  # the runs of a study share most of theirs
def _parameter(name: str, kind: int, given: bool) -> bytes:
    """That there is a hyper-parameter."""
    return field(4, message([(1, name), (4, kind), (7, given)]))


@functools.lru_cache(maxsize=1024, typed=True)
def _setting(name: str, value: bool | float | str) -> bytes:
    """What a hyper-parameter is in a run."""
    return field(1, message([(1, name), (2, _any(value))]))


def session_end(status: int, ended: float) -> bytes:
    """How the run ended: SUCCESS or FAILURE."""
    return _session("_hparams_/session_end_info", 4, message([(1, status), (2, ended)]))


def _session(tag: str, number: int, content: bytes) -> bytes:
    return _value(tag, "hparams", field(number, content), TENSOR, _numbers(np.zeros(0), FLOAT))


def _plain(value: Any) -> bool | float | str:
    """A value that the plugin can show: lists and nothing as text."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return "none" if value is None else str(value)


def _any(value: bool | float | str) -> bytes:
    """A `google.protobuf.Value`."""
    if isinstance(value, bool):
        return field(4, value)
    return field(2, value) if isinstance(value, float) else field(3, value)


def _value(tag: str, plugin: str, content: bytes, kind: int, tensor: bytes, description: str = "") -> bytes:
    metadata: list[tuple[int, Value]] = [(1, message([(1, plugin), (2, content)]))]
    if description:
        metadata.append((3, description))
    metadata.append((4, kind))
    return message([(1, tag), (9, message(metadata)), (8, tensor)])


def _numbers(table: np.ndarray, kind: int) -> bytes:
    array = np.ascontiguousarray(table, dtype="<f4" if kind == FLOAT else "<f8")
    shape = b"".join(field(2, field(1, size)) for size in array.shape)
    return message([(1, kind), (2, shape), (4, array.tobytes())])


def _strings(values: Sequence[str | bytes]) -> bytes:
    shape = field(2, field(1, len(values)))
    return message([(1, STRING), (2, shape), *((8, value) for value in values)])
