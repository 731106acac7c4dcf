"""Refuse a config with unknown, missing, wrongly typed or out-of-range values, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.config import folder
from nnlab.config.construct import range_mistakes
from nnlab.config.dotted import exists
from nnlab.config.folder import Primary, primary
from nnlab.config.kinds import KINDS
from nnlab.config.lookup import locate
from nnlab.config.schema import Mistake, component_mistakes, signature, suggestion
from nnlab.config.values import matches, shown, words
from nnlab.errors import UserError

# Arguments that whoever builds a component of the group supplies, because they follow from the data or the network.
SUPPLIED: Mapping[str, frozenset[str]] = {
    "architecture": frozenset({"input_shape", "head", "activation", "columns"}),
    "optimizer": frozenset({"params"}),  # torch's own optimizers
    "scheduler": frozenset({"optimizer"}),  # torch's own schedulers
}

# What nnlab takes itself of the section of an optimizer that is not its own: who moves which parameters.
FOREIGN = frozenset({"others", "only"})

# Types of the primary configs' own keys whose default is null.
NULLABLE: Mapping[str, Any] = {"data_seed": int | None, "resume": str | None}

SMALLEST, LARGEST = 1e-37, 1e30  # still numbers in single precision; products that are none are what divergence is

# Groups whose constructors are cheap and need nothing but their section, so that they check their ranges at once.
LIGHT = frozenset(
    {"trainer", "data", "activation", "initialization", "loss", "optimizer", "scheduler", "regularizer"}
    | {"callbacks", "recipe"}
)


def check(
    config: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    config_name: str = "train",
    choices: Mapping[str, Any] | None = None,
    folders: Sequence[Path] = (),
    file: Path | None = None,
    known_good: set[str] | None = None,
) -> None:
    """Compare a resolved config with the constructors that it names and with its primary config.

    Args:
        config: plain, resolved config.
        overrides: what the user wrote on the command line, in order; named in the sentences.
        config_name: the primary config whose keys are valid.
        choices: the option chosen in each group, where it is known; else the primary config's defaults.
        folders: folders with options of the user's own, searched before nnlab's.
        file: the file that the whole config was read from, if it was not composed from options.
        known_good: sections, as text, in which nothing was found before; those of this config are added. The jobs of a
            sweep share most of theirs.

    Raises:
        UserError: one sentence for each mistake, with the override or the file that it comes from.
    """
    ours = folder.config_folder()
    known = primary(config_name, ours)
    texts = {key: repr((key, config[key])) for key in config} if known_good is not None else {}
    new = {key: value for key, value in config.items() if texts.get(key) not in (known_good or ())}
    mistakes = list(_numbers(new, "")) or [*_top_level(new, known), *_absent(config, known), *_ranges(new)]
    if known_good is not None and not mistakes:
        known_good.update(texts.values())
    if mistakes:
        origin = Origin(overrides, {**known.choices, **(choices or {})}, [*folders, ours], config_name, file)
        lines = dict.fromkeys(f"{sentence}{origin.of(path)}" for path, sentence in mistakes)
        raise UserError("\n".join(lines))


def section_mistakes(sections: Mapping[str, Any]) -> Iterator[Mistake]:
    """Mistakes in the sections of groups, by name, against the constructors that they name."""
    known = primary("train", folder.config_folder())
    for group, section in sections.items():
        yield from _section(section, group, group, known)


def _top_level(config: Mapping[str, Any], known: Primary) -> Iterator[Mistake]:
    """Mistakes in types and names, in every section."""
    sections = known.sections()
    for key, value in config.items():
        if key in sections:
            yield from _section(value, key, key, known)
        elif key in known.values:
            yield from _plain(value, known.values[key], key)
        else:
            yield Mistake(str(key), f"unknown key `{key}`; {suggestion(key, {*sections, *known.values})}")


def _absent(config: Mapping[str, Any], known: Primary) -> Iterator[Mistake]:
    """Keys and sections that every config has."""
    for key in known.values:
        if key not in config:
            yield Mistake(key, f"`{key}` is missing")
    for key in known.required():
        if config.get(key) is None:
            yield Mistake(key, f"no `{key}` is chosen; `nnlab list {key}` shows the options")


def _numbers(value: Any, path: str) -> Iterator[Mistake]:
    """Numbers that nothing computes with: whole ones of more than 64 bits, others that single precision has not."""
    if isinstance(value, Mapping | list):
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, each in entries:
            yield from _numbers(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, int) and abs(value) >= 2**63:
        yield Mistake(path, f"`{path}` has {len(str(abs(value)))} digits; whole numbers go up to {2**63 - 1}")
    elif isinstance(value, float) and LARGEST < abs(value) < float("inf"):
        yield Mistake(path, f"`{path}` must be at most {LARGEST:g} in size, got {value}")
    elif isinstance(value, float) and 0 < abs(value) < SMALLEST:
        yield Mistake(path, f"`{path}` must be 0 or at least {SMALLEST:g} in size, got {value}")


def _plain(value: Any, default: Any, path: str) -> Iterator[Mistake]:
    """Mistakes in what the primary config itself states; its defaults say which keys and types are valid."""
    if isinstance(default, Mapping) and isinstance(value, Mapping):
        if "_target_" in value:
            yield from component_mistakes(value, path, path if path in KINDS else None)
            return
        for key in value:
            if key in default:
                yield from _plain(value[key], default[key], f"{path}.{key}")
            else:
                clause = suggestion(key, default, f"{path}.")
                yield Mistake(f"{path}.{key}", f"unknown key `{path}.{key}`; {clause}")
        for key in default:
            if key not in value:
                yield Mistake(f"{path}.{key}", f"`{path}.{key}` is missing")
    elif isinstance(default, Mapping):
        yield Mistake(path, f"`{path}` is a section with the keys {', '.join(default)}, got {shown(value)}")
    else:
        hint: Any = type(default)
        if isinstance(default, str) and "${" in default:
            hint = str | None
        hint = NULLABLE.get(path, hint)
        if (default is not None or path in NULLABLE) and not matches(value, hint):
            yield Mistake(path, f"`{path}` must be {words(hint)}, got {shown(value)}")


def _section(value: Any, path: str, group: str, known: Primary) -> Iterator[Mistake]:
    """Mistakes in the section of a group: one component, or one for each of the options that were combined."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        option = value if isinstance(value, str) and re.fullmatch(r"[\w-]+", value) else "OPTION"
        clause = f"choose an option with `{group}={option}`"
        yield Mistake(path, f"`{path}` must be a section with `_target_`, got {shown(value)}; {clause}")
        return
    inner = known.subgroups(group)
    if "_target_" in value:
        foreign = FOREIGN if group == "optimizer" and not str(value["_target_"]).startswith("nnlab.") else ()
        supplied = SUPPLIED.get(group.split("/")[0], frozenset())
        supplied |= _first_argument(str(value["_target_"])) if foreign else frozenset()
        yield from component_mistakes(value, path, group, supplied, {*inner, *foreign})
        if foreign:
            yield from _shared(value, path)
    elif value and group in known.required():
        yield Mistake(f"{path}._target_", f"`{path}._target_` is missing")
    for key, each in value.items():
        if key in inner:
            yield from _section(each, f"{path}.{key}", f"{group}/{key}", known)
        elif "_target_" not in value and isinstance(each, Mapping) and "_target_" in each:
            yield from component_mistakes(each, f"{path}.{key}", group, SUPPLIED.get(group.split("/")[0], ()))
        elif "_target_" not in value and each is not None:
            clause = suggestion(key, [name for name in value if name != key], f"{path}.")
            yield Mistake(f"{path}.{key}", f"unknown key `{path}.{key}`; {clause}")


