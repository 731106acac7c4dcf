"""`nnlab predict RUN FILE`: classes with probabilities, or numbers, for any table, array, image or folder of images."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import nnlab
from nnlab.cli.arguments import Grammar, Key, number, print_json
from nnlab.commands.text_keys import KEYS, text_of
from nnlab.console import counted
from nnlab.runs.predicting import predict_file, predict_rows

GRAMMAR = Grammar(
    "predict",
    "Predict every row of FILE with the finished run in the folder RUN, as CSV: the class with its probabilities, or\n"
    "the number, with its standard deviation where the loss predicts one. An ensemble's members are averaged.",
    "RUN FILE",
    [
        Key("out", "a .csv or .tsv file; otherwise standard output", shown="FILE"),
        Key("id", "a column to write beside the predictions; images have their file's name", shown="COLUMN"),
        Key(
            "coverage",
            "add the set of classes, or the ends of the interval, that hold the truth so often; after\n"
            "`nnlab evaluate RUN coverage=0.9`",
            number,
            shown="0.9",
        ),
        *KEYS,
        Key("device", "such as cpu or cuda:1; otherwise the run's own"),
    ],
    reports=True,
    footer="FILE is a table with the columns that the run was trained on, in any order; a .npz or .npy file; a folder\n"
    "of images; or - for a text table from standard input.",
)


def main(arguments: Sequence[str]) -> int:
    """Write the predictions; what should be known about them goes to standard error.

    Raises:
        UserError: there is no such run or file, or the file does not fit the run.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    run, source = given.words
    predictor = nnlab.load(run, given.device)
    text = text_of(given)
    if given.json:
        rows: dict[str, Any] = {}
        if given.out is None:
            summary, rows["predictions"] = predict_rows(predictor, source, given.id, given.coverage, text)
        else:
            summary = predict_file(predictor, source, given.out, given.id, given.coverage, text)
        print_json({**summary.content(), "out": given.out, **rows})
        return 0
    summary = predict_file(predictor, source, given.out, given.id, given.coverage, text)
    for line in summary.sentences():
        print(f"note: {line}", file=sys.stderr)
    if given.out is not None:
        counts = ", ".join(f"{name} {count}" for name, count in summary.classes.most_common(8))
        print(f"{counted(summary.rows, 'row')}: {given.out}" + (f" ({counts})" if counts else ""))
    return 0
