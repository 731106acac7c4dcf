"""Claim: no command line ends in a traceback, and none that is nonsense is accepted.

    python benchmarks/random_overrides.py [COUNT] [SEED] [--accepted FILE]

Draws commands with overrides that are extreme, of a wrong kind, added, forced, deleted, referring, swept, misspelt, or
that other commands take, and the arguments of every command. Each is answered in a process of its own, forked from one
that has imported everything. Runs are cut to two steps of a small network. A command must end in time with an exit
code, with a sentence where that is not 0, and without a warning of Python's; what is accepted although it is nonsense
by construction (`nonsense` below) is listed, and with `--accepted` all that is.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["NNLAB_BENCHMARKED"] = "yes"  # what ${oc.env:...} finds

from nnlab.cli import compose, main
from nnlab.config.folder import config_folder, groups, options

LIMIT = 40  # seconds for one command
MEMORY = 6 << 30  # bytes that a command may ask for
FAULT = 70  # the exit code of a process whose command raised
EXTREME = [
    *("0", "-1", "1e-320", "1e308", "-1e308", "1e17", "inf", "-inf", "nan", "null", "true", "''", "[]", "{}", "[[]]"),
    *("x", "'a b'", "10000000000000000000000000000000000000000000000000000000000000", "2147483648", "0.5", "3"),
    *("[1,2,3]", "[x]", "{a: 1}", "${seed}", "${nothing}", "${oc.env:NNLAB_BENCHMARKED}", "${oc.env:NOTHING}", "???"),
    *("{_target_: torch.nn.ReLU}", "{_target_: os.getcwd}", "{_target_: nnlab.loss.Hinge}", "${", "[1,,2]", "{a: }"),
    *("1,2", "range(3)", "range(1,2,0)", "interval(0,1)", "choice(1,2)", "glob(*)", "shuffle(1,2,3)", "sort(3,1)"),
    *("0.3", "2", "8", "1e-3", "false", "0.99", "[4,4]", "full", "max", "mean"),
    *("größe", "a=b", "a$b", "../x", "/nope", "-x", "@x", "1e-300", "99999999999", "-0.0", "1_000", "0x10", "True"),
    *("${trainer}", "${..seed}", "${.}", "int(3.7)", "str(1)", "'\\'", "a,b,", "[null]", "{null: 1}", "{1: {2: 3}}"),
]
SHORT = ["trainer.time_limit=2", "trainer.steps=2", "data.limit=80", "callbacks=[checkpoint]"]
ARGUMENTS = {
    "evaluate": ["split=test", "calibrate=temperature", "coverage=0.9", "samples=3", "member=0", "--json"],
    "diagnose": ["probe=false", "budget=1", "--json"],
    "study": ["metric=loss", "metric=accuracy/test", "curves=true", "--json", "outputs/study"],
    "plot": ["only=loss", "only=[calibration]", "out=figures", "surface=random", "--json"],
    "reproduce": ["--json"],
    "list": ["optimizer", "data/augmentation", "nothing", "--json"],
    "graph": ["x=1", "w*x+b", "e=(a+b)*a", "a=2", "b=[1,2]", "--out=g.svg", "exp(x)", "--step", "--check", "--json"],
    "predict": ["table.csv", "out=p.csv", "id=a", "coverage=0.9", "device=cpu", "-", "nowhere.csv", "--json"],
    "export": ["format=state_dict", "format=safetensors", "format=x", "out=e", "--json"],
    "data": ["table.csv", "target=a", "target=nothing", "columns={a: text}", "out=d.html", "cache=list", "--json"],
    "experiment": ["list", "show", "nothing", "size=quick", "out=x", "record=false"],
    "schema": ["optimizer", "nothing", "--json"],
    "play": ["nothing", "port=x", "--help", "port=-1", "port=99999999", "browser=x"],
    "board": ["nothing", "port=x", "--help", "port=99999999", "host=nowhere"],
}
SWEEPS = [
    *("sweep.on_failure", "sweep.retries", "sweep.zip", "sweep.grids", "sweep.prune", "hydra.launcher.stack"),
    *("hydra.launcher.memory", "hydra.launcher", "hydra.sweeper", "hydra.sweeper.params", "hydra.mode", "hydra.job"),
    *("hydra.run.dir", "hydra.callbacks.x", "hydra.searchpath", "hydra.verbose", "hydra.launcher._target_", "hydra"),
    *("name", "resume", "experiment"),
]
SIGNS = ["", "", "", "", "+", "++", "~"]
RUN, STUDY = "outputs/run/run", "outputs/study"


class Answer(NamedTuple):
    """How a command ended: its exit code, negative for a signal, None where it was late; and all that it said."""

    code: int | None
    said: str
    seconds: float


def keys(config: Any, prefix: str = "") -> list[str]:
    """Dotted paths of a config."""
    found = []
    for key, value in config.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, dict):
            found += keys(value, f"{prefix}{key}.")
    return found


class Draws:
    """Random command lines."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        every = keys(compose("regularizer=[dropout,weight_decay]")) + keys(compose("data=table", "data.path=x"))
        every += keys(compose("scheduler=step", "optimizer=muon", "architecture=convnet"))
        self.keys = [key for key in dict.fromkeys(every) if not key.startswith(("data_root", "output_dir"))]
        self.keys += SWEEPS
        self.recipe = [key for key in keys(compose(config_name="recipe")) if key.startswith("recipe.")]
        self.groups = [group for group in groups(config_folder()) if not group.startswith("hydra")]

    def override(self, recipe: bool = False) -> str:
        """One override."""
        draw = self.random
        key = draw.choice(self.recipe if recipe and draw.random() < 0.5 else self.keys)
        if draw.random() < 0.1:
            position = draw.randrange(len(key))
            key = key[:position] + draw.choice("xyz._-") + key[position + draw.randint(0, 1) :]
        if draw.random() < 0.3:
            group = draw.choice(self.groups)
            names = [file.stem for file in options(config_folder(), group) if file.stem not in ("cifar10", "mnist")]
            text = ",".join(draw.sample([*names, "nonsense"], k=min(len(names), draw.randint(1, 2))))
            return f"{draw.choice(SIGNS)}{group}={f'[{text}]' if draw.random() < 0.5 else text}"
        sign = draw.choice(SIGNS)
        if sign == "~" and draw.random() < 0.7:
            return f"~{key}"
        return f"{sign}{key}={draw.choice(EXTREME)}"

    def command(self) -> list[str]:
        """One command line."""
        draw = self.random
        chance = draw.random()
        if chance < 0.2:
            command = draw.choice(list(ARGUMENTS))
            own = [] if command in ("play", "board") else [RUN, STUDY, "outputs"]  # which those two would serve
            pool = [*ARGUMENTS[command] * 4, *own * 8, *EXTREME, "--help", "nowhere", "resume=", "--x"]
            words = draw.choices(pool, k=draw.randint(0, 3))
            key = draw.choice(pool).partition("=")[0]
            words += [f"{key}={draw.choice(EXTREME)}"] if draw.random() < 0.4 else []
            return [command, *(words or ["--help"] if command in ("play", "board") else words)]
        if chance < 0.25:
            return ["recipe", "recipe.time_limit=1", "recipe.steps=[1]", *SHORT[2:], self.override(recipe=True)]
        if chance < 0.3:
            return ["train", f"resume={RUN}", *(self.override() for _ in range(draw.randint(0, 2)))]
        if chance < 0.33:
            lines = [f"{key}={draw.choice(EXTREME)}" for key in draw.sample(SWEEPS, k=draw.randint(1, 2))]
            return ["train", "-m", "sweep.dry_run=true", *SHORT, "seed=0,1", *lines]
        sweep = ["-m", "sweep.dry_run=true"] if draw.random() < 0.25 else []
        return ["train", *sweep, *SHORT, *(self.override() for _ in range(draw.choice((1, 1, 1, 2, 3))))]


