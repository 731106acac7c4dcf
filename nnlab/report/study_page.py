"""The page of a study: one HTML file without anything outside it, from plain values and figures as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnlab.report.pages import filled


@dataclass(frozen=True)
class Section:
    """A figure with what there is to say about it.

    Attributes:
        title: the heading.
        figure: SVG text, from `<svg` on or with its preamble.
        text: sentences below the heading.
        warning: a sentence that stands out.
        header, rows: a table below the figure.
    """

    title: str
    figure: str
    text: str = ""
    warning: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Table:
    """A table; `numeric` columns are set to the right and sorted by size, `marks` stand at the beginning of rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    marks: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """What the page shows, in this order; empty parts are left out.

    Attributes:
        title: the study's name.
        facts: numbers with their words, such as `("48", "runs")`.
        headline: the result in one sentence.
        warnings: sentences.
        command: what to run next, with `command_text` above it.
        best: the best configurations.
        axes, pairs: the figures.
        table: all configurations.
        footer: how the page came about.
    """

    title: str
    headline: str
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    command_text: str
    command: str
    best: Table
    best_text: str
    axes: Sequence[Section]
    pairs: Sequence[Section]
    table: Table
    fixed: Sequence[str] = ()
    notes: Sequence[str] = ()
    footer: str = ""


def render(page: Page) -> str:
    """The page as HTML text."""
    return filled("study_page.html.j2", page=page)
