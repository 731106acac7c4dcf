"""Whether a plain value of a config fits a type annotation, and how to say in words what would."""

from __future__ import annotations

import collections.abc
import enum
import inspect
import pathlib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from nnlab.console import counted

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    pathlib.Path: "text",
    type(None): "null",
}
_LISTS = (
    *(list, tuple, set, frozenset),
    *(collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable, collections.abc.Set),
)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _kind(hint: Any) -> Any:
    """The bare class of an annotation: `list` for `list[int]`, and `NoneType` for `None`."""
    return type(None) if hint is None else typing.get_origin(hint) or hint


def _is_checked(kind: Any) -> bool:
    """Whether an annotation is a class; `Any`, type variables and the like are not."""
    return inspect.isclass(kind) and kind not in (Any, object)


def matches(value: Any, hint: Any) -> bool:
    """Whether a plain value fits an annotation: a whole number is a number, but true and false are not.

    Lists stand for any sequence; a mapping with `_target_` stands for an instance of any class; what an annotation
    says beyond that (bounds, protocols) is not checked.

    >>> matches(1, float), matches(True, int), matches(1.0, int), matches([1, 2], tuple[int, int])
    (True, False, False, True)
    """
    kind = _kind(hint)
    if _is_union(hint):
        return any(matches(value, each) for each in typing.get_args(hint))
    if kind is Literal:
        return any(type(value) is type(each) and value == each for each in typing.get_args(hint))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (bool, str, type(None)):
        return isinstance(value, kind)
    if kind is pathlib.Path:
        return isinstance(value, str)
    if not _is_checked(kind):
        return True
    if issubclass(kind, enum.Enum):
        return value in _names(kind)
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping) and "_target_" not in value
    if kind in _LISTS:
        return isinstance(value, list) and _entries_match(value, kind, typing.get_args(hint))
    return isinstance(value, Mapping) and "_target_" in value


def _names(kind: type[enum.Enum]) -> list[Any]:
    """How the members of an enumeration are written: their values, where these are plain, else their names."""
    values = [each.value for each in kind]
    plain = all(isinstance(value, str | int | float) for value in values)
    return values if plain else list(kind.__members__)


def _entries_match(value: list[Any], kind: Any, hints: tuple[Any, ...]) -> bool:
    """Whether the entries of a list fit `list[hint]`, `tuple[hint, ...]` or `tuple[hint, hint]`."""
    if kind is tuple and hints and Ellipsis not in hints:
        return len(value) == len(hints) and all(map(matches, value, hints))
    return all(matches(each, hints[0]) for each in value) if hints else True


def words(hint: Any) -> str:
    """An annotation in words.

    >>> words(int | None)
    'a whole number or null'
    >>> words(list[float])
    'a list, each entry a number'
    >>> words(list[float] | None)
    'null or a list, each entry a number'
    """
    kind = _kind(hint)
    arguments = typing.get_args(hint)
    if _is_union(hint):
        lists_last = sorted(arguments, key=lambda each: _kind(each) in _LISTS)  # "or null" behind would be an entry's
        return " or ".join(words(each) for each in lists_last)
    if kind is Literal:
        return " or ".join(f"`{each}`" for each in arguments)
    if kind in _WORDS:
        return _WORDS[kind]
    if not _is_checked(kind):
        return "a value"
    if issubclass(kind, enum.Enum):
        return " or ".join(f"`{each}`" for each in _names(kind))
    if issubclass(kind, Mapping):
        return "a mapping"
    if kind is tuple and arguments and Ellipsis not in arguments:
        return f"a list with {counted(len(arguments), 'entry')}: " + ", ".join(words(each) for each in arguments)
    if kind in _LISTS:
        return f"a list, each entry {words(arguments[0])}" if arguments else "a list"
    return f"a section with `_target_` of the kind {kind.__name__}"


def shown(value: Any) -> str:
    """A value as the user wrote it: YAML's words for true, false and null; text in quotes."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)
