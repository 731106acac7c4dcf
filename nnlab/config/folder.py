"""Where the configs live, which groups and options there are, and what a primary config says."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nnlab.errors import UserError, did_you_mean
from nnlab.storage.files import at


@functools.cache
def config_folder() -> Path:
    """The folder of nnlab's own configs: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


_own: list[str] = []


def note_own(folder: str | Path | None) -> None:
    """Keep the folder with options of the user's own that this process composes from; None: there is none."""
    _own[:] = [] if folder is None else [str(at(folder))]


def own_folder() -> str | None:
    """The folder that `--config-dir` named; None where there is none."""
    return _own[0] if _own else None


def groups(folder: Path) -> list[str]:
    """Names of the config groups in a folder, such as `optimizer` and `data/preprocessing`, sorted."""
    files = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")}
    return sorted(files - {"."})


def options(folder: Path, group: str) -> list[Path]:
    """The option files of a group, sorted by name."""
    return sorted((folder / group).glob("*.yaml"))


def chosen_by(file: Path) -> set[str]:
    """The groups whose options an experiment's file chooses, as in `override /data: xor`."""
    import yaml

    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    entries = content.get("defaults", []) if isinstance(content, Mapping) else []
    keys = (str(key) for entry in entries if isinstance(entry, Mapping) for key in entry)
    return {key.removeprefix("override ").lstrip("/") for key in keys}


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
    values: Mapping[str, Any] = {}
    choices: dict[str, str | list[str] | None] = {}
    for entry in content.pop("defaults", []):
        if isinstance(entry, Mapping):
            choices |= dict(_choices(entry))
        elif entry != "_self_":  # the config that this one extends
            values, inherited = primary(entry, folder)
            choices |= inherited
    content.pop("hydra", None)
    return Primary(_extended(values, content), choices)


def _choices(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The groups and options of an entry of a defaults list; those of Hydra are its own business."""
    for written, option in entry.items():
        group = str(written).removeprefix("override ").split("@")[0]
        if not group.startswith("hydra/"):
            yield group, option


def _extended(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Values with others in the place of some of them, in sections, too."""
    result = dict(values)
    for key, value in more.items():
        inside = result.get(key)
        both = isinstance(inside, Mapping) and isinstance(value, Mapping)
        result[key] = _extended(inside or {}, value) if both else value
    return result
