"""`nnlab data FILE target=NAME`: what a data set holds, what will be done with each column, and what to mind."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab import console
from nnlab.cli import compose
from nnlab.cli.arguments import Given, Grammar, Key, print_json
from nnlab.config.build import build_loss, build_source, data_root, data_seed, loss_tasks
from nnlab.console import counted
from nnlab.data.once import read_once
from nnlab.data.raw import Raw
from nnlab.data.summary import ColumnSummary, Summary, summarize
from nnlab.diagnosis import Finding
from nnlab.diagnosis.facts.data import DataFacts, data_facts
from nnlab.diagnosis.rules.data import data_findings
from nnlab.errors import UserError
from nnlab.report import labels_page
from nnlab.report.data_page import Warning, render
from nnlab.report.style import shortened
from nnlab.runs.labels import rank_labels, write_table
from nnlab.storage import cache
from nnlab.storage.directories import is_run
from nnlab.storage.files import WriteError, at, make_folder, write_whole

log = logging.getLogger(__name__)

SHOWN_LABELS, MOST_LABELS = 12, 200  # worst labels that are printed, and that a program gets

GRAMMAR = Grammar(
    "data",
    "Every column with its kind, gaps, values and what is done with it; the target; and what to mind.",
    "[FILE|RUN ...]",
    [
        Key("out", "the page that is written", shown="FILE.html"),
        Key("cache", "list what is kept of large files on disk, or `clear` it", bare="list", valid=("list", "clear")),
    ],
    reports=True,
    overrides=True,
    footer="FILE target=NAME is data of your own; data=digits or any other data set, with the keys of `nnlab train`,\n"
    "works too. data.columns={NAME: KIND} and data.drop=[NAME] change what is done.\n"
    "RUN, the folder of a finished run, ranks its examples by how wrong their labels look.",
)


def main(arguments: Sequence[str]) -> int:
    """Print the columns, and write the page.

    Raises:
        UserError: the data cannot be read, or a key is wrong.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    if given.cache is not None:
        return _show_cache(given.cache == "clear", given.json)
    if len(given.words) == 1 and is_run(at(given.words[0])):
        return _labels(given, given.words[0])
    if any(word.startswith("resume=") for word in given.words):
        raise UserError("`resume=` continues a run, and there is none here: leave it out")
    with console.silenced():  # what a training would choose besides
        config = compose(*given.words)
    summary, notes, warnings = describe(config)
    path = Path(given.out) if given.out else Path(config["output_dir"]) / "data" / f"{Path(summary.origin).name}.html"
    page = _written(path, render(summary, notes, warnings, f"nnlab train {shlex.join(given.words)}"))
    if given.json:
        print_json({**summary.to_json(), "notes": list(notes), "warnings": [vars(w) for w in warnings], "page": page})
        return 0
    _print(summary, warnings)
    if page is not None:
        print(f"page: {page}")
    return 0


def _written(path: Path, page: str) -> Path | None:
    """The path of a page; None, and a warning, where it cannot be written, which is no reason to show nothing."""
    try:
        make_folder(path.parent)
        write_whole(path, page)
    except WriteError as error:
        log.warning(f"no page was written: {error.fact}; another file is taken with `out=FILE.html`")
        return None
    return path


def _labels(given: Given, run: str) -> int:
    """Rank the labels of a run's data, write all of them and a page of the worst, and print the first."""
    ranked = rank_labels(run)
    page = Path(given.out) if given.out else at(run) / "labels.html"
    table = page.with_suffix(".csv")
    written = _written(page, labels_page.render(Path(run).name, ranked))
    if written is not None:
        write_table(table, ranked)
    if given.json:
        worst = [{**vars(each), "where": ranked.where(each)} for each in ranked.suspects[:MOST_LABELS]]
        counts: dict[str, Any] = {
            "informed": ranked.informed,
            "examples": len(ranked.suspects),
            "issues": ranked.issues,
            "accuracy": ranked.accuracy,
        }
        print_json({**counts, "worst": worst, "page": written, "table": written and table})
        return 0
    count = len(ranked.suspects)
    print(
        f"{counted(ranked.issues, 'label', 'looks', 'look', of=count)} wrong ({ranked.issues / count:.1%}); networks "
        f"that have not seen an example agree with {ranked.accuracy:.1%} of the labels"
    )
    if not ranked.informed:
        print(
            f"warning: that is hardly more than the most frequent class gives ({ranked.constant:.1%}): these networks "
            "have learned too little for their doubts to say anything about labels"
        )
    width = max([len(ranked.where(each)) for each in ranked.suspects[:SHOWN_LABELS]] + [7])
    print(f"{'example':{width}}  split       probability of its label  of the other")
    for each in ranked.suspects[:SHOWN_LABELS]:
        label, other = f"{each.probability:.3f} {each.label}", f"{each.other:.3f} {each.suggested}"
        print(
            f"{ranked.where(each):{width}}  {each.split:10}  {label:24}  {other}"
            + ("" if each.issue else "  (no issue)")
        )
    if written is not None:
        print(f"all: {table}\npage: {page}")
    return 0


