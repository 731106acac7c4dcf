"""Where the configs live, which groups and options there are, and what a primary config says."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nnlab.errors import UserError, did_you_mean


def config_folder() -> Path:
    """The folder of nnlab's own configs: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def groups(folder: Path) -> list[str]:
    """Names of the config groups in a folder, such as `optimizer` and `data/preprocessing`, sorted."""
    files = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")}
    return sorted(files - {"."})


def options(folder: Path, group: str) -> list[Path]:
    """The option files of a group, sorted by name."""
    return sorted((folder / group).glob("*.yaml"))


def description(file: Path) -> str:
    """The first comment of an option's file, which describes it in one line; empty if there is none."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("#"):
                if line.strip():
                    return ""
                continue
            text = line.lstrip("#").strip()
            if text and not text.startswith("@package"):
                return text
    return ""


class Primary(NamedTuple):
    """What a primary config such as train.yaml states.

    Attributes:
        values: its own keys with their defaults, without Hydra's.
        choices: the default option or options of each group, by group.
    """

    values: Mapping[str, Any]
    choices: Mapping[str, str | list[str] | None]

    def sections(self) -> set[str]:
        """Top-level keys that come from groups; an experiment's options have no section of their own."""
        return {group.split("/")[0] for group in self.choices} - {"experiment"}

    def required(self) -> Iterator[str]:
        """Sections without which nothing can be built: those with exactly one option."""
        return (group for group, choice in self.choices.items() if isinstance(choice, str) and "/" not in group)

    def subgroups(self, group: str) -> set[str]:
        """Keys of a group's section that are groups themselves: `preprocessing` in `data`."""
        return {each.removeprefix(f"{group}/") for each in self.choices if each.startswith(f"{group}/")}


@functools.cache
def primary(name: str, folder: Path) -> Primary:
    """Read the primary config `<folder>/<name>.yaml`.

    Raises:
        UserError: there is none.
    """
    import yaml

    file = folder / f"{name}.yaml"
    if not file.is_file():
        others = [path.stem for path in folder.glob("*.yaml")]
        raise UserError(f"there is no config `{name}` in {folder}; {did_you_mean(name, others)}")
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    choices = {key: option for entry in content.pop("defaults", []) for key, option in _default(entry)}
    content.pop("hydra", None)
    return Primary(content, choices)


def _default(entry: Any) -> Iterable[tuple[str, Any]]:
    """The group and the option that an entry of a defaults list names, if it names any."""
    if not isinstance(entry, Mapping):
        return []
    return [(key.split("@")[0], option) for key, option in entry.items() if not key.startswith("override ")]