def _first_argument(target: str) -> frozenset[str]:
    """The name under which a class of torch's interface takes the parameters, which not all call `params`."""
    try:
        bases = getattr(locate(target), "__mro__", ())
        taken = list(signature(target).arguments)[:1]
    except UserError:  # which is said elsewhere
        return frozenset()
    return frozenset(taken if any(each.__module__.startswith("torch.optim") for each in bases) else ())


def _shared(section: Mapping[str, Any], path: str) -> Iterator[Mistake]:
    """Mistakes in how a foreign optimizer shares the parameters with another one."""
    others, only = section.get("others"), section.get("only")
    if others is not None and not (isinstance(others, Mapping) and "_target_" in others):
        yield Mistake(f"{path}.others", f"`{path}.others` must be a section with `_target_`, got {shown(others)}")
    elif others is not None:
        supplied = SUPPLIED["optimizer"] | _first_argument(str(others["_target_"]))
        yield from component_mistakes(others, f"{path}.others", "optimizer", supplied)
        if str(others["_target_"]).startswith("nnlab."):
            yield Mistake(f"{path}.others", f"`{path}.others` must be a class of torch.optim, or of its kind")
    if only is not None and not (isinstance(only, list) and all(isinstance(each, str) for each in only)):
        yield Mistake(f"{path}.only", f"`{path}.only` must be a list of names of parameters, got {shown(only)}")
    if only is not None and others is None:
        yield Mistake(f"{path}.only", f"`{path}.only` needs `{path}.others`, which moves the rest")


