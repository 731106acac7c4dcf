"""The boundary of trust: which classes and functions a config may name, decided before anything is imported.

A run folder, an experiment file or a folder of options may come from a stranger. `_target_` is therefore looked up only

- among nnlab's own components, in `torch.nn`, `torch.optim` and `torchvision.models`;
- in modules that the user trusts, by `trust=[package, ...]` on the command line or in the variable NNLAB_TRUST;
- in modules whose file lies below the working directory: one's own project;
- where the user typed the very name on the command line.

The variable is the one place where grants are kept, so that the processes of a sweep inherit them. See docs/trust.md.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

from nnlab.errors import UserError
from nnlab.storage.files import at

VARIABLE = "NNLAB_TRUST"
NEIGHBORS = ("torch.nn", "torch.optim", "torchvision.models")
OWN = (
    *("nnlab.activation", "nnlab.architecture", "nnlab.callbacks", "nnlab.data", "nnlab.initialization", "nnlab.loss"),
    *("nnlab.optimizer", "nnlab.recipe", "nnlab.regularizer", "nnlab.scheduler", "nnlab.training"),
)
_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_TYPED = re.compile(rf"""_target_["']?\s*[:=]\s*["']?({_NAME})""")

_read: list[Path] = []  # folders that configs were read from


def grant(names: Iterable[str]) -> None:
    """Trust modules, or single classes and functions, in this process and in those that it starts.

    Raises:
        UserError: one of them is not a dotted name.
    """
    granted = grants()
    for name in names:
        if not re.fullmatch(_NAME, name):
            raise UserError(f"`trust` takes names of packages, such as `trust=[timm]`, got `{name}`")
        if name not in granted:
            granted.append(name)
    if granted:
        os.environ[VARIABLE] = ",".join(granted)


def grants() -> list[str]:
    """What is trusted by name."""
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]


def grant_typed(overrides: Sequence[str]) -> None:
    """Trust every `_target_` that stands in overrides, which the user must have typed."""
    grant(typed(overrides))


def typed(overrides: Sequence[str]) -> list[str]:
    """Every `_target_` that stands in overrides.

    >>> typed(["loss._target_=mine.Loss", "seed=1"])
    ['mine.Loss']
    """
    return [name for line in overrides for name in _TYPED.findall(line)]


def taken(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without `trust=...`, and the names that it gives.

    >>> taken(["evaluate", "trust=[timm, mine.nets]", "outputs/train/run"])
    (['evaluate', 'outputs/train/run'], ['timm', 'mine.nets'])
    """
    given = [each for each in arguments if each.startswith("trust=")]
    names = [name for each in given for name in re.split(r"[\s,]+", each.removeprefix("trust=").strip("[]")) if name]
    return [each for each in arguments if each not in given], names


def reading(folder: str | Path) -> None:
    """Note a folder that a config is read from: code around it belongs to whoever gave the folder."""
    resolved = at(folder).resolve()
    if resolved not in _read:
        _read.append(resolved)


def is_inside(name: str, modules: Iterable[str]) -> bool:
    """Whether a dotted name is one of the modules, or in one of them.

    >>> is_inside("torch.nn.Linear", ["torch.nn"]), is_inside("torch.nnx", ["torch.nn"])
    (True, False)
    """
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def is_own(name: str) -> bool:
    """Whether a name lies among nnlab's components, or in the packages that it takes components from."""
    return is_inside(name, OWN) or is_inside(name, NEIGHBORS)


def is_trusted(name: str) -> bool:
    """Whether a class, function or module of this name may be imported."""
    return is_own(name) or is_asked_for(name) or in_project(name)


def is_asked_for(name: str) -> bool:
    """Whether the user themselves named a class, a function, or a module that it is in, and not a file."""
    return is_inside(name, grants())


def in_project(name: str) -> bool:
    """Whether a module lies below the working directory, outside of installed packages and of what is being read."""
    top = name.partition(".")[0]
    if top in ("nnlab", "hydra_plugins"):
        return False
    place = _place(top)
    here = _working_directory()
    if place is None or here is None or not place.is_relative_to(here):
        return False
    installed = [Path(path).resolve() for path in sysconfig.get_paths().values() if path]
    if any(place.is_relative_to(folder) for folder in installed if folder != here and not here.is_relative_to(folder)):
        return False
    if {"site-packages", "dist-packages"}.intersection(place.relative_to(here).parts):
        return False
    # A package that holds the folder being read came with it.
    return not (place.is_dir() and any(folder.is_relative_to(place) for folder in _read))


def _place(top: str) -> Path | None:
    """The folder of a top-level package, or the file of a module, without importing it; namespaces have none."""
    module = sys.modules.get(top)
    try:
        spec = module.__spec__ if module is not None else importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    origin = getattr(spec, "origin", None)
    if origin is None or origin in ("built-in", "frozen"):
        return None
    file = Path(origin).resolve()
    return file.parent if getattr(spec, "submodule_search_locations", None) else file


def _working_directory() -> Path | None:
    try:
        return Path.cwd().resolve()
    except OSError:  # it was removed
        return None


def check(target: str, defined: str | None = None) -> None:
    """Refuse a target outside of the boundary.

    Args:
        target: its dotted name in the config.
        defined: the dotted name under which it was defined, where that is known.

    Raises:
        UserError: names the `trust=` to add.
    """
    if not is_trusted(defined or target):
        found = f"`{target}`" if defined in (None, target) else f"`{target}`, which is `{defined}`,"
        raise UserError(
            f"{found} lies outside of nnlab, torch.nn, torch.optim, torchvision.models and the working directory, so "
            f"it is not run unasked; if you trust it, add `trust=[{package_of(defined or target)}]`"
        )


def package_of(target: str) -> str:
    """The top-level package of a dotted name; of nnlab and torch, the module."""
    top = target.partition(".")[0]
    return target.rpartition(".")[0] if top in ("nnlab", "torch", "torchvision") else top
