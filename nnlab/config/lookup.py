"""The class or function that a `_target_` names: looked up within the boundary of trust, attributes before modules."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import pkgutil
import re
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nnlab.config import trust
from nnlab.errors import UserError


def locate(target: str) -> Callable[..., Any]:
    """The class or function at a dotted path such as `nnlab.optimizer.Adam`.

    Nothing is imported from outside the boundary of trust (`nnlab.config.trust`), and what a trusted module has
    itself imported from elsewhere does not count as its own.

    Raises:
        UserError: it is not trusted, or there is none; the sentence says what to add, or suggests the nearest name.
    """
    if _is_own(target):
        return _located(target)
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", target):
        raise UserError(f"`{target}` is not the dotted path of a class, such as `nnlab.optimizer.Adam`")
    if not _is_missing(target):
        trust.check(target)
    found = _located(target)
    if target not in trust.grants():
        defined = str(getattr(found, "__module__", None))
        if not trust.is_trusted(defined):
            name = getattr(found, "__qualname__", type(found).__qualname__)
            trust.check(target, f"{defined}.{name}")
    return found


@functools.cache
def _is_own(target: str) -> bool:
    """Whether nnlab's own rooms, or its neighbors', both hold and define this component: always within the boundary."""
    return trust.is_own(target) and trust.is_own(str(getattr(_located(target), "__module__", None)))


def _is_missing(target: str) -> bool:
    """Whether there is no module of the first part's name, which is better said than that it is not trusted."""
    top = target.partition(".")[0]
    if top in sys.modules:
        return False
    try:
        return importlib.util.find_spec(top) is None
    except (ImportError, ValueError):
        return False


@functools.cache
def _located(target: str) -> Callable[..., Any]:
    first, *names = target.split(".")
    found, place = _imported(first, target), [first]
    if found is None:
        raise UserError(f"there is no module `{first}` for `{target}`{_where_it_may_be(first)}")
    for position, name in enumerate(names):
        inner = _attribute(found, name, target)
        # A function hides the package of its name (`nnlab.recipe`) until that is imported; what follows is in there.
        hidden = inspect.isfunction(inner) and position + 1 < len(names)
        if (inner is None or hidden) and inspect.ismodule(found):
            inner = _imported(".".join([*place, name]), target)
        if inner is None:
            raise UserError(f"`{'.'.join(place)}` has no `{name}`{_nearest(name, found, place)}")
        found, place = inner, [*place, name]
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        raise UserError(f"`{target}` is neither a class nor a function")
    return typing.cast(Callable[..., Any], found)


def _imported(name: str, target: str) -> Any:
    """A module, or None where there is none of this name.

    Raises:
        UserError: it needs a package that is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not trust.is_inside(name, [error.name]):
            raise UserError(f"`{target}` needs the package `{error.name}`, which is not installed") from error
        return None
    except Exception as error:  # whatever the module's own code raises
        raise UserError(f"`{name}` cannot be imported: {type(error).__name__}: {error}") from error


def _attribute(found: Any, name: str, target: str) -> Any:
    """An attribute, or None; modules may import what they are asked for."""
    try:
        return getattr(found, name, None)
    except Exception as error:  # whatever the module's own code raises
        raise UserError(f"`{target}` cannot be imported: {type(error).__name__}: {error}") from error


def _where_it_may_be(name: str) -> str:
    """How Python finds a module that is not installed."""
    for folder in (Path("."), Path("src")):
        if (folder / f"{name}.py").is_file() or (folder / name).is_dir():
            return f"; it is in this folder, where Python looks with `PYTHONPATH={folder} nnlab ...`"
    return "; is it installed? A module of your own is found with `PYTHONPATH=FOLDER nnlab ...`"


def _nearest(name: str, found: Any, place: Sequence[str]) -> str:
    valid = {each for each in dir(found) if not each.startswith("_")}
    valid |= {module.name for module in pkgutil.iter_modules(getattr(found, "__path__", []))}
    near = difflib.get_close_matches(name, sorted(valid), n=1, cutoff=0.6)
    return f"; did you mean `{'.'.join([*place, near[0]])}`?" if near else ""
