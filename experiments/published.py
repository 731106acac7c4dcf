"""Published test errors beside ours: the rows of a paper's table, each trained with several seeds.

    nets = [Row("800 units", 1.6, "architecture.widths=[800]"), ...]
    found = measure("references", nets, shared=["data=mnist", "trainer.epochs=40"], seeds=range(5))
    found["800 units"].errors    # percent, one for each seed

A row that has ended is kept in `outputs/experiment/<paper>/rows.json`, so that the same command continues where it was
interrupted; a row whose overrides or seeds have changed is trained anew. `python -m experiments.published` writes the
table of all papers into `docs/reproduction.md`, from the experiments' `results.json`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.reporting import Evidence, panels, spread
from experiments.running import Grid, train
from nnlab.cli import compose
from nnlab.config.build import load_dataset
from nnlab.storage.files import make_folder, write_whole
from nnlab.training import Callback
from nnlab.training.ensemble import ensemble_report
from nnlab.types import Dataset, Split

BAND = 0.10  # percentage points around a published error, one standard error of an error of 1% on 10,000 digits
GUESSING = 90.0  # error of a network that diverged, percent
Ask = Callable[[Grid], dict[str, Any]]
MARKS = re.compile(r"(<!-- measured -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclasses.dataclass(frozen=True, init=False)
class Row:
    """One line of a paper's table: its name, the test error in percent (None where none was published), overrides."""

    name: str
    published: float | None
    overrides: tuple[str, ...]

    def __init__(self, name: str, published: float | None, *overrides: str) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "published", published)
        object.__setattr__(self, "overrides", overrides)


