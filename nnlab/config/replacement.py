"""Exchanging a component's class on the command line, as in `optimizer._target_=torch.optim.NAdam`.

The section still holds what the group's option gave to the class before. Of that, the new class gets what it takes;
what the user wrote stays whatever it is, so that mistakes are found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nnlab.config.schema import DIRECTIVES, signature
from nnlab.errors import UserError

_EXCHANGE = re.compile(r"\+{0,2}([\w.]+)\._target_=")


def drop_replaced_arguments(config: dict[str, Any], overrides: Sequence[str]) -> None:
    """Remove from sections whose class was exchanged, in place, the arguments that only the old class took."""
    for line in overrides:
        match = _EXCHANGE.match(line.strip())
        section = _at(config, match.group(1)) if match else None
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


def _at(config: dict[str, Any], path: str) -> Any:
    node: Any = config
    for part in path.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node