def _ranges(config: Mapping[str, Any]) -> Iterator[Mistake]:
    """Values that a constructor refuses, in the groups where calling it costs nothing."""
    sweep = config.get("sweep")
    prune = sweep.get("prune") if isinstance(sweep, Mapping) else None
    if prune is not None and not (matches(prune, float) and 0 < prune < 1):
        yield Mistake("sweep.prune", f"`sweep.prune` must be a number in (0, 1), got {shown(prune)}")
    for group, section in config.items():
        if group not in LIGHT or not isinstance(section, Mapping):
            continue
        named = {group: section} if "_target_" in section else {f"{group}.{key}": section[key] for key in section}
        for path, component in named.items():
            if isinstance(component, Mapping) and "_target_" in component:
                supplied = SUPPLIED.get(group, ())
                if not any(component_mistakes(component, path, group, supplied)):
                    yield from range_mistakes(component, path, group)


class Origin:
    """Where the keys of a config come from: an override, or a file; the arguments are those of `check`."""

    def __init__(
        self,
        overrides: Sequence[str],
        choices: Mapping[str, Any],
        folders: Sequence[Path],
        config_name: str,
        file: Path | None,
    ) -> None:
        self.overrides, self.choices, self.folders = overrides, choices, folders
        self.config_name, self.file = config_name, file

    def of(self, path: str) -> str:
        """The clause for the key at a dotted path, such as " (override `seed=x`)"; empty if nothing is known."""
        for override in reversed(self.overrides):
            key = override.lstrip("+~").split("=")[0].split("@")[0]
            nested = key.startswith(f"{path}.") or path.startswith(f"{key}.")
            if key == path or (nested and (key not in self.choices or "={" in override)):
                return f" (override `{override}`)"
        file = self.file or self._experiment(path) or self._option(path) or self._found(self.config_name)
        return f" (in {_short(file)})" if file else ""

    def _found(self, name: str) -> Path | None:
        """The file of an option such as `optimizer/adam`, in the first folder that has it."""
        files = (place / f"{name}.yaml" for place in self.folders)
        return next((file for file in files if file.is_file()), None)

    def _experiment(self, path: str) -> Path | None:
        """The file of the chosen experiment, or of the last of several, that sets the key."""
        import yaml

        chosen = self.choices.get("experiment")
        for name in reversed(chosen if isinstance(chosen, list) else [chosen]):
            file = self._found(f"experiment/{name}")
            if file and exists(yaml.safe_load(file.read_text(encoding="utf-8")), path):
                return file
        return None

    def _option(self, path: str) -> Path | None:
        """The file of the option that the section at a dotted path comes from."""
        slashed = path.replace(".", "/")
        inside = [group for group in self.choices if slashed == group or slashed.startswith(f"{group}/")]
        if not inside:
            return None
        group = max(inside, key=len)
        choice = self.choices[group]
        named = slashed.removeprefix(group).split("/")[1:2]
        option = choice if isinstance(choice, str) else named[0] if named else None
        return self._found(f"{group}/{option}")


def _short(file: Path) -> str:
    """A file's path as a user would write it: nnlab's own configs from `configs/` on, others from here if inside."""
    if file.is_relative_to(folder.config_folder()):
        return str(Path("configs") / file.relative_to(folder.config_folder()))
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)
