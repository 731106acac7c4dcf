"""`nnlab evaluate RUN`: measure a finished run again, at its best weights, with confusion matrix and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnlab.errors import UserError
from nnlab.metric_names import SHOWN
from nnlab.runs.evaluation import Measurement, Uncertainty, evaluate, monte_carlo
from nnlab.statistics import calibration
from nnlab.storage.files import write_whole

USAGE = """\
usage: nnlab evaluate RUN [train|validation|test] [samples=K] [member=I]

Metrics, confusion matrix and calibration at the best weights. With samples=K, networks with dropout or DropConnect are
averaged over K random masks, compared with weight scaling, and the uncertainty of every example is written to
RUN/uncertainty-<split>.csv. member=I measures one network of an ensemble, or one snapshot (0 is the newest).
"""


def main(arguments: Sequence[str]) -> int:
    """Print metrics, confusion matrix and calibration.

    Raises:
        UserError: the arguments are not `RUN [SPLIT] [samples=K] [member=I]`.
    """
    words = [word for word in arguments if "=" not in word or not word.startswith(("samples=", "member="))]
    samples, member = (_number(arguments, name) for name in ("samples", "member"))
    flags = [word for word in words if word.startswith("-") and word not in ("-h", "--help")]
    if flags:
        raise UserError(f"there is no flag `{flags[0]}`; write `RUN [SPLIT] [samples=K] [member=I]`")
    if not 1 <= len(words) <= 2 or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if words and words[0] in ("-h", "--help") else 2
    split = words[1] if len(words) > 1 else "test"
    if samples is not None:
        _print_uncertainty(Path(words[0]), split, monte_carlo(words[0], split, samples, member))
        return 0
    found = evaluate(words[0], split, member)
    print(f"{split}: " + "  ".join(f"{name} {value:.4f}" for name, value in found.metrics.items()))
    if not found.targets.is_floating_point():
        _print_confusion(found)
        if "ece" in found.metrics:
            _print_calibration(found)
    return 0


def _number(arguments: Sequence[str], name: str) -> int | None:
    """The whole number behind `name=`, if it is given."""
    values = [word.partition("=")[2] for word in arguments if word.startswith(f"{name}=")]
    if values and not values[-1].removeprefix("-").isdecimal():
        raise UserError(f"`{name}` must be a whole number, got `{values[-1]}`")
    return int(values[-1]) if values else None


def _print_uncertainty(directory: Path, split: str, found: Uncertainty) -> None:
    from rich.console import Console
    from rich.table import Table

    names = [name for name in found.scaling if name in SHOWN]
    table = Table("masks", *names, title=f"Monte-Carlo averaging, {split} split", title_justify="left")
    for count, metrics in found.by_samples.items():
        table.add_row(f"average of {count}", *(f"{metrics[name]:.4f}" for name in names))
    table.add_row("weight scaling", *(f"{found.scaling[name]:.4f}" for name in names))
    Console().print(table)
    predicted = found.mean.argmax(-1).tolist()
    columns = zip(
        predicted,
        found.mean.max(-1).values.tolist(),
        found.entropy.tolist(),
        found.mutual_information.tolist(),
        strict=True,
    )
    lines = [f"{i},{label},{p!r},{h!r},{mi!r}" for i, (label, p, h, mi) in enumerate(columns)]
    path = directory / f"uncertainty-{split}.csv"
    write_whole(path, "\n".join(["example,predicted,probability,entropy,mutual_information", *lines]) + "\n")
    print(
        f"mean predictive entropy {float(found.entropy.mean()):.4f} nats, "
        f"mean mutual information {float(found.mutual_information.mean()):.4f} nats; each example: {path}"
    )


def _print_confusion(found: Measurement) -> None:
    from rich.console import Console
    from rich.table import Table

    counts = calibration.confusion_matrix(found.targets, found.prediction.argmax(-1), len(found.names))
    table = Table("true \\ predicted", title="confusion matrix", title_justify="left")
    for name in found.names:
        table.add_column(name, justify="right")
    for name, row in zip(found.names, counts.tolist(), strict=True):
        table.add_row(name, *(str(count) if count else "." for count in row))
    Console(width=max(80, 6 * len(found.names) + 30)).print(table)


def _print_calibration(found: Measurement) -> None:
    from rich.console import Console
    from rich.table import Table

    bins = calibration.reliability(found.prediction, found.targets, bins=10)
    table = Table("confidence", title="calibration", title_justify="left")
    for name in ("mean confidence", "accuracy", "examples"):
        table.add_column(name, justify="right")
    for position, count in enumerate(bins.count.tolist()):
        if count:
            low = position / len(bins.count)
            table.add_row(
                f"{low:.1f} - {low + 0.1:.1f}",
                f"{float(bins.confidence[position]):.3f}",
                f"{float(bins.accuracy[position]):.3f}",
                str(int(count)),
            )
    Console().print(table)
