"""The process of one job: `python -m nnlab.sweep.child` reads the job from its standard input, trains it, and ends."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from nnlab import console, process
from nnlab.errors import UserError
from nnlab.sweep.processes import end_with_parent

log = logging.getLogger(__name__)


def read_message() -> dict[str, Any]:
    """The line that the driver wrote; nothing beyond it is read."""
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(sys.stdin.fileno(), 1 << 16)
        if not piece:
            raise SystemExit("nnlab: the driver ended before it said what to do")
        data += piece
    content: dict[str, Any] = json.loads(data)
    return content


def main() -> int:
    """Train the job; its directory is claimed already, by the file that this process inherited."""
    console.show(always=True)
    message = read_message()
    end_with_parent()
    from nnlab.config import identity
    from nnlab.sweep.job import Job
    from nnlab.sweep.jobs import train_here

    config = message["config"]
    job = Job(message["overrides"], config, Path(message["directory"]), identity(config))
    try:
        [outcome] = train_here([job])
    except UserError as error:
        log.error(str(error))
        return 2
    from nnlab.interruption import EXIT_CODES

    return EXIT_CODES[outcome.signals[0]] if outcome.signals else 0


if __name__ == "__main__":
    sys.exit(process.run(main))
