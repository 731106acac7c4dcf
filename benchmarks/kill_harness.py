"""Kill training at random moments, also inside a save, restart it with the same command, compare with a twin.

    python benchmarks/kill_harness.py --kills 200 --seed 0

Every run is a process of its own, forked from one that has imported everything, so that a kill costs half a second. It
is killed with SIGKILL in one of three ways: after a random time; after a random time on a slow disk, so that it is most
likely in a save; or at a random file operation, with half of its data written. After the last kill it may finish. Then
result, weights, optimizer state, logs and TensorBoard events must be those of one that was never killed, bit for
bit. The table pairs every optimizer with schedules, regularizers and ensembles, drawn from the seed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "resume")]

from disk import Disk  # noqa: E402
from twins import OPTIMIZERS, SECOND_ORDER, cases, compare, differences  # noqa: E402

KILLS_PER_RUN = 8
SLOW = 0.004  # seconds that a slow disk takes for each operation

SCHEDULERS = ("constant", "cosine", "cyclic", "inverse_sqrt", "linear", "one_cycle", "step")
REGULARIZERS = {
    "none": ["regularizer=[weight_decay]"],
    "dropout": ["regularizer=[dropout]"],
    "dropconnect": ["regularizer=[dropconnect]"],
    "max_norm": ["regularizer=[max_norm]", "regularizer.max_norm.max_norm=0.5"],
    "early_stopping": ["regularizer=[dropout,early_stopping]", "regularizer.early_stopping.patience=4"],
    "ensemble": ["regularizer=[ensemble]", "regularizer.ensemble.members=3"],
    "ensemble, dropout": ["regularizer=[ensemble,dropout]", "regularizer.ensemble.members=2"],
    "augmentation, batch norm": ["data/augmentation=[shift,gaussian_noise]", "architecture.batch_norm=true"],
}


SMALL = ("callbacks.checkpoint.seconds=0", "scheduler=constant")
NO_PROBE = "callbacks.diagnosis.probe=false"  # the experiments after a result are no part of it
PLAIN = ("trainer.epochs=3", "trainer.batch_size=16", "architecture.widths=[8]", NO_PROBE, *SMALL)


def make_data(folder: Path) -> None:
    """A table of numbers, words and gaps, and folders of small images."""
    import numpy as np
    from PIL import Image

    numbers = np.random.default_rng(0)
    lines = [
        f"{a:.3f},{'xyz'[i % 3]},{'' if i % 7 == 0 else i},{'yes' if a > 0 else 'no'}"
        for i, a in enumerate(numbers.standard_normal(110))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.csv").write_text("\n".join(["a,b,c,target", *lines]) + "\n")
    for name in ("cat", "dog"):
        (folder / "images" / name).mkdir(parents=True)
        for i in range(30):
            pixels = numbers.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{i}.png")


def groups(folder: Path) -> dict[str, list[str]]:
    """Runs by name: one for every group of options, its own data, all precisions, and all callbacks at the end."""
    table = ["data=table", f"data.path={folder / 'table.csv'}", "data.target=target", *PLAIN]
    images = ["data=image_folder", f"data.path={folder / 'images'}", "data.size=8", *PLAIN]
    digits = ["data.limit=120", *PLAIN]
    every = "tensorboard,statistics,histograms,images,precision_recall,projector,diagnosis,progress,checkpoint"
    runs = {
        "table": table,
        "table, ensemble": [
            *table,
            "data.references=[]",
            "regularizer=[ensemble,dropout]",
            "regularizer.ensemble.members=3",
        ],
        "table, all callbacks": [*table, "data.references=[]", f"callbacks=[{every}]"],
        "images": images,
        "images, convnet, augmentation": [
            *(each for each in images if not each.startswith("architecture")),
            *("architecture=convnet", "architecture.channels=[2,3]", "architecture.hidden=6", "trainer.epochs=2"),
            "data/augmentation=[flip,shift]",
        ],
        "float64": [*digits, "trainer.precision=float64"],
        "bf16": [*digits, "trainer.precision=bf16"],
        "float64, regression": [*digits[1:], "data=diabetes", "loss=squared_error", "trainer.precision=float64"],
        "snapshots": [
            *digits,
            "scheduler=cyclic",
            "scheduler.cycles=3",
            "regularizer=[snapshot_ensemble]",
            "trainer.epochs=6",
        ],
        "average of the weights": [*digits, "regularizer=[ema]"],
        "sharpness": [*digits, "regularizer=[sam]"],
        "muon": [*digits, "optimizer=muon"],
        "lion": [*digits, "optimizer=lion"],
        "adafactor": [*digits, "optimizer=adafactor"],
        "folds": [*digits, "data.folds=4", "data.fold=1"],
        "accumulation": [*digits, "trainer.accumulate=3", "trainer.clip_norm=0.5"],
        "torch engine": [*digits, "trainer.engine=torch", "activation=gelu", "initialization=orthogonal"],
        "hinge": [*digits, "loss=multiclass_svm", "activation=prelu"],
        "moons": [*digits[1:], "data=moons", "loss=binary_cross_entropy", "initialization=xavier"],
    }
    for name in ("table", "images", "float64", "bf16", "moons", "average of the weights"):
        runs[f"end of {name}"] = [*runs[name], f"callbacks=[{every}]", "trainer.steps=6", "trainer.epochs=1"]
    return runs


def table(dice: random.Random) -> dict[str, list[str]]:
    """Runs by name: every optimizer and torch class, with everything else drawn."""
    known = cases()
    runs = {}
    first = [name for name in known if name.startswith(("optimizer=", "torch.optim."))]
    for name in first:
        alone = name.removeprefix("optimizer=") in SECOND_ORDER or name.startswith("torch.optim.")
        options = [r for r in REGULARIZERS if not (alone and ("ensemble" in r or "augmentation" in r))]
        for _ in range(2 if name.removeprefix("optimizer=") in OPTIMIZERS else 1):
            scheduler, regularizer = dice.choice(SCHEDULERS), dice.choice(options)
            overrides = [*known[name], f"scheduler={scheduler}", *REGULARIZERS[regularizer]]
            runs[f"{name}, {scheduler}, {regularizer}"] = [*overrides, "callbacks.checkpoint.seconds=0"]
    return runs


def warm_up() -> None:
    """Import what a run imports, once for all of them, by running one."""
    from nnlab.cli import compose
    from nnlab.cli import main as nnlab
    from nnlab.config.build import load_dataset

    for data in ("digits", "moons"):
        load_dataset(compose(f"data={data}", "data.limit=100"))
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        torch = ["optimizer=sgd", "~optimizer.learning_rate", "optimizer._target_=torch.optim.NAdam"]
        for optimizer in (["optimizer=adam"], ["optimizer=lbfgs"], torch):
            overrides = [*optimizer, "data.limit=100", "trainer.epochs=1", "trainer.batch_size=full", NO_PROBE]
            nnlab(["train", *overrides, "regularizer=[dropout]", f"output_dir={folder}"])


def studies() -> dict[str, list[str]]:
    """Grids and recipes by name, which are commands of their own."""
    small = ["data.limit=100", "architecture.widths=[6]", "trainer.epochs=2", "callbacks=[checkpoint,tensorboard]"]
    quick = ["callbacks.checkpoint.seconds=0", "scheduler=constant"]
    recipe = ["recipe", "data.limit=120", "architecture.widths=[8]", "recipe.rounds=1", "recipe.final_seeds=2"]
    return {
        "grid as one population": ["train", "-m", *small, *quick, "seed=0,1,2", "optimizer.learning_rate=0.01,0.1"],
        "grid one by one": ["train", "-m", *small, *quick, "optimizer=sgd,momentum,lion", "hydra.launcher.stack=never"],
        "grid over ensembles": ["train", "-m", *small, *quick, "regularizer=[ensemble],[dropout]", "seed=0,1"],
        "recipe": [*recipe, "recipe.seeds=2", "callbacks=[checkpoint]"],
        "recipe of a regression": [*recipe[:1], *recipe[2:], "data=diabetes", "loss=squared_error", "recipe.seeds=2"],
    }


def start(words: list[str], log: Path, disk: dict[str, Any]) -> int:
    """Start a command of nnlab in a forked process; returns its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        from nnlab.cli import main

        with Disk(log.parent, **disk).installed() as counting:
            code = main(words)
        print(f"operations: {counting.count}")
        sys.stdout.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    os._exit(code)


