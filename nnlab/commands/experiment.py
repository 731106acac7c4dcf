"""`nnlab experiment`: run a claim of the lecture, and look at its evidence.

An experiment is a folder `experiments/<number>_<name>/` of a checkout, whose `run.py` has the numbers of its sizes
`QUICK`, `DEFAULT` and `FULL`, and a function `run(**size)` that returns the evidence.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import nnlab
from nnlab.errors import UserError, did_you_mean

ROOT = Path(nnlab.__file__).parents[1]
SIZES = ("quick", "default", "full")
USAGE = """\
usage: nnlab experiment list
       nnlab experiment CLAIM [--quick | --full] [--out DIR | --record]

  --quick    seconds: fewer seeds and steps      --full    the size of the paper, for a GPU or a night
  --out      where results.json and figure.png go (outputs/experiment/CLAIM)
  --record   into the experiment's own folder, its README included
"""


def main(arguments: Sequence[str]) -> int:
    """List the experiments, or run one.

    Raises:
        UserError: there is no such experiment or option, or no checkout.
    """
    words = list(arguments)
    if not words or "-h" in words or "--help" in words:
        print(USAGE, end="")
        return 0 if words else 2
    found = experiments()
    if words[0] == "list":
        width = max(map(len, found))
        for name, folder in found.items():
            print(f"{name:{width}}  {verdict(folder):18}  {description(folder)}")
        return 0
    name = words[0].partition("_")[2] if words[0][:2].isdigit() else words[0]
    if name not in found:
        raise UserError(f"there is no experiment `{words[0]}`; {did_you_mean(name, found)}")
    size, out = _options(words[1:], Path("outputs") / "experiment" / name, found[name])
    return report(found[name], name, size, out)


def _options(words: Sequence[str], out: Path, own: Path) -> tuple[str, Path]:
    """The size, and the folder for what comes out."""
    size, rest = "default", list(words)
    while rest:
        word = rest.pop(0)
        if word in ("--quick", "--full"):
            size = word[2:]
        elif word == "--record":
            out = own
        elif word == "--out" and rest:
            out = Path(rest.pop(0))
        else:
            raise UserError(
                f"there is no option `{word}`; {did_you_mean(word, ['--quick', '--full', '--record', '--out DIR'])}"
            )
    return size, out


def experiments(root: Path = ROOT) -> dict[str, Path]:
    """The folders of all experiments, by name without number.

    Raises:
        UserError: nnlab was installed without them.
    """
    folders = sorted(file.parent for file in (root / "experiments").glob("[0-9][0-9]_*/run.py"))
    if not folders:
        raise UserError("the experiments are not part of the installed package; run this in a checkout of nnlab")
    return {folder.name[3:]: folder for folder in folders}


def description(folder: Path) -> str:
    """The first sentence of an experiment's README: its title."""
    readme = folder / "README.md"
    return readme.read_text().partition("\n")[0].lstrip("# ") if readme.exists() else ""


def verdict(folder: Path) -> str:
    """What the recorded run of an experiment found: `reproduced`, `partly reproduced`, `not reproduced`."""
    recorded = folder / "results.json"
    return str(json.loads(recorded.read_text())["verdict"]) if recorded.exists() else "not recorded"


def load(folder: Path) -> ModuleType:
    """The module `run.py` of an experiment; it may import from `experiments`."""
    root = str(folder.parents[1])
    if root not in sys.path:
        sys.path.insert(0, root)
    spec = importlib.util.spec_from_file_location(f"experiment_{folder.name}", folder / "run.py")
    if spec is None or spec.loader is None:
        raise ImportError(folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(folder: Path, size: str) -> Any:
    """The evidence of an experiment (`experiments.reporting.Evidence`) at one of its sizes."""
    module = load(folder)
    with importlib.import_module("experiments.reporting").style():
        return module.run(**getattr(module, size.upper()))


def report(folder: Path, name: str, size: str, out: Path) -> int:
    """Run an experiment, write its evidence into `out`, and say what was found: 0 where all claims hold, else 1."""
    recorded = folder / "results.json"
    if size == "default" and recorded.exists():
        took = json.loads(recorded.read_text())
        print(f"{name}: the recorded run took {took['seconds']:.0f} s on {took['environment']['hardware']}", flush=True)
    start = time.perf_counter()
    evidence = run(folder, size)
    seconds = time.perf_counter() - start
    reporting = importlib.import_module("experiments.reporting")
    reporting.save(evidence, out, name, size, seconds, getattr(load(folder), size.upper()))
    print(reporting.markdown(evidence.table) + "\n")
    for sentence, holds in evidence.claims.items():
        print(f"{'yes' if holds else 'NO ':3}  {sentence}")
    print(f"\n{evidence.verdict} in {seconds:.0f} s\nlook: {out / 'figure.png'}")
    return 0 if all(evidence.claims.values()) else 1
