"""`nnlab export RUN`: a run as a file for other programs, compared with the run, and its model card."""

from __future__ import annotations

from collections.abc import Sequence

from nnlab.cli.arguments import Grammar, Key, print_json
from nnlab.config import trust
from nnlab.errors import UserError
from nnlab.runs.export import FORMATS, TOLERANCE, export
from nnlab.runs.networks import load_networks
from nnlab.storage.files import WriteError

GRAMMAR = Grammar(
    "export",
    "Write a finished run for other programs, load the file again by its own runtime, and compare.",
    "RUN",
    [
        Key(
            "format",
            "a graph with preprocessing inside, or weights",
            valid=tuple(FORMATS),
            default="onnx",
        ),
        Key("out", "folder for the file and its model card, README.md; otherwise RUN/export", shown="FOLDER"),
    ],
    reports=True,
    footer="The exit code is 1 where a prediction of the file differs by more than 1e-5 from that of the run.",
)


def main(arguments: Sequence[str]) -> int:
    """Export and print what was written and how well it agrees.

    Raises:
        UserError: there is no such run, or it cannot be written in this format.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    [run] = given.words
    trust.reading(run)
    try:
        found = export(load_networks(run, "cpu"), given.format, given.out)
    except WriteError as error:
        raise UserError(f"{error.fact}; choose another folder with `out=FOLDER`") from error
    if given.json:
        print_json({**vars(found), "agrees": found.agrees})
        return 0 if found.agrees else 1
    what = "examples of its data" if found.real else "drawn examples"
    print(f"{found.path}\n{found.card}")
    print(f"loaded again and compared on {found.rows} {what}: largest difference {found.difference:.1e}")
    if not found.agrees:
        print(f"that is more than {TOLERANCE:.0e}: do not use this file")
        return 1
    return 0
