"""Clean data on which networks overfit, with and without wrong labels: which are accused?

python -m benchmarks.diagnosis.clean --out clean.jsonl              # continues where it was ended
python -m benchmarks.diagnosis.clean --wrong 0.1 --out wrong.jsonl  # with 10% of the labels replaced
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.diagnosis.backgrounds import RATES
from benchmarks.diagnosis.clean_data import MAKERS
from benchmarks.diagnosis.measure import trained
from nnlab.diagnosis import diagnose
from nnlab.probe.after_training import follow_up, worse_than_it_should

SIZES = (250, 500, 1000, 2000)
ACCUSED = ("labels_wrong", "classes_mixed_up", "classes_renamed", "splits_differ", "targets_shifted")


def overrides(name: str, number: int, wrong: float) -> list[str]:
    """A sound run on a data set, drawn at random; sizes go round."""
    draw = random.Random(f"clean/{name}/{number}")
    optimizer = draw.choice(["adam", "adam", "adamw", "momentum", "rmsprop"])
    return [
        *("data=clean", f"data.name={name}", f"data.examples={SIZES[number % len(SIZES)]}", f"data.wrong={wrong}"),
        *("data.validation=0.2", f"optimizer={optimizer}", f"optimizer.learning_rate={RATES[optimizer]}"),
        f"scheduler={draw.choice(['constant', 'cosine'])}",
        f"architecture.widths={draw.choice(['[32]', '[64,64]', '[128,64]'])}",
        f"activation={draw.choice(['relu', 'tanh', 'silu'])}",
        f"regularizer.weight_decay.strength={draw.choice(['0.0', '0.001', '0.01'])}",
        *("trainer.epochs=null", "trainer.steps=1500", "callbacks=[statistics]", f"seed={number}"),
    ]


def case(name: str, number: int, wrong: float) -> dict[str, Any]:
    """One run, with experiments whether or not it asks for them."""
    lines = overrides(name, number, wrong)
    run = trained(lines)
    found = diagnose(run.record)
    started = time.process_time()
    after = follow_up(run.config, run.record, found)
    said = {finding.name: finding for finding in after}
    return {
        "data": name,
        "number": number,
        "wrong": wrong,
        "overrides": lines,
        "score": run.score,
        "rules": [finding.name for finding in found if finding.fault],
        "asked": worse_than_it_should(run.config, run.record, found),
        "faults": [f"{finding.name} {finding.override}" for finding in after if finding.fault],
        "accused": [each for each in ACCUSED if each in said and said[each].fault],
        "doubt": "labels_wrong_or_chance" in said,
        "sentences": [said[each].explanation for each in (*ACCUSED, "labels_wrong_or_chance") if each in said],
        "seconds": time.process_time() - started,
    }


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis.clean", description=__doc__)
    parser.add_argument("--data", nargs="*", default=list(MAKERS))
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--wrong", type=float, default=0.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    file = options.out
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file and file.exists() else []
    done = {(row["data"], row["number"], row["wrong"]) for row in rows}
    for number in range(options.each):
        for name in options.data:
            if (name, number, options.wrong) not in done:
                rows.append(case(name, number, options.wrong))
                if file:
                    with file.open("a") as stream:
                        stream.write(json.dumps(rows[-1]) + "\n")
    print("| data | runs | asked | accused | of these asked | doubt | mean score |\n|---|---|---|---|---|---|---|")
    for name in [*options.data, "all"]:
        part = [row for row in rows if name in (row["data"], "all")]
        accused = [row for row in part if row["accused"]]
        asked, doubt = sum(row["asked"] for row in part), sum(row["doubt"] for row in part)
        mean = sum(row["score"] for row in part) / max(len(part), 1)
        told = sum(row["asked"] for row in accused)
        print(f"| {name} | {len(part)} | {asked} | {len(accused)} | {told} | {doubt} | {mean:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
