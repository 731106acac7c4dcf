"""Ensembles whose optimizer cannot be stacked: the members are trained one after another, each a run of its own.

Rules that evaluate the loss themselves (L-BFGS, BFGS, Newton) and torch's own optimizers move one network at a time.
The members' run directories are `member_0`, `member_1`, ... inside that of the ensemble, which holds the combination.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nnlab.config import identity
from nnlab.config.build import data_seed, member_seed, stackable
from nnlab.config.construct import construct
from nnlab.regularizer import Ensemble
from nnlab.runs.loading import load_run
from nnlab.runs.result import Result
from nnlab.storage.folder import read_result
from nnlab.storage.run import Run
from nnlab.training import Trainer
from nnlab.training.ensemble import ensemble_report
from nnlab.training.evaluation import Evaluation

log = logging.getLogger(__name__)

Config = Mapping[str, Any]


def members_of(config: Config) -> int:
    """Members of the ensemble that a config asks for, 1 where it asks for none."""
    ensembles = [r for r in construct(config["regularizer"], "regularizer").values() if isinstance(r, Ensemble)]
    return ensembles[0].members if ensembles else 1


def needed(config: Config) -> bool:
    """Whether the members of this config's ensemble must be trained one by one."""
    return members_of(config) > 1 and not stackable(config)


def member_config(config: Config, position: int) -> dict[str, Any]:
    """The config of one member as a run of its own: its seed, the ensemble's data."""
    rest = {name: each for name, each in config["regularizer"].items() if not each["_target_"].endswith(".Ensemble")}
    own = {"seed": member_seed(config["seed"], position), "data_seed": data_seed(config)}
    return {**config, "regularizer": rest, **own}


TrainRuns = Callable[[Sequence[Config], Sequence[Path], Sequence[Sequence[str]]], list[Result]]


def train(config: Config, directory: Path, overrides: Sequence[str], train_runs: TrainRuns) -> Result:
    """Train the members in turn with `train_runs`, continuing where an attempt stopped, and combine them."""
    count = members_of(config)
    name = config["optimizer"]["_target_"].rpartition(".")[2]
    log.info(f"{name} cannot be stacked: the {count} members are trained one by one")
    results: list[Result] = []
    for position in range(count):
        folder = directory / f"member_{position}"
        folder.mkdir(exist_ok=True)
        if read_result(folder) is None:
            results += train_runs([member_config(config, position)], [folder], [overrides])
            if results[-1].status == "interrupted":
                return Result(directory, "interrupted", {}, signals=results[-1].signals)
    report = combined(directory)
    done = [read_result(directory / f"member_{position}") or {} for position in range(count)]
    run = Run(directory, range(count), config, overrides, identity(config))
    run.create({"identity": run.identity, "seed": config["seed"]})
    metrics = {split: each["by_size"][-1] for split, each in report.items()}
    content = {
        "status": "completed" if any(each["status"] == "completed" for each in done) else "diverged",
        "metrics": metrics,
        "metric": done[0].get("metric", ""),
        "best_step": max(each["best_step"] for each in done),
        "steps": max(each["steps"] for each in done),
        "seconds": sum(each["seconds"] for each in done),
        "reason": "; ".join(each["reason"] for each in done if each["reason"]),
        "identity": run.identity,
        "diagnosis": list({f["name"]: f for each in reversed(done) for f in each["diagnosis"]}.values()),
    }
    run.finish({**content, "ensemble": report})
    run.close()
    return Result(directory, ensemble=report, **content)


def member_trainers(directory: Path) -> list[Trainer]:
    """The trainers of the members' runs, with their best weights; empty where `directory` is an ordinary run."""
    folders = sorted(directory.glob("member_*"), key=lambda folder: int(folder.name.removeprefix("member_")))
    return [load_run(folder) for folder in folders]


def evaluation(trainers: Sequence[Trainer], split: str) -> Evaluation:
    """The members' evaluations on a split as one, with a leading axis of members."""
    each = [trainer.final_evaluations()[split] for trainer in trainers]
    metrics = {name: torch.cat([one.metrics[name] for one in each]) for name in each[0].metrics}
    return Evaluation(metrics, torch.cat([one.prediction for one in each]))


def combined(directory: Path) -> dict[str, Any]:
    """The ensemble's report by split."""
    trainers = member_trainers(directory)
    loss, data = trainers[0].loss, trainers[0].members[0].dataset
    return {
        split: ensemble_report(
            loss, evaluation(trainers, split), getattr(data, split).targets, range(len(trainers)), data.units
        )
        for split in ("train", "validation", "test")
    }
