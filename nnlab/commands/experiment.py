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
from nnlab.cli.arguments import Grammar, Key, print_json, truth
from nnlab.errors import UserError, did_you_mean

ROOT = Path(nnlab.__file__).parents[1]
SIZES = ("quick", "default", "full")
GRAMMAR = Grammar(
    "experiment",
    "Run a claim of the lecture and look at its evidence; `nnlab experiment list` shows all claims.",
    "list|CLAIM",
    [
        Key("size", "quick: seconds, with fewer seeds and steps; full: that of the paper, for a GPU or a night",
            valid=SIZES, default="default"),
        Key("out", "folder for results.json and figure.png; default: outputs/experiment/CLAIM", shown="DIR"),
        Key("record", "write into the experiment's own folder, its README included", truth, bare="true", default=False),
        Key("quick", "the same as size=quick", truth, bare="true", default=False),
        Key("full", "the same as size=full", truth, bare="true", default=False),
    ],
    reports=True,
)  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """List the experiments, or run one.

    Raises:
        UserError: there is no such experiment or option, or no checkout.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    found, word = experiments(), given.words[0]
    if word == "list":
        if given.json:
            print_json({name: [verdict(folder), description(folder)] for name, folder in found.items()})
            return 0
        width = max(map(len, found))
        for name, folder in found.items():
            print(f"{name:{width}}  {verdict(folder):18}  {description(folder)}")
        return 0
    name = word.partition("_")[2] if word[:2].isdigit() else word
    if name not in found:
        raise UserError(f"there is no experiment `{word}`; {did_you_mean(name, found)}")
    size = "quick" if given.quick else "full" if given.full else given.size
    out = Path(given.out) if given.out else Path("outputs") / "experiment" / name
    return report(found[name], name, size, found[name] if given.record else out, given.json)


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


def report(folder: Path, name: str, size: str, out: Path, answers: bool = False) -> int:
    """Run an experiment, write its evidence into `out`, and say what was found: 0 where all claims hold, else 1."""
    recorded = folder / "results.json"
    if size == "default" and recorded.exists():
        took = json.loads(recorded.read_text())
        line = f"{name}: the recorded run took {took['seconds']:.0f} s on {took['environment']['hardware']}"
        print(line, file=sys.stderr if answers else sys.stdout, flush=True)
    start = time.perf_counter()
    evidence = run(folder, size)
    seconds = time.perf_counter() - start if evidence.seconds is None else evidence.seconds
    reporting = importlib.import_module("experiments.reporting")
    reporting.save(evidence, out, name, size, seconds, getattr(load(folder), size.upper()))
    if answers:
        written = json.loads((out / "results.json").read_text())
        print_json({**written, "table": evidence.table, "figure": out / "figure.png"})
        return 0 if all(evidence.claims.values()) else 1
    print(reporting.markdown(evidence.table) + "\n")
    for sentence, holds in evidence.claims.items():
        print(f"{'yes' if holds else 'NO ':3}  {sentence}")
    print(f"\n{evidence.verdict} in {seconds:.0f} s\nlook: {out / 'figure.png'}")
    return 0 if all(evidence.claims.values()) else 1
