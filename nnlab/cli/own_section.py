"""What a composed config may say in Hydra's own section: no code and no commands from files, no folders but nnlab's.

An experiment file can set `hydra:` as well. Callbacks and handlers of logs are classes that Hydra would call, so they
stand within the boundary of trust; variables of the environment and commands of a cluster's jobs count only where they
were typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from nnlab.cli.grammar import parsed
from nnlab.config import trust
from nnlab.config.dotted import get
from nnlab.config.lookup import locate
from nnlab.config.overrides import key_of
from nnlab.config.schema import DIRECTIVES, signature_of, suggestion, value_mistakes
from nnlab.errors import UserError
from nnlab.storage.folder import CONFIG, OVERRIDES

# Plugins are found by Hydra itself, in packages that are installed under these names.
PLUGINS = ("hydra_plugins", "hydra._internal.core_plugins")
# Keys, at any depth of the launcher's section, that other programs run, or that say which programs run.
COMMANDS = frozenset(
    {"setup", "setup_commands", "initialization_commands", "additional_parameters", "python", "srun_args"}
    | {"runtime_env", "address", "docker", "auth", "provider", "sync_up", "sync_down", "stop_cluster"}
)
LOGS = ("job_logging", "hydra_logging")
SILENT: Mapping[str, Any] = {"version": 1, "root": None, "disable_existing_loggers": False}
HANDLERS = ("logging.StreamHandler", "logging.NullHandler", "colorlog.ColoredFormatter")
# Keys that have another name in nnlab, and the only values that they may have.
FIXED: Mapping[str, tuple[Any, str]] = {
    "run.dir": (".", "runs are in `output_dir`/`name`"),
    "sweep.dir": ("${output_dir}/${name}", "runs are in `output_dir`/`name`"),
    "sweep.subdir": (".", "a run's folder is named after its overrides"),
    "output_subdir": (None, f"a run's folder holds `{CONFIG}` and `{OVERRIDES}`"),
    "job.chdir": (False, "runs keep the working directory"),
}


# Keys that tell what Hydra found, or that nothing in nnlab reads.
UNUSED = (
    "hydra.runtime",
    "hydra.verbose",
    "hydra.overrides",
    "hydra.job.num",
    "hydra.job.id",
    "hydra.output",
    "hydra.env",
)
# Keys that count only where something refers to them, as in `name=${hydra:job.name}`.
NAMES = ("hydra.job.name", "hydra.job.config", "hydra.job.config_name", "hydra.job.override_dirname")
REFERENCE = re.compile(r"\$\{hydra[:.]job")


def check_section(config: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse what a file may not say to Hydra, and what would have no effect.

    Raises:
        UserError: names the key and what to do instead.
    """
    section = OmegaConf.to_container(config.hydra, resolve=False)
    assert isinstance(section, dict)
    keys = {key for line in overrides for key in _keys(line)}
    typed = keys | {f"hydra.{name}" for name in LOGS if f"hydra/{name}" in keys}
    _check_targets(section)
    for key, (value, instead) in FIXED.items():
        if get(section, key) != value and f"hydra.{key}" in typed:
            raise UserError(f"`hydra.{key}` is not used: {instead}")
    for key in typed:
        if any(key == unused or key.startswith(f"{unused}.") for unused in UNUSED):
            raise UserError(f"`{key}` is not used: nnlab does not read it")
        if any(key == named or key.startswith(f"{named}.") for named in NAMES) and not _refers(config, section):
            raise UserError(f"`{key}` is not used: nothing refers to it, and a study is named by `name=...`")
    for path in _commands(section):
        if not any(path == key or path.startswith(f"{key}.") or key.startswith(f"{path}.") for key in typed):
            raise UserError(
                f"`{path}` decides what is run besides nnlab, so it is not taken from a file; "
                "write it on the command line"
            )
    for path, target in _targets(section):
        if not trust.is_inside(target, PLUGINS) and target not in HANDLERS:
            try:
                locate(target)
            except UserError as error:
                raise UserError(f"`{path}`: {error}") from error
        if path.startswith("hydra.callbacks.") and not _listens(target):
            raise UserError(f"`{path}`: `{target}` is no `hydra.experimental.callback.Callback`")


