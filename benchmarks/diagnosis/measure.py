"""Kinds of faults that are halved, as are the data sets: planted, diagnosed with experiments, repaired, counted.

python -m benchmarks.diagnosis.measure A             # the kinds and data sets of half A
python -m benchmarks.diagnosis.measure B --out b.jsonl   # continues where it was ended
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from benchmarks.diagnosis.backgrounds import background
from benchmarks.diagnosis.everyday_kinds import EVERYDAY
from benchmarks.diagnosis.kinds import HALVES, KINDS, TRIED, Kind
from benchmarks.diagnosis.later_kinds import LATER
from benchmarks.diagnosis.student_kinds import STUDENTS
from benchmarks.diagnosis.train import composed, score
from nnlab.config.build import build_trainer
from nnlab.config.overrides import amended
from nnlab.diagnosis import Finding, RunRecord, diagnose, records
from nnlab.errors import UserError
from nnlab.probe.after_training import follow_up, worse_than_it_should

SEEDS = 2
NOISE = 0.03  # of the score, besides the spread of the twin
REPAIRS = 4  # patches of a run that are tried


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained run: its record, its score, its seconds."""

    config: dict[str, Any]
    record: RunRecord
    score: float
    seconds: float


def trained(overrides: Sequence[str]) -> Run:
    """Train a run as `nnlab train` would, without its files."""
    config = composed(overrides)
    trainer = build_trainer([config])
    torch.set_num_threads(1)
    trainer.fit()
    [record] = records(trainer)
    return Run(config, record, score(record), trainer.seconds)


def lines(values: dict[str, str], seed: int) -> list[str]:
    """Overrides with a seed."""
    return [f"{key}={value}" for key, value in (values | {"seed": str(seed)}).items()]


@functools.lru_cache(maxsize=8)
def twin(data: str, number: int) -> tuple[float, float]:
    """Mean and spread of the score of the sound run."""
    values = background(draw(data, number), data)
    found = [max(trained(lines(values, seed)).score, -1.0) for seed in range(2 * number, 2 * number + SEEDS)]
    return statistics.mean(found), statistics.stdev(found)


def draw(data: str, number: int) -> random.Random:
    """Decides the background of a data set, the same for all kinds."""
    return random.Random(f"{data}/{number}")


class Named(Protocol):
    """What has a cause: names of findings, and beginnings of keys, that name it."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def keys(self) -> tuple[str, ...]: ...


def names_it(kind: Named, finding: Finding) -> bool:
    """Whether a finding names the planted cause."""
    by_key = finding.name in TRIED and any(word.startswith(kind.keys) for word in finding.overrides if kind.keys)
    return finding.name in kind.names or by_key


def every(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Findings and what they explain."""
    for finding in findings:
        yield finding
        yield from every(finding.symptoms)


def case(kind: Kind, data: str, number: int, repair: bool) -> dict[str, Any] | None:
    """One planted run, as counts; None where the data set cannot have it."""
    values = kind.plant(background(draw(data, number), data), draw(data, number), data)
    if values is None:
        return None
    own = lines(values, 2 * number)
    row: dict[str, Any] = {"kind": kind.name, "data": data, "number": number, "overrides": own}
    started = time.process_time()
    try:
        run = trained(own)
    except UserError as error:
        return row | {"refused": str(error)}
    mean, spread = twin(data, number)
    margin = NOISE + 2 * spread
    spoiled = run.score < mean - margin - 0.02 if kind.spoils else run.record.status == "completed"
    found = diagnose(run.record)
    rules = [each.name for each in found if each.fault]
    begun = time.process_time()
    asked = worse_than_it_should(run.config, run.record, found)
    found = follow_up(run.config, run.record, found) if asked else found
    faults = [each for each in found if each.fault or each.name == "cause_not_found"]
    first = faults[0] if faults else None
    row |= {
        "score": run.score,
        "twin": mean,
        "spoiled": spoiled,
        "rules": rules,
        "found": [f"{each.name}{' ' + each.override if each.override else ''}" for each in faults],
        "first": bool(first and names_it(kind, first)),
        "said": any(names_it(kind, each) for each in every(faults)),
        "silent": not faults,
        "cause": bool(first and not first.kind.symptom and first.name != "cause_not_found"),
        "sentence": first.explanation if first else "",
        "asked": asked,
        "probing": time.process_time() - begun,
    }
    if repair and spoiled and kind.repairable:
        row["repaired"] = repaired(run, own, found, mean - margin)
    return row | {"seconds": time.process_time() - started}


