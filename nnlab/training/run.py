"""The folder of a run: what it is made of, what grows in it, and how it ended.

config.yaml       the resolved config          history.csv      one row a step
overrides.yaml    what the command line gave   statistics.csv   step, tag, value
environment.json  versions, device, seed       checkpoints/     last, previous, best
result.json       how it ended                 log.txt          what was said
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nnlab.errors import UserError
from nnlab.storage.files import GrowingFile, explained, make_folder, remove_parts, write_whole


@dataclass
class Run:
    """One run directory, filled by one member of a population or, for an ensemble, by several.

    Attributes:
        directory: the folder.
        members: positions of its members in the trainer.
        config: the resolved config as a plain dict.
        identity: hash of what determines the result.
        offsets: lengths to which growing files are cut back when the run continues.
        disposable: files that are of no use once the result is written.
        trained: lengths of the growing files when training had ended: what describes the whole run comes after them,
            and is written anew where a run that has ended continues.
    """

    directory: Path
    members: Sequence[int]
    config: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    identity: str = ""
    offsets: dict[str, int] = field(default_factory=dict)
    files: dict[str, GrowingFile] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    disposable: list[Path] = field(default_factory=list)
    trained: dict[str, int] | None = None

    def create(self, environment: Mapping[str, Any]) -> None:
        """Make the folder, without what an earlier attempt left and `offsets` does not name; write what is known."""
        make_folder(self.directory / "checkpoints")
        for folder in (self.directory, self.directory / "checkpoints"):
            remove_parts(folder)
        for path in self.directory.glob("events.out.tfevents.*"):
            if path.name not in self.offsets:
                with explained(path):
                    path.unlink()
        write_whole(self.directory / "config.yaml", yaml.safe_dump(dict(self.config), sort_keys=False))
        write_whole(self.directory / "overrides.yaml", yaml.safe_dump(list(self.overrides)))
        write_whole(self.directory / "environment.json", json.dumps(environment, indent=2) + "\n")

    def open(self, name: str) -> GrowingFile:
        """A growing file of this run, cut back to where the last checkpoint saw it.

        One that is shorter than that was damaged from outside: it is cut back to whole lines, with a warning.
        """
        if name not in self.files:
            file = self.files[name] = GrowingFile(self.directory / name, self.offsets.get(name))
            if file.missing:
                print(
                    f"warning: `{file.path}` is damaged: its last {file.missing} bytes are missing, and with them "
                    "a part of the curves; the weights are not affected",
                    file=sys.stderr,
                    flush=True,
                )
                if name.endswith((".csv", ".txt")):
                    file.cut(file.read().rfind(b"\n") + 1)
        return self.files[name]

    def flush(self) -> dict[str, int]:
        """Flush the growing files; returns their lengths by name, also of those that nobody has opened since."""
        for file in self.files.values():
            file.flush()
        return self.offsets | {name: file.offset for name, file in self.files.items()}

    def mark_trained(self) -> None:
        """Training has ended: its logs are on the disk, and what is appended from now on describes the whole run."""
        self.trained = self.flush()
        for file in self.files.values():
            file.sync()

    def lengths(self) -> dict[str, int]:
        """Flush the growing files; returns the lengths from which the run would continue.

        During training the disk is not waited for: a power cut may cost a piece of the curves, but no weights.
        """
        present = self.flush()
        return present if self.trained is None else self.trained

    def close(self) -> None:
        """Close the growing files."""
        files, self.files = list(self.files.values()), {}
        with contextlib.ExitStack() as stack:
            for file in files:
                stack.callback(file.close)

    def say(self, line: str) -> None:
        """Append a line to the run's log."""
        file = self.open("log.txt")
        file.write(f"{line}\n".encode())
        file.flush()

    def finish(self, result: dict[str, Any]) -> None:
        """Write `result.json`; then remove what is disposable."""
        self.result = result
        write_whole(self.directory / "result.json", json.dumps(result, indent=2) + "\n", sync=True)
        for path in self.disposable:
            with explained(path):
                path.unlink(missing_ok=True)


def read_result(directory: Path) -> dict[str, Any] | None:
    """The result of a run, or None where it has not ended."""
    result: dict[str, Any] | None = _read(directory / "result.json", json.loads)
    return result


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
        content = parse(path.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read `{path}`: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"`{path}` is damaged: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise UserError(f"`{path}` is damaged: it holds no keys and values")
    return content
