"""`nnlab reproduce RUN`: train a run again from its own config, and compare history and metrics bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from nnlab.cli.arguments import Grammar, print_json
from nnlab.console import counted
from nnlab.runs.reproducing import reproduce

GRAMMAR = Grammar(
    "reproduce",
    "Train RUN again from its config in a scratch folder, and compare history and metrics bit for bit. The exit code\n"
    "is 0 where all numbers are the same, and 1 where some are not.",
    "RUN",
    reports=True,
)


def main(arguments: Sequence[str]) -> int:
    """Print what is the same and what is not; 0 where all is.

    Raises:
        UserError: the argument is no run, or it has not ended.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    found = reproduce(given.words[0])
    if given.json:
        print_json(dataclasses.asdict(found))
    elif not found.differences:
        print(f"the same bits: {counted(found.rows, 'step')} of history, and the metrics of all splits")
    else:
        print("not the same numbers:", *found.differences, sep="\n  ")
        if found.conditions:
            print("what else is not the same:", *found.conditions, sep="\n  ")
        else:
            print("versions, device and threads are the same; look at the data, and at code that is not committed")
    return int(bool(found.differences))
