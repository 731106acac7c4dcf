"""Let every write of a run fail in turn, truncate every file, flip bytes of checkpoints: nothing good may be lost.

    python benchmarks/fault_injection.py

After each fault: one sentence and no traceback, every checkpoint that is there is whole, and the same command, without
the fault, ends with the bits of a run that never had one (or, where a log was cut off from outside, with its weights).
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "resume")]

from disk import Disk  # noqa: E402
from twins import base, compare, differences, result_of, state_of  # noqa: E402

from nnlab import console  # noqa: E402
from nnlab.cli import compose  # noqa: E402
from nnlab.errors import UserError  # noqa: E402
from nnlab.runs import launch as launch  # noqa: E402
from nnlab.storage import checkpoint  # noqa: E402
from nnlab.storage.files import WriteError  # noqa: E402
from nnlab.training import Callback, Trainer  # noqa: E402

OVERRIDES = base("trainer.epochs=1", "trainer.validate_unit=step", "trainer.validate_every=2", "regularizer=[dropout]")
ERRORS = {"full": (errno.ENOSPC, True), "broken once": (errno.EIO, False), "read-only": (errno.EROFS, True)}


class Stop(Callback):
    """Interrupts after a number of steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def step_end(self, trainer: Trainer) -> None:
        if trainer.step == self.step:
            trainer.stop_requested = "interrupted"


class Subject:
    """A small run in a folder, with its undisturbed twin.

    Attributes:
        operations: number of file operations of the undisturbed run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = compose(*OVERRIDES, "callbacks.checkpoint.seconds=0")
        with Disk(folder).installed() as disk:
            self.twin = self.train("twin").directory
        self.operations = disk.count

    def train(self, name: str) -> launch.Result:
        """The same command in `folder/name`; what it says goes to `said`."""
        self.said = io.StringIO()
        console.show(always=True)
        with contextlib.redirect_stdout(self.said), contextlib.redirect_stderr(self.said):
            return launch.train({**self.config, "output_dir": str(self.folder / name)})

    def interrupted(self, name: str, step: int) -> Path:
        """A run that was stopped after `step` steps, its directory."""
        build = launch.build_trainer

        def stopping(*arguments: Any) -> Trainer:
            trainer = build(*arguments)
            trainer.callbacks.insert(0, Stop(step))
            return trainer

        launch.build_trainer = stopping  # type: ignore[assignment]
        try:
            return self.train(name).directory
        finally:
            launch.build_trainer = build

    def mended(self, name: str) -> list[str]:
        """What is wrong after the same command once more."""
        shutil.rmtree(self.folder / name / "seen", ignore_errors=True)
        directory = self.train(name).directory
        return compare(directory, self.twin)


def fail_at(subject: Subject, number: int, kind: str) -> list[str]:
    """Let the operation `number` fail; what is wrong afterwards."""
    name = f"{kind}-{number}"
    error, lasting = ERRORS[kind]
    wrong = []
    with Disk(subject.folder / name, failing=number, lasting=lasting, error=error).installed():
        try:
            subject.train(name)
        except WriteError as failure:
            if len(str(failure).splitlines()) != 1 or failure.exit_code != 1:
                wrong.append(f"not one sentence with exit code 1: {failure}")
    for path in (subject.folder / name).glob("train/*/checkpoints/*.ckpt"):
        checkpoint.load(path, checkpoint.WEIGHTS)  # raises where it is not whole
    wrong += subject.mended(name)
    shutil.rmtree(subject.folder / name, ignore_errors=True)
    return wrong


def truncate(subject: Subject, file: str, share: float, step: int | None) -> list[str]:
    """Cut a file of a run that was interrupted after `step` (None: finished) to a share of its length."""
    name = f"truncated-{step}-{file.replace('/', '-').strip('.*')}"
    directory = subject.interrupted(name, step) if step else subject.train(name).directory
    [path] = directory.glob(file)
    with open(path, "r+b") as opened:
        opened.truncate(int(share * path.stat().st_size))
    return damaged(subject, name, directory, file)


def flip(subject: Subject, file: str, dice: random.Random) -> list[str]:
    """Flip one bit of a checkpoint of an interrupted run."""
    name = f"flipped-{file.replace('/', '-')}"
    directory = subject.interrupted(name, 5)
    path = directory / file
    content = bytearray(path.read_bytes())
    position = dice.randrange(len(content))
    content[position] ^= 1 << dice.randrange(8)
    path.write_bytes(content)
    return damaged(subject, name, directory, file)


def damaged(subject: Subject, name: str, directory: Path, file: str) -> list[str]:
    """What is wrong after a damaged run is continued, and with `resume=`: a sentence is fine, another result is not."""
    wrong, told = [], False
    config = {**subject.config, "output_dir": str(subject.folder / name)}
    for way in ({}, {"resume": str(directory)}):
        said = io.StringIO()
        console.show(always=True)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                result = launch.train({**config, **way})
            except UserError as refusal:
                if not way or len(str(refusal).splitlines()) != 1:
                    wrong.append(f"refused: {refusal}")
                continue
        told |= "warning" in said.getvalue() or result.directory != directory
        complete = compare(result.directory, subject.twin)
        weights = differences(state_of(result.directory), state_of(subject.twin), "state")
        weights += differences(result_of(result.directory), result_of(subject.twin), "result")
        if weights or (complete and not told):
            wrong += weights or complete
    shutil.rmtree(subject.folder / name, ignore_errors=True)
    return wrong


FILES = (
    *("config.yaml", "overrides.yaml", "environment.json", "history.csv", "statistics.csv", "log.txt"),
    *("events.out.tfevents.*", "checkpoints/last.ckpt", "checkpoints/previous.ckpt", "checkpoints/best.ckpt"),
)


def check_writes(subject: Subject, numbers: Iterable[int], counts: Counter[str]) -> list[str]:
    """Every operation in `numbers`, with every error; a sentence for each that went wrong."""
    found = []
    for number in numbers:
        for kind in ERRORS:
            counts["faults at a write"] += 1
            found += [f"operation {number}, {kind}: {line}" for line in fail_at(subject, number, kind)]
    return found


def check_files(subject: Subject, dice: random.Random, rounds: int, counts: Counter[str]) -> list[str]:
    """Truncate every file `rounds` times, and flip bits of the checkpoints."""
    found = []
    for _ in range(rounds):
        for file in (*FILES, "result.json"):
            for step in (None,) if file == "result.json" else (5, None):
                counts["truncated files"] += 1
                share = dice.choice((0.0, dice.random(), dice.random()))
                found += [f"{file}, {share:.3f}, {step}: {line}" for line in truncate(subject, file, share, step)]
        for file in FILES[-3:]:
            counts["flipped bits"] += 1
            found += [f"flipped {file}: {line}" for line in flip(subject, file, dice)]
    return found


def main() -> int:
    """Print the counts; exit code 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="times that every file is truncated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("all", "writes", "files"), default="all")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="nnlab-faults-") as folder:
        subject = Subject(Path(folder))
        print(f"{subject.operations} file operations in the undisturbed run")
        found = []
        if options.part != "files":
            found += check_writes(subject, range(1, subject.operations + 1), counts)
        if options.part != "writes":
            found += check_files(subject, random.Random(options.seed), options.rounds, counts)
    print(*found, sep="\n")
    print(*(f"{name:20} {count:5}" for name, count in counts.items()), f"{'wrong':20} {len(found):5}", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
