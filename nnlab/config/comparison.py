"""A run's identity: a hash of everything in its config that decides what is computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from nnlab.config.values import shown

# Keys that say where, on what and for how long a run happens, but not what is computed.
IRRELEVANT = (
    "name",
    "output_dir",
    "data_root",
    "resume",
    "sweep",
    "callbacks",
    "trainer.device",
    "trainer.threads",
    "trainer.cuda_graphs",
    "trainer.time_limit",
)


def identity(config: Mapping[str, Any]) -> str:
    """The identity of a resolved config: 12 hexadecimal digits.

    >>> identity({"seed": 0, "name": "a"}) == identity({"seed": 0.0, "name": "b"})
    True
    """
    text = json.dumps(_relevant(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """One line for each key in which two configs differ, sorted; empty exactly when their identities are equal.

    >>> difference({"seed": 0, "name": "a"}, {"seed": 1, "name": "b"})
    ['`seed`: 0 -> 1']
    """
    before, after = dict(_flat(_relevant(first))), dict(_flat(_relevant(second)))
    lines = []
    for key in sorted({*before, *after}):
        if key not in after:
            lines.append(f"`{key}`: {shown(before[key])} -> nothing")
        elif key not in before:
            lines.append(f"`{key}`: nothing -> {shown(after[key])}")
        elif before[key] != after[key] or isinstance(before[key], bool) != isinstance(after[key], bool):
            lines.append(f"`{key}`: {shown(before[key])} -> {shown(after[key])}")
    return lines


def _relevant(value: Any, path: str = "") -> Any:
    """A config without what is irrelevant; 1.0 becomes 1, which means the same in YAML written by hand."""
    if isinstance(value, Mapping):
        paths = {key: f"{path}.{key}" if path else str(key) for key in value}
        return {str(key): _relevant(value[key], paths[key]) for key in value if paths[key] not in IRRELEVANT}
    if isinstance(value, list | tuple):
        return [_relevant(each, f"{path}.") for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted paths and values of all leaves; lists and empty mappings are leaves."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{path}.{key}" if path else key)
    else:
        yield path, value
