"""From sections to objects: the one place where what a config names is called, after its kind was checked."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from nnlab.config.kinds import check_kind, kinds_of, wanted
from nnlab.config.schema import DIRECTIVES, Mistake, placed, signature
from nnlab.errors import UserError


def construct(section: Any, group: str | None, **supplied: Any) -> Any:
    """Build what a section describes; sections inside it are built first. `_partial_: true` gives a factory.

    Args:
        section: a component, or several by name; those that are None are left out.
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
        made = _called(found, str(section["_target_"]), positional, {**arguments, **supplied})
        if group is not None and not isinstance(made, kinds_of(group)):
            raise UserError(
                f"`{section['_target_']}` made a {type(made).__name__}, and `{group}` needs a {wanted(group)}"
            )
        return made
    if isinstance(section, Mapping):
        several = group is not None  # of which null is one that is turned off
        return {key: construct(value, group) for key, value in section.items() if not (several and value is None)}
    return [construct(value, group) for value in section] if isinstance(section, list) else section


def _called(found: Any, target: str, positional: list[Any], arguments: Mapping[str, Any]) -> Any:
    """What a constructor gives.

    Raises:
        UserError: it does not take the values, or they need more memory than there is.
    """
    try:
        return found(*positional, **arguments)
    except UserError:
        raise
    except Exception as error:
        from nnlab.device import out_of_memory  # torch takes long to import, and is there when something is built

        if out_of_memory(error):
            raise UserError(f"`{target}` of this size needs more memory than there is") from error
        if isinstance(error, TypeError) or not target.startswith("nnlab."):
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise UserError(f"`{target}` does not take these values: {reason[0]}") from error
        raise


def range_mistakes(component: Mapping[str, Any], path: str, group: str) -> Iterator[Mistake]:
    """The mistake that the constructor itself finds, such as a value out of range, by calling it."""
    required = signature(str(component["_target_"])).arguments
    if any(argument.required and name not in component for name, argument in required.items()):
        return
    try:
        construct(component, group)
    except UserError as error:
        yield placed(str(error), component, path)
