"""How configs compare: the identity of a run, the difference between two of them, and labels that tell runs apart."""

from __future__ import annotations

import functools
import hashlib
import json
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from nnlab.config.values import shown
from nnlab.storage.keys import meaning


def identity(config: Mapping[str, Any]) -> str:
    """The identity of a resolved config: 12 hexadecimal digits.

    >>> identity({"seed": 0, "name": "a"}) == identity({"seed": 0.0, "name": "b"})
    True
    """
    keys = sorted(key for key in config if meaning(key).decides)
    parts = [f"{json.dumps(key)}: {_text_of(key, pickle.dumps(config[key]))}" for key in keys]
    return hashlib.sha256(f"{{{', '.join(parts)}}}".encode()).hexdigest()[:12]


@functools.lru_cache(maxsize=256)
def _text_of(key: str, section: bytes) -> str:
    """What decides the result in a section, as JSON; the runs of a study share most of theirs."""
    return json.dumps(_relevant(pickle.loads(section), key), sort_keys=True)


def difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """One line for each key in which two configs differ, sorted; empty exactly when their identities are equal.

    >>> difference({"seed": 0, "name": "a"}, {"seed": 1, "name": "b"})
    ['`seed`: 0 -> 1']
    """
    before, after = flatten(_relevant(first)), flatten(_relevant(second))
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
        paths = {name: f"{path}.{name}" if path else str(name) for name in value}
        return {str(name): _relevant(value[name], at) for name, at in paths.items() if meaning(at).decides}
    if isinstance(value, list | tuple):
        return [_relevant(each, f"{path}.") for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by dotted key, such as `optimizer.learning_rate`; lists are leaves.

    >>> flatten({"seed": 0, "optimizer": {"betas": [0.9, 0.99]}})
    {'seed': 0, 'optimizer.betas': [0.9, 0.99]}
    """
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        leaves |= flatten(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return leaves


def labels(configs: Sequence[Mapping[str, Any]], ignore: Sequence[str] = ("seed",)) -> list[str]:
    """A label for each config that tells it from the others, such as `learning_rate=0.1`; equal ones for repetitions.

    Args:
        configs: resolved configs.
        ignore: keys whose differences do not count, besides those that do not decide the result.
    """
    flat = [flatten(config) for config in configs]
    keys = list(dict.fromkeys(key for each in flat for key in each))
    differing = [
        key
        for key in keys
        if meaning(key).decides
        and not any(key == name or key.startswith(f"{name}.") for name in ignore)
        and any(each.get(key) != flat[0].get(key) for each in flat)
    ]
    distinct = [key for key in differing if not _implied(key, flat, differing)]
    short = {key: key.rpartition(".")[2] for key in distinct if not key.endswith("._target_")}
    unique = {key: name if list(short.values()).count(name) == 1 else key for key, name in short.items()}
    return [", ".join(_described(unique.get(key, key), each[key]) for key in distinct if key in each) for each in flat]


def _implied(key: str, flat: Sequence[Mapping[str, Any]], differing: Sequence[str]) -> bool:
    """Whether a value comes with a component: one that differs, and always has this value where it is the same."""
    parents = [f"{key[:end]}._target_" for end, letter in enumerate(key) if letter == "."]
    for parent in parents:
        if parent != key and parent in differing:
            values: dict[object, set[str]] = {}
            for each in flat:
                values.setdefault(each.get(parent), set()).add(repr(each.get(key)))
            return all(len(found) == 1 for found in values.values())
    return False


def _described(key: str, value: object) -> str:
    """`optimizer._target_` with `nnlab.optimizer.Adam` reads `optimizer=Adam`."""
    if key.endswith("._target_"):
        return f"{key.removesuffix('._target_')}={str(value).rpartition('.')[2]}"
    return f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
