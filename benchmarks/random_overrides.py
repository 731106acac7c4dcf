"""Random overrides: no traceback, and no nonsense that is accepted.

    python benchmarks/random_overrides.py [COUNT] [SEED]

Draws commands with overrides that are extreme, of a wrong kind, added, forced, deleted, referring, swept, misspelt, or
that other commands take, and answers each in this process. Runs are cut to two steps of a small network. A command
must end with an exit code and, where that is 2, with a sentence for each mistake; an exception is a fault of nnlab's.
What is accepted although it is nonsense by construction (`nonsense` below) is listed.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import shlex
import signal
import sys
import tempfile
import traceback
from collections import Counter
from typing import Any

from nnlab.cli import compose, main
from nnlab.config.folder import config_folder, groups, options

LIMIT = 60  # seconds for one command
EXTREME = [
    *("0", "-1", "1e-320", "1e308", "-1e308", "1e17", "inf", "-inf", "nan", "null", "true", "''", "[]", "{}", "[[]]"),
    *("x", "'a b'", "10000000000000000000000000000000000000000000000000000000000000", "2147483648", "0.5", "3"),
    *("[1,2,3]", "[x]", "{a: 1}", "${seed}", "${nothing}", "${oc.env:HOME}", "???", "{_target_: torch.nn.ReLU}"),
    *("{_target_: os.getcwd}", "{_target_: nnlab.loss.Hinge}", "1,2", "range(3)", "range(1,2,0)", "interval(0,1)"),
    *("choice(1,2)", "glob(*)", "größe", "a=b", "a$b", "../x", "/nope", "-x", "@x", "1e-300", "99999999999"),
]
COMMANDS = [
    "evaluate",
    "diagnose",
    "study",
    "plot",
    "reproduce",
    "list",
    "graph",
    "predict",
    "export",
    "data",
    "experiment",
]
SMALL = ["trainer.steps=2", "architecture.widths=[4]", "callbacks=[checkpoint]"]


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
        self.keys = [key for key in keys(compose()) if not key.startswith(("callbacks.", "data_root", "output_dir"))]
        self.groups = [group for group in groups(config_folder()) if not group.startswith(("hydra", "experiment"))]

    def override(self) -> str:
        """One override."""
        draw, key = self.random, self.random.choice(self.keys)
        if draw.random() < 0.1:
            position = draw.randrange(len(key))
            key = key[:position] + draw.choice("xyz._-") + key[position + draw.randint(0, 1) :]
        if draw.random() < 0.3:
            group = draw.choice(self.groups)
            names = [file.stem for file in options(config_folder(), group) if file.stem not in ("cifar10", "mnist")]
            chosen = draw.sample([*names, "nonsense"], k=min(len(names), draw.randint(1, 2)))
            text = ",".join(chosen)
            return f"{group}={f'[{text}]' if draw.random() < 0.5 else text}"
        sign = draw.choice(["", "", "", "", "+", "++", "~"])
        if sign == "~" and draw.random() < 0.7:
            return f"~{key}"
        return f"{sign}{key}={draw.choice(EXTREME)}"

    def command(self) -> list[str]:
        """One command line."""
        draw = self.random
        if draw.random() < 0.12:
            words = [
                draw.choice(EXTREME + self.keys + ["outputs", "--help", "--json", "nowhere", "resume="])
                for _ in range(draw.randint(0, 3))
            ]
            return [draw.choice(COMMANDS), *words]
        sweep = ["-m", "sweep.dry_run=true"] if draw.random() < 0.25 else []
        return ["train", *sweep, *SMALL, *(self.override() for _ in range(draw.randint(1, 3)))]


def nonsense(words: list[str]) -> str | None:
    """Why a command that was accepted is nonsense by construction, if it is."""
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if "-m" not in words and key.startswith(("sweep.", "hydra.")):
            return f"{word} without -m"
        if value in ("nan", "-inf", "[[]]", "{_target_: os.getcwd}") and not key.startswith("sweep"):
            return word
        if key == "name" and value in ("../x", "/nope", "''", "-x"):
            return word
    return None


def answered(words: list[str]) -> tuple[Any, str]:
    """The exit code, and what went wrong."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    out, error = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = main(words)
    except TimeoutError:
        return "late", ""
    except SystemExit as end:
        return end.code, ""
    except BaseException as fault:
        place = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}:{place.lineno}"
        return "TRACEBACK", f"{type(fault).__name__} at {where}: {str(fault)[:150]}"
    finally:
        signal.alarm(0)
    if code == 2 and not error.getvalue().strip() and not out.getvalue().strip():
        return "SILENT", ""
    return code, ""


def run(count: int, seed: int) -> int:
    """Try so many commands; 1 where one ended in a traceback or was nonsense."""
    draws, codes, faults, accepted = Draws(seed), Counter[str](), Counter[str](), []
    for number in range(count):
        words = draws.command()
        code, fault = answered(words)
        codes[str(code)] += 1
        if fault or code in ("late", "SILENT"):
            faults[fault or str(code)] += 1
            if faults[fault or str(code)] == 1:
                print(f"{number}: nnlab {shlex.join(words)}\n    {code} {fault}", flush=True)
        elif code == 0 and (why := nonsense(words)):
            accepted.append(why)
            print(f"{number}: nnlab {shlex.join(words)}\n    accepted: {why}", flush=True)
    print(f"{count} commands: {dict(codes)}")
    print(f"{sum(faults.values())} faults of {len(faults)} kinds; {len(accepted)} accepted")
    return int(bool(faults or accepted))


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        sys.exit(run(*[*given, 4000, 0][: max(2, len(given))]) if len(given) != 1 else run(given[0], 0))
