"""What `nnlab` does where it is a process of its own, and not a function of another program: it starts and ends fast.

Python looks for cycles of garbage dozens of times while torch and what it needs is imported, and takes all of it apart
when the process ends, which together takes as long as importing the rest.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import sys
from collections.abc import Callable
from typing import ClassVar

SELDOM = (100_000, 20, 100)  # objects, and younger collections, after which Python looks for cycles
WRITERS = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


class Ending:
    """The end of the process, once a command has returned its exit code.

    Registered before anything else, it comes last: threads have been waited for, and all others that want to do
    something at the end have done it.
    """

    code: ClassVar[int | None] = None

    @classmethod
    def now(cls) -> None:
        """Leave what is loaded to the system, after all files are written; without a code, end as usual."""
        if cls.code is None:
            return
        kinds = {*WRITERS}
        try:
            files = [each for each in gc.get_objects() if type(each) in kinds]
        except MemoryError:
            return
        for file in [*(each for each in files if type(each) is io.TextIOWrapper), *files, sys.stdout, sys.stderr]:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                file.flush()
        os._exit(cls.code)


_usual: list[tuple[int, int, int]] = []  # how often Python looked for cycles before, while it looks seldom


def is_loading() -> bool:
    """Whether the process is nnlab's own, and not everything that is large has been imported."""
    return bool(_usual)


def run(main: Callable[[], int]) -> int:
    """Run what a process is for, before anything large is imported; the process then ends with the code it returns."""
    _usual.append(gc.get_threshold())
    gc.set_threshold(*SELDOM)
    atexit.register(Ending.now)
    Ending.code = code = main()
    return code


def loaded() -> None:
    """All that is large has been imported: from now on look for cycles as usual, but not among what is there."""
    if _usual:
        gc.freeze()
        gc.set_threshold(*_usual.pop())
