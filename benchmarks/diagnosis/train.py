"""Training many small runs fast: those of one structure as one population, the others on their own."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nnlab.cli import compose
from nnlab.config import trust
from nnlab.config.build import build_callbacks, build_loss, build_members, construct
from nnlab.diagnosis import RunRecord, records
from nnlab.errors import UserError
from nnlab.training import Trainer

CONFIGS = Path(__file__).parent / "configs"
MOST = 24  # members of one population


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A trained run.

    Attributes:
        record: what a diagnosis looks at.
        score: the last validation accuracy or r2; minus infinity where the run diverged.
    """

    record: RunRecord
    score: float


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """The config of a run; the zoo's own components are trusted."""
    trust.grant(["benchmarks.diagnosis"])
    values = dict(line.split("=", 1) for line in overrides)
    seed = int(values.pop("seed", "0"))
    return {**copy.deepcopy(_composed(tuple(f"{k}={v}" for k, v in values.items()))), "seed": seed}


@functools.lru_cache(maxsize=256)
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    return compose(*overrides, config_dir=CONFIGS)


def structure(config: dict[str, Any], members: int) -> str:
    """What the members of a population must share."""
    optimizer = {k: v for k, v in config["optimizer"].items() if k != "learning_rate"}
    regularizer = sorted(config["regularizer"])
    trainer = config["trainer"]
    parts = [config["architecture"], config["activation"], config["loss"], optimizer, regularizer, trainer, members]
    return json.dumps(parts, sort_keys=True)


def train_all(runs: Sequence[Sequence[str]]) -> list[Outcome | None]:
    """Train all runs; None where the config is refused."""
    groups: dict[str, list[tuple[int, Any]]] = {}
    configs: dict[int, dict[str, Any]] = {}
    outcomes: list[Outcome | None] = [None] * len(runs)
    for position, overrides in enumerate(runs):
        try:
            config = composed(overrides)
            members = build_members(config)
        except UserError as error:
            print(f"refused: {' '.join(overrides)}: {error}", flush=True)
            continue
        configs[position] = config
        dataset = members[0].dataset
        shape = [len(dataset.train), len(dataset.validation), len(dataset.test), dataset.target_size]
        key = structure(config, len(members)) + json.dumps([*shape, *dataset.input_shape])
        groups.setdefault(key, []).append((position, members[0]))
    torch.set_num_threads(1)
    for group in groups.values():
        for start in range(0, len(group), MOST):
            part = group[start : start + MOST]
            for (position, _), outcome in zip(part, _train(part, configs[part[0][0]]), strict=True):
                outcomes[position] = outcome
    return outcomes


def _train(part: Sequence[tuple[int, Any]], config: dict[str, Any]) -> list[Outcome]:
    members = [member for _, member in part]
    loss = build_loss(config, members[0].dataset)
    trainer = Trainer(members, loss, construct(config["trainer"], None), build_callbacks(config))
    trainer.fit()
    found = list(records(trainer))
    return [Outcome(record, score(record)) for record in found]


def score(record: RunRecord) -> float:
    """The last validation accuracy, or r2."""
    name = "accuracy" if "accuracy" in record.curves else "r2"
    curve = record.curves.get(name)
    return curve.values[-1] if curve and record.status == "completed" else float("-inf")
