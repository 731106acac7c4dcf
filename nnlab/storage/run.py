"""A run while it is trained: its folder, the members that fill it, and the files that grow in it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnlab.console import counted
from nnlab.storage.files import GrowingFile, explained, make_folder, remove_parts, side_by_side
from nnlab.storage.folder import (
    CHECKPOINTS,
    CONFIG,
    ENVIRONMENT,
    LOG,
    OVERRIDES,
    remove_events,
    write_config,
    write_environment,
    write_overrides,
    write_result,
)

log = logging.getLogger(__name__)


@dataclass
class Run:
    """One run directory, filled by one member of a population or, for an ensemble, by several.

    Attributes:
        directory: the folder.
        members: positions of its members in the trainer.
        config: the resolved config as a plain dict.
        overrides: what the command line gave.
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
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def checkpoints(self) -> Path:
        """The folder of its checkpoints."""
        return self.directory / CHECKPOINTS

    def create(self, environment: Mapping[str, Any]) -> None:
        """Make the folder, without what an earlier attempt left and `offsets` does not name; write what is known."""
        make_folder(self.checkpoints)
        for folder in (self.directory, *(path for path in self.directory.iterdir() if path.is_dir())):
            remove_parts(folder)
        remove_events(self.directory, but=list(self.offsets))
        write_config(self.directory, self.config)
        write_overrides(self.directory, self.overrides)
        write_environment(self.directory, environment)
        self.environment = environment

    def open(self, name: str) -> GrowingFile:
        """A growing file of this run, cut back to where the last checkpoint saw it.

        One that is shorter than that was damaged from outside: it is cut back to whole lines, with a warning.
        """
        if name not in self.files:
            file = self.files[name] = GrowingFile(self.directory / name, self.offsets.get(name))
            if file.missing:
                lost = counted(file.missing, "byte", "is", "are")
                log.warning(
                    f"`{file.path}` is damaged: the last {lost} missing, and with that a part of the curves; the "
                    "weights are not affected"
                )
                if name.endswith((".csv", ".txt")):
                    file.cut(file.read().rfind(b"\n") + 1)
        return self.files[name]

    def flush(self) -> dict[str, int]:
        """Flush the growing files; returns their lengths by name, also of those that nobody has opened since."""
        for file in self.files.values():
            file.flush()
        return self.offsets | {name: file.offset for name, file in self.files.items()}

    def lengths(self) -> dict[str, int]:
        """Flush the growing files; returns the lengths from which the run would continue.

        During training the disk is not waited for: a power cut may cost a piece of the curves, but no weights.
        """
        present = self.flush()
        return present if self.trained is None else self.trained

    def restore(self) -> None:
        """Write files whole again that somebody has removed while the run trained, and say so."""
        removed = [name for name, file in self.files.items() if file.restore()]
        whole = {
            CONFIG: (write_config, self.config),
            OVERRIDES: (write_overrides, self.overrides),
            ENVIRONMENT: (write_environment, self.environment),
        }
        for name, (write, content) in whole.items():
            if self.environment and not (self.directory / name).exists():
                write(self.directory, content)  # type: ignore[operator]
                removed.append(name)
        if removed:
            names = ", ".join(f"`{name}`" for name in removed)
            log.warning(f"{names} of `{self.directory}` had been removed while it trained, and has been written again")

    def close(self) -> None:
        """Close the growing files."""
        files, self.files = list(self.files.values()), {}
        with contextlib.ExitStack() as stack:
            for file in files:
                stack.callback(file.close)

    def say(self, line: str) -> None:
        """Append a line to the run's log."""
        file = self.open(LOG)
        file.write(f"{line}\n".encode())
        file.flush()

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result, after all that the folder should have; then remove what is disposable."""
        self.restore()
        self.result = result
        write_result(self.directory, result)
        for path in self.disposable:
            with explained(path):
                path.unlink(missing_ok=True)


def mark_trained(runs: Sequence[Run]) -> None:
    """Training has ended: the runs' logs are on the disk, and what is appended from now on describes whole runs."""
    for run in runs:
        run.trained = run.flush()
    side_by_side(GrowingFile.sync, [file for run in runs for file in run.files.values()])