def _show_cache(clear: bool, as_json: bool) -> int:
    """Print what is kept on disk, or remove it."""
    folder, found = cache.data_folder(), cache.entries()
    if clear:
        begun = len(cache.unfinished())
        freed = cache.clear()
        if left := len(cache.entries()):
            raise UserError(
                f"{counted(left, 'entry', of=len(found))} cannot be removed; {folder} is read-only, or another's"
            )
        if as_json:
            print_json({"folder": folder, "removed": len(found), "unfinished": begun, "bytes": freed})
        else:
            entries = counted(len(found), "entry")
            parts = f" and {begun} that killed processes had begun" if begun else ""
            print(f"{entries}{parts} removed from {folder}, {freed / 1e6:,.1f} MB")
        return 0
    rows = [
        {"data": entry.title, "about": entry.content.get("about", ""), "bytes": entry.bytes, "used": entry.used}
        for entry in found
    ]
    if as_json:
        print_json({"folder": folder, "entries": rows})
        return 0
    for row in rows:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["used"]))
        print(f"{row['bytes'] / 1e6:>12,.1f} MB  used {used}  {row['data']}: {row['about']}")
    print(f"{sum(row['bytes'] for row in rows) / 1e6:>12,.1f} MB  in {folder} (nnlab data --cache=clear removes it)")
    return 0


def describe(config: Mapping[str, Any]) -> tuple[Summary, tuple[str, ...], list[Warning]]:
    """The summary of a config's data set, what was decided, and what to mind."""
    source, seed = build_source(config), data_seed(config)
    raw, mark = read_once(source, loss_tasks(config), seed, data_root(config))
    dataset = source.prepare(raw, seed, mark)
    facts = data_facts(dataset, build_loss(config, dataset))
    findings = [each for each in data_findings(facts) if each.fault or not _noted(each, facts, raw)]
    warnings = [Warning(each.title, each.explanation, each.fault, each.override) for each in findings]
    return summarize(raw, dataset), raw.notes, warnings


def _noted(finding: Finding, facts: DataFacts, raw: Raw) -> bool:
    """Whether the notes on reading the file name the placeholders of a finding already, with what to type."""
    if finding.name != "placeholders" or facts.placeholder is None or facts.target_placeholder is not None:
        return False
    return {*facts.placeholder.columns} <= {f"`{name}`" for name, kind in raw.kinds.items() if kind.code}


def _print(summary: Summary, warnings: Sequence[Warning]) -> None:
    """A line for each column, and the warnings."""
    columns = [*summary.target, *summary.columns]
    width = max(6, min(28, max(len(column.name) for column in columns)))
    print(f"{'column':{width}}  kind        missing  distinct  range                   values        what is done")
    for position, column in enumerate(columns):
        if position == len(summary.target):
            print("-" * (width + 82))
        print(_line(column, width))
    if summary.more:
        print(f"and {counted(summary.more, 'more column')}")
    rows = ", ".join(f"{count} {name}" for name, count in summary.rows.items())
    print(f"{rows}; {counted(summary.inputs, 'input')}; {summary.task.value}")
    for warning in warnings:
        print(f"{'fault' if warning.fault else 'note'}: {warning.title}: {warning.text}")


def _line(column: ColumnSummary, width: int) -> str:
    """A column in one line."""
    span = f"{column.low} ... {column.high}" if column.low else column.example
    span = shortened(span.replace("\n", " "), 22)
    gaps = column.missing or ""
    values = f"{gaps:>7}  {column.distinct:>8}  {span:22}  {sparkline(column):12}"
    return f"{shortened(column.name, width):{width}}  {column.kind:10}  {values}  {column.done}"


def sparkline(column: ColumnSummary) -> str:
    """The histogram as a line of blocks."""
    counts = column.histogram.counts
    most = max(counts, default=0)
    return "".join(" ▁▂▃▄▅▆▇█"[0 if not each else 1 + int(7 * each / most)] for each in counts)
