"""The grammar of every command: `nnlab COMMAND [FILE or RUN ...] KEY=VALUE ...`, with `--help` and `--json`.

`--key value` and `--key=value` mean `key=value`; of a key with a value of its own, `--key` is enough, and of a truth
value `--no-key` is the opposite.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nnlab import console
from nnlab.errors import UserError, did_you_mean

HELP, JSON = ("-h", "--help"), "--json"
STREAM = "-"  # a word that stands for standard input


def truth(text: str) -> bool:
    """The truth value that a text says.

    Raises:
        ValueError: it says none.
    """
    values = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
    if text.lower() not in values:
        raise ValueError("true or false")
    return values[text.lower()]


def whole(text: str) -> int:
    """The whole number that a text says.

    Raises:
        ValueError: it says none.
    """
    if not text.removeprefix("-").isdecimal():
        raise ValueError("a whole number")
    return int(text)


def number(text: str) -> float:
    """The number that a text says.

    Raises:
        ValueError: it says none.
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


def listed(text: str) -> list[str]:
    """The entries of a list, with or without brackets.

    >>> listed("[loss, calibration]"), listed("loss")
    (['loss', 'calibration'], ['loss'])
    """
    return [part.strip() for part in text.strip("[]").split(",") if part.strip()]


class Key(NamedTuple):
    """A key that a command takes.

    Attributes:
        name: without the equals sign.
        help: of it, in a line.
        read: the value that a text stands for; a `ValueError` says what would be right.
        bare: the value of `--name` alone; None where it needs one.
        valid: the only values, if there are not others.
        default: the value where the key is not given.
        shown: what stands for the value in the help.
    """

    name: str
    help: str
    read: Callable[[str], Any] = str
    bare: str | None = None
    valid: Sequence[str] = ()
    default: Any = None
    shown: str = ""


@dataclass(frozen=True)
class Given:
    """What the user wrote: the words, the values of all keys, and whether the answer goes to a program."""

    words: list[str]
    values: Mapping[str, Any]
    json: bool = False

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


class Grammar:
    """What a command takes.

    Args:
        command: its name.
        about: what it does, in a sentence or more.
        words: what its words are called, such as `RUN` or `RUN ...`; in brackets those that may be missing.
        keys: what it takes besides.
        reports: whether it answers programs, too, with `--json`.
        overrides: whether KEY=VALUE with another key is a word: the override of a config.
        footer: further lines for the help.
    """

    def __init__(
        self,
        command: str,
        about: str,
        words: str,
        keys: Sequence[Key] = (),
        *,
        reports: bool = False,
        overrides: bool = False,
        footer: str = "",
    ) -> None:
        self.overrides = overrides
        self.command, self.about, self.words, self.footer, self.reports = command, about, words, footer, reports
        self.keys = {key.name: key for key in keys}
        required, _, optional = words.partition("[")
        self.least = len(required.replace("...", "").split())
        self.most = None if "..." in words else self.least + bool(optional)

    def read(self, arguments: Sequence[str]) -> Given | None:
        """What the arguments say; None where they asked for help, which is printed.

        Raises:
            UserError: something is missing, unknown, or has a wrong value.
        """
        if any(each in HELP for each in arguments):
            print(self.help(), end="")
            return None
        words, texts, answers = [], dict[str, str](), False
        rest = list(arguments)
        while rest:
            each = rest.pop(0)
            if self.reports and each == JSON:
                answers = True
            elif each.startswith("--") and (self._key(each) or not Path(each).exists()):
                name, text = self._option(each, rest)
                texts[name] = text
            elif re.match(r"[A-Za-z_][\w.]*=", each) and not Path(each).exists():
                name, _, text = each.partition("=")
                if name not in self.keys and self.overrides:
                    words.append(each)
                    continue
                if name not in self.keys:
                    raise self._mistake(f"there is no key `{name}` in `{each}`", name)
                texts[name] = text
            elif each.startswith("-") and each != STREAM and not Path(each).exists():
                raise self._mistake(f"unrecognized arguments: {each}")
            else:
                words.append(each)
        self._check_words(words)
        values = {key.name: self._value(key, texts) for key in self.keys.values()}
        return Given(words, values, answers)

    def _option(self, each: str, rest: list[str]) -> tuple[str, str]:
        """The key and the text of `--key=value`, `--key value`, `--key` or `--no-key`."""
        written, equals, text = each[2:].partition("=")
        name, key = written.replace("-", "_"), self._key(each)
        if key is None:
            positive = self.keys.get(name.removeprefix("no_"))
            if positive is not None and positive.read is truth and not equals:
                return positive.name, "false"
            raise self._mistake(f"unrecognized arguments: {each}", name, dashes=True)
        if equals:
            return name, text
        if key.bare is not None:
            takes = rest and rest[0] in key.valid
            return name, rest.pop(0) if takes else key.bare
        if not rest:
            raise self._mistake(f"`{each}` needs a value")
        return name, rest.pop(0)

    def _key(self, each: str) -> Key | None:
        """The key that `--key` or `--key=value` names, if there is one."""
        return self.keys.get(each[2:].partition("=")[0].replace("-", "_"))

    def _value(self, key: Key, texts: Mapping[str, str]) -> Any:
        if key.name not in texts:
            return key.default
        text = texts[key.name]
        if key.valid and text not in key.valid:
            raise UserError(f"`{key.name}` has no value `{text}`; {did_you_mean(text, key.valid)}")
        try:
            return key.read(text)
        except ValueError as error:
            raise UserError(f"`{key.name}` must be {error}, got `{text}`") from None

    def _check_words(self, words: Sequence[str]) -> None:
        if len(words) < self.least:
            missing = self.words.split()[len(words)]
            raise self._mistake(f"the following arguments are required: {missing}")
        if self.most is not None and len(words) > self.most:
            raise self._mistake(f"unrecognized arguments: {' '.join(words[self.most :])}")

    def _mistake(self, sentence: str, name: str | None = None, dashes: bool = False) -> UserError:
        near = did_you_mean(name, self.keys) if name is not None and self.keys else ""
        near = near.replace("`", "`--", 1) if dashes else near
        hint = near if near.startswith("did") else f"`nnlab {self.command} --help` shows what there is"
        return UserError(f"{sentence}; {hint}")

    def help(self) -> str:
        """The usage, and each key in a line."""
        rows = [(self._written(key), key.help) for key in self.keys.values()]
        rows += [(JSON, "print the answer as JSON, for programs")] if self.reports else []
        width = max((len(left) for left, _ in rows), default=0)
        lines = [f"  {left:{width}}  {right}" for left, right in rows]
        usage = " ".join(["usage: nnlab", self.command, self.words, *(["[KEY=VALUE ...]"] if self.keys else [])])
        parts = [usage.rstrip(), self.about, "\n".join(lines), self.footer]
        return "\n\n".join(part for part in parts if part) + "\n"

    @staticmethod
    def _written(key: Key) -> str:
        default = key.default if isinstance(key.default, str | int | float) else None
        text = str(default).lower() if isinstance(default, bool) else "" if default is None else str(default)
        return f"{key.name}={key.shown or '|'.join(key.valid) or text or key.name.upper()}"


def print_json(content: Any) -> None:
    """Print the answer for programs, one JSON document; numbers that JSON does not have become null."""
    console.answer(json.dumps(_plain(content), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | range):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if abs(value) < float("inf") else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return _plain(value.tolist()) if hasattr(value, "tolist") else str(value)  # arrays, tensors and their numbers