def _keys(override: str) -> Iterator[str]:
    """The keys that an override sets: those inside of a section that it replaces, too."""
    key = key_of(override)
    yield key
    if key.startswith("hydra") and "={" in override:
        for path, _, _ in _values(parsed([override])[0].value(), key):
            yield path


def _refers(config: DictConfig, section: Mapping[str, Any]) -> bool:
    """Whether a value, or a setting of the launcher, is named after Hydra's job."""
    values = OmegaConf.to_container(OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]))
    return REFERENCE.search(f"{values} {section['launcher']} {section['sweeper']}") is not None


def check_plugins(config: DictConfig) -> None:
    """Refuse keys and values that the constructors of the sweeper and the launcher do not take.

    Raises:
        UserError: one sentence for each mistake.
    """
    found: list[str] = []
    for kind in ("sweeper", "launcher"):
        section = OmegaConf.to_container(config.hydra[kind], resolve=False)
        assert isinstance(section, dict)
        takes = signature_of(Plugins.instance().class_name_to_class[section["_target_"]])
        for key in set(section).difference(DIRECTIVES):
            path, value = f"hydra.{kind}.{key}", section[key]
            if key in takes.arguments and "${" not in str(value):
                found += [each.sentence for each in value_mistakes(value, takes.arguments[key].hint, path)]
            elif key not in takes.arguments and not takes.open:
                found.append(f"unknown key `{path}`; {suggestion(key, takes.arguments, f'hydra.{kind}.')}")
    if found:
        raise UserError("\n".join(sorted(found)))


def _listens(target: str) -> bool:
    """Whether a class gets Hydra's own events."""
    from hydra.experimental.callback import Callback

    found = locate(target)
    return isinstance(found, type) and issubclass(found, Callback)


def _check_targets(section: Mapping[str, Any]) -> None:
    for kind in ("launcher", "sweeper"):
        plugin = section.get(kind)
        if not isinstance(plugin, Mapping) or not isinstance(plugin.get("_target_"), str):
            raise UserError(f"`hydra.{kind}` must be a section with `_target_`; choose one with `hydra/{kind}=OPTION`")
        if not trust.is_inside(plugin["_target_"], PLUGINS):
            raise UserError(f"`hydra.{kind}._target_`: `{plugin['_target_']}` is no {kind} of Hydra")
    for name, callback in (section.get("callbacks") or {}).items():
        if not isinstance(callback, Mapping) or "_target_" not in callback:
            raise UserError(f"`hydra.callbacks.{name}` must be a section with `_target_`")


def _commands(section: Mapping[str, Any]) -> Iterator[str]:
    """Dotted paths of values that decide which programs run."""
    job = section.get("job") or {}
    for key in ("env_set", "env_copy"):
        if job.get(key):
            yield f"hydra.job.{key}"
    for name in LOGS:
        if section.get(name) not in (None, {}, SILENT):
            yield f"hydra.{name}"
    for path, key, value in _values(section["launcher"], "hydra.launcher"):
        if key in COMMANDS and value not in (None, [], {}, "local", ""):
            yield path


def _values(node: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Path, key and value of everything inside."""
    entries = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield f"{path}.{key}", str(key), value
        yield from _values(value, f"{path}.{key}")


def _targets(section: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Paths and dotted names of what Hydra, or Python's logging, would call."""
    for path, key, value in _values(section, "hydra"):
        logs = path.split(".")[1] in LOGS
        if key == "_target_" or (logs and key in ("()", "class", "factory")):
            yield path, str(value)
        elif logs and isinstance(value, str) and value.startswith("ext://") and not value.startswith("ext://sys.std"):
            yield path, value.removeprefix("ext://")
