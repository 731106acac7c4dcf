"""The overrides of a command with some of them changed, as one would edit the command by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence


def amended(overrides: Sequence[str], changes: Sequence[str]) -> list[str]:
    """Every change takes the place of what was said before about the same key.

    Where it chooses another option of a group, what was set for the option before it is left out, too; where it
    chooses a list of options, what was set for those that are not in the list.

    >>> amended(["seed=1", "initialization=gaussian", "initialization.std=0.001"], ["initialization=he"])
    ['seed=1', 'initialization=he']
    >>> amended(["regularizer=[dropout]", "regularizer.dropout.p=0.5"], ["regularizer=[l1]"])
    ['regularizer=[l1]']
    """
    merged: dict[str, str] = {}
    for line in (*overrides, *changes):
        key, _, value = line.partition("=")
        name = key.lstrip("+")
        section = name.replace("/", ".") + "."
        if line in changes and "." not in name:
            kept = re.findall(r"\w+", value) if value.startswith("[") else []
            merged = {
                other: text
                for other, text in merged.items()
                if not other.startswith(section) or other.removeprefix(section).partition(".")[0] in kept
            }
        merged.pop(name, None)
        merged[name] = line
    return list(merged.values())