def nonsense(words: list[str]) -> str | None:
    """Why a command that was accepted is nonsense by construction, if it is."""
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        only_sweeps = key.startswith(("sweep.", "hydra.")) and key not in ("hydra.searchpath", "hydra.mode")
        if words[0] == "train" and "-m" not in words and only_sweeps:
            return f"{word} without -m"
        if value in ("nan", "-inf", "[[]]", "{_target_: os.getcwd}", "${nothing}", "1e308") and words[0] == "train":
            return word
        if key == "name" and value in ("../x", "/nope", "''", "-x"):
            return word
    return None


def answered(words: list[str], scratch: Path) -> Answer:
    """How a command ends in a process of its own."""
    log = scratch.parent / "said"
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _answer(words, log)
    while time.monotonic() < began + LIMIT:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return Answer(code, log.read_text(errors="replace"), time.monotonic() - began)
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return Answer(None, log.read_text(errors="replace"), LIMIT)


def _answer(words: list[str], log: Path) -> None:
    """In a forked process: answer, and end it."""
    code = FAULT
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = main(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def fault(answer: Answer) -> str | None:
    """What is wrong with how a command ended, if anything is; equal faults have equal words."""
    if answer.code is None:
        return f"late: {answer.said.strip()[-100:]}"
    if "Traceback (most recent" in answer.said:
        place = re.findall(r'File "[^"]*?([^/"]+/[^/"]+)", line (\d+)', answer.said)[-1]
        return f"{answer.said.strip().splitlines()[-1][:160]} at {':'.join(place)}"
    if answer.code < 0:
        return f"killed by signal {-answer.code}"
    if answer.code not in (0, 1, 2, 3):
        return f"exit code {answer.code}"
    if answer.code and not answer.said.strip():
        return f"exit code {answer.code} without a word"
    warning = re.search(r"\w*Warning: .{0,100}", answer.said)
    return warning.group() if warning else None


def warm_up() -> None:
    """Import what commands import, and make the run, the study and the table that they are given."""
    Path("table.csv").write_text("a,b,c\n" + "".join(f"{i % 7},{i * i % 5},{'xy'[i % 2]}\n" for i in range(60)))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(["train", *SHORT, "name=run", "scheduler=constant"]) == 0
        assert main(["train", "-m", *SHORT, "name=study", "seed=0,1"]) == 0
        # In a process of its own: threads of polars that read a file here would be missing in the forked ones.
        table = ["train", "table.csv", "target=c", *SHORT[:2], SHORT[-1], "name=table"]
        subprocess.run([sys.executable, "-m", "nnlab", *table], check=True, capture_output=True)
        next(Path("outputs/run").iterdir()).rename(RUN)
        assert main(["evaluate", RUN]) == 0


def run(count: int, seed: int, record: Path | None) -> int:
    """Try so many commands; the number of those that were wrong."""
    draws, codes, faults, accepted = Draws(seed), Counter[str](), Counter[str](), []
    slowest: tuple[float, str] = (0.0, "")
    for number in range(count):
        words = draws.command()
        answer = answered(words, Path.cwd())
        line = f"{number}: nnlab {shlex.join(words)}"
        codes[str(answer.code)] += 1
        slowest = max(slowest, (answer.seconds, line))
        if number % 200 == 199:
            print(f"{number + 1} commands: {sum(faults.values())} faults, {len(accepted)} accepted", flush=True)
        wrong = fault(answer)
        if wrong:
            faults[wrong] += 1
            if faults[wrong] == 1:
                print(f"{line}\n    {wrong}", flush=True)
        elif answer.code == 0:
            if record is not None:
                with record.open("a") as file:
                    file.write(f"{shlex.join(word for word in words if word not in SHORT)}\n")
            if why := nonsense(words):
                accepted.append(why)
                print(f"{line}\n    accepted: {why}", flush=True)
    print(f"{count} commands of seed {seed}: exit codes {dict(sorted(codes.items()))}")
    print(f"slowest: {slowest[0]:.1f} s, {slowest[1]}")
    print(f"{sum(faults.values())} faults of {len(faults)} kinds; {len(accepted)} times nonsense accepted")
    return sum(faults.values()) + len(accepted)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=4000)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--accepted", type=lambda text: Path(text).resolve(), help="a file for what was accepted")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "here"
        scratch.mkdir()
        with contextlib.chdir(scratch):
            warm_up()
            raise SystemExit(bool(run(given.count, given.seed, given.accepted)))