def repaired(run: Run, own: Sequence[str], found: Sequence[Finding], enough: float) -> bool:
    """Whether any patch that is proposed restores the score."""
    patches = dict.fromkeys(each.overrides for each in every(found) if each.overrides)
    for patch in list(patches)[:REPAIRS]:
        try:
            if trained(amended(own, patch)).score >= enough:
                return True
        except (UserError, RuntimeError, ValueError):
            continue
    return False


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The table of the README."""
    spoiled = [row for row in rows if row.get("spoiled")]
    yield "| kind | runs | spoiled | cause first | cause said | wrong alone | silent | repaired |"
    yield "|---|---|---|---|---|---|---|---|"
    for name in dict.fromkeys(row["kind"] for row in rows):
        yield _line(name, [row for row in rows if row["kind"] == name])
    yield _line("all", rows)
    probing = [row["probing"] for row in spoiled]
    median, most = statistics.median(probing or [math.nan]), max(probing, default=0)
    yield f"\nexperiments: median {median:.2f} s of processor time, most {most:.1f} s"


def _line(name: str, rows: Sequence[dict[str, Any]]) -> str:
    spoiled = [row for row in rows if row.get("spoiled")]
    repairable = [row for row in spoiled if "repaired" in row]
    wrong = [row for row in spoiled if row["cause"] and not row["said"]]
    counts = [sum(row["first"] for row in spoiled), sum(row["said"] for row in spoiled), len(wrong)]
    counts.append(sum(row["silent"] for row in spoiled))
    share = [f"{count}" + (f" ({count / max(len(spoiled), 1):.0%})" if name == "all" else "") for count in counts]
    mended = f"{sum(row['repaired'] for row in repairable)} of {len(repairable)}" if repairable else "-"
    return f"| {name} | {len(rows)} | {len(spoiled)} | {' | '.join(share)} | {mended} |"


def _misses(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each run whose cause was not named first, or that was not repaired."""
    for row in rows:
        where = f"{row['kind']} on {row['data']}"
        if "refused" in row:
            yield f"{where}: {row['refused']}"
        elif row["spoiled"] and not (row["first"] and row.get("repaired", True)):
            yield f"{where} {row['score']:.3f} of {row['twin']:.3f}: {row['found']}, by rules {row['rules']}"


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis.measure", description=__doc__)
    parser.add_argument("half", choices=sorted(HALVES))
    parser.add_argument("--data-half", choices=sorted(HALVES), help="of the data sets, where it is another")
    parser.add_argument("--data", nargs="*")
    parser.add_argument("--kinds", nargs="*")
    parser.add_argument("--numbers", type=int, default=1, help="backgrounds of each data set")
    parser.add_argument("--first", type=int, default=0, help="number of the first background")
    parser.add_argument("--no-repair", action="store_true")
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--out", type=Path, help="rows as they are measured; those that are there are not repeated")
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    if options.out and options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text().splitlines()]
    done = {(row["kind"], row["data"], row["number"]) for row in rows}
    kinds = [
        kind
        for kind in (*KINDS, *LATER, *STUDENTS, *EVERYDAY)
        if kind.half == options.half and (not options.kinds or kind.name in options.kinds)
    ]
    for data in options.data or HALVES[options.data_half or options.half]:
        for number in range(options.first, options.first + options.numbers):
            for kind in kinds:
                if (kind.name, data, number) in done:
                    continue
                row = case(kind, data, number, not options.no_repair)
                if row is None:
                    continue
                rows.append(row)
                if options.out:
                    with options.out.open("a") as file:
                        file.write(json.dumps(row) + "\n")
    print("\n".join(table(rows)))
    if options.misses:
        print("\n".join(_misses(rows)), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
