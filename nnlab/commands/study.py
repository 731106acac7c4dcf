"""`nnlab study FOLDER`: what the runs of a study show, as a page, a table and a few lines.

nnlab study outputs/study1
nnlab study outputs/study1 --metric loss
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from nnlab.errors import UserError
from nnlab.study.write import write


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; `nnlab study --help` shows what there is")


def main(arguments: Sequence[str]) -> int:
    """Write the study and print the short of it.

    Raises:
        UserError: there is nothing to compare.
    """
    parser = _Parser(prog="nnlab study", description="Compare the runs of a study: best runs, axes, what to run next.")
    parser.add_argument("folder", help="the study, such as outputs/study1")
    parser.add_argument("--metric", help="what decides, such as loss or accuracy/test; default: validation accuracy")
    parser.add_argument("--no-curves", action="store_true", help="leave out TensorBoard's curves over seeds")
    given = parser.parse_args(arguments)
    report = write(given.folder, given.metric, curves=not given.no_curves)
    print(report)
    print(f"page: {report.page}")
    return 0
