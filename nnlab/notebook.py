"""What a notebook shows: tables, pictures and a progress bar as HTML, in which every text is escaped."""

from __future__ import annotations

import base64
import html
import sys
from collections.abc import Sequence


def table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table.

    >>> table(["", "loss"], [["test", "<1"]])
    '<table><tr><th></th><th>loss</th></tr><tr><td>test</td><td>&lt;1</td></tr></table>'
    """

    def row(kind: str, cells: Sequence[object]) -> str:
        return "<tr>" + "".join(f"<{kind}>{html.escape(str(cell))}</{kind}>" for cell in cells) + "</tr>"

    return "<table>" + row("th", header) + "".join(row("td", cells) for cells in rows) + "</table>"


def lines(*texts: str) -> str:
    """Paragraphs; empty ones are left out.

    >>> lines("a < b", "")
    '<p>a &lt; b</p>'
    """
    return "".join(f"<p>{html.escape(text)}</p>" for text in texts if text)


def code(text: str) -> str:
    """A command to paste."""
    return f"<pre>{html.escape(text)}</pre>"


def picture(png: bytes, meaning: str) -> str:
    """A picture, with its meaning for those who cannot see it."""
    data = base64.b64encode(png).decode()
    return (
        f'<img alt="{html.escape(meaning)}" style="max-width: 640px; width: 100%" src="data:image/png;base64,{data}">'
    )


def is_open() -> bool:
    """Whether this process is the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class Bar:
    """How far training is, and below it the latest metrics; drawn in place.

    Args:
        step, total: where it begins and ends.
    """

    def __init__(self, step: int, total: int) -> None:
        from IPython.display import HTML, display

        self._html, self._total, self._line = HTML, total, ""
        self._handle = display(self._picture(step), display_id=True)

    def _picture(self, step: int) -> object:
        words = f"{step} of {self._total} steps{'  ' if self._line else ''}{self._line}"
        bar = f'<progress style="width: 300px" value="{step}" max="{self._total}"></progress>'
        return self._html(f"{bar} {html.escape(words)}")

    def show(self, step: int, line: str | None = None) -> None:
        """Draw it anew."""
        self._line = self._line if line is None else line
        self._handle.update(self._picture(step))

    def stop(self) -> None:
        """Leave the last picture."""
