"""Train the zoo, diagnose every run, repair what can be repaired, and print a table.

python -m benchmarks.diagnosis.run tuning      # the data sets and seeds that thresholds were chosen on
python -m benchmarks.diagnosis.run held-out    # those that they were not
python -m benchmarks.diagnosis.run held-out --data wine --out wine.json     # one data set, in a process of its own
python -m benchmarks.diagnosis.run held-out --merge *.json                  # the table of several such
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.diagnosis.backgrounds import DATA, HELD_OUT, TUNING
from benchmarks.diagnosis.train import Outcome, train_all
from benchmarks.diagnosis.zoo import Case, cases, clean
from nnlab.config.overrides import amended
from nnlab.diagnosis import Finding, diagnose
from nnlab.diagnosis.facts.curves import View

SEEDS = {"tuning": 0, "held-out": 59}


@dataclasses.dataclass
class Row:
    """Counts of one kind of fault."""

    planted: int = 0
    effective: int = 0
    detected: int = 0
    first: int = 0
    repairable: int = 0
    repaired: int = 0


def every_name(findings: Sequence[Finding]) -> Iterator[str]:
    """Names of findings and of the symptoms beneath them."""
    for finding in findings:
        yield finding.name
        yield from every_name(finding.symptoms)


def is_healthy(case: Case, outcome: Outcome) -> bool:
    """By the last validation score alone."""
    return outcome.score >= DATA[case.data][2]


def effective(case: Case, outcome: Outcome) -> bool:
    """Whether the planted fault did what it is there for; measured by scores, not by what a diagnosis looks at."""
    if case.harmful:
        return not is_healthy(case, outcome)
    if case.kind in ("few_validation", "duplicates", "target_column"):
        # Otherwise the background itself has failed.
        return outcome.record.status == "completed" and View(outcome.record).skill("train") > 0.3
    if case.kind == "overfitting":
        view = View(outcome.record)
        return view.skill("train") - view.skill("validation") > 0.15
    if case.kind == "imbalance":
        recall = outcome.record.splits["validation"].recall
        return min((r for r in recall if not math.isnan(r)), default=1.0) < 0.35
    return True


def gone(case: Case, after: Outcome | None) -> bool:
    """The repaired run ended, and its planted fault is not found any more."""
    if after is None or after.record.status != "completed":
        return False
    return not set(case.causes) & set(every_name(diagnose(after.record)))


def recovered(case: Case, before: Outcome, after: Outcome) -> bool:
    """The score became healthy; where the fault does not spoil the score, what it does spoil is better."""
    if case.harmful:
        return is_healthy(case, after)
    if case.kind == "overfitting":
        first, last = (o.record.curves["loss"].values[-1] for o in (before, after))
        return last < first and after.score >= before.score - 0.05
    if case.kind == "imbalance":
        return balanced(after) > balanced(before) + 0.05
    return case.kind == "few_validation" or after.score >= before.score - 0.02


def balanced(outcome: Outcome) -> float:
    """Mean accuracy over the classes of the validation split."""
    recall = [r for r in outcome.record.splits["validation"].recall if not math.isnan(r)]
    return sum(recall) / len(recall)


def evaluate(chosen: Sequence[Case], repair: bool = True) -> tuple[dict[str, Row], dict[str, int], list[str]]:
    """Train, diagnose and repair; rows by kind, counts over the healthy, and a line for every miss."""
    outcomes = train_all([case.overrides for case in chosen])
    rows: dict[str, Row] = defaultdict(Row)
    healthy = {"runs": 0, "trained": 0, "faults": 0, "findings": 0}
    misses: list[str] = []
    mend: list[tuple[Case, Outcome, Finding]] = []
    for case, outcome in zip(chosen, outcomes, strict=True):
        if outcome is None:
            continue
        found = diagnose(outcome.record)
        if case.kind == "healthy":
            _count_healthy(case, outcome, found, healthy, misses)
            continue
        row = rows[case.kind]
        row.planted += 1
        if not effective(case, outcome):
            continue
        row.effective += 1
        row.detected += bool(set(case.detected) & set(every_name(found)))
        if found and found[0].name in case.causes:
            row.first += 1
        else:
            names = " ".join(every_name(found)) or "nothing"
            misses.append(f"{case.kind} on {case.data} ({outcome.score:.3f}): {names}  [{' '.join(case.overrides)}]")
        if case.repairable:
            row.repairable += 1
            if found and found[0].overrides:
                mend.append((case, outcome, found[0]))
    for (case, before, finding), after, good in _judged(mend) if repair else ():
        rows[case.kind].repaired += good
        if not good:
            score = "refused" if after is None else f"{before.score:.3f} -> {after.score:.3f}"
            still = " ".join(every_name(diagnose(after.record))) if after else ""
            misses.append(f"not repaired: {case.kind} on {case.data} {score} by {finding.override}: {still}")
    return dict(rows), healthy, misses


def _count_healthy(
    case: Case, outcome: Outcome, found: Sequence[Finding], healthy: dict[str, int], misses: list[str]
) -> None:
    healthy["trained"] += 1
    if not is_healthy(case, outcome):
        return
    healthy["runs"] += 1
    faults = [finding for finding in found if finding.severity == "fault"]
    healthy["faults"] += bool(faults)
    healthy["findings"] += bool(found)
    if found:
        names = " ".join(every_name(found))
        misses.append(f"alarm on {case.data} ({outcome.score:.3f}): {names}  [{' '.join(case.overrides)}]")


Mended = tuple[Case, Outcome, Finding]


def _judged(mend: Sequence[Mended]) -> list[tuple[Mended, Outcome | None, bool]]:
    """Run again with the suggested overrides; what stays below its threshold is compared with a run without fault."""
    outcomes = train_all([amended(case.overrides, finding.overrides) for case, _, finding in mend])
    good = [
        gone(case, after) and after is not None and recovered(case, before, after)
        for (case, before, _), after in zip(mend, outcomes, strict=True)
    ]
    doubtful = [i for i, fine in enumerate(good) if not fine and gone(mend[i][0], outcomes[i])]
    twins = train_all([clean(mend[i][0]) for i in doubtful])
    for i, twin in zip(doubtful, twins, strict=True):
        after, same = outcomes[i], clean(mend[i][0]) == list(mend[i][0].overrides)
        good[i] = not same and twin is not None and after is not None and after.score >= twin.score - 0.05
    return list(zip(mend, outcomes, good, strict=True))


def show(rows: dict[str, Row], healthy: dict[str, int]) -> None:
    """The table of the README."""
    print("| fault | planted | harmful | detected | cause first | repaired |\n|---|---|---|---|---|---|")
    total = Row()
    for kind, row in rows.items():
        mended = f"{row.repaired} of {row.repairable}" if row.repairable else "-"
        print(f"| {kind} | {row.planted} | {row.effective} | {row.detected} | {row.first} | {mended} |")
        for field in dataclasses.fields(Row):
            setattr(total, field.name, getattr(total, field.name) + getattr(row, field.name))
    harmful, repairable = max(total.effective, 1), max(total.repairable, 1)
    print(
        f"| all | {total.planted} | {total.effective} | {total.detected} ({total.detected / harmful:.1%}) "
        f"| {total.first} ({total.first / harmful:.1%}) "
        f"| {total.repaired} of {total.repairable} ({total.repaired / repairable:.1%}) |"
    )
    print(
        f"\nhealthy: {healthy['runs']} of {healthy['trained']} runs are healthy by their score; false alarms "
        f"{healthy['faults']} ({healthy['faults'] / max(healthy['runs'], 1):.1%}), with notes {healthy['findings']}"
    )


def merged(paths: Sequence[Path]) -> tuple[dict[str, Row], dict[str, int]]:
    """Sums over results that were written with `--out`."""
    rows: dict[str, Row] = defaultdict(Row)
    healthy: dict[str, int] = defaultdict(int)
    for path in paths:
        part = json.loads(path.read_text())
        for kind, counts in part["rows"].items():
            for field, count in counts.items():
                setattr(rows[kind], field, getattr(rows[kind], field) + count)
        for name, count in part["healthy"].items():
            healthy[name] += count
    return dict(rows), dict(healthy)


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.diagnosis.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=sorted(SEEDS))
    parser.add_argument("--each", type=int, default=3, help="runs of each fault on each data set")
    parser.add_argument("--healthy", type=int, default=30, help="healthy runs on each data set")
    parser.add_argument("--seed", type=int, help="another seed")
    parser.add_argument("--data", nargs="*", help="only these data sets")
    parser.add_argument("--no-repair", action="store_true")
    parser.add_argument("--out", type=Path, help="write the counts to this file")
    parser.add_argument("--merge", type=Path, nargs="*", help="only add up such files and print the table")
    options = parser.parse_args(arguments)
    if options.merge:
        show(*merged(options.merge))
        return 0
    datasets = options.data or (TUNING if options.part == "tuning" else HELD_OUT)
    started = time.process_time()
    seed = SEEDS[options.part] if options.seed is None else options.seed
    chosen = list(cases(datasets, seed, options.each, options.healthy))
    rows, healthy, misses = evaluate(chosen, not options.no_repair)
    show(rows, healthy)
    seconds = time.process_time() - started
    print(f"\n{len(chosen)} runs on {', '.join(datasets)}, seed {seed}, {seconds:.0f} s of processor time")
    print("\n".join(["", "misses:", *misses]), file=sys.stderr)
    if options.out:
        counts = {kind: dataclasses.asdict(row) for kind, row in rows.items()}
        options.out.write_text(json.dumps({"rows": counts, "healthy": healthy}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
