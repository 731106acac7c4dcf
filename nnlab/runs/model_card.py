"""The model card of an exported run: what it predicts, from which columns, how well, and how it was made.

Names of classes and columns come from whoever made the data: everything that comes from there is escaped.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.metric_names import SHOWN, title
from nnlab.runs.deployed import GraphColumn
from nnlab.runs.networks import Networks
from nnlab.storage.folder import read_environment, read_overrides, read_result
from nnlab.types import Task

PLACES = ("output_dir=", "data_root=", "resume=")  # overrides that say where things lie on one machine
MOST = 40  # columns, and characters of a meaning times ten, that are shown

USE = {
    "onnx": """\
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("{file}")
predictions = session.run(None, {{"inputs": inputs}})[0]""",
    "pt2": """\
import torch
module = torch.export.load("{file}").module()
predictions = module(inputs)""",
    "safetensors": """\
import nnlab, safetensors.torch
module = nnlab.load("RUN").module  # gives the network its shape
module.load_state_dict(safetensors.torch.load_file("{file}"))
predictions = module(inputs)""",
    "state_dict": """\
import nnlab, torch
module = nnlab.load("RUN").module  # gives the network its shape
module.load_state_dict(torch.load("{file}", weights_only=True))
predictions = module(inputs)""",
}


def model_card(networks: Networks, kind: str, file: str, difference: float, columns: Sequence[GraphColumn]) -> str:
    """The card as Markdown.

    Args:
        networks: of the run.
        kind: format of the export.
        file: its name.
        difference: largest difference to the run's own predictions.
        columns: what the numbers of an example stand for; empty for images.
    """
    return "\n".join(
        [
            f"# {escape(str(networks.config['name']))}: {_task(networks)}",
            "",
            *_inputs(networks, columns),
            *_outputs(networks),
            "## How well",
            "",
            *_metrics(read_result(networks.directory) or {}),
            *_calibrated(networks),
            "## Use",
            "",
            "```python",
            *USE[kind].format(file=file).splitlines(),
            "```",
            "",
            f"Loaded again and compared with the run: largest difference {difference:.1e}.",
            "",
            *_origin(networks),
        ]
    )


def escape(text: str) -> str:
    """Text from data as text in Markdown and HTML, in one line.

    >>> escape("<b>|a|</b>")
    '&lt;b&gt;\\\\|a\\\\|&lt;/b&gt;'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", text)


def _task(networks: Networks) -> str:
    target = networks.fitted.pipeline.target
    what = escape(target.column) if target.column else "the target"
    if target.task is Task.REGRESSION:
        return f"predicts {what if len(target.names) > 1 else escape(target.names[0])} as a number"
    return f"tells {len(target.names)} classes of {what} apart"


def _inputs(networks: Networks, columns: Sequence[GraphColumn]) -> list[str]:
    pipeline = networks.fitted.pipeline
    dtype = getattr(pipeline.rule, "dtype", "float64")
    if not columns:
        shape = ", ".join(map(str, getattr(pipeline.rule, "shape", networks.fitted.input_shape)))
        return ["## Inputs", "", f"`inputs` (n, {shape}) {dtype}: raw images; preprocessing is inside.", ""]
    lines = [
        "## Inputs",
        "",
        f"`inputs` (n, {len(columns)}) {dtype}: raw numbers, one column for each line; preprocessing is inside.",
        "",
        "| | column | what its numbers are |",
        "|---|---|---|",
    ]
    for position, column in enumerate(columns[:MOST]):
        meaning = column.meaning if len(column.meaning) <= 10 * MOST else column.meaning[: 10 * MOST] + " ..."
        lines.append(f"| {position} | {escape(column.name)} | {escape(meaning)} |")
    rest = len(columns) - MOST
    return [*lines, *([f"| ... | {rest} further columns | |"] if rest > 0 else []), ""]


def _outputs(networks: Networks) -> list[str]:
    target, loss = networks.fitted.pipeline.target, networks.loss
    names = ", ".join(escape(name) for name in target.names[:MOST]) + (", ..." if len(target.names) > MOST else "")
    if target.task is Task.REGRESSION:
        what = f"(n, {len(target.names)}) in the units of the data: {names}"
        if loss.probabilistic:
            what = f"(n, {2 * len(target.names)}) in the units of the data: means, then standard deviations, of {names}"
    else:
        word = "probabilities" if loss.probabilistic else "scores"
        what = f"(n, {len(target.names)}): {word} of the classes {names}"
    average = f"; the average of {len(networks)} networks" if len(networks) > 1 else ""
    return ["## Outputs", "", f"`predictions` {what}{average}.", ""]


def _metrics(result: Mapping[str, Any]) -> list[str]:
    """The metrics by split as a table."""
    splits: Mapping[str, Mapping[str, float]] = result.get("metrics") or {}
    names = [name for name in next(iter(splits.values()), {}) if name in SHOWN or name == result.get("metric")]
    if not names:
        return ["The run has noted no metrics.", ""]
    lines = [f"| split | {' | '.join(map(title, names))} |", "|---" * (len(names) + 1) + "|"]
    for split, values in splits.items():
        own = [values.get(name) for name in names]
        cells = ["" if value is None or math.isnan(value) else f"{value:.4g}" for value in own]
        lines.append(f"| {split} | {' | '.join(cells)} |")
    return [*lines, ""]


def _calibrated(networks: Networks) -> list[str]:
    """That the metrics are those before a calibration, where there is one."""
    if networks.calibration is None or networks.calibration.temperature is None:
        return []
    warmth = f"{networks.calibration.temperature:.3g}"
    return [
        f"Measured before the calibration (temperature {warmth}) that the model has inside: loss, nll, brier and ece "
        "are others with it, and `nnlab evaluate` of the run measures them.",
        "",
    ]


def _origin(networks: Networks) -> list[str]:
    """Data, command and versions."""
    fitted, data = networks.fitted, networks.config["data"]
    source = Path(str(data["path"])).name if data.get("path") else str(data["_target_"]).rpartition(".")[2]
    typed = [each for each in read_overrides(networks.directory) or [] if not each.startswith(PLACES)]
    command = " ".join(shlex.join(["nnlab", "train", *typed]).split())  # one line, which an indented block needs
    noted = read_environment(networks.directory)
    versions = ", ".join(f"{name} {noted[name]}" for name in ("nnlab", "torch", "python") if noted.get(name))
    sizes = " / ".join(map(str, fitted.examples))
    return [
        "## Origin",
        "",
        f"- data: {escape(source)}, SHA-256 {escape(fitted.fingerprint[:16])}..., "
        f"{sizes} examples for training / validation / test",
        f"- versions: {escape(versions)}",
        "- command:",
        "",
        f"      {command}",
        "",
    ]
