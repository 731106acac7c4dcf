"""The configs of a sweep's jobs, as plain dictionaries, composed once for all jobs that differ in plain values only.

Composing with Hydra takes 10 to 90 ms. Two jobs whose overrides name the same options and set the same keys to plain
values (numbers, texts, lists of them) have the same config except at these keys, as long as no key refers to another
one. So the first such job is composed by Hydra, and the others have its sections except where their values are; all of
them are checked. Nobody changes a config that has been composed.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from nnlab.cli.grammar import parsed
from nnlab.cli.job_config import checked_job
from nnlab.config.checking import check
from nnlab.config.dotted import get, replaced
from nnlab.errors import UserError

WHOLE = re.compile(r"([\w.]+)=(0|-?[1-9]\d*)")  # a key that is set to a whole number, as seeds are

# Hydra reads these references in every job anew; one to the environment is the same for all jobs.
REFERENCE = re.compile(r"\$\{(?!oc\.env:[^${}]*\})")


class Template:
    """The config of the first job of a kind.

    Args:
        config: as Hydra composed it.
        schema: the primary config whose keys are valid.
    """

    def __init__(self, config: DictConfig, schema: str) -> None:
        self.schema = schema
        self.content = checked_job(config, schema)
        own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        self.constant = not _refers(OmegaConf.to_container(own, resolve=False))
        self.choices = OmegaConf.to_container(config.hydra.runtime.choices)
        sources = config.hydra.runtime.config_sources
        self.folders = [Path(source.path) for source in sources if source.schema == "file"]
        self._known_good: set[str] = set()

    def fill(self, values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any] | None:
        """The checked config with other values; None where they do not simply take the place of those before.

        Raises:
            UserError: a value is wrong.
        """
        content: dict[str, Any] = self.content
        for path, value in values.items():
            if isinstance(get(content, path, {}), dict):  # missing, or a section
                return None
            content = replaced(content, path, value)
        check(
            content,
            overrides,
            config_name=self.schema,
            choices=self.choices,
            folders=self.folders,
            known_good=self._known_good,
        )
        return content


class Jobs:
    """Composes the jobs of one sweep.

    Args:
        loader: nnlab's loader.
        master: the sweep's own config.
    """

    def __init__(self, loader: Any, master: DictConfig) -> None:
        self.loader, self.master = loader, master
        self._templates: dict[tuple[str, ...], Template] = {}
        self._parsed: dict[str, Any] = {}
        self._numbers: dict[str, Any] = {}  # parsed overrides that set a key to a whole number, by key
        self._groups: dict[str, bool] = {}
        self._applied = set(OmegaConf.to_container(master.hydra.overrides.task))  # to the sweep's own config

    def compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The plain, resolved and checked config of a job.

        Raises:
            UserError: an override, an option or a file is wrong.
        """
        entries = [self._entry(line) for line in overrides]
        plain = [each for each in entries if self._is_plain(each)]
        values = {each.key_or_group: each.value() for each in plain}
        kind = tuple(each.key_or_group if each.key_or_group in values else each.input_line for each in entries)
        known = self._templates.get(kind)
        if known is None and all(each in plain or each.input_line in self._applied for each in entries):
            known = self._master
        if known is not None and known.constant and len(values) == len(plain):
            content = known.fill(values, overrides)
            if content is not None:
                return content
        composed = self.loader.load_sweep_config(self.master, list(overrides))
        if kind not in self._templates:
            known = self._templates[kind] = Template(composed, self.loader.schema)
            return known.content
        return checked_job(composed, self.loader.schema)

    @functools.cached_property
    def _master(self) -> Template | None:
        """The sweep's own config, which jobs that set plain values fill; None where it is no config by itself."""
        try:
            return Template(self.master, self.loader.schema)
        except UserError:  # a value is missing, say, that every job has
            return None

    def _entry(self, line: str) -> Any:
        if line not in self._parsed:
            whole = WHOLE.fullmatch(line)
            if whole and whole[1] in self._numbers:  # parsing takes longer than all the rest of composing
                like = self._numbers[whole[1]]
                self._parsed[line] = dataclasses.replace(like, _value=int(whole[2]), input_line=line)
            else:
                [self._parsed[line]] = parsed([line])
                if whole:
                    self._numbers[whole[1]] = self._parsed[line]
        return self._parsed[line]

    def _is_plain(self, entry: Any) -> bool:
        """Whether an override sets an existing key to a value that refers to nothing."""
        if entry.is_add() or entry.is_force_add() or entry.is_delete() or entry.package is not None:
            return False
        if entry.is_sweep_override():
            raise UserError(f"`{entry.input_line}` is not a value but a range; a sweeper that can search must choose")
        key = entry.key_or_group
        if key not in self._groups:
            self._groups[key] = "/" in key or ("." not in key and self.loader.repository.group_exists(key))
        return not self._groups[key] and not _refers(entry.value()) and not _holds_mapping(entry.value())


def _refers(value: Any) -> bool:
    """Whether a value refers to another one anywhere inside."""
    if isinstance(value, dict):
        return any(map(_refers, value.values()))
    if isinstance(value, list):
        return any(map(_refers, value))
    return isinstance(value, str) and ("???" in value or bool(REFERENCE.search(value)))


def _holds_mapping(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_mapping, value)))
