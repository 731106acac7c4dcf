"""From sections to objects: the one place where what a config names is called, after its kind was checked."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from nnlab.config.kinds import check_kind
from nnlab.config.schema import DIRECTIVES, Mistake, placed, signature
from nnlab.errors import UserError


def construct(section: Any, group: str | None, **supplied: Any) -> Any:
    """Build what a section describes; sections inside it are built first. `_partial_: true` gives a factory.

    Args:
        section: a component, or several by name.
        group: whose options they are, such as `loss`; None for what may be any component.
        supplied: arguments that follow from the data or the network.

    Raises:
        UserError: it names something else than a component of the group, or nothing that is trusted; a value is out
            of its range, or does not fit the constructor.
    """
    if isinstance(section, Mapping) and "_target_" in section:
        found = check_kind(str(section["_target_"]), group)
        positional = [construct(each, None) for each in section.get("_args_") or ()]
        arguments = {key: construct(value, None) for key, value in section.items() if key not in DIRECTIVES}
        if section.get("_partial_") and group is None:
            return functools.partial(found, *positional, **arguments, **supplied)
        try:
            return found(*positional, **arguments, **supplied)
        except TypeError as error:
            raise UserError(f"`{section['_target_']}` does not take these values: {error}") from error
    if isinstance(section, Mapping):
        return {key: construct(value, group) for key, value in section.items()}
    return [construct(value, group) for value in section] if isinstance(section, list) else section


def range_mistakes(component: Mapping[str, Any], path: str, group: str) -> Iterator[Mistake]:
    """The mistake that the constructor itself finds, such as a value out of range, by calling it."""
    required = signature(str(component["_target_"])).arguments
    if any(argument.required and name not in component for name, argument in required.items()):
        return
    try:
        construct(component, group)
    except UserError as error:
        yield placed(str(error), component, path)
