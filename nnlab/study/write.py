"""Writing a study: its page, its tables, and TensorBoard's curves over seeds."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nnlab.errors import UserError

if TYPE_CHECKING:
    from nnlab.study.output import Report


log = logging.getLogger(__name__)


def write(folder: str | Path, metric: str | None = None, *, curves: bool = True) -> Report:
    """Write `study.html`, `study.md`, `study.csv`, and for TensorBoard the curves of repeated configurations.

    Args:
        folder: the study, `<output_dir>/<name>`.
        metric: what decides, such as `loss` or `accuracy/test`; None: the task's own, on the validation split.
        curves: whether to write the curves; those that are up to date are left as they are.

    Raises:
        UserError: no run has a result yet, or something cannot be written.
    """
    from nnlab.study.curves import write_curves
    from nnlab.study.output import write_study

    report = write_study(folder, metric)
    if curves and report.page is not None:
        write_curves(report.study)
    return report


def conclude(folder: Path) -> None:
    """At the end of a sweep: write its study, and say the short of it; nothing where no run has a result yet."""
    with contextlib.suppress(UserError):
        log.info(write(folder).brief)
