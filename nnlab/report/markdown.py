"""Tables in Markdown, whose cells are text and no markup."""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table.

    >>> table(["a|b", "c"], [["<i>", "1"]])
    ['| a\\\\|b | c |', '|---|---|', '| &lt;i> | 1 |']
    """
    lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in [header, *rows]]
    return [lines[0], "|" + "---|" * len(header), *lines[1:]]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").splitlines())
