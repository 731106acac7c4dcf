"""Which folders are those of runs, and the ones that a user names; a recipe's folder stands for its winner."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from nnlab.errors import UserError, did_you_mean
from nnlab.storage.claim import CLAIM
from nnlab.storage.files import at
from nnlab.storage.folder import CHECKPOINTS, CONFIG, FIGURES, HISTORY, MEAN, OUTPUT, RESULT
from nnlab.storage.winner import winner


def is_run(directory: Path) -> bool:
    """Whether a folder is that of a run that has begun."""
    return (directory / CONFIG).is_file()


def is_unused(directory: Path) -> bool:
    """Whether a process was killed that had just made this run directory, so that there is nothing in it yet."""
    if is_run(directory) or not (directory / CLAIM).exists() or directory.name.startswith("."):
        return False  # folders with a dot, such as a search's, are no runs
    return all(path.name.startswith(".") or path.name == CHECKPOINTS for path in directory.iterdir())


def foreign_file(directory: Path) -> str | None:
    """The name of something in a folder that is no run's; None where a run may take the folder."""
    if not directory.is_dir() or is_run(directory):
        return None
    own = (CLAIM, OUTPUT, RESULT)
    strange = [path.name for path in directory.iterdir() if path.name not in own]
    return None if not strange or strange == [CHECKPOINTS] else strange[0]


def remove_unused(directory: Path) -> None:
    """Remove a run directory that holds only its claim, and the study's folder where nothing else is there."""
    with contextlib.suppress(OSError):
        if [path.name for path in directory.iterdir()] == [CLAIM]:
            (directory / CLAIM).unlink()
            directory.rmdir()
            directory.parent.rmdir()


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """The run directories among and below `paths`, each once.

    A study's folder stands for its runs, a recipe's for its winner. What else lies beside the runs of a study is left
    out, so that `STUDY/*` is the study.

    Raises:
        UserError: at one of the paths there is none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        folder = at(path)
        if is_run(folder):
            inside = [winner(folder) or folder]
        else:
            inside = sorted(file.parent for file in folder.rglob(CONFIG) if (file.parent / HISTORY).exists())
        if not inside and not (len(paths) > 1 and _beside_runs(folder)):
            raise UserError(f"there is no run at `{path}`: a run's folder holds a {CONFIG} and a {HISTORY}")
        found.update(dict.fromkeys(inside))
    if not found:
        raise UserError(f"there is no run among {', '.join(f'`{path}`' for path in paths)}")
    return list(found)


def _beside_runs(path: Path) -> bool:
    """Whether this is one of the files and folders that a study has besides its runs."""
    own = path.is_file() or (path.is_dir() and path.name in (MEAN, FIGURES))
    return own and not is_run(path.parent) and any(map(is_run, path.parent.iterdir()))


def run_at(run: str | Path) -> Path:
    """The folder of a run that a user has named; a recipe's stands for its winner.

    Raises:
        UserError: there is none (a run of nearly that name is suggested), or the recipe has no winner yet.
    """
    directory = begun_at(run)
    return winner(directory) or directory


def begun_at(run: str | Path) -> Path:
    """The folder of a run or of a recipe that a user has named.

    Raises:
        UserError: there is none; a run inside, or of nearly that name, is suggested.
    """
    directory = at(run)
    if not is_run(directory):
        inside = sorted(path.parent for path in directory.glob(f"*/{CONFIG}"))
        if inside:
            raise UserError(f"`{run}` is not the folder of a run, but holds some; name one, such as `{inside[-1]}`")
        others = [path.parent.name for path in directory.parent.glob(f"*/{CONFIG}")]
        clause = did_you_mean(directory.name, others) if others else f"a run's folder holds a {CONFIG}"
        raise UserError(f"`{run}` is not the folder of a run; {clause}")
    return directory
