"""Overrides as the command line has them: the keys they set, the name they give a job, and how they are amended."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from nnlab.config.dotted import get
from nnlab.config.schema import DIRECTIVES, signature
from nnlab.errors import UserError
from nnlab.storage.keys import meaning

_EXCHANGE = re.compile(r"\+{0,2}([\w.]+)\._target_=")
_PLAIN = re.compile(r"[\w./-]+", re.ASCII)
_OTHER_THAN_TEXT = re.compile(r"(?i)null|true|false|-?(nan|inf|[\d_.]+(e-?[\d_]+)?)")
LONGEST = 100  # characters; longer names keep their beginning and end in a hash
# Names that Windows keeps for devices, whatever follows a dot.
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))}
UNSAFE = re.compile(r"[^A-Za-z0-9_.=,+\-\[\]]")


def key_of(override: str) -> str:
    """The key or group that an override sets.

    >>> key_of("+data/preprocessing@x=none")
    'data/preprocessing'
    """
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def literal(text: str) -> str:
    """A text as the value of an override that means nothing but itself.

    Hydra wants quotes around it, with backslashes doubled where a quote follows; OmegaConf takes a dollar with a brace
    for a reference, unless a backslash stands before.

    >>> print(literal("it's"), literal("C:\\\\data"), literal("${x}"))
    'it\\'s' 'C:\\data' '\\${x}'
    """
    plain = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    escaped = re.sub(r"(\\*)'", r"\1\1\'", plain)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"'{escaped}'"


def assigned(key: str, text: str) -> str:
    """The override that gives a text to a key, with quotes where Hydra would take it for something else.

    >>> assigned("data.path", "data/sales.csv"), assigned("data.path", "my sales.csv"), assigned("name", "null")
    ('data.path=data/sales.csv', "data.path='my sales.csv'", "name='null'")
    """
    plain = _PLAIN.fullmatch(text) and not _OTHER_THAN_TEXT.fullmatch(text)
    return f"{key}={text if plain else literal(text)}"


def own_overrides(overrides: Iterable[str]) -> list[str]:
    """The overrides that belong to a job, sorted: those of the study are left out.

    >>> own_overrides(["seed=1", "name=study1", "optimizer=sgd", "sweep.retries=2"])
    ['optimizer=sgd', 'seed=1']
    """
    return sorted(each for each in overrides if not meaning(key_of(each).replace("/", ".")).study)


def run_name(overrides: Iterable[str]) -> str:
    """The folder's name for a job's overrides; equal names mean equal overrides. What a long one cuts off is
    which data they are.

    >>> run_name(["seed=1", "name=study1", "data/preprocessing=none"])
    'data.preprocessing=none,seed=1'
    >>> run_name(["name=study1"])
    'defaults'
    """
    own = own_overrides(overrides)
    exact = ",".join(own)
    readable = ",".join(map(_with_dots, own)) or "defaults"
    if len(readable) > LONGEST:
        readable = ",".join(map(_with_dots, sorted(own, key=_by_weight)))
    safe = UNSAFE.sub("_", readable)
    reserved = safe.partition(".")[0].lower() in RESERVED
    if safe == readable and len(safe) <= LONGEST and safe.strip(".") == safe and not reserved:
        return safe
    digest = hashlib.sha256(exact.encode()).hexdigest()[:10]
    start = f"_{safe}" if reserved else safe.lstrip(".")
    return f"{start[: LONGEST - len(digest) - 1]}-{digest}"


def _by_weight(override: str) -> int:
    """Where an override stands in a name: how much of the data is used first, which they are last."""
    if re.match(r"[+~]*data((\.path|\.target)?=|[./]preprocessing)", override):
        return 2  # which the runs of a study mostly share
    return 0 if re.match(r"[+~]*data[./]", override) else 1


def _with_dots(override: str) -> str:
    """The slashes of a group's name become dots; those of a value do not."""
    key, equals, value = override.partition("=")
    return key.replace("/", ".") + equals + value


def amended(overrides: Sequence[str], changes: Sequence[str]) -> list[str]:
    """Every change takes the place of what was said before about the same key.

    Where it chooses another option of a group, what was set for the option before it is left out, too; where it
    chooses a list of options, what was set for those that are not in the list. What only a sweep looks at is left out.

    >>> amended(["seed=1", "initialization=gaussian", "initialization.std=0.001"], ["initialization=he"])
    ['seed=1', 'initialization=he']
    >>> amended(["regularizer=[dropout]", "regularizer.dropout.p=0.5"], ["regularizer=[l1]"])
    ['regularizer=[l1]']
    """
    merged: dict[str, str] = {}
    for line in (*overrides, *changes):
        key, _, value = line.partition("=")
        name = key.lstrip("+")
        if name.replace("/", ".").startswith(("sweep.", "hydra.")):
            continue
        section = name.replace("/", ".") + "."
        if line in changes and "." not in name:
            kept = re.findall(r"\w+", value) if value.startswith("[") else []
            merged = {
                other: text
                for other, text in merged.items()
                if not other.startswith(section) or other.removeprefix(section).partition(".")[0] in kept
            }
        merged.pop(name, None)
        merged[name] = line
    return list(merged.values())


def drop_replaced_arguments(config: dict[str, Any], overrides: Sequence[str]) -> None:
    """Remove from sections whose class was exchanged, in place, the arguments that only the old class took.

    After `optimizer._target_=torch.optim.NAdam` the section still holds the values that the group's option gave to the
    class before. Of those, the new class gets the ones that it takes; a value that the user wrote stays, so that a
    mistake is found.
    """
    for line in overrides:
        match = _EXCHANGE.match(line.strip())
        section = get(config, match.group(1)) if match else None
        if match is None or not isinstance(section, dict) or not isinstance(section.get("_target_"), str):
            continue
        try:
            arguments, takes_any = signature(section["_target_"])
        except UserError:
            continue  # the check says what is wrong with it
        prefix = re.escape(match.group(1))
        written = {m.group(1) for each in overrides if (m := re.match(rf"\+{{0,2}}{prefix}\.(\w+)", each.strip()))}
        taken = set() if takes_any else set(arguments)
        for name in set(section) - written - taken - DIRECTIVES:
            del section[name]
