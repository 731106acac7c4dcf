"""The constructor's signature is the schema: a component's section is compared with it before anything is built.

A component is a mapping with `_target_`, the dotted path of a class or function; its other keys are that one's
arguments. Nothing here knows Hydra: configs are plain dictionaries, lists, numbers, text and null.
"""

from __future__ import annotations

import builtins
import difflib
import functools
import inspect
import re
import sys
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from nnlab.config.kinds import check_kind
from nnlab.config.lookup import locate
from nnlab.config.values import matches, shown, words
from nnlab.errors import UserError, did_you_mean

# Keys of a component that say how to build it; they are no arguments of the constructor.
DIRECTIVES = frozenset({"_target_", "_partial_", "_convert_", "_recursive_", "_args_"})


class Mistake(NamedTuple):
    """What is wrong at one place of a config: the dotted path of the key, and a sentence that names it."""

    path: str
    sentence: str


class Argument(NamedTuple):
    """An argument of a constructor: its type (`Any` where it has none), and whether it has no default."""

    hint: Any
    required: bool


class Signature(NamedTuple):
    """The arguments of a constructor by name; `open` where it takes any further ones (`**kwargs`)."""

    arguments: Mapping[str, Argument]
    open: bool


def suggestion(wrong: object, valid: Collection[str], prefix: str = "") -> str:
    """The clause that ends a sentence about an unknown key, with the near miss written as a whole path.

    >>> suggestion("epoch", ["epochs", "steps"], "trainer.")
    'did you mean `trainer.epochs`?'
    """
    near = difflib.get_close_matches(str(wrong), sorted(valid), n=1, cutoff=0.6)
    if near:
        return f"did you mean `{prefix}{near[0]}`?"
    return "valid: " + ", ".join(sorted(valid)) if valid else "no keys are valid here"


class _Names(dict[str, Any]):
    """Names that annotations use, from the modules of a class and its bases; what only type checkers see is `Any`."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        for each in reversed(getattr(found, "__mro__", (found,))):
            self.update(getattr(sys.modules.get(each.__module__ or ""), "__dict__", {}))

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        return Any


def signature(target: str) -> Signature:
    """The arguments that the class or function at a dotted path takes.

    Raises:
        UserError: there is no such class, or it is not trusted.
    """
    return signature_of(locate(target))


@functools.cache
def signature_of(found: Any) -> Signature:
    """The arguments that a class or function takes."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except ValueError:  # built-in classes without a signature
        return Signature({}, open=True)
    try:
        hints = typing.get_type_hints(found.__init__ if inspect.isclass(found) else found, localns=_Names(found))
    except (NameError, TypeError, AttributeError):
        hints = {}
    named = {
        parameter.name: Argument(hints.get(parameter.name, Any), parameter.default is parameter.empty)
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    return Signature(named, open=any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters))


def with_defaults(component: Mapping[str, Any]) -> dict[str, Any]:
    """A component's section with the constructor's defaults for keys that it leaves out, after those that it has."""
    try:
        parameters = inspect.signature(locate(str(component["_target_"]))).parameters.values()
    except (UserError, KeyError, ValueError):  # the check says what is wrong with it
        return dict(component)
    missing = {
        each.name: each.default
        for each in parameters
        if each.name not in component and each.default is not each.empty and each.kind is not each.VAR_KEYWORD
    }
    return {**component, **missing}


def component_mistakes(
    component: Mapping[str, Any],
    path: str,
    group: str | None = None,
    supplied: Collection[str] = (),
    consumed: Collection[str] = (),
) -> Iterator[Mistake]:
    """Mistakes in a mapping with `_target_`: another kind, unknown and missing keys, values of a wrong type.

    Args:
        component: the section; components inside it are checked, too.
        path: its dotted path in the config.
        group: whose options it is one of; None for a component inside another.
        supplied: arguments that whoever builds it supplies, and that the config therefore may not.
        consumed: keys that whoever builds it takes for itself.
    """
    target = component["_target_"]
    try:
        check_kind(str(target), group)
        arguments, is_open = signature(str(target))
    except UserError as error:
        yield Mistake(f"{path}._target_", f"`{path}._target_`: {error}")
        return
    if group is not None and component.get("_partial_"):
        yield Mistake(f"{path}._partial_", f"`{path}._partial_`: nnlab calls `{target}` itself; leave it out")
        return
    if not isinstance(component.get("_args_", []), list):
        yield Mistake(f"{path}._args_", f"`{path}._args_` must be a list, got {shown(component['_args_'])}")
        return
    given = [key for key in component if key not in DIRECTIVES and key not in consumed]
    valid = [name for name in arguments if name not in supplied]
    for key in given:
        if key in valid:
            yield from value_mistakes(component[key], arguments[key].hint, f"{path}.{key}")
        elif not is_open or key in supplied:
            clause = suggestion(key, {*valid, *consumed}, f"{path}.")
            yield Mistake(f"{path}.{key}", f"unknown key `{path}.{key}`; {clause}")
    if not component.get("_partial_") and not component.get("_args_"):
        for name in valid:
            if arguments[name].required and name not in component:
                yield Mistake(f"{path}.{name}", f"`{path}.{name}` is missing; `{target}` needs it")


def value_mistakes(value: Any, hint: Any, path: str) -> Iterator[Mistake]:
    """Mistakes in one argument: its type, and what is inside if it is a component or holds some."""
    if not matches(value, hint):
        yield Mistake(path, _wrong_type(value, hint, path))
        return
    if isinstance(value, Mapping) and "_target_" in value:
        mistakes = list(component_mistakes(value, path))
        yield from mistakes
        if not mistakes and not value.get("_partial_"):
            yield from _wrong_kind(value, hint, path)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from value_mistakes(each, Any, f"{path}.{key}")
    elif isinstance(value, list):
        for position, each in enumerate(value):
            yield from value_mistakes(each, Any, f"{path}.{position}")


def _wrong_type(value: Any, hint: Any, path: str) -> str:
    """The sentence about a value of a wrong type; a near miss among named options is suggested."""
    if isinstance(value, str) and typing.get_origin(hint) is typing.Literal:
        return f"`{path}` has no option {value!r}; {did_you_mean(value, map(str, typing.get_args(hint)))}"
    return f"`{path}` must be {words(hint)}, got {shown(value)}"


def _wrong_kind(value: Mapping[str, Any], hint: Any, path: str) -> Iterator[Mistake]:
    """A nested component that is no instance of the class that the argument asks for."""
    built = locate(str(value["_target_"]))
    kinds = typing.get_args(hint) or (hint,)
    if not inspect.isclass(built) or not all(inspect.isclass(kind) and kind is not Any for kind in kinds):
        return
    if not issubclass(built, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
        yield Mistake(f"{path}._target_", f"`{path}` must be of the kind {wanted}, got `{value['_target_']}`")


def placed(sentence: str, component: Mapping[str, Any], path: str) -> Mistake:
    """A constructor's sentence with the argument that it names first as a key of the section at `path`."""
    quoted = re.search(r"`([\w.]+)((?:\[\d+\])?)`", sentence)
    name = quoted.group(1).removeprefix(f"{path}.") if quoted else ""
    if quoted is None or name not in component:
        return Mistake(path, f"`{path}`: {sentence}")
    return Mistake(f"{path}.{name}", sentence.replace(quoted.group(), f"`{path}.{name}{quoted.group(2)}`", 1))
