"""`nnlab train [overrides]`: one network, an ensemble, or with `-m` a grid of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from nnlab.runs.launch import train
from nnlab.runs.result import Result
from nnlab.runs.summary import print_summary


def main(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> Result:
    """Train, then print what came out and how to look at it."""
    result = train(config, overrides)
    if result.status == "interrupted":
        where = f" at step {result.steps} of {result.trainer.total_steps}" if result.trainer else ""
        again = f"nnlab train resume={shlex.quote(str(result.directory))}"
        print(f"interrupted{where}; the same command continues it, or: {again}")
    else:
        print_summary(result)
    return result
