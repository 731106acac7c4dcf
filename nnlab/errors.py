"""The one exception that reaches a user: a sentence that says what, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can mend: shown as one sentence without a traceback; the command exits with code 2."""

    def _render_traceback_(self, *_: object) -> list[str]:
        """The sentence alone, in place of the frames that IPython and Jupyter would show above it."""
        return [f"{type(self).__name__}: {self}"]


def described(error: BaseException) -> str:
    """An unexpected error in half a line: its class and the first line of what it says.

    >>> described(KeyError("x"))
    "KeyError: 'x'"
    """
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def did_you_mean(wrong: str, valid: Iterable[str]) -> str:
    """The clause that ends an error about an unknown name.

    >>> did_you_mean("learning_rat", ["learning_rate", "momentum"])
    'did you mean `learning_rate`?'
    >>> did_you_mean("zzz", ["b", "a"])
    'valid: a, b'
    """
    names = sorted(valid)
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else "valid: " + ", ".join(names)
