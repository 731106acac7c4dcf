"""What an experiment leaves behind: results.json, figure.png, and the measured part of its README."""

from __future__ import annotations

import json
import os
import platform
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import nnlab
from nnlab.report.style import CYCLE, STYLE, line_style
from nnlab.runs.launch import commit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURED = re.compile(r"(<!-- measured -->\n).*?(<!-- end -->)", re.DOTALL)
PALETTE = CYCLE
DPI = 110


@dataclass
class Evidence:
    """What `run` of an experiment returns.

    Attributes:
        results: every measured number, as plain values and lists.
        claims: what the lecture says, in sentences, and whether it was measured to be so.
        table: a heading and rows of cells for the README.
        figure: the evidence at a glance.
        seconds: of processor time, where parts were kept from an earlier call; None: as long as `run` took.
    """

    results: dict[str, Any]
    claims: dict[str, bool]
    table: Sequence[Sequence[Any]]
    figure: Figure
    seconds: float | None = None

    @property
    def verdict(self) -> str:
        """`reproduced`, `partly reproduced` or `not reproduced`."""
        held = sum(map(bool, self.claims.values()))
        return "reproduced" if held == len(self.claims) else "partly reproduced" if held else "not reproduced"


def spread(values: Any) -> dict[str, float | int]:
    """Mean, standard deviation, smallest, largest and number of finite values, one for each seed."""
    values = np.asarray(values, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    if not len(values):
        return {"mean": float("nan"), "std": float("nan"), "min": float("nan"), "max": float("nan"), "n": 0}
    return {
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        "min": float(values.min()),
        "max": float(values.max()),
        "n": len(values),
    }


def shown(values: Any, digits: int = 3, percent: bool = False) -> str:
    """Mean ± standard deviation over seeds, for a cell of a table."""
    found = spread(np.asarray(values, dtype=np.float64) * (100 if percent else 1))
    return f"{found['mean']:.{digits}f} ± {found['std']:.{digits}f}" if found["n"] else "diverged"


def style() -> Any:
    """The style of nnlab's figures, a little smaller for figures of several panels, for the time of a `with` block."""
    from cycler import cycler
    from matplotlib import rc_context

    curves = [line_style(position) for position in range(24)]
    settings = {
        "font.size": 12,
        "axes.titlesize": 13,
        "axes.labelsize": 12,
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
        "legend.fontsize": 10.5,
        "lines.linewidth": 1.8,
        "axes.prop_cycle": cycler(color=[c["color"] for c in curves], linestyle=[c["linestyle"] for c in curves]),
    }
    return rc_context({**STYLE, **settings})


def panels(columns: int = 1, rows: int = 1, width: float = 5.0, height: float = 3.9) -> tuple[Figure, Any]:
    """A figure and its axes (rows, columns), flattened."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(rows, columns)).ravel()


def band(axes: Any, x: Any, values: Any, label: str, **style: Any) -> None:
    """The mean of `values` (seeds, T) over x (T,), with the range of the seeds behind it."""
    values = np.asarray(values, dtype=np.float64)
    (line,) = axes.plot(x, values.mean(0), label=label, **style)
    axes.fill_between(x, values.min(0), values.max(0), color=line.get_color(), alpha=0.15, linewidth=0)


def plain(axis: Any, ticks: Sequence[float]) -> None:
    """Write the numbers of a short logarithmic axis out, at `ticks` alone."""
    from matplotlib.ticker import NullFormatter

    axis.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axis.set_minor_formatter(NullFormatter())


def smoothed(values: Any, window: int) -> np.ndarray:
    """Running mean over the last axis, shorter at the start."""
    values = np.asarray(values, dtype=np.float64)
    # No running sum: after one huge loss its differences would be rounding.
    total = np.apply_along_axis(lambda row: np.convolve(row, np.ones(window))[: len(row)], -1, values)
    return total / np.minimum(np.arange(1, values.shape[-1] + 1), window)


def markdown(table: Sequence[Sequence[Any]]) -> str:
    """A table, first row the heading."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in table]
    return "\n".join([lines[0], "|" + " --- |" * len(table[0]), *lines[1:]])


def environment() -> dict[str, Any]:
    """The machine and the versions that numbers and times depend on."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    return {
        "nnlab": nnlab.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "hardware": f"{device}, {os.cpu_count()} CPU cores",
        "load": round(os.getloadavg()[0], 1),
    }


def _in_words(sizes: Mapping[str, Any], between: str) -> str:
    texts = {
        key: f"({_in_words(value, ', ')})" if isinstance(value, Mapping) else value for key, value in sizes.items()
    }
    return between.join(f"{key} {value}" for key, value in texts.items())


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def save(
    evidence: Evidence, folder: Path, name: str, size: str, seconds: float, sizes: Mapping[str, Any] | None = None
) -> None:
    """Write results.json and figure.png into `folder`, and the measured part of its README if it has one.

    Args:
        evidence: what was found.
        folder: where to; made if it is not there.
        name: of the experiment.
        size: `quick`, `default` or `full`.
        seconds: that it took.
        sizes: the arguments of `run` that the size stands for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = f"nnlab experiment {name}" + ("" if size == "default" else f" --{size}")
    where = environment()
    content: Mapping[str, Any] = {
        "experiment": name,
        "command": command,
        "sizes": dict(sizes or {}),
        "verdict": evidence.verdict,
        "claims": {sentence: bool(holds) for sentence, holds in evidence.claims.items()},
        "results": evidence.results,
        "seconds": round(seconds, 1),
        "environment": where,
    }
    (folder / "results.json").write_text(json.dumps(content, indent=1, default=float, ensure_ascii=False) + "\n")
    with style():
        evidence.figure.savefig(folder / "figure.png", dpi=DPI, facecolor="white")
    readme = folder / "README.md"
    if readme.exists():
        text = measured(evidence, command, seconds, where, sizes or {})
        readme.write_text(MEASURED.sub(lambda match: match.group(1) + text + match.group(2), readme.read_text()))


def measured(
    evidence: Evidence, command: str, seconds: float, where: Mapping[str, Any], sizes: Mapping[str, Any]
) -> str:
    """The part of a README between the marks: conditions, table, sentences, verdict, figure."""
    chosen = _in_words(sizes, "; ")
    conditions = (
        f"`{command}`, {seconds:.0f} s on {where['hardware']} (load {where['load']} when it ended)."
        + (f" Sizes: {chosen}." if chosen else "")
        + " Numbers with ± are mean and standard deviation over the seeds."
    )
    lines = [f"- {'yes' if holds else '**no**'}: {sentence}" for sentence, holds in evidence.claims.items()]
    parts = [textwrap.fill(conditions, 120), markdown(evidence.table), "\n".join(lines)]
    return "\n\n".join([*parts, f"Verdict: **{evidence.verdict}**.", "![figure](figure.png)\n"])
