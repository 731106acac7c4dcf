"""JSON with a line for every value, as Python's `json.dumps(indent=...)` writes it, in a fraction of its time."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii  # the standard library's own, in C
from typing import Any


def indented(value: Any, indent: int = 2) -> str:
    """Plain values as JSON, each level of mappings and lists set in by `indent` more spaces.

    >>> print(indented({"loss": 0.5, "steps": [1, 2]}))
    {
      "loss": 0.5,
      "steps": [
        1,
        2
      ]
    }
    """
    return _text(value, "\n", " " * indent)


def _text(value: Any, line: str, indent: str) -> str:
    """The text of a value on a line that begins as `line`."""
    if isinstance(value, dict) and value:
        inner = line + indent
        return f"{{{inner}{f',{inner}'.join(f'{_key(k)}: {_text(v, inner, indent)}' for k, v in value.items())}{line}}}"
    if isinstance(value, list | tuple) and value:
        inner = line + indent
        return f"[{inner}{f',{inner}'.join(_text(each, inner, indent) for each in value)}{line}]"
    return encode_basestring_ascii(value) if isinstance(value, str) else json.dumps(value)


def _key(key: Any) -> str:
    """A key as text; those that are no texts by the rules of `json`."""
    return encode_basestring_ascii(key) if isinstance(key, str) else json.dumps({key: 0})[1:-4]
