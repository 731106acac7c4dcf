"""The user's cache folder, and entries in it: folders of files that are built once, whole or not at all.

An entry is built in a temporary folder beside its place and renamed when it is complete, under a lock that all
processes share: two that need it build it once, and one that is killed leaves nothing that is taken for an entry.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnlab.storage.claim import is_locked, locked
from nnlab.storage.files import PART, WriteError, explained, make_folder

log = logging.getLogger(__name__)

ENTRY = "entry.json"  # what an entry says about itself
LOCKS = (
    ".locks"  # the folder of the locks, which stay: a lock that is removed while somebody waits for it locks nothing
)


def cache_folder() -> Path:
    """`nnlab` in $XDG_CACHE_HOME, else in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "nnlab"


def data_folder() -> Path:
    """Where data sets are kept as arrays."""
    return cache_folder() / "data"


@dataclasses.dataclass(frozen=True)
class Entry:
    """What was kept.

    Attributes:
        folder: with the files.
        content: what whoever built it has to say about them.
    """

    folder: Path
    content: dict[str, Any]

    @property
    def title(self) -> str:
        """What it was made of."""
        return str(self.content.get("title", self.folder.name))

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        return _size(self.folder)

    @property
    def used(self) -> float:
        """When it was last used, in seconds since 1970."""
        return (self.folder / ENTRY).stat().st_mtime


def key_of(*parts: object) -> str:
    """A name for what is decided by these parts and by the code that reads and prepares data."""
    digest = hashlib.blake2b(_code().encode(), digest_size=12)
    for part in parts:
        digest.update(repr(part).encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


@functools.cache
def _code() -> str:
    """Fingerprint of the modules that read and prepare data: what older ones kept is not taken for theirs."""
    folder = Path(__file__).parents[1] / "data"
    digest = hashlib.blake2b(digest_size=12)
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def find(key: str) -> Entry | None:
    """The entry of a key, which counts as used now; None where there is none."""
    folder = data_folder() / key
    try:
        content = json.loads((folder / ENTRY).read_text())
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError):  # the folder may be another's, and read-only
        os.utime(folder / ENTRY)
    return Entry(folder, content)


def built(key: str, title: str, build: Callable[[Path], dict[str, Any]]) -> Entry | None:
    """The entry of a key, built where there is none.

    Args:
        key: of `key_of`.
        title: what it is made of, such as the path of a file.
        build: fills a folder with files, and returns what else is to be kept, as JSON.

    Returns:
        The entry, or None where the disk is full or cannot be written, which is said.
    """
    if (entry := find(key)) is not None:
        return entry
    try:
        make_folder(_lock_of(key).parent)
        with locked(_lock_of(key), lambda: log.info("waiting for another process that reads %s", title)):
            return find(key) or _build(key, title, build)
    except WriteError as error:
        _doubt(title, str(error.fact or error))
        return None


_doubted: set[str] = set()  # why nothing can be kept, once for all that cannot be


def _doubt(title: str, fact: str) -> None:
    """Say that something cannot be kept, unless the reason has been said."""
    if fact not in _doubted:
        _doubted.add(fact)
        log.warning("%s is read anew at each start: %s", title, fact)


def _lock_of(key: str) -> Path:
    return data_folder() / LOCKS / key


def _build(key: str, title: str, build: Callable[[Path], dict[str, Any]]) -> Entry | None:
    """Build an entry in a temporary folder and give it its name."""
    folder = data_folder() / key
    temporary = folder.with_name(f".{key}{PART}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed: the lock is ours
    shutil.rmtree(folder, ignore_errors=True)  # damaged
    try:
        with explained(folder):
            temporary.mkdir()
            content = {"title": title, **build(temporary)}
            (temporary / ENTRY).write_text(json.dumps(content))
            os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Entry(folder, content)


def entries() -> list[Entry]:
    """All entries, those used last first."""
    folders = [path for path in data_folder().glob("*") if path.is_dir() and not path.name.startswith(".")]
    found = []
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):
            found.append(Entry(folder, json.loads((folder / ENTRY).read_text())))
    return sorted(found, key=lambda entry: -entry.used)


def clear(keep: Callable[[Entry], bool] = lambda entry: False) -> int:
    """Remove entries, and what killed processes left; returns the bytes that are free now.

    Args:
        keep: the entries to leave.
    """
    freed = 0
    for entry in entries():
        if not keep(entry):
            freed += _removed(entry.folder)
    return freed + sum(map(_removed, unfinished()))


def unfinished() -> list[Path]:
    """Folders of entries that processes had begun when they were killed."""
    parts = data_folder().glob(f".*{PART}")
    return [part for part in parts if not is_locked(_lock_of(part.name.removeprefix(".").removesuffix(PART)))]


def _removed(folder: Path) -> int:
    """Remove an entry, so that at no time a part of it is taken for it; the bytes that are free now."""
    before = _size(folder)
    with contextlib.suppress(OSError):
        (folder / ENTRY).unlink()
    shutil.rmtree(folder, ignore_errors=True)
    return before - _size(folder)


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; 0 where it is not there any more."""
    try:
        return sum(path.stat().st_size for path in folder.iterdir())
    except OSError:
        return 0
