"""Processes of their own for tests that kill them: forked from a server that has imported torch, which takes longer
than what they do."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
SERVER.set_forkserver_preload(
    ["nnlab.sweep.grid", "nnlab.cli.application", "nnlab.recipe.driver", "tensorboard.compat.proto.event_pb2"]
)


class Program:
    """`nnlab WORDS` in a session and a folder of its own; what can be asked of it is what `subprocess.Popen` answers.

    What it prints goes to two files of that folder. Before it begins, `prepare` is called there.
    """

    def __init__(
        self, words: list[str], folder: Path, prepare: Callable[[], None] | None = None, **variables: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._said = folder / "output.txt", folder / "errors.txt"
        self._process = SERVER.Process(target=_run, args=(words, folder, self._said, prepare, variables))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def output(self) -> str:
        """What it has printed so far."""
        return self._said[0].read_text() if self._said[0].exists() else ""

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for its end; its output and its errors."""
        self._process.join(timeout)
        if self._process.is_alive():
            raise subprocess.TimeoutExpired("nnlab", timeout)
        output, errors = (file.read_text() for file in self._said)
        return output, errors


def _run(
    words: list[str],
    folder: Path,
    said: tuple[Path, Path],
    prepare: Callable[[], None] | None,
    variables: dict[str, str],
) -> None:
    os.setsid()
    os.chdir(folder)
    sys.path.insert(0, str(folder))  # as `python -m nnlab` does
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(said, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    from nnlab.cli import main

    if prepare is not None:
        prepare()
    code = main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
