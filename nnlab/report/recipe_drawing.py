"""The figures of a recipe's steps as SVG, drawn in a process of its own while the next steps compute.

The process reads the numbers of finished steps, draws what `recipe.json` says about each, and writes a line of JSON for
it. It is there to save time alone: what it does not give is drawn by whoever writes the page.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnlab import interpreter
from nnlab.report.recipe_figures import figures
from nnlab.report.style import panels, to_svg

Drawn = list[tuple[str, str]]  # SVG texts, each with its caption


def drawn(step: Mapping[str, Any]) -> Drawn:
    """The figures of one step."""
    return [(to_svg(figure), caption) for figure, caption in figures(step)]


class Drawing:
    """The figures of those steps that are `add`ed.

    Args:
        file: `recipe.json`, which holds each step before that is added.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._waiting: list[int] = []
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process, where more than one step will be drawn: it has libraries to read first, so early."""
        if self._process is None:
            self._output = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
            self._process = subprocess.Popen(
                [*interpreter.running(__name__), str(self.file)], text=True, env=interpreter.environment(),
                stdin=subprocess.PIPE, stdout=self._output, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def add(self, number: int) -> None:
        """Draw a finished step; the process starts with the second one at the latest."""
        self._waiting.append(number)
        if len(self._waiting) > 1:
            self.start()
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(OSError):  # it may have ended
            self._process.stdin.writelines(f"{each}\n" for each in self._waiting)
            self._process.stdin.flush()
        self._waiting = []

    def finished(self) -> dict[int, Drawn]:
        """What has been drawn, by step; waits for it."""
        if self._process is None:
            return {}
        try:
            self._process.communicate()
        except OSError:
            self._process.kill()
            self._process.wait()
        self._output.seek(0)
        found = {}
        for line in self._output:
            if line.endswith("\n"):
                number, pictures = json.loads(line)
                found[number] = [(svg, caption) for svg, caption in pictures]
        self._output.close()
        self._process = None
        return found

    def close(self) -> None:
        """End the process, where nobody has waited for it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._output.close()
            self._process = None


def main() -> None:
    """Draw steps of the file that is the argument, as their numbers come in.

    What the first figure has to wait for is done before there is one, while the first step computes.
    """
    to_svg(panels()[0])
    for line in sys.stdin:
        steps = json.loads(Path(sys.argv[1]).read_text())["steps"]
        for step in steps:
            if step["number"] == int(line):
                sys.stdout.write(json.dumps([step["number"], drawn(step)]) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
