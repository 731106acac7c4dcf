"""Write what a study shows: `study.html`, `study.md`, `study.csv`."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnlab import notebook
from nnlab.report.study_page import Page, Section, Table, render
from nnlab.storage.files import WriteError, write_whole
from nnlab.study import tables
from nnlab.study.axes import Axis, Pair, stretched, study_axes, study_pairs
from nnlab.study.compare import Comparison
from nnlab.study.model import Study
from nnlab.study.propose import Proposal, propose
from nnlab.study.read import read_study

log = logging.getLogger(__name__)

PAGE, TABLE, TEXT = "study.html", "study.csv", "study.md"
MOST_PAIRS = 6  # figures of pairs; those that interact most


@dataclass(frozen=True)
class Report:
    """A study that has been read and written.

    Attributes:
        study: what was read.
        proposal: what to run next.
        page: the HTML file; None where the study's folder takes no files.
    """

    study: Study
    proposal: Proposal
    page: Path | None

    def __str__(self) -> str:
        """A few lines for the terminal."""
        return tables.terminal(self.study, self.proposal)

    @property
    def brief(self) -> str:
        """What the end of a sweep says: the best, what to run next, and where the rest is.

        A search says the first two by itself, after every batch.
        """
        page = [f"study: {self.page}"] if self.page is not None else []
        said = [] if self.study.searched else [tables.headline(self.study), *tables.next_lines(self.proposal)]
        return "\n".join([*said, *page])

    def _repr_html_(self) -> str:
        """In a notebook: the best configurations as a table, what the seeds tell, the axes, and the next command."""
        compared = tables.contenders(self.study)
        shown = notebook.lines(tables.headline(self.study)) + notebook.table(*tables.best_rows(self.study, compared))
        axes = "".join(_axis_figure(self.study, axis) for axis in study_axes(self.study))
        following = notebook.lines(*self.proposal.notes) + notebook.code(self.proposal.command)
        return shown + notebook.lines(tables.seeds_sentence(self.study, compared)) + axes + following

    def content(self) -> dict[str, Any]:
        """The study as plain values: its configurations, the best first, and the command to run next."""
        study = self.study
        compared = {id(each.first): each for each in tables.contenders(study)}
        return {
            "folder": str(study.folder),
            "metric": study.metric,
            "runs": {status: study.count(status) for status in tables.STATUSES if study.count(status)},
            "axes": study.axes,
            "configurations": [
                {
                    "values": dict(each.values),
                    "runs": [run.name for run in each.runs],
                    "metrics": {
                        tag: {"mean": each.mean(tag), "std": each.std(tag)}
                        for tag in study.metrics
                        if each.results(tag)
                    },
                    "from_best": _plain(compared.get(id(each))),
                }
                for each in study.configurations
            ],
            "next": self.proposal.command,
            "notes": list(self.proposal.notes),
            "page": None if self.page is None else str(self.page),
        }


def _plain(found: Comparison | None) -> dict[str, Any] | None:
    """A comparison with the best configuration as plain values."""
    if found is None:
        return None
    return {"difference": found.difference, "p": found.probability, "verdict": found.verdict}


def write_study(folder: str | Path, metric: str | None = None) -> Report:
    """Read the runs of a study and write its files into its folder, if that can be written into.

    Args:
        folder: as `outputs/study1`.
        metric: what decides; see `read_study`.

    Raises:
        UserError: there is nothing to compare.
    """
    study = read_study(folder, metric)
    axes = study_axes(study)
    proposal = propose(study, axes)
    try:
        write_whole(study.folder / TABLE, tables.csv_text(study))
        write_whole(study.folder / TEXT, tables.markdown(study, axes, proposal))
        write_whole(study.folder / PAGE, render(_page(study, axes, proposal)))
    except WriteError as error:
        log.warning(f"no page was written: {error.fact}")
        return Report(study, proposal, None)
    return Report(study, proposal, study.folder / PAGE)


def _page(study: Study, axes: Sequence[Axis], proposal: Proposal) -> Page:
    compared = tables.contenders(study)
    header, rows = tables.best_rows(study, compared)
    tags = study.metrics
    all_rows = [
        [str(rank), *each.values.values(), *(tables.spread(each, tag) for tag in tags), tables.ended(each)]
        for rank, each in enumerate(study.configurations, start=1)
    ]
    all_header = ["", *tables.short_names(list(study.axes)), *map(tables.in_words, tags), "runs"]
    pairs = study_pairs(study, axes)
    left_out = f"{len(pairs) - MOST_PAIRS} further pairs interact less." if len(pairs) > MOST_PAIRS else ""
    seconds = sum(run.seconds for run in study.runs)
    return Page(
        title=study.folder.resolve().name,
        headline=tables.headline(study),
        facts=_facts(study, seconds),
        warnings=[f"{note[0].upper()}{note[1:]}." for note in proposal.notes],
        command_text=_command_text(proposal, axes),
        command=proposal.command,
        best=Table(header, rows, _numeric(header, len(study.axes)), ["first"]),
        best_text=tables.seeds_sentence(study, compared),
        axes=[_axis_section(study, axis) for axis in axes],
        pairs=[_pair_section(study, pair) for pair in pairs[:MOST_PAIRS]],
        table=Table(
            all_header,
            all_rows,
            [True, *([False] * len(study.axes)), *([True] * len(tags)), False],
            ["diverged" if each.count("diverged") else "" for each in study.configurations],
        ),
        fixed=[f"{key}={value}" for key, value in study.fixed.items()],
        notes=[left_out] if left_out else [],
        footer=f"Written by nnlab study {study.folder}; {tables.counts(study)}. The same table: {TABLE}.",
    )


def _facts(study: Study, seconds: float) -> list[tuple[str, str]]:
    facts = [(str(len(study.runs)), "runs"), (str(len(study.configurations)), "configurations")]
    facts += [(str(study.count(status)), status) for status in tables.STATUSES[1:] if study.count(status)]
    pruned = sum(run.pruned for run in study.runs)
    facts += [(str(pruned), "ended early as hopeless")] if pruned else []
    hours = f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min" if seconds >= 60 else ""
    return [
        *facts,
        (hours or f"{seconds:.1f} s", "of training, summed over runs, each with the time of its whole loop"),
    ]


def _command_text(proposal: Proposal, axes: Sequence[Axis]) -> str:
    if any(axis.continuous for axis in axes):
        return "A search around the best:"
    known = proposal.runs - proposal.new
    edge = "beyond the edge" if any(axis.edge for axis in axes) else "around the best"
    clause = f"; {known} of its {proposal.runs} points are known and will not be trained again" if known else ""
    return f"{proposal.new_runs} {edge}{clause}:"


def _numeric(header: Sequence[str], axes: int) -> list[bool]:
    last = len(header) - 3
    return [axes < i < last for i in range(len(header))]


def _axis_section(study: Study, axis: Axis) -> Section:
    header, rows = tables.axis_rows(axis, study.metric)
    warning = "The best value lies on the edge." if axis.edge else ""
    return Section(axis.key, _axis_figure(study, axis), warning=warning, header=header, rows=rows)


def _axis_figure(study: Study, axis: Axis) -> str:
    from nnlab.report.study_figures import AxisFigure, draw_axis
    from nnlab.report.style import to_svg

    where = _positions(axis)
    points = [
        (where[each.values[axis.key]], value)
        for each in study.configurations
        for value in each.results(study.metric).values()
    ]
    bests = [entry.best for entry in axis.entries if entry.best is not None]
    best = [(where[b.values[axis.key]], b.mean(study.metric), b.std(study.metric)) for b in bests]
    ends = [_ends(axis, where, i) for i in range(len(axis.entries))]
    return to_svg(
        draw_axis(
            AxisFigure(
                name=axis.key,
                labels=[] if axis.continuous else [entry.label for entry in axis.entries],
                points=points,
                best=best,
                star=(where[axis.best], study.best.mean(study.metric)),
                diverged=[(sum(e) / 2, v.diverged_share) for e, v in zip(ends, axis.entries, strict=True)],
                metric=tables.in_words(study.metric),
                log_x=axis.continuous and axis.logarithmic and axis.numbers[0] > 0,
                log_y=stretched([y for _, y in points], study.higher_is_better),
                connected=bool(axis.numbers) and not axis.continuous,
                bar_widths=[high - low for low, high in ends] if axis.continuous else [],
            )
        )
    )


def _positions(axis: Axis) -> dict[str, float]:
    """Where every value stands: at its tick, or at the number itself."""
    if axis.continuous:
        return {value: float(value) for value in axis.values}
    return {value: float(place) for value, place in axis.places.items()}


def _ends(axis: Axis, where: dict[str, float], entry: int) -> tuple[float, float]:
    """The stretch that an entry takes; where values are numbers, from its first to its last."""
    inside = [where[value] for value, place in axis.places.items() if place == entry]
    return min(inside), max(inside)


def _pair_section(study: Study, pair: Pair) -> Section:
    from nnlab.report.study_figures import draw_pair
    from nnlab.report.style import to_svg

    known = [cell for row in pair.cells for cell in row if cell is not None]
    names = pair.first.key, pair.second.key
    labels = [entry.label for entry in pair.first.entries], [entry.label for entry in pair.second.entries]
    log = stretched(known, study.higher_is_better)
    figure = draw_pair(names, labels, pair.cells, tables.in_words(study.metric), study.higher_is_better, log)
    share = pair.interaction
    text = "" if share is None or math.isnan(share) else f"{100 * share:.0f}% of the variation is interaction."
    return Section(f"{names[0]} × {names[1]}", to_svg(figure), text=text)
