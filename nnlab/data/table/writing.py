"""How a table writes its numbers: the decimal sign of each column, found from its texts, or known from training.

`2,5` and `1.234,50` show a decimal comma, `2.5` and `1,234.50` a point; `1.234` and `1,234` may be either. A column
that shows its sign keeps it, whatever the others do, as coordinates do beside prices. One that does not follows the
columns that had its sign in training, or all columns where nothing is known.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnlab.data.table.amounts import amount_of, decimal_sign, with_point

SHARE = 0.02  # of the amounts that may be read either way: so many must show a sign, or it is a slip of the pen
SIGNS = {".": "point", ",": "comma"}


@dataclasses.dataclass(frozen=True)
class Writing:
    """How a table is written.

    Attributes:
        decimals: by column, all of them, its decimal sign; empty where that is not known, as in a table without texts.
        units: by column, what is written behind each of its numbers, such as cm.
        times: by column of times that is written in another way than ISO 8601 or than in the training, the pattern.
        texts: columns that hold texts; None: not known.
        missing: by column, the codes that stand for missing cells.
        separator: of a text file, as in `Dialect`; empty: not known.
        quote: of a text file; empty: not known.
        named: whether a text file names its columns; None: not known.
    """

    decimals: Mapping[str, str] = dataclasses.field(default_factory=dict)
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    times: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    texts: Sequence[str] | None = None
    missing: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    separator: str = ""
    quote: str = ""
    named: bool | None = None

    @property
    def numbers(self) -> set[str]:
        """Columns that are known to hold no texts."""
        return set() if self.texts is None else set(self.decimals) - set(self.texts)

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON."""
        return {**dataclasses.asdict(self), "decimals": dict(self.decimals), "units": dict(self.units)}


def find_decimals(
    cells: Mapping[str, Sequence[str]], expected: Writing, separator: str = ""
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The decimal sign of each column, and what to say about it.

    Args:
        cells: by column, its texts, stripped.
        expected: how the table of the training was written.
        separator: of a text file; beside semicolons 1,234 is a number between 1 and 2 where nothing else is known.
    """
    counts = {name: Counter(map(decimal_sign, texts)) for name, texts in cells.items()}
    before = {name: expected.decimals.get(name, "") for name in cells}
    whole = _sum(counts.values())
    guess = "," if separator == ";" and _mostly_commas(cells) else "."
    alike = {
        sign: _shown(_sum(counts[name] for name in cells if before[name] == sign)) or sign or _shown(whole) or guess
        for sign in set(before.values())
    }
    found = {name: _shown(counts[name]) or alike[before[name]] for name in cells}
    seen = [name for name in cells if counts[name].keys() - {""}]
    unsure = _unsure(cells, found, before, separator) if whole["?"] and not whole["."] + whole[","] else []
    if any(before.values()):
        return found, (*_changed([name for name in seen if before[name]], found, before), *unsure)
    return found, tuple(unsure or _commas(seen, found))


def _sum(counts: Iterable[Counter[str]]) -> Counter[str]:
    """All counts together."""
    return sum(counts, Counter[str]())


def _shown(counts: Counter[str]) -> str:
    """The sign that texts show; empty where they show none, or hardly any of them does."""
    sign = "," if counts[","] > counts["."] else "."
    return sign if counts[sign] > SHARE * counts["?"] else ""


def _mostly_commas(cells: Mapping[str, Sequence[str]]) -> bool:
    """Whether more of the amounts that may be read either way have a comma than a point."""
    unsure = [text for texts in cells.values() for text in texts if decimal_sign(text) == "?"]
    return 2 * sum("," in text for text in unsure) > len(unsure)


def _commas(seen: Sequence[str], found: Mapping[str, str]) -> list[str]:
    """A line where there are decimal commas."""
    columns = {sign: [name for name in seen if found[name] == sign] for sign in SIGNS}
    if not columns[","]:
        return []
    but = f", but a point in {_shortly(columns['.'])}" if columns["."] else ""
    return [f"decimal comma{but} (data.decimal)"]


def _changed(seen: Sequence[str], found: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """A line for the columns whose sign is another than in training."""
    lines = []
    for sign, other in (".,", ",."):
        names = [name for name in seen if found[name] == sign and before[name] == other]
        where = "" if len(names) == len(seen) else f" in {_shortly(names)}"
        if names:
            lines.append(f"decimal {SIGNS[sign]}{where}, where training had a {SIGNS[other]} (data.decimal)")
    return lines


def _unsure(
    cells: Mapping[str, Sequence[str]], found: Mapping[str, str], before: Mapping[str, str], separator: str
) -> list[str]:
    """A line where no amount shows a sign, with the first that may be read either way."""
    name, text = next((name, text) for name, texts in cells.items() for text in texts if decimal_sign(text) == "?")
    if separator == "," and "," not in text and not before[name]:
        return []  # a table between whose cells are commas
    sign = found[name]
    value = f"{amount_of(with_point(text) if sign == ',' else text):.15g}"
    why = ", as in training" if sign == before[name] else ""
    return [f"decimal {SIGNS[sign]}{why}, though no number shows it: `{text}` is read as {value} (data.decimal)"]


def _shortly(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"`{name}`" for name in names[:3]) + more
