"""Findings about how splits differ, in words: which columns, and in what."""

from __future__ import annotations

from collections.abc import Iterator

from nnlab.console import counted
from nnlab.diagnosis.facts.columns import column_name
from nnlab.diagnosis.facts.shift import Column, Shift
from nnlab.diagnosis.finding import Finding, shown
from nnlab.types import Dataset

NAMED = 3  # columns that are named


def shift_findings(dataset: Dataset, shift: Shift) -> Iterator[Finding]:
    """That the validation split differs from the training split; nothing where a classifier cannot tell."""
    if not shift.differs:
        return
    inputs = [column for column in shift.columns if column.number >= 0]
    targets = [column for column in shift.columns if column.number < 0]
    parts = []
    if inputs:
        parts.append(_columns(dataset, inputs, shift))
    if targets:
        parts.append(
            f"the targets differ, too: their mean is {shown(targets[0].means[0])} in training, "
            f"{shown(targets[0].means[1])} in validation"
        )
    yield Finding(
        "splits_differ",
        f"A classifier tells validation from training examples with an AUROC of {shift.area:.2f} (0.5 is chance)"
        + ("; " + "; ".join(parts) if parts else ", by several columns together"),
        {"auroc": shift.area, "deviations": shift.deviations, "columns": len(inputs), "of": shift.features},
        why=_cause(dataset, shift),
        step=0,
        certain=True,
    )


def _columns(dataset: Dataset, columns: list[Column], shift: Shift) -> str:
    if shift.squares:
        return f"{len(columns)} of {shift.features} averages over squares of the images differ"
    named = [
        f"{column_name(dataset, c.number)} (mean {shown(c.means[0])} and {shown(c.means[1])}, standard deviation "
        f"{shown(c.stds[0])} and {shown(c.stds[1])})"
        for c in columns[:NAMED]
    ]
    return f"{counted(len(columns), 'column', 'differs', 'differ', of=shift.features)}, most of all {', '.join(named)}"


def _cause(dataset: Dataset, shift: Shift) -> str:
    """What the difference looks like; empty for the catalogue's words."""
    order = shift.sorted_by
    if order is not None:
        name = "the target" if order.number < 0 else "a square" if shift.squares else column_name(dataset, order.number)
        return (
            f"The split follows the order of {name}: {order.beyond:.0%} of the validation lies beyond the training "
            "examples. Shuffle sorted rows before they are split."
        )
    if shift.rescaled:
        return "It looks like another normalization: prepare all splits with the statistics of the training split."
    return ""
