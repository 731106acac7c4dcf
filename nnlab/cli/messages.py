"""One sentence for each way in which an override or an option's file can be wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from nnlab.cli.grammar import parsed, unreadable, values_of
from nnlab.config.dotted import exists
from nnlab.config.schema import suggestion

# Options of Hydra's groups that come with an extra of nnlab.
EXTRAS = {
    **{"joblib": "joblib", "ray": "ray", "ray_aws": "ray", "optuna": "optuna"},
    **{"submitit_local": "submitit", "submitit_slurm": "submitit"},
}

# The options of a group; and what there is to override (config and groups), given the overrides to keep.
Options = Callable[[str], Sequence[str]]
Skeleton = Callable[[Sequence[str]], tuple[dict[str, Any], list[str]]]


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, without a full stop; with the next where it ends in a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    count = 2 if lines and lines[0].endswith(":") else 1
    return " ".join(lines[:count]).rstrip(".:") if lines else type(error).__name__


def explain(error: Exception, overrides: Sequence[str], options: Options, skeleton: Skeleton, run_mode: RunMode) -> str:
    """The sentence for an exception that Hydra raised while composing `overrides`."""
    if isinstance(error, OverrideParseException):
        return unreadable(error.override)
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"{mark.name}, line {mark.line + 1}: {error.problem}"
    if isinstance(error, UnicodeDecodeError):
        return f"a file of options is no text in UTF-8: {error}"
    entries = parsed(overrides)
    for entry in entries:
        sentence = _group_mistake(entry, options)
        if sentence:
            return sentence
    kept = [entry.input_line for entry in entries if options(entry.key_or_group) and not entry.is_sweep_override()]
    config, groups = skeleton(kept)
    for entry in entries:
        sentence = _key_mistake(entry, config, groups, options)
        if sentence:
            return sentence
        if entry.is_sweep_override() and run_mode == RunMode.RUN:
            return _several_values(entry, config)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return no_option(group, option, error.options or (), _where(error, entries))
    gone = [entry for entry in entries if entry.is_delete() or isinstance(entry.value(), dict)]
    for entry in entries:
        for other in gone:
            if entry.key_or_group.startswith(f"{other.key_or_group}."):
                does = "deletes" if other.is_delete() else "replaces"
                return f"`{other.input_line}` {does} the section of `{entry.input_line}`"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
    return first_line(error) + (f": {first_line(cause)}" if cause else "")


def _where(error: Exception, entries: Sequence[Any]) -> str:
    """The file that names a missing option: the experiment, as far as one is chosen, or the one that Hydra names."""
    experiments = [entry.value() for entry in entries if entry.key_or_group == "experiment"]
    parent = re.match(r"In '(.+/.+?)':", str(error))
    name = f"experiment/{experiments[-1]}" if experiments else parent.group(1) if parent else None
    return f" (in configs/{name}.yaml)" if name else ""


def no_option(group: str, option: str, valid: Sequence[str], where: str = "") -> str:
    """The sentence for an option that a group does not have."""
    near = difflib.get_close_matches(option, valid, n=1, cutoff=0.6)
    clause = f"; did you mean `{near[0]}`?" if near else ""
    extra = EXTRAS.get(option) if group.startswith("hydra/") else None
    clause = f"; install it with `pip install 'nnlab[{extra}]'`" if extra else clause
    return f"`{group}` has no option `{option}`{where}{clause} (options: {', '.join(sorted(valid)) or 'none'})"


def _group_mistake(override: Any, options: Options) -> str | None:
    """What is wrong with an override of a group: several options without a sweep, or one that does not exist."""
    key, valid = override.key_or_group, options(override.key_or_group)
    if not valid or override.is_delete():
        return None
    if override.is_sweep_override():
        values = values_of(override) if override.is_discrete_sweep() else []
        values = [] if any(value.startswith(("[", "{")) for value in values) else values
    else:
        value = override.value()
        values = [] if isinstance(value, dict) or value is None else value if isinstance(value, list) else [value]
    for value in values:
        if str(value).removesuffix(".yaml") not in {*valid, "null"}:
            return no_option(key, str(value), valid)
    return None


def _key_mistake(override: Any, config: dict[str, Any], groups: list[str], options: Options) -> str | None:
    """What is wrong with an override of a key: it does not exist, or is added although it does."""
    key, line = override.key_or_group, override.input_line
    is_group = bool(options(key))
    if is_group and override.is_force_add() and not isinstance(override.value(), dict):
        return f"`{line}`: leave out the `++`, which adds keys and no options"
    if override.is_add():
        if is_group and key in groups:
            return f"`{line}`: leave out the `+`, for the group is there already"
        if not is_group and exists(config, key):
            return f"`{line}`: leave out the `+`, for the key is there already"
        return None
    if not is_group and not override.is_force_add() and not exists(config, key):
        return _not_chosen(key, config, options) or unknown_key(key, config, groups)
    return None


def _not_chosen(key: str, config: Mapping[str, Any], options: Options) -> str | None:
    """The sentence for a key of an option that exists, in a group of several at once, but was not chosen."""
    *path, _ = parts = key.split(".")
    section: Any = config
    for position, part in enumerate(path):
        section = section.get(part) if isinstance(section, Mapping) else None
        group, option = "/".join(parts[: position + 1]), parts[position + 1]
        chosen = list(section or {})
        if option in options(group) and option not in chosen and "_target_" not in chosen:
            together = ",".join([*chosen, option])
            return f"`{key}` needs `{option}`, which is not chosen; add `{group}=[{together}]`"
    return None


def _several_values(override: Any, config: Mapping[str, Any]) -> str:
    """The sentence for a sweep without `-m`; a list is what else may have been meant, unless one option is chosen."""
    key, line = override.key_or_group, override.input_line
    values = line.partition("=")[2]
    single = "(" in values or "_target_" in (config.get(key) or ())
    advice = "" if single else f", or write `{key}=[{values}]` for a list"
    return f"`{line}` gives several values; add `-m` to run each of them{advice}"


def unknown_key(path: str, config: Mapping[str, Any], groups: Sequence[str]) -> str:
    """The sentence for a key that does not exist, with the nearest one that does."""
    if "/" in path:
        return f"there is no group `{path}`; {_nearest_path(path, groups) or suggestion(path, groups)}"
    node: Any = config
    parts = path.split(".")
    for position, part in enumerate(parts):
        if not isinstance(node, Mapping):
            inside = ".".join(parts[:position])
            return f"unknown key `{path}`; `{inside}` is a value without keys of its own"
        if part not in node:
            return f"unknown key `{path}`; {_clause(parts, position, node, config, groups)}"
        node = node[part]
    return f"unknown key `{path}`"


def _clause(
    parts: list[str], position: int, node: Mapping[str, Any], config: Mapping[str, Any], groups: Sequence[str]
) -> str:
    """What to suggest for the first part of a path that does not exist: a neighbour, or the same name elsewhere."""
    keys = {str(key) for key in node if key not in ("hydra", "defaults")} | (set() if position else set(groups))
    near = difflib.get_close_matches(parts[position], sorted(keys), n=1, cutoff=0.6)
    if near:
        return f"did you mean `{'.'.join(_mended([*parts[:position], near[0], *parts[position + 1 :]], config))}`?"
    paths = [path for path in _paths(config) if not path.startswith("hydra")]
    return _nearest_path(parts[-1], [*paths, *groups]) or suggestion(parts[position], keys)


def _mended(parts: list[str], config: Any) -> list[str]:
    """A path whose parts are replaced by the nearest keys wherever they do not exist."""
    mended = []
    for part in parts:
        if isinstance(config, Mapping) and part not in config:
            part = next(iter(difflib.get_close_matches(part, map(str, config), n=1, cutoff=0.6)), part)
        mended.append(part)
        config = config.get(part) if isinstance(config, Mapping) else None
    return mended


def _nearest_path(leaf: str, paths: Sequence[str]) -> str | None:
    """The suggestion of the path whose last part is nearest to `leaf`; none if all are far."""
    by_leaf = {path.replace("/", ".").rpartition(".")[2]: path for path in reversed(paths)}
    near = difflib.get_close_matches(leaf.rpartition("/")[2], by_leaf, n=1, cutoff=0.75)
    return f"did you mean `{by_leaf[near[0]]}`?" if near else None


def _paths(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted paths of all values."""
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")
