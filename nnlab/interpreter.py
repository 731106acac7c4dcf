"""Modules run by Python in processes of their own, which find what this process finds.

`python -m MODULE` alone would look first into the folder in which it is started, and that may hold anybody's files.
"""

from __future__ import annotations

import os
import sys


def running(module: str) -> tuple[str, ...]:
    """The command that runs a module, with no look into the present folder; `environment` says where to look."""
    return (sys.executable, "-P", "-m", module)


def environment() -> dict[str, str]:
    """This process's variables, with the folders in which it looks for modules itself."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folder or os.getcwd() for folder in sys.path)}
