"""Healthy runs on bundled data and real tables: how many are told that something is wrong?

python -m benchmarks.diagnosis.healthy --packages SITE_PACKAGES --out healthy.jsonl   # continues where it was ended
python -m benchmarks.diagnosis.healthy --show healthy.jsonl

SITE_PACKAGES is a folder into which `pip install ISLP palmerpenguins lifelines statsmodels` has put its files; they
bring the tables. A run is healthy if its test metric is not behind the best of a constant, a linear model and boosted
trees on the same split by more than a tenth of that one's skill, or two standard errors.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.diagnosis.backgrounds import DATA, RATES, background
from benchmarks.diagnosis.train import composed
from nnlab.config.build import build_trainer
from nnlab.diagnosis import diagnose, records
from nnlab.diagnosis.facts.references import skill
from nnlab.diagnosis.facts.simple import SimpleModel, simple_models
from nnlab.errors import UserError
from nnlab.probe.after_training import follow_up, worse_than_it_should
from nnlab.types import Dataset

# Name: file below the packages' folder, target, columns left out.
TABLES: dict[str, tuple[str, str, str]] = {
    "auto": ("ISLP/data/Auto.csv", "mpg", "[name]"),
    "bikeshare": ("ISLP/data/Bikeshare.csv", "bikers", "[casual,registered]"),
    "boston": ("ISLP/data/Boston.csv", "medv", "[]"),
    "carseats": ("ISLP/data/Carseats.csv", "Sales", "[]"),
    "college": ("ISLP/data/College.csv", "Grad.Rate", "[]"),
    "credit": ("ISLP/data/Credit.csv", "Balance", "[]"),
    "hitters": ("ISLP/data/Hitters.csv", "Salary", "[]"),
    "wage": ("ISLP/data/Wage.csv", "wage", "[logwage]"),
    "caravan": ("ISLP/data/Caravan.csv", "Purchase", "[]"),
    "default": ("ISLP/data/Default.csv", "default", "[]"),
    "juice": ("ISLP/data/OJ.csv", "Purchase", "[]"),
    "private": ("ISLP/data/College.csv", "Private", "[]"),
    "smarket": ("ISLP/data/Smarket.csv", "Direction", "[Today]"),
    "species": ("palmerpenguins/data/penguins.csv", "species", "[]"),
    "body_mass": ("palmerpenguins/data/penguins.csv", "body_mass_g", "[]"),
    "arrest": ("lifelines/datasets/rossi.csv", "arrest", "[week]"),
    "cd4": ("lifelines/datasets/ACTG175.csv", "cd420", "[pidnum,cd496,cd820,days,cens,r,arms]"),
    "marriage": ("statsmodels/datasets/fair/fair.csv", "rate_marriage", "[]"),
    "affairs": ("statsmodels/datasets/fair/fair.csv", "affairs", "[]"),
    "copper": ("statsmodels/datasets/copper/copper.csv", "WORLDCONSUMPTION", "[]"),
}
STEPS = 1200


def overrides(name: str, number: int, packages: Path | None) -> list[str]:
    """A sound run, drawn at random."""
    draw = random.Random(f"healthy/{name}/{number}")
    if name in DATA:
        values = background(draw, name, healthy=True)
        return [f"{key}={value}" for key, value in (values | {"seed": str(number)}).items()]
    file, target, dropped = TABLES[name]
    optimizer = draw.choice(["adam", "adam", "adamw", "sgd", "rmsprop"])
    return [
        *("data=table", f"data.path={packages}/{file}", f"data.target={target}", f"data.drop={dropped}"),
        *(f"optimizer={optimizer}", f"optimizer.learning_rate={RATES[optimizer] / 2}", "scheduler=cosine"),
        f"architecture.widths={draw.choice(['[32]', '[64,64]', '[16]'])}",
        f"activation={draw.choice(['relu', 'tanh', 'elu', 'silu'])}",
        f"regularizer.weight_decay.strength={draw.choice(['0.0', '0.001', '0.01'])}",
        *("trainer.epochs=null", f"trainer.steps={STEPS}", "callbacks=[statistics]", f"seed={number}"),
    ]


def fitting(lines: list[str]) -> dict[str, Any]:
    """The config, with a loss that fits the table."""
    for loss in ([], ["loss=squared_error"]):
        config = composed([*lines, *loss])
        try:
            build_trainer([config])
        except UserError as error:
            refused = error
            continue
        return config
    raise refused


def judged(prediction: Tensor, dataset: Dataset, models: Sequence[SimpleModel]) -> tuple[float, float, float]:
    """The network's skill on the test split, the best reference's, and two standard errors of a skill."""
    targets = dataset.test.targets
    by_name = {model.name: model.predictions["test"] for model in models}
    constant = by_name["constant"].to(targets.dtype) if targets.is_floating_point() else by_name["constant"]
    best = max(skill(each, constant, targets) for each in by_name.values())
    own = skill(prediction[..., : dataset.target_size], constant, targets)
    if targets.is_floating_point():
        errors = (prediction[..., : dataset.target_size] - targets).square().sum(1)
        total = (constant - targets).square().sum()
        return own, best, float(2 * errors.std() * len(errors) ** 0.5 / total)
    wrong = (prediction.argmax(1) != targets).double()
    total = max(float((constant.argmax(1) != targets).sum()), 1.0)
    return own, best, float(2 * wrong.std() * len(wrong) ** 0.5 / total)


def case(name: str, number: int, packages: Path | None) -> dict[str, Any]:
    """One run, as counts."""
    lines = overrides(name, number, packages)
    row: dict[str, Any] = {"data": name, "number": number, "overrides": lines}
    try:
        config = fitting(lines)
        trainer = build_trainer([config])
    except UserError as error:
        return row | {"refused": str(error)}
    torch.set_num_threads(1)
    trainer.fit()
    [record] = records(trainer)
    dataset, loss = trainer.members[0].dataset, trainer.loss
    prediction = loss.combine(trainer.final_evaluations()["test"].prediction).detach()
    own, best, chance = judged(prediction, dataset, simple_models(dataset, loss, seconds=0.3))
    found = diagnose(record)
    asked = worse_than_it_should(config, record, found)
    started = time.process_time()
    after = follow_up(config, record, found)
    return row | {
        "skill": own,
        "reference": best,
        "healthy": record.status == "completed" and own >= best - max(0.1 * max(best, 0.0), chance),
        "rules": [finding.name for finding in found if finding.fault],
        "faults": [f"{finding.name} {finding.override}" for finding in after if finding.fault],
        "notes": [finding.name for finding in after if not finding.fault],
        "asked": asked,
        "seconds": time.process_time() - started,
        "sentence": after[0].explanation if after else "",
    }


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The table of the README."""
    yield "| data | runs | healthy | false alarms | probed | notes |\n|---|---|---|---|---|---|"
    for name in [*dict.fromkeys(row["data"] for row in rows), "all"]:
        part = [row for row in rows if name in (row["data"], "all") and "refused" not in row]
        sound = [row for row in part if row["healthy"]]
        alarms = sum(bool(row["faults"]) for row in sound)
        share = f" ({alarms / max(len(sound), 1):.1%})" if name == "all" else ""
        asked, notes = sum(row["asked"] for row in sound), sum(bool(row["notes"]) for row in sound)
        yield f"| {name} | {len(part)} | {len(sound)} | {alarms}{share} | {asked} | {notes} |"


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis.healthy", description=__doc__)
    parser.add_argument("--packages", type=Path, help="folder with the packages that bring tables")
    parser.add_argument("--data", nargs="*")
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--out", type=Path, help="rows as they are measured; those that are there are not repeated")
    parser.add_argument("--show", type=Path, help="only print the table of such a file, and every alarm")
    options = parser.parse_args(arguments)
    file = options.show or options.out
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file and file.exists() else []
    done = {(row["data"], row["number"]) for row in rows}
    names = [] if options.show else options.data or [*DATA, *(TABLES if options.packages else ())]
    for number in range(options.each):
        for name in names:
            if (name, number) in done:
                continue
            rows.append(case(name, number, options.packages))
            if options.out:
                with options.out.open("a") as stream:
                    stream.write(json.dumps(rows[-1]) + "\n")
    print("\n".join(table(rows)))
    for row in rows:
        if row.get("refused") or (row["healthy"] and row["faults"]):
            print(f"{row['data']} {row['number']}: {row.get('refused') or row['faults']}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
