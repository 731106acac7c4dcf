"""`nnlab plot RUN ...`: the figures of a run, or of several runs overlaid, as PNG and SVG.

nnlab plot outputs/train/RUN                       figures of one run, in RUN/figures
nnlab plot outputs/study1                          the runs of a study overlaid, in outputs/study1/figures
nnlab plot RUN RUN out=slides surface=principal    several runs, with their trajectories on the loss surface
"""

from __future__ import annotations

from collections.abc import Sequence

from nnlab.cli.arguments import Grammar, Key, listed, print_json
from nnlab.runs.plotting import plot

NAMES = """figures of one run: loss, train_validation, learning_rate, gradient_flow, update_ratio, activation_std,
dead_units, saturated, activations, calibration, confusion_matrix; of several: loss, validation_loss,
validation_accuracy (or rmse), learning_rate; with --surface: loss_surface. docs/reading-a-run.md reads them."""
GRAMMAR = Grammar(
    "plot",
    "Draw the figures of runs as PNG and SVG; RUN is the folder of a run, or of a study for all of its runs.",
    "RUN ...",
    [
        Key("out", "folder for the figures; default: `figures` in the run or study", shown="DIR"),
        Key("only", "names of figures, separated by commas", listed, shown="loss,calibration"),
        Key(
            "surface",
            "also trajectories on the loss surface (this trains the runs again): the plane to cut along",
            bare="principal",
            valid=("principal", "random"),
        ),
    ],
    reports=True,
    footer=NAMES,
)


def main(arguments: Sequence[str]) -> int:
    """Draw the figures and print where they are.

    Raises:
        UserError: there is no run, or no such figure.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    files = plot(given.words, given.out, given.only, given.surface)
    if given.json:
        print_json({"figures": files})
    else:
        print(*files, sep="\n")
    return 0
