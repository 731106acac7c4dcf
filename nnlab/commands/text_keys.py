"""Keys of commands that read a table: how its text is written, where that is not found."""

from __future__ import annotations

from typing import Any

from nnlab.cli.arguments import Given, Key, truth
from nnlab.runs.examples import TEXT

KEYS = (
    Key("data.separator", "of a text table: one character, or comma, semicolon, tab, pipe, blanks", shown="SIGN"),
    Key("data.header", "whether its first row names the columns", truth, shown="true|false"),
    Key("data.decimal", "the sign in its numbers", valid=(".", ",")),
    Key("data.encoding", "such as latin-1; each of the four is found where it is not given", shown="NAME"),
    Key("data.footer", "whether totals, and notes below its rows, are left out", truth, shown="true|false"),
)


def text_of(given: Given) -> dict[str, Any]:
    """What the user says about a text table, by the names of `TEXT`."""
    return {name: value for name in TEXT if (value := given.values[f"data.{name}"]) is not None}