@dataclasses.dataclass(frozen=True)
class Found:
    """What was measured for a row.

    Attributes:
        errors: on the test split with the last weights, percent, one for each seed.
        by_size: `error` (percent), `nll` and `brier` of the average of the first 1, ..., M networks; empty where a
            network had diverged or the loss gives no probabilities.
        curve: validation errors, percent, (seeds, epochs); empty where none was recorded.
        seconds: of processor time.
        more: what else was asked about the trained networks, by name.
    """

    errors: list[float]
    by_size: dict[str, list[float]]
    curve: list[list[float]]
    seconds: float
    more: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean error over the seeds, percent."""
        return float(np.mean(self.errors))


def less(first: Found, second: Found) -> bool:
    """Whether the first errs less, by more than the standard error over the seeds."""
    apart = np.subtract(second.errors, first.errors)
    return bool(apart.mean() > apart.std(ddof=1) / len(apart) ** 0.5)


def whole(dataset: Dataset) -> Dataset:
    """A data set that trains on its validation examples, too, as the papers do that report their last weights."""
    parts = (dataset.train, dataset.validation)
    inputs, targets = (torch.cat([getattr(part, name) for part in parts]) for name in ("inputs", "targets"))
    return dataclasses.replace(dataset, train=Split(inputs, targets))


def measure(
    paper: str,
    rows: Sequence[Row],
    shared: Sequence[str],
    seeds: Sequence[int],
    more: Ask | None = None,
    callbacks: Callable[[], Sequence[Callback]] = tuple,
) -> dict[str, Found]:
    """Train every row that is not kept already, with `shared` before its own overrides, on all training examples.

    `more` sees every trained population; what it returns, as plain values, is kept with the row. `callbacks` makes
    those that observe one population.
    """
    file = Path("outputs") / "experiment" / paper / "rows.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    found = {}
    for row in rows:
        setting = [*shared, *row.overrides]
        key = json.dumps([*setting, list(seeds)])
        if key not in kept:
            kept[key] = dataclasses.asdict(_trained(setting, seeds, more, callbacks()))
            make_folder(file.parent)
            write_whole(file, json.dumps(kept))
        found[row.name] = Found(**kept[key])
        errors = spread(found[row.name].errors)
        print(
            f"{row.name}: {errors['mean']:.2f} ± {errors['std']:.2f} % ({row.published or 'not'} published)", flush=True
        )
    return found


def _trained(setting: Sequence[str], seeds: Sequence[int], more: Ask | None, callbacks: Sequence[Callback]) -> Found:
    start = time.process_time()
    grid = train(*setting, seeds=seeds, callbacks=callbacks, data=whole(load_dataset(compose(*setting))))
    accuracy = grid.last("test", "accuracy")[0]
    errors = np.nan_to_num(100 - 100 * accuracy, nan=GUESSING)
    sizes: dict[str, list[float]] = {}
    if not grid.diverged.any():
        trainer = grid.trainer
        targets = trainer.members[0].dataset.test.targets
        report = ensemble_report(trainer.loss, trainer.evaluate("test"), targets, range(len(seeds)))["by_size"]
        sizes = {"error": [100 - 100 * size["accuracy"] for size in report]}
        sizes |= {name: [size[name] for size in report] for name in ("nll", "brier") if name in report[0]}
    _, curve = grid.curve("accuracy/validation")
    asked = more(grid) if more else {}
    return Found(errors.tolist(), sizes, (100 - 100 * curve[0]).tolist(), round(time.process_time() - start, 1), asked)


def at_full_size(setting: Sequence[str]) -> bool:
    """Whether a setting trains on all of MNIST, so that its errors compare with published ones."""
    return "data=mnist" in setting and not any(each.startswith("data.limit=") for each in setting)


def evidence(
    rows: Sequence[Row],
    found: Mapping[str, Found],
    claims: Mapping[str, bool],
    title: str,
    compared: bool,
    beside: int = 0,
) -> Evidence:
    """The table, the figure and the sentences of a paper; where `compared`, every published error is one.

    The figure has as many empty axes `beside` the errors as the experiment wants to fill itself.
    """
    if not compared:
        rows = [Row(row.name, None, *row.overrides) for row in rows]
    table: list[list[Any]] = [["net", "published, test error %", "ours", "difference", f"within {BAND:g}"]]
    sentences, results = {sentence: bool(held) for sentence, held in claims.items()}, []
    for row in rows:
        errors, gap, inside = spread(found[row.name].errors), None, None
        if row.published is not None:
            gap = errors["mean"] - row.published
            inside = abs(gap) <= BAND
            sentences[f"{row.name}: {row.published:g} %, within {BAND:g} points"] = inside
        verdict = "" if inside is None else "yes" if inside else "**no**"
        ours = f"{errors['mean']:.2f} ± {errors['std']:.2f}"
        published = "" if row.published is None else f"{row.published:g}"
        table.append([row.name, published, ours, "" if gap is None else f"{gap:+.2f}", verdict])
        measured = {"difference": gap, "within": inside, **dataclasses.asdict(found[row.name])}
        results.append({"net": row.name, "published": row.published, "overrides": list(row.overrides), **measured})
    seconds = sum(each.seconds for each in found.values())
    return Evidence({"rows": results}, sentences, table, _figure(rows, found, title, beside), seconds)


def _figure(rows: Sequence[Row], found: Mapping[str, Found], title: str, beside: int) -> Any:
    figure, axes = panels(1 + beside, width=8.0, height=1.2 + 0.42 * len(rows))
    for place, row in enumerate(rows):
        errors = found[row.name].errors
        first = {"label": "ours, each seed"} if place == 0 else {}
        axes[0].plot(errors, [place] * len(errors), "o", color="C0", alpha=0.7, **first)
        if row.published is not None:
            named = (
                {}
                if any("published" in text for text in axes[0].get_legend_handles_labels()[1])
                else {"label": "published"}
            )
            axes[0].plot(row.published, place, "|", color="black", markersize=16, markeredgewidth=2, **named)
    axes[0].set(yticks=range(len(rows)), yticklabels=[row.name for row in rows], xlabel="test error %", title=title)
    axes[0].invert_yaxis()
    shown = [error for row in rows for error in (*found[row.name].errors, row.published) if error is not None]
    if max(shown) > max(10, 3 * min(shown)):
        axes[0].set_xscale("log")
    axes[0].legend()
    return figure


def page(root: Path) -> str:
    """Two tables as Markdown, from `results.json` of all experiments: published errors, and what else was claimed."""
    errors = [
        "| net | published % | ours % | difference | | processor minutes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    others = [
        "| claim | command | minutes | sentences that held | those that did not |",
        "| --- | --- | --- | --- | --- |",
    ]
    for file in sorted(root.glob("experiments/[0-9][0-9]_*/results.json")):
        recorded = json.loads(file.read_text())
        title = (file.parent / "README.md").read_text().partition("\n")[0].lstrip("# ")
        link = f"[{title}](../experiments/{file.parent.name}/README.md)"
        rows = [row for row in recorded["results"].get("rows", []) if row["published"] is not None]
        if rows:
            errors.append(f"| **{link}**: `{recorded['command']}` | | | | | |")
            errors += [_line(row) for row in rows]
        claims = {sentence: held for sentence, held in recorded["claims"].items() if ", within " not in sentence}
        missed = "; ".join(sentence for sentence, held in claims.items() if not held)
        held = f"{sum(claims.values())} of {len(claims)}"
        others.append(f"| {link} | `{recorded['command']}` | {recorded['seconds'] / 60:.1f} | {held} | {missed} |")
    return "\n".join([*errors, "", *others]) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    errors = spread(row["errors"])
    several = f" ± {errors['std']:.2f} ({errors['n']} seeds)" if errors["n"] > 1 else ""
    ours = f"{errors['mean']:.2f}{several}"
    within = "met" if row["within"] else "**missed**"
    cells = [
        row["net"],
        f"{row['published']:g}",
        ours,
        f"{row['difference']:+.2f}",
        within,
        f"{row['seconds'] / 60:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Write the table into `docs/reproduction.md`."""
    root = Path(__file__).parents[1]
    target = root / "docs" / "reproduction.md"
    target.write_text(
        MARKS.sub(lambda match: match.group(1) + "\n" + page(root) + "\n" + match.group(2), target.read_text())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
