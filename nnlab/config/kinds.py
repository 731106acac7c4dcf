"""Kinds of components: of which class each group's options are, checked before a constructor is called."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any

from nnlab.config import trust
from nnlab.config.lookup import locate
from nnlab.errors import UserError

# Of each group, the classes that its options are of, by name: they are imported when they are needed.
KINDS: Mapping[str, tuple[str, ...]] = {
    "activation": ("torch.nn.Module",),
    "architecture": ("torch.nn.Module",),
    "callbacks": ("nnlab.training.callback.Callback",),
    "data": ("nnlab.data.base.Source",),
    "data/augmentation": ("nnlab.data.augmentation.base.Augmentation",),
    "data/preprocessing": ("nnlab.data.preprocessing.base.Preprocessing",),
    "initialization": ("nnlab.initialization.base.Initialization",),
    "loss": ("nnlab.loss.base.Loss",),
    "optimizer": ("nnlab.optimizer.base.Optimizer", "torch.optim.Optimizer"),
    "recipe": ("nnlab.recipe.RecipeSettings",),
    "regularizer": ("nnlab.regularizer.base.Regularizer", "nnlab.training.callback.Callback"),
    "scheduler": ("nnlab.scheduler.base.Scheduler",),
    "trainer": ("nnlab.training.settings.TrainerSettings",),
}
# Arguments that only functions of these groups take; a function with one of them need not say what it returns.
SIGNS = {"architecture": frozenset({"input_shape", "head", "activation"})}


def kinds_of(group: str) -> tuple[type, ...]:
    """The classes that the options of a group are of; those of torch.optim only where that is loaded already.

    torch.optim takes a second to import, and whoever named one of its classes has imported it.
    """
    names = KINDS[group]
    present = [name for name in names if not name.startswith("torch.optim") or "torch.optim" in sys.modules]
    return tuple(_class(name) for name in present)


@functools.cache
def _class(name: str) -> type:
    module, _, leaf = name.rpartition(".")
    found: type = getattr(importlib.import_module(module), leaf)
    return found


def check_kind(target: str, group: str | None) -> Callable[..., Any]:
    """The class or function at a dotted path, which must make what `group` needs; inside of one, any component.

    Raises:
        UserError: it is not trusted, does not exist, or makes something else.
    """
    found = locate(target)
    if group is not None:
        unsaid = inspect.isfunction(found) and returned(found) is None and not trust.is_own(target)
        if unsaid and trust.is_asked_for(target):
            return found  # what it makes is looked at when it is made
        if not _makes(found, kinds_of(group), SIGNS.get(group, frozenset())):
            way = f"; annotate it, or add `trust=[{trust.package_of(target)}]`" if unsaid else ""
            raise UserError(f"`{target}` is {_said(found, wanted(group))}, which `{group}` needs{way}")
    elif not _is_harmless(target, found):
        raise UserError(f"`{target}` is {_said(found, 'component')}")
    return found


def _makes(found: Any, kinds: tuple[type, ...], signs: frozenset[str]) -> bool:
    """Whether calling `found` gives an instance of one of the classes."""
    if inspect.isclass(found):
        return issubclass(found, kinds)
    if not inspect.isfunction(found):
        return False
    made = returned(found)
    if made is None:
        return bool(signs.intersection(inspect.signature(found).parameters))
    return inspect.isclass(made) and issubclass(made, kinds)


def returned(function: Any) -> Any:
    """What a function says it returns; None where it does not say."""
    try:
        hint = typing.get_type_hints(inspect.unwrap(function)).get("return")
    except (NameError, TypeError, AttributeError):
        hint = None
    return typing.get_origin(hint) or hint


def _is_harmless(target: str, found: Any) -> bool:
    """Whether something inside a component may be called: a component, or what the user's own modules make."""
    own = trust.is_own(target)
    components = tuple(dict.fromkeys(kind for group in KINDS if group != "recipe" for kind in kinds_of(group)))
    if own:
        return _makes(found, components, frozenset())
    if trust.is_asked_for(target) or inspect.isclass(found):
        return True
    made = returned(found) if inspect.isfunction(found) else None
    return inspect.isclass(made) and made.__module__ != "builtins"


def _said(found: Any, kind: str) -> str:
    """The words about something that is not what was wanted."""
    if inspect.isclass(found):
        return f"no {kind}"
    made = returned(found) if inspect.isfunction(found) else None
    name = getattr(made, "__name__", None)
    return f"a function that returns {name}, no {kind}" if name else f"a function, and not annotated to return a {kind}"


def wanted(group: str) -> str:
    """The classes that the options of a group are of, in words."""
    names = [name.rpartition(".")[2] if name.startswith("nnlab") else name for name in KINDS[group]]
    return " or ".join(f"`{name}`" for name in dict.fromkeys(names))
