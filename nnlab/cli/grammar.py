"""Hydra's grammar of overrides, read once for all: parsed, with the values that a sweep gives, or one sentence."""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, RangeSweep, Sweep
from hydra.errors import HydraException, OverrideParseException

from nnlab.config.overrides import literal
from nnlab.errors import UserError

MOST_JOBS = 1_000_000  # of a sweep, which keeps the config of each in memory

_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_KEY = re.compile(r"[+~]{0,2}[\w./@:\-$]+")
_PLAIN = frozenset(string.ascii_letters + string.digits + "_-./+")  # text that Hydra reads as it is
_SIMPLE = re.compile(r"[^\s()\[\]{}'\",$=][^()\[\]{}'\",$=]*")


def parsed(overrides: Sequence[str]) -> list[Any]:
    """Hydra's parsed overrides.

    Raises:
        UserError: one of them cannot be read.
    """
    return [_read(line, _loader()) if "glob" in line else _read_once(line) for line in overrides]


def _loader() -> Any:
    """What knows the options that `glob` chooses from."""
    hydra = GlobalHydra.instance()
    return hydra.config_loader() if hydra.is_initialized() else None


def _read(line: str, loader: Any = None) -> Any:
    try:
        [entry] = OverridesParser.create(loader).parse_overrides([line])
    except (OverrideParseException, ValueError, RecursionError) as error:
        raise UserError(unreadable(line)) from error
    if not entry.key_or_group:
        raise UserError(unreadable(line))
    check_sweep(entry)
    return entry


_read_once = functools.lru_cache(maxsize=1024)(_read)  # every stage of composing looks at the same overrides


def check_sweep(entry: Any) -> None:
    """Refuse ranges that give nothing, and those that stand among values.

    Raises:
        UserError: says what to write.
    """
    value, line = entry.value(), entry.input_line
    if isinstance(value, RangeSweep):
        if value.step == 0:
            raise UserError(f"`{line}`: the step of a range must not be 0")
        if value.start is None or value.stop is None:
            raise UserError(f"`{line}`: write a range as `range(START,STOP)` or `range(START,STOP,STEP)`")
    if isinstance(value, ChoiceSweep) and any(isinstance(each, Sweep) for each in value.list):
        raise UserError(f"`{line}` mixes a range with values; write all values, such as `{entry.key_or_group}=0,1,2,9`")


def values_of(entry: Any) -> list[str]:
    """The values of a discrete sweep as text, in order.

    Raises:
        UserError: they cannot be listed.
    """
    check_length(entry)
    try:
        return list(entry.sweep_string_iterator())
    except (HydraException, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise UserError(f"`{entry.input_line}` does not give values that can be listed: {error}") from error


def first_values(overrides: Sequence[str]) -> list[str]:
    """The overrides of the first run that they describe; ranges to search in are left out.

    >>> first_values(["data=table", "data.limit=100,200"])
    ['data=table', 'data.limit=100']

    Raises:
        UserError: one of them cannot be read.
    """
    lines = []
    for entry in parsed(overrides):
        if not entry.is_sweep_override():
            lines.append(entry.input_line)
        elif entry.is_discrete_sweep():
            lines += [f"{entry.get_key_element()}={value}" for value in values_of(entry)[:1]]
    return lines


def check_length(entry: Any) -> None:
    """Refuse a range of more numbers than a sweep can have jobs.

    Raises:
        UserError: says how many there may be.
    """
    value = entry.value()
    if isinstance(value, RangeSweep) and (value.stop - value.start) / value.step > MOST_JOBS:
        raise UserError(f"`{entry.input_line}` gives more than {MOST_JOBS:,} values, the most that a sweep can list")


def quoted(override: str) -> str:
    """An override with the quotes that Hydra's grammar wants around letters beyond ASCII, brackets and the like.

    Text that Hydra cannot read, and that has neither commas nor anything left open, can only mean itself.

    >>> quoted("output_dir=größe"), quoted("seed=1,2"), quoted("data.path=sales (1).csv")
    ('output_dir="größe"', 'seed=1,2', "data.path='sales (1).csv'")
    """
    key, equals, value = override.partition("=")
    pieces = value.split(",")
    if not equals:
        return override
    if not override.isascii() and all(_SIMPLE.fullmatch(piece) for piece in pieces):
        return f"{key}=" + ",".join(piece if piece.isascii() else f'"{piece}"' for piece in pieces)
    if set(value) <= _PLAIN or len(pieces) > 1 or _is_open(value) or value.startswith(("[", "{", "$", "'", '"')):
        return override
    try:
        OverridesParser.create().parse_overrides([override])
    except (OverrideParseException, ValueError, RecursionError):
        return f"{key}={literal(value)}" if _KEY.fullmatch(key) else override
    return override


def unreadable(override: str) -> str:
    """The sentence for an override that is not `key=value`, or whose value does not follow Hydra's grammar."""
    key, equals, value = override.partition("=")
    if not key.lstrip("+~").strip() or not equals:
        return f"`{override}` is not an override; write `key=value`, such as `trainer.epochs=10`"
    if not _KEY.fullmatch(key):
        return f"`{override}` is not an override: `{key}` is no key; write `key=value`, such as `trainer.epochs=10`"
    if _is_open(value):
        return f"cannot read the override `{override}`; close its brackets and quotes"
    return (
        f"cannot read the override `{override}`; put text with special characters in quotes, twice for the shell: "
        f"""'{key}="..."'"""
    )


def _is_open(value: str) -> bool:
    """Whether brackets or quotes in a value are not closed, or close what is not open."""
    stack: list[str] = []
    quote = ""
    for letter in value:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _BRACKETS:
            stack.append(_BRACKETS[letter])
        elif letter in _BRACKETS.values() and (not stack or stack.pop() != letter):
            return True
    return bool(stack or quote)
