"""Checkpoints: everything a run needs to continue to the same bits, in a file that is whole or not there.

Format: one line `nnlab checkpoint <version> <sha256 of the rest>`, then a `torch.save` archive of plain values and
tensors, read with `weights_only=True`, so that no code runs from a checkpoint file.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pickle
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import torch

from nnlab.errors import UserError
from nnlab.storage.files import explained, replacing, write_whole

VERSION = 1
LONGEST = 200  # bytes of a header
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
WEIGHTS = ("identity", "config", "step", "members")  # the keys of every checkpoint, and of one with the best weights
WHOLE = (*WEIGHTS, "seconds", "files")  # those of a state that training continues from

log = logging.getLogger(__name__)


class DamagedError(UserError):
    """A checkpoint that cannot be read, because something else than nnlab changed it."""


def encode(state: dict[str, Any]) -> bytes:
    """The content of a checkpoint file."""
    buffer = io.BytesIO()
    start = buffer.write(_header("0" * 64))
    torch.save(state, buffer)
    with buffer.getbuffer() as content:
        digest = hashlib.sha256(content[start:]).hexdigest()
    buffer.seek(0)
    buffer.write(_header(digest))
    return buffer.getvalue()


def _header(digest: str) -> bytes:
    return f"nnlab checkpoint {VERSION} {digest}\n".encode()


class _Payload(io.RawIOBase):
    """What follows the header of an open file, as a file: it is read as it is wanted, and is never in memory twice."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.start = file, file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset + (self.start if whence == os.SEEK_SET else 0), whence) - self.start

    def readinto(self, buffer: Any) -> int:
        return self.file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def digest(self) -> str:
        """The SHA-256 of all of it, in hexadecimal digits; the next reading begins at its start."""
        found = hashlib.sha256()
        while piece := self.file.read(1 << 20):
            found.update(piece)
        self.seek(0)
        return found.hexdigest()


def load(path: Path, keys: Collection[str] = WHOLE) -> dict[str, Any]:
    """Read a checkpoint with certain keys.

    Raises:
        DamagedError: it is damaged, or no checkpoint, or another kind of one.
        UserError: it is of a version that this nnlab does not read, or may not be read.
    """
    try:
        with path.open("rb") as file:
            state = _read(path, file)
    except OSError as error:
        kind = UserError if isinstance(error, PermissionError) else DamagedError
        raise kind(f"cannot read `{path}`: {error.strerror}") from error
    missing = [key for key in keys if not isinstance(state, dict) or key not in state]
    if missing:
        raise DamagedError(f"`{path}` is another kind of checkpoint, without `{missing[0]}`")
    return state


def _read(path: Path, file: IO[bytes]) -> dict[str, Any]:
    words = file.readline(LONGEST).split()
    if words[:2] != [b"nnlab", b"checkpoint"] or len(words) != 4 or not words[2].isdigit():
        raise DamagedError(f"`{path}` is not a checkpoint of nnlab, or its beginning is damaged")
    payload = _Payload(file)
    if payload.digest().encode() != words[3]:
        raise DamagedError(f"`{path}` is damaged: its checksum does not match")
    if int(words[2]) > VERSION:
        raise UserError(
            f"`{path}` has checkpoint format {int(words[2])}; this nnlab reads formats up to {VERSION}: "
            "a newer nnlab can read it"
        )
    try:
        state: dict[str, Any] = torch.load(io.BufferedReader(payload), map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DamagedError(f"`{path}` holds something else than numbers and text, and is not opened") from error
    return state


def rotate_and_save(folder: Path, state: dict[str, Any]) -> None:
    """Save as the last checkpoint; the last becomes the previous one when the new one is on the disk.

    Raises:
        WriteError: the disk did not take it; the older checkpoints are intact.
    """
    last = folder / LAST
    with replacing(last, encode(state), sync=True):
        if last.exists():
            last.replace(folder / PREVIOUS)


def save_best(folder: Path, state: dict[str, Any], sync: bool = False) -> None:
    """Save only the best weights of a run's state."""
    members = [{"best": member["best"]} for member in state["members"]]
    slim = {**{name: state[name] for name in WEIGHTS}, "members": members}
    write_whole(folder / BEST, encode(slim), sync)


def load_newest(folder: Path, mend: bool = False) -> dict[str, Any] | None:
    """The last checkpoint, or with a warning the previous one where that is damaged; None where there is none.

    `mend` puts a damaged last one aside, so that it cannot take the previous one's place.
    """
    for name in (LAST, PREVIOUS):
        path = folder / name
        try:
            if path.exists():
                return load(path)
        except DamagedError as error:
            other = f"; `{PREVIOUS}` is used instead" if name == LAST and (folder / PREVIOUS).exists() else ""
            log.warning(f"{error}{other}")
            if mend:
                with explained(path):
                    path.replace(path.with_suffix(".damaged"))
    return None


def load_step(folder: Path, step: int) -> dict[str, Any] | None:
    """The previous checkpoint if it is that of `step`."""
    path = folder / PREVIOUS
    try:
        state = load(path) if path.exists() else None
    except DamagedError:
        return None
    return state if state is not None and state["step"] == step else None


def load_best(folder: Path) -> dict[str, Any]:
    """The checkpoint with a run's best weights.

    Raises:
        UserError: there is none, or none that is whole.
    """
    try:
        if (folder / BEST).exists():
            return load(folder / BEST, WEIGHTS)
    except DamagedError as error:
        log.warning(str(error))
    state = load_newest(folder)
    if state is None:
        raise UserError(f"`{folder}` has no checkpoint that can be read")
    return state
