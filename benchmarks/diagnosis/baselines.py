"""Two published checkers on the runs of `measure` and `healthy`, from the descriptions in their papers.

python -m benchmarks.diagnosis.baselines c.jsonl [healthy.jsonl]     # rows that the two scripts have written

AutoTrainer (Zhang, Zhai, Ma and Shen 2021, ICSE, doi:10.1109/ICSE43902.2021.00043): five symptoms, looked for where the
accuracy is poor. UMLAUT (Schoop, Huang and Hartmann 2021, CHI, doi:10.1145/3411764.3445538): heuristics on inputs,
rate, activations, dropout and curves. What a paper leaves open is decided in its favor; nothing is repaired here.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.diagnosis.kinds import KINDS
from benchmarks.diagnosis.later_kinds import LATER
from benchmarks.diagnosis.measure import trained
from nnlab.diagnosis import RunRecord
from nnlab.diagnosis.facts.curves import View
from nnlab.errors import UserError
from nnlab.types import Task

# AutoTrainer: gradient of the first layer against the last, and its size; dead units; oscillation; progress; accuracy.
VANISHED, EXPLODED, RATIO, DEAD, SWING, SWINGS, PROGRESS, POOR = 1e-3, 1e4, 70.0, 0.7, 0.03, 0.2, 0.01, 0.6
# UMLAUT: bounds of inputs and rates, dropout, accuracy that is too good, and a gap between the splits.
RANGE, FAST, SLOW, DROPPED, TOO_GOOD, GAP = 1.0, 0.01, 1e-7, 0.5, 0.95, 0.1


def autotrainer(record: RunRecord) -> list[str]:
    """Vanishing and exploding gradients, dying ReLUs, oscillating loss, slow convergence."""
    curve = record.curves.get(record.primary_metric)
    values = np.asarray(curve.values if curve else [math.nan], dtype=float)
    score = View(record).skill("train") if record.task is Task.REGRESSION else values[-1]
    if record.status == "diverged":
        return ["exploding_gradients"]
    if not score < POOR:
        return []
    found = []
    gradients = [list(series.values) for name, series in record.series("gradient_norm").items() if "weight" in name]
    if len(gradients) > 1:
        first, last = gradients[0][-1], gradients[-1][-1]
        if last > 0 and first / last < VANISHED:
            found.append("vanishing_gradients")
        if max(map(max, gradients)) > EXPLODED or (last > 0 and first / last > RATIO):
            found.append("exploding_gradients")
    if record.activation == "relu" and any(layer.dead > DEAD for layer in record.layers):
        found.append("dead_units")
    moves = np.diff(values) if record.task is not Task.REGRESSION else np.diff(values) / max(abs(values[0]), 1e-12)
    turns = (np.abs(moves[1:]) > SWING) & (np.sign(moves[1:]) != np.sign(moves[:-1])) if len(moves) > 1 else moves
    if len(turns) and float(np.mean(turns)) > SWINGS:
        found.append("learning_rate_too_high")
    if len(moves) and float(np.abs(moves[: max(len(moves) // 4, 1)]).mean()) < PROGRESS:
        found.append("learning_rate_too_low")
    return found


def umlaut(record: RunRecord) -> list[str]:
    """What its heuristics say, errors and warnings alike."""
    found, data = [], record.data
    if data is not None and data.inputs.broken:
        found.append("inputs_not_finite")
    elif data is not None and max(abs(data.inputs.lowest), abs(data.inputs.highest)) > RANGE:
        found.append("inputs_not_standardized")
    if record.status == "diverged":
        found.append("loss_exploded")
    if record.learning_rate > FAST:
        found.append("learning_rate_too_high")
    elif record.learning_rate < SLOW:
        found.append("learning_rate_too_low")
    if len(record.weights) > 1 and record.activation in ("", "identity"):
        found.append("underfitting")
    if any(p > DROPPED for p in record.noise.values()):
        found.append("penalty_too_strong")
    train, held = record.splits.get("train"), record.splits.get("validation")
    losses = record.curves.get("loss")
    risen = bool(losses) and len(losses.values) > 3 and losses.values[-1] > min(losses.values)
    if risen and train is not None and train.loss < losses.values[-1] * (1 - GAP):
        found.append("overfitting")
    if record.task is not Task.REGRESSION and train is not None and held is not None:
        if held.metric > TOO_GOOD:
            found.append("leakage_between_splits")
        if held.metric > train.metric:
            found.append("validation_easier")
    return found


TOOLS: dict[str, Callable[[RunRecord], list[str]]] = {"AutoTrainer": autotrainer, "UMLAUT": umlaut}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def counted(spoiled: Sequence[dict[str, Any]], healthy: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The table: what each says about spoiled runs, and how often about healthy ones."""
    names = {kind.name: kind.names for kind in (*KINDS, *LATER)}
    told: dict[str, list[list[str]]] = {tool: [] for tool in TOOLS}
    alarms: dict[str, int] = dict.fromkeys(TOOLS, 0)
    for rows, note in ((spoiled, True), (healthy, False)):
        for row in rows:
            try:
                record = trained([*row["overrides"], *row.get("more", [])]).record
            except (UserError, RuntimeError):
                continue
            for tool, look in TOOLS.items():
                if note:
                    told[tool].append([row["kind"], *look(record)])
                else:
                    alarms[tool] += bool(look(record))
    yield "| | spoiled | anything said | cause first | cause said | wrong alone | alarms on healthy runs |"
    yield "|---|---|---|---|---|---|---|"
    for tool, lines in told.items():
        said = [line for line in lines if line[1:]]
        first = sum(line[1] in names[line[0]] for line in said)
        right = sum(any(name in names[line[0]] for name in line[1:]) for line in said)
        count = max(len(lines), 1)
        shares = " | ".join(f"{n} ({n / count:.0%})" for n in (len(said), first, right, len(said) - right))
        yield f"| {tool} | {len(lines)} | {shares} | {alarms[tool]} of {len(healthy)} |"
    own = [row["first"] for row in spoiled], [row["said"] for row in spoiled], [not row["silent"] for row in spoiled]
    wrong = sum(row["cause"] and not row["said"] for row in spoiled)
    first, right, anything = map(sum, own)
    count = max(len(spoiled), 1)
    shares = " | ".join(f"{n} ({n / count:.0%})" for n in (anything, first, right, wrong))
    faults = sum(bool(row.get("faults")) for row in healthy)
    yield f"| nnlab | {len(spoiled)} | {shares} | {faults} of {len(healthy)} |"


def main(arguments: Sequence[str]) -> int:
    """Read the rows, train the runs again, print."""
    spoiled = [row for row in _rows(Path(arguments[0])) if row.get("spoiled")]
    healthy = [row for row in _rows(Path(arguments[1])) if row.get("healthy")] if len(arguments) > 1 else []
    print("\n".join(counted(spoiled, healthy)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
