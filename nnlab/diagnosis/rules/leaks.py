"""Findings about leaks: held-out examples that are training examples, and inputs that give the target away."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from nnlab.diagnosis.facts.data import DataFacts
from nnlab.diagnosis.facts.filled import Filled
from nnlab.diagnosis.finding import Finding

RELATED = (
    "They look like several rows of one patient, customer or scene, whom such a split recognizes. Keep what belongs "
    "together in one split: `data.groups=COLUMN`."
)


def leaks(data: DataFacts) -> Iterator[Finding]:
    """Held-out examples that are training examples, and a column that gives the target away."""
    leaky = {name: shared for name, shared in data.shared.items() if shared.leaks}
    if leaky:
        parts = [
            f"{shared.found} of {'a sample of ' * shared.sampled}{shared.asked} {name} examples"
            for name, shared in leaky.items()
        ]
        related = all(shared.related for shared in leaky.values())
        kin = "have relatives among the training examples: a few with nearly the same target, far nearer than others"
        copies = "are training examples, too: they agree in inputs and target, as chance does not explain"
        yield Finding(
            "leakage_between_splits",
            f"{' and '.join(parts)} {kin if related else copies}",
            {f"shared fraction of {name}": shared.fraction for name, shared in leaky.items()},
            why=RELATED if related else "",
            step=0,
            certain=True,
        )
    if data.filled is not None:
        yield _filled(data.filled, bool(data.class_counts))
    elif data.giveaway is not None:
        column, others = data.giveaway, data.giveaway.others
        rest = "" if math.isnan(others) else f"; simple methods avoid {max(others, 0):.0%} without it"
        droppable = not column.measured and re.fullmatch(r"[\w.-]+", column.source)
        yield Finding(
            "target_among_inputs",
            f"{column.name} alone avoids {column.alone:.0%} of the errors of a constant answer{rest}",
            {"column": column.column, "alone": column.alone, "without it": others},
            (f"data.drop=[{column.source}]",) if droppable else (),
            level="note" if column.measured else None,
            variant="measured" if column.measured else "",
            step=0,
            certain=not column.measured,
        )
    elif data.combination is not None:
        found = data.combination
        names = f"{', '.join(found.names[:-1])} and {found.names[-1]}"
        share = "all" if found.explained == 1 else f"{math.floor(1000 * found.explained) / 10:.1f}%"
        yield Finding(
            "target_among_inputs",
            f"the {found.how} of input columns {names} explains {share} of the target, though "
            f"{'either' if len(found.names) == 2 else 'each'} alone explains {found.alone:.0%} at most",
            {"columns": names, "explained": found.explained, "alone": found.alone},
            (f"data.drop=[{','.join(found.sources)}]",) if all(found.sources) else (),
            why="The answer seems to be among the inputs, in these columns together. If they are known only once the "
            "target is, leave them out.",
            step=0,
            certain=True,
        )


def _filled(filled: Filled, classes: bool) -> Finding:
    what = "column" if len(filled.columns) == 1 else "columns"
    names = ", ".join(filled.columns[:3]) + (", ..." if len(filled.columns) > 3 else "")
    return Finding(
        "target_among_inputs",
        f"{filled.values} numbers recur in {what} {names}, where hardly any other does, in {filled.share:.0%} "
        f"of the rows, and each goes with one {'class' if classes else 'range of the target'}",
        {"columns": len(filled.columns), "numbers": filled.values, "share": filled.share},
        why="Gaps seem to be filled with a mean of the rows with the same target, which is not known of new rows. "
        "Leave them empty, or fill them without the target.",
        step=0,
        certain=True,
    )