def finish(child: int) -> int:
    """Wait for a process; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Case:
    """One command, with its twin."""

    def __init__(self, words: list[str], folder: Path, dice: random.Random) -> None:
        self.dice, self.folder, self.log = dice, folder, folder / "log"
        folder.mkdir(parents=True)
        self.words = {name: [*words, f"output_dir={folder / name}"] for name in ("twin", "killed")}
        self.recipe, self.grid = words[0] == "recipe", "-m" in words
        began = time.monotonic()
        self.code = finish(start(self.words["twin"], folder / "twin.log", {}))
        self.seconds = time.monotonic() - began
        said = (folder / "twin.log").read_text()
        if "operations: " not in said:
            raise SystemExit(f"{words}: the twin failed with exit code {self.code}\n{said}")
        self.operations = int(said.rpartition("operations: ")[2])

    def kill_once(self, counts: Counter[str]) -> bool:
        """Start the run and kill it; False once it has ended."""
        how = self.dice.choice(("time", "slow disk", "operation"))
        disk: dict[str, Any] = {"delay": SLOW} if how == "slow disk" else {}
        longest = self.seconds + (self.operations * SLOW if how == "slow disk" else 0)
        if how == "operation":
            disk = {"deadly": self.dice.randint(1, self.operations)}
        child = start(self.words["killed"], self.log, disk)
        if how != "operation":
            time.sleep(self.dice.uniform(0.3 * self.seconds, longest))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        code = finish(child)
        counts["starts"] += 1
        if code == -signal.SIGKILL:
            counts["kills"] += 1
            counts[f"kills, {how}"] += 1
        elif code != self.code:
            counts["failures"] += 1
            print(f"  exit code {code} instead of {self.code}: {self.log}")
        return code < 0 and not self.ended

    @property
    def ended(self) -> bool:
        """Whether the result is written; the same command would begin a new run, and of a grid it does what is left."""
        return not self.grid and any((self.folder / "killed").glob("*/*/result.json"))

    def judge(self, counts: Counter[str]) -> list[str]:
        """Let the run finish, if it has not, and compare."""
        if not self.ended:
            counts["starts"] += 1
            code = finish(start(self.words["killed"], self.log, {}))
            if code != self.code:
                return [f"exit code {code} instead of {self.code}"]
        runs, twins = (self.runs(name) for name in ("killed", "twin"))
        if len(runs) != len(twins):
            return [f"{len(runs)} run directories instead of {len(twins)}"]
        wrong = [line for run, twin in zip(runs, twins, strict=True) for line in self.compare(run, twin)]
        left = [str(path.name) for run in runs for path in run.rglob("*.part")]
        if "Traceback" in self.log.read_text():
            wrong.append("a traceback")
        if self.grid:
            wrong += differences(*(table_of(run[0].parent) for run in (runs, twins)), "summary.csv")
        return wrong + [f"left over: {name}" for name in left]

    def runs(self, name: str) -> list[Path]:
        """The folders of the runs, or of the recipe."""
        return sorted(path.parent for path in (self.folder / name).glob("*/*/config.yaml"))

    def compare(self, killed: Path, twin: Path) -> list[str]:
        """What differs between two folders."""
        if not self.recipe:
            named = [] if not self.grid or killed.name == twin.name else [f"{killed.name} instead of {twin.name}"]
            return named + compare(killed, twin)
        found = differences(*(recipe_of(folder) for folder in (killed, twin)), "recipe.json")
        best = [(folder / "experiment" / "best.yaml").read_bytes() for folder in (killed, twin)]
        return found + ([] if best[0] == best[1] else ["best.yaml"])


def table_of(study: Path) -> list[dict[str, str]]:
    """The table of a study without its times, in the order of the runs' names."""
    with (study / "summary.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k not in ("seconds", "directory")} for row in csv.DictReader(file)]
    return sorted(rows, key=repr)


def recipe_of(folder: Path) -> Any:
    """What a recipe found, without its times, and without the folder that it stands in."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(each) for key, each in value.items() if "seconds" not in key}
        if isinstance(value, list):
            return [timeless(each) for each in value]
        return re.sub(r"\d+(\.\d+)? s\b", "", value) if isinstance(value, str) else value

    text = (folder / "recipe.json").read_text().replace(str(folder.parents[1]), "")
    return timeless(json.loads(text.replace(folder.name, "")))


def run(kills: int, seed: int, folder: Path, only: str = "") -> Counter[str]:
    """Kill `kills` times; returns what was counted."""
    dice = random.Random(seed)
    counts: Counter[str] = Counter()
    warm_up()
    make_data(folder)
    number = 0
    while counts["kills"] < kills:
        single = {name: ["train", *overrides] for name, overrides in {**groups(folder), **table(dice)}.items()}
        for name, words in {**single, **studies()}.items():
            if counts["kills"] >= kills:
                break
            if only not in name:
                continue
            number += 1
            case = Case(words, folder / str(number), dice)
            before = counts["kills"]
            for _ in range(min(KILLS_PER_RUN, kills - before)):
                if not case.kill_once(counts):
                    break
            wrong = case.judge(counts)
            counts["runs"] += 1
            counts["mismatches"] += bool(wrong)
            print(f"{counts['kills'] - before:2} kills  {name}" + "".join(f"\n  WRONG: {line}" for line in wrong))
            sys.stdout.flush()
            if not wrong:
                shutil.rmtree(case.folder)
    return counts


def main() -> int:
    """Print the counts; exit code 1 if anything differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="runs with this in their names")
    parser.add_argument("--folder", type=Path, default=None, help="for what differed; default: a temporary one")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="nnlab-kills-"))
    began = time.monotonic()
    counts = run(options.kills, options.seed, folder, options.only)
    print(f"\n{time.monotonic() - began:.0f} s, seed {options.seed}; what differed is in {folder}")
    for name in ("runs", "starts", "kills", "kills, time", "kills, slow disk", "kills, operation"):
        print(f"{name:18} {counts[name]:4}")
    print(f"{'restarts':18} {counts['starts'] - counts['runs']:4}")
    for name in ("failures", "mismatches"):
        print(f"{name:18} {counts[name]:4}")
    return int(bool(counts["mismatches"] or counts["failures"]))


if __name__ == "__main__":
    sys.exit(main())
