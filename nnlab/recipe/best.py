"""The chosen configuration as an experiment: `experiment/best.yaml` in the recipe's folder, and how to run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from nnlab.config import config_folder
from nnlab.config.chosen import option_of, read_option
from nnlab.config.command_line import command_line
from nnlab.config.folder import primary
from nnlab.storage.files import make_folder, write_whole

Config = Mapping[str, Any]
LEFT_OUT = ("callbacks", "experiment")  # what does not decide the result
HEADER = "# @package _global_\n# {title}\n"


def write_experiment(folder: Path, config: Config, title: str) -> str:
    """Write `experiment/best.yaml` for a resolved config of `nnlab train`; returns the command that runs it."""
    make_folder(folder / "experiment")
    write_whole(folder / "experiment" / "best.yaml", experiment_text(config, title))
    return command_line("train", ["experiment=best"], config=config, config_dir=str(folder))


def experiment_text(config: Config, title: str) -> str:
    """The experiment: its defaults choose the options of all groups, its body sets every value."""
    defaults: list[dict[str, Any]] = []
    body: dict[str, Any] = {
        "seed": config["seed"],
        "data_seed": config["data_seed"],
        "trainer": dict(config["trainer"]),
    }
    for group, usual in primary("train", config_folder()).choices.items():
        if group in LEFT_OUT:
            continue
        *path, last = group.split("/")
        holder: Any = config
        for part in path:
            holder = holder[part]
        chosen, values = _section(group, holder.get(last) or {}, usual)
        defaults.append({f"override /{group}": chosen})
        target = body
        for part in path:
            target = target.setdefault(part, {})
        target.update({last: {**values, **target.get(last, {})}})
    body["trainer"].pop("_target_", None)
    text = yaml.safe_dump({"defaults": defaults}, sort_keys=False, default_flow_style=None)
    return HEADER.format(title=title) + text + "\n" + yaml.safe_dump(body, sort_keys=False, default_flow_style=None)


def _section(group: str, section: Config, usual: Any) -> tuple[Any, dict[str, Any]]:
    """The option, or options, of a section, and its values; `_target_` is a value where no option has it."""
    if isinstance(usual, list):
        known = {name: option_of(group, part) for name, part in section.items()}
        values = {name: _values(part, known[name] == name) for name, part in section.items()}
        return [name for name in section if known[name] == name], values
    option = option_of(group, section)
    nested = {key.removeprefix(f"{group}/") for key in _groups() if key.startswith(f"{group}/")}
    values = {key: value for key, value in _values(section, option is not None).items() if key not in nested}
    if option is None and isinstance(usual, str) and set(read_option(group, usual)) <= {*section, *nested}:
        return usual, values
    return option, values


def _values(section: Config, from_option: bool) -> dict[str, Any]:
    return {key: value for key, value in section.items() if not (from_option and key == "_target_")}


def _groups() -> Iterator[str]:
    yield from primary("train", config_folder()).choices
