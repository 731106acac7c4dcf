"""Values at dotted paths of nested configs, such as `optimizer.learning_rate`: looked up, set, replaced."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

MISSING = object()


def get(config: Any, path: str, default: Any = None) -> Any:
    """The value at a path, `default` where there is none; a number in the path counts the entries of a list.

    >>> get({"a": {"b": [1, 2]}}, "a.b.1"), get({"a": 1}, "a.b")
    (2, None)
    """
    for part in path.split("."):
        if isinstance(config, Mapping) and part in config:
            config = config[part]
        elif (
            isinstance(config, Sequence)
            and not isinstance(config, str)
            and part.isdecimal()
            and int(part) < len(config)
        ):
            config = config[int(part)]
        else:
            return default
    return config


def exists(config: Any, path: str) -> bool:
    """Whether there is a value at a path."""
    return get(config, path, MISSING) is not MISSING


def replaced(config: Any, path: str, value: Any) -> Any:
    """The config with another value at a path, as `get` has it; sections that do not lead there are those of `config`.

    Raises:
        KeyError: there is no such path.

    >>> replaced({"a": {"b": 1}, "c": [2, 4]}, "a.b", 3)
    {'a': {'b': 3}, 'c': [2, 4]}
    """
    key, _, rest = path.partition(".")
    if isinstance(config, dict) and key in config:
        return {**config, key: replaced(config[key], rest, value) if rest else value}
    if isinstance(config, list) and key.isdecimal() and int(key) < len(config):
        place = int(key)
        return [*config[:place], replaced(config[place], rest, value) if rest else value, *config[place + 1 :]]
    raise KeyError(f"there is no `{key}` in the config")


def put(config: MutableMapping[str, Any], path: str, value: Any) -> None:
    """Replace the value at a path, in place.

    Raises:
        KeyError: there is none.
    """
    section, _, key = path.rpartition(".")
    node = get(config, section) if section else config
    if not isinstance(node, MutableMapping) or key not in node:
        raise KeyError(f"there is no `{path}` in the config")
    node[key] = value
