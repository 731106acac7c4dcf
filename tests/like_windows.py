"""Windows' rules for names of files, laid over this system, and no `fcntl`: `pytest --like-windows tests/storage`."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$')
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
LONGEST = 240  # characters of a path below the place where tests write, of the 260 that Windows takes
MAKING = {"os.mkdir": (0,), "os.rename": (1,), "os.link": (1,), "os.symlink": (1,)}


def mistake(path: str) -> str | None:
    """Why Windows would not make a file or folder, given its path below the place where tests write."""
    for part in path.split("/"):
        if FORBIDDEN.search(part):
            return f"the name `{part}` has a character that Windows does not take"
        if RESERVED.fullmatch(part):
            return f"the name `{part}` is reserved on Windows"
    return f"the path `{path}` is too long for Windows" if len(path) > LONGEST else None


def install(root: str) -> None:
    """From now on in this process, making a file below `root` obeys Windows' rules, and there is no `fcntl`."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        made = [arguments[i] for i in MAKING.get(event, ())]
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT:
            made = [arguments[0]]
        for path in made:
            text = os.fsdecode(path) if isinstance(path, str | bytes) else ""
            below = os.path.abspath(text).partition(f"{root}/")[2] if text else ""
            wrong = mistake(below.partition("/")[2]) if below else None
            if wrong:
                raise OSError(22, wrong, text)

    import filelock  # noqa: F401  (has its own lock there, for which this system's stands in)

    sys.modules["fcntl"] = None  # type: ignore[assignment]
    for name in ("pwrite", "O_CLOEXEC", "sched_getaffinity"):
        if hasattr(os, name):
            delattr(os, name)
    sys.addaudithook(hook)
