"""What an experiment leaves behind: results.json, figure.png, and the measured part of its README."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import nnlab
from nnlab.launch.runs import commit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURED = re.compile(r"(<!-- measured -->\n).*?(<!-- end -->)", re.DOTALL)
PALETTE = ["#2a6fbb", "#d1603d", "#3a9a5b", "#8a5ab5", "#c79a1e", "#4f5d6b", "#c0507f", "#41a8b0", "#7a5230", "#111111"]


@dataclass
class Evidence:
    """What `run` of an experiment returns.

    Attributes:
        results: every measured number, as plain values and lists.
        claims: what the lecture says, in sentences, and whether it was measured to be so.
        table: a heading and rows of cells for the README.
        figure: the evidence at a glance.
    """

    results: dict[str, Any]
    claims: dict[str, bool]
    table: Sequence[Sequence[Any]]
    figure: Figure

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
    """One quiet style, for the time of a `with` block."""
    from cycler import cycler
    from matplotlib import rc_context

    settings = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.prop_cycle": cycler(color=PALETTE),
        "legend.framealpha": 0.7,
        "legend.edgecolor": "none",
        "legend.fontsize": 8,
    }
    return rc_context(settings)


def panels(columns: int = 1, rows: int = 1, width: float = 4.2, height: float = 3.2) -> tuple[Figure, Any]:
    """A figure and its axes (rows, columns), flattened."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(rows, columns)).ravel()


def band(axes: Any, x: Any, values: Any, label: str, **style: Any) -> None:
    """The mean of `values` (seeds, T) over x (T,), with the range of the seeds behind it."""
    values = np.asarray(values, dtype=np.float64)
    (line,) = axes.plot(x, values.mean(0), label=label, **style)
    axes.fill_between(x, values.min(0), values.max(0), color=line.get_color(), alpha=0.15, linewidth=0)


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


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def save(evidence: Evidence, folder: Path, name: str, size: str, seconds: float) -> None:
    """Write results.json and figure.png into `folder`, and the measured part of its README if it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    command = f"nnlab experiment {name}" + ("" if size == "default" else f" --{size}")
    where = environment()
    content: Mapping[str, Any] = {
        "experiment": name,
        "command": command,
        "verdict": evidence.verdict,
        "claims": {sentence: bool(holds) for sentence, holds in evidence.claims.items()},
        "results": evidence.results,
        "seconds": round(seconds, 1),
        "environment": where,
    }
    (folder / "results.json").write_text(json.dumps(content, indent=1, default=float, ensure_ascii=False) + "\n")
    evidence.figure.savefig(folder / "figure.png", dpi=110, facecolor="white")
    readme = folder / "README.md"
    if readme.exists():
        lines = [f"- {'yes' if holds else '**no**'}: {sentence}" for sentence, holds in evidence.claims.items()]
        measured = (
            f"`{command}`, {seconds:.0f} s on {where['hardware']} (load {where['load']} when it ended):\n\n"
            f"{markdown(evidence.table)}\n\n" + "\n".join(lines) + f"\n\nVerdict: **{evidence.verdict}**.\n\n"
            "![figure](figure.png)\n"
        )
        readme.write_text(MEASURED.sub(lambda match: match.group(1) + measured + match.group(2), readme.read_text()))
