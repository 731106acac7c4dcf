"""`nnlab study FOLDER`: what the runs of a study show, as a page, a table and a few lines.

nnlab study outputs/study1
nnlab study outputs/study1 metric=loss
"""

from __future__ import annotations

from collections.abc import Sequence

from nnlab.cli.arguments import Grammar, Key, print_json, truth
from nnlab.study.write import write

GRAMMAR = Grammar(
    "study",
    "Compare the runs of a study: best runs, axes, what to run next. FOLDER is the study, such as outputs/study1.",
    "FOLDER",
    [
        Key("metric", "what decides, such as loss or accuracy/test; default: the validation metric of its runs"),
        Key("curves", "also write TensorBoard's curves over seeds", truth, bare="true", default=True),
    ],
    reports=True,
)


def main(arguments: Sequence[str]) -> int:
    """Write the study and print the short of it.

    Raises:
        UserError: there is nothing to compare.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    report = write(given.words[0], given.metric, curves=given.curves)
    if given.json:
        print_json(report.content())
        return 0
    print(report)
    if report.page is not None:
        print(f"page: {report.page}")
    return 0
