"""`nnlab evaluate RUN`: measure a finished run again, at its best weights, with confusion matrix and calibration."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnlab.cli.arguments import Given, Grammar, Key, number, print_json, whole
from nnlab.commands.text_keys import KEYS, text_of
from nnlab.console import counted
from nnlab.errors import UserError, did_you_mean
from nnlab.metric_names import SHOWN, title
from nnlab.runs.calibration import METHODS, Calibrated, calibrate, cover
from nnlab.runs.evaluation import Measurement, Uncertainty, evaluate, monte_carlo, write_uncertainty
from nnlab.storage.directories import run_at
from nnlab.storage.files import at
from nnlab.training.evaluation import SPLITS

GRAMMAR = Grammar(
    "evaluate",
    "Metrics, confusion matrix and calibration of a finished run at its best weights.",
    "RUN [SPLIT|FILE]",
    [
        Key(
            "split", "the examples to measure on, also as the second word", valid=SPLITS, shown="train|validation|test"
        ),
        Key(
            "data.path",
            "other data to measure on, all of them, also as the second word; or the run's own data at another place",
            shown="FILE",
        ),
        *KEYS,
        Key(
            "calibrate",
            "fit one number on the validation examples that makes the probabilities mean what they say, and\n"
            "keep it with the run: predict, evaluate and export use it; none takes it back",
            valid=METHODS,
            shown="temperature",
        ),
        Key(
            "coverage",
            "sets of classes, or intervals, that hold the truth so often (split conformal)",
            number,
            shown="0.9",
        ),
        Key("samples", "average networks with dropout or DropConnect over so many random masks", whole, shown="K"),
        Key("member", "one network of an ensemble, or one snapshot (0 is the newest)", whole, shown="I"),
    ],
    reports=True,
    footer="With samples=K, weight scaling is shown for comparison, and the uncertainty of every example is\n"
    "written to RUN/uncertainty-<split>.csv.",
)


def main(arguments: Sequence[str]) -> int:
    """Print metrics, confusion matrix and calibration.

    Raises:
        UserError: there is no such run, split or member.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    run, split, data = _asked(given)
    if given.calibrate is not None or given.coverage is not None:
        return _learn(given, run, split, data)
    if given.samples is not None:
        split = split or "test"
        uncertainty = monte_carlo(run, split, given.samples, given.member)
        path = write_uncertainty(run_at(run), split, uncertainty)
        if given.json:
            print_json({**uncertainty.content(), "examples": path})
        else:
            _print_uncertainty(path, split, uncertainty)
        return 0
    found = evaluate(run, split, given.member, data, text_of(given))
    if given.json:
        print_json(found.content())
        return 0
    print(
        f"{found.what} ({counted(len(found.targets), 'example')}): "
        + "  ".join(f"{title(name)} {value:.4f}" for name, value in found.defined().items())
    )
    if not found.targets.is_floating_point():
        _print_confusion(found)
        _print_classes(found)
        if "ece" in found.metrics:
            _print_calibration(found)
    return 0


def _asked(given: Given) -> tuple[str, str | None, str | None]:
    """The run, the split and the other data; the second word is a split, or else a file or folder that is there."""
    split, data = given.split, given.values["data.path"]
    if len(given.words) > 1:
        word = given.words[1]
        split, data = (word, data) if word in SPLITS else (split, word)
        if data == word and not at(word).exists():
            raise UserError(f"there is neither a split nor a file `{word}`; {did_you_mean(word, SPLITS)}")
    return given.words[0], split, data


def _learn(given: Given, run: str, split: str | None, data: str | None) -> int:
    """Calibrate the run, or measure its sets or intervals, or both."""
    named = {"data.path": data, "samples": given.samples, "member": given.member}
    others = [key for key, value in named.items() if value is not None]
    if others:
        raise UserError(f"`{others[0]}` goes with neither `calibrate` nor `coverage`; leave it out")
    content: dict[str, Any] = {}
    if given.calibrate is not None:
        found = calibrate(run, given.calibrate, split)
        content |= found.content()
        if not given.json:
            _print_calibrated(found)
    if given.coverage is not None:
        covered = cover(run, given.coverage, split)
        content["coverage"] = vars(covered)
        if not given.json:
            print(covered.sentence())
            print(f"for every row of a file: nnlab predict {shlex.quote(run)} FILE coverage={given.coverage:g}")
    if given.json:
        print_json(content)
    return 0


def _print_calibrated(found: Calibrated) -> None:
    from rich.console import Console
    from rich.table import Table

    if found.calibration is None:
        print(f"probabilities are as the network gives them again ({found.path} removed)")
        return
    print(
        f"temperature {found.calibration.temperature:.3f}, fitted on {found.calibration.examples} validation "
        f"examples and kept in {found.path}"
    )
    names = [name for name in ("nll", "ece", "brier", "accuracy") if name in found.after.metrics]
    table = Table(f"{found.after.what} ({counted(len(found.after.targets), 'example')})", *names)
    for word, measured in (("before", found.before), ("after", found.after)):
        table.add_row(word, *(f"{measured.metrics[name]:.4f}" for name in names))
    Console().print(table)
    worse = found.worse
    if worse:
        print(
            f"on the {found.after.what} split the temperature makes {' and '.join(worse)} worse; it is kept, and "
            "calibrate=none takes it back"
        )


def _print_uncertainty(path: Path, split: str, found: Uncertainty) -> None:
    from rich.console import Console
    from rich.table import Table

    names = [name for name in found.scaling if name in SHOWN]
    table = Table("masks", *map(title, names), title=f"Monte-Carlo averaging, {split} split", title_justify="left")
    for count, metrics in found.by_samples.items():
        table.add_row(f"average of {count}", *(f"{metrics[name]:.4f}" for name in names))
    table.add_row("weight scaling", *(f"{found.scaling[name]:.4f}" for name in names))
    Console().print(table)
    print(
        f"mean predictive entropy {float(found.entropy.mean()):.4f} nats, "
        f"mean mutual information {float(found.mutual_information.mean()):.4f} nats; each example: {path}"
    )


def _print_confusion(found: Measurement) -> None:
    from rich.console import Console
    from rich.table import Table

    counts = found.confusion()
    table = Table("true \\ predicted", title="confusion matrix", title_justify="left")
    for name in found.names:
        table.add_column(name, justify="right")
    for name, row in zip(found.names, counts.tolist(), strict=True):
        table.add_row(name, *(str(count) if count else "." for count in row))
    Console(width=max(80, 6 * len(found.names) + 30), markup=False).print(table)


def _print_classes(found: Measurement) -> None:
    from rich.console import Console
    from rich.table import Table

    by_class = found.by_class()
    table = Table("class", title="each class", title_justify="left")
    for name in next(iter(by_class.values())):
        table.add_column(name, justify="right")
    for label, values in by_class.items():
        table.add_row(label, *(f"{v:.3f}" if isinstance(v, float) else str(v) for v in values.values()))
    Console(markup=False).print(table)


def _print_calibration(found: Measurement) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("confidence", title="calibration", title_justify="left")
    for name in ("mean confidence", "accuracy", "examples"):
        table.add_column(name, justify="right")
    for each in found.calibration():
        table.add_row(
            f"{each['from']:.1f} - {each['to']:.1f}",
            f"{each['mean confidence']:.3f}",
            f"{each['accuracy']:.3f}",
            str(each["examples"]),
        )
    Console().print(table)
