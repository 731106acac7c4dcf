"""What overrides may not ask for, whatever the options hold: said before anything is composed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from omegaconf import OmegaConf

from nnlab.cli.grammar import values_of
from nnlab.config import folder
from nnlab.config.folder import Primary
from nnlab.config.values import shown
from nnlab.errors import UserError

LONGEST = 255  # bytes that a folder's name may have
DEEPEST = 3_500  # bytes of a run's path, which leaves the names of its files some of the 4,096 that Linux takes


def check_choices(entries: Sequence[Any], known: Primary, options: Callable[[str], Sequence[str]]) -> None:
    """Refuse a list of options for a group that takes one, of which Hydra would silently take the last.

    Raises:
        UserError: says how to run each of them; or an option is no name.
    """
    chosen = {each.key_or_group: each.input_line for each in entries if not (each.is_add() or each.is_delete())}
    for entry in entries:
        group = entry.key_or_group
        _check_reference(entry)
        if options(group):
            _check_names(entry, known)
            if entry.is_add() and group in chosen:
                raise UserError(f"`{entry.input_line}` has no effect beside `{chosen[group]}`; name all in one of them")
        if entry.is_delete() or not isinstance(known.choices.get(group), str):
            continue
        values = values_of(entry) if entry.is_discrete_sweep() else [entry.get_value_element_as_str()]
        if options(group) and any(value.startswith("[") for value in values):
            inside = ",".join(value.strip("[]") for value in values)
            raise UserError(
                f"`{entry.input_line}` is a list, but `{group}` takes one option; "
                f"`-m {group}={inside or 'OPTION'}` trains one after another"
            )


def _check_names(entry: Any, known: Primary) -> None:
    """Refuse options that are no names, which Hydra cannot read, and experiments that choose the same."""
    value, line, group = entry.value(), entry.input_line, entry.key_or_group
    if value is None and not entry.is_delete():
        several = isinstance(known.choices.get(group), list)
        instead = f"`{group}=[]`" if several else f"`{group.replace('/', '.')}=null`" if "/" in group else None
        clause = f"{instead} leaves it out" if instead else f"`nnlab list {group}` shows them"
        raise UserError(f"`{line}`: an option of `{group}` is a name; {clause}")
    if group == "experiment" and isinstance(value, list):
        _check_experiments([str(each) for each in value], line)
    if entry.is_delete() and isinstance(value, list | dict):
        raise UserError(f"`{line}`: `~{group}` leaves all out, and `{group}=[...]` keeps some")
    lists = value.list if isinstance(value, ChoiceSweep) else [value]
    for each in (each for found in lists if isinstance(found, list) for each in found):
        if not isinstance(each, str | QuotedString):
            raise UserError(f"`{line}`: the options of `{group}` are names, got {shown(each)}")


def _check_reference(entry: Any) -> None:
    """Refuse a reference in the place of a section of Hydra's own, which Hydra reads before it is resolved."""
    key = entry.key_or_group
    if not key.startswith("hydra") or entry.is_delete() or not str(entry.value()).startswith("${"):
        return
    stated = OmegaConf.create({"hydra": OmegaConf.structured(HydraConf)})
    if OmegaConf.is_dict(OmegaConf.select(stated, key)):
        raise UserError(f"`{entry.input_line}`: `{key}` is a section, and a reference cannot stand for it")


def _check_experiments(names: Sequence[str], line: str) -> None:
    """Refuse experiments of which one takes back what another chose: Hydra would silently mix them."""
    places = [Path(place) for place in (folder.own_folder(), folder.config_folder()) if place]
    chosen: dict[str, str] = {}
    for name in names:
        file = next((file for place in places if (file := place / f"experiment/{name}.yaml").is_file()), None)
        for group in folder.chosen_by(file) if file else ():
            if chosen.setdefault(group, name) != name:
                raise UserError(
                    f"`{line}`: `{chosen[group]}` and `{name}` both choose `{group}`; leave one of them out"
                )


def check_single(entries: Sequence[Any]) -> None:
    """Refuse, without `-m`, what only a sweep looks at: a forgotten `-m` would train one network and drop the rest.

    Raises:
        UserError: says to add it.
    """
    for entry in entries:
        key = entry.key_or_group
        if key.replace("/", ".").startswith(("sweep.", "hydra.launcher", "hydra.sweeper")) or key == "sweep":
            raise UserError(f"`{entry.input_line}` is about a sweep, and without `-m` there is none; add `-m`")


def check_place(name: Any, output_dir: Any) -> None:
    """Refuse a study's name that leads out of `output_dir`, and folders that no system can make.

    Raises:
        UserError: says what a name may be.
    """
    for key, value in (("name", name), ("output_dir", output_dir)):
        if not isinstance(value, str):
            continue  # the check of types says it
        if "\0" in value or not value.strip():
            raise UserError(f"`{key}` must be the name of a folder, got {value!r}")
        for part in Path(value).parts:
            if len(os.fsencode(part)) > LONGEST:
                raise UserError(f"`{key}`: a folder's name has {LONGEST} bytes at most, got {len(os.fsencode(part))}")
    if isinstance(name, str) and isinstance(output_dir, str):
        size = len(os.fsencode(os.path.join(os.getcwd(), output_dir, name)))
        if size > DEEPEST:
            raise UserError(f"the path of a run in `output_dir`/`name` has {DEEPEST} bytes at most, got {size}")
    if isinstance(name, str):
        path = Path(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or name.startswith(("-", "~")):
            raise UserError(f"`name` must be the name of a folder in `output_dir`, got `{name}`")
