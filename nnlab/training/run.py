"""The folder of a run: what it is made of, what grows in it, and how it ended.

    config.yaml       the resolved config          history.csv      one row a step
    overrides.yaml    what the command line gave   statistics.csv   step, tag, value
    environment.json  versions, device, seed       checkpoints/     last, previous, best
    result.json       how it ended                 log.txt          what was said
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nnlab.errors import UserError
from nnlab.files import GrowingFile, make_folder, write_whole


@dataclass
class Run:
    """One run directory, filled by one member of a population or, for an ensemble, by several.

    Attributes:
        directory: the folder.
        members: positions of its members in the trainer.
        config: the resolved config as a plain dict.
        identity: hash of what determines the result.
        offsets: lengths to which growing files are cut back when the run continues.
    """

    directory: Path
    members: Sequence[int]
    config: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    identity: str = ""
    offsets: dict[str, int] = field(default_factory=dict)
    files: dict[str, GrowingFile] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)

    def create(self, environment: Mapping[str, Any]) -> None:
        """Make the folder and write what is known before training."""
        make_folder(self.directory / "checkpoints")
        write_whole(self.directory / "config.yaml", yaml.safe_dump(dict(self.config), sort_keys=False))
        write_whole(self.directory / "overrides.yaml", yaml.safe_dump(list(self.overrides)))
        write_whole(self.directory / "environment.json", json.dumps(environment, indent=2) + "\n")

    def open(self, name: str) -> GrowingFile:
        """A growing file of this run, cut back to where the last checkpoint saw it."""
        if name not in self.files:
            self.files[name] = GrowingFile(self.directory / name, self.offsets.get(name))
        return self.files[name]

    def flush(self) -> dict[str, int]:
        """Flush the growing files; returns their lengths by name."""
        for file in self.files.values():
            file.flush()
        return {name: file.offset for name, file in self.files.items()}

    def close(self) -> None:
        """Close the growing files."""
        for file in self.files.values():
            file.close()
        self.files.clear()

    def say(self, line: str) -> None:
        """Append a line to the run's log."""
        self.open("log.txt").write(f"{line}\n".encode())

    def finish(self, result: dict[str, Any]) -> None:
        """Write `result.json`."""
        self.result = result
        write_whole(self.directory / "result.json", json.dumps(result, indent=2) + "\n", sync=True)


def read_result(directory: Path) -> dict[str, Any] | None:
    """The result of a run, or None where it has not ended."""
    return _read(directory / "result.json", json.loads)


def read_config(directory: Path) -> dict[str, Any]:
    """The resolved config of a run.

    Raises:
        UserError: `directory` is no run directory.
    """
    config: dict[str, Any] | None = _read(directory / "config.yaml", yaml.safe_load)
    if config is None:
        raise UserError(f"`{directory}` is no run directory: it has no config.yaml")
    return config


def _read(path: Path, parse: Any) -> Any:
    try:
        return parse(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"`{path}` is damaged: {str(error).splitlines()[0]}") from error
