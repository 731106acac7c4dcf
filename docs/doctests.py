"""Shows the doctests of docstrings as code: an extension of Griffe, which reads the docstrings for the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"(?:^[ \t]*>>> .*\n?(?:^[ \t]*\S.*\n?)*)+", re.MULTILINE)


class Doctests(griffe.Extension):
    """Fences every block that begins with `>>>` and ends with an empty line."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Change the docstrings of a package and of all that is in it."""
        waiting: list[griffe.Object] = [pkg]
        while waiting:
            found = waiting.pop()
            waiting += [member for member in found.members.values() if isinstance(member, griffe.Object)]
            if found.docstring is not None:
                found.docstring.value = DOCTEST.sub(_fenced, found.docstring.value)


def _fenced(block: re.Match[str]) -> str:
    return f"```pycon\n{block[0].rstrip()}\n```\n"
