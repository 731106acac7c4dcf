"""Where a search is kept: a journal file in the folder of its runs, which one process at a time uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnlab.errors import UserError
from nnlab.storage.claim import try_claim
from nnlab.storage.files import explained, make_folder
from nnlab.study.model import SEARCH

JOURNAL = "search.journal"


def import_optuna() -> Any:
    """Optuna, which is an extra.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise UserError(
            "`hydra/sweeper=search` needs Optuna, which is not installed; `pip install nnlab[optuna]` installs it"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def mend(file: Path) -> None:
    """Cut off a line that was being written when the power went."""
    if not file.exists():
        return
    with explained(file), open(file, "rb+") as journal:
        content = journal.read()
        end = content.rfind(b"\n") + 1
        if end < len(content):
            journal.truncate(end)
            os.fsync(journal.fileno())


@contextmanager
def explained_storage(storage: str | None) -> Iterator[None]:
    """Say in one sentence what is wrong with a storage."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:
        what = f"`hydra.sweeper.storage={storage}`" if storage else f"`{JOURNAL}` in the study's folder"
        raise UserError(f"{what} cannot be used: {str(error).splitlines()[0] if str(error) else error!r}") from error


@contextmanager
def searching(folder: Path) -> Iterator[None]:
    """Hold a study for this process: two that searched in it would both try what is unfinished.

    Raises:
        UserError: another process searches there.
    """
    place = folder / SEARCH  # its claim says that a process searches
    make_folder(place)
    claim = try_claim(place)
    if claim is None:
        raise UserError(f"another process is searching in `{folder}`; wait for it, or choose another `name`")
    with claim:
        yield
