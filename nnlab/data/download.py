"""Downloads by torchvision that either arrive whole or leave nothing behind, and fail in one sentence."""

from __future__ import annotations

import http.client
import os
import pickle
import socket
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnlab.errors import UserError

TIMEOUT = 30  # seconds without a byte; torchvision itself would wait for ever

_FAILURES = (OSError, RuntimeError, EOFError, http.client.HTTPException, tarfile.TarError, zlib.error, ImportError,
             ValueError, pickle.UnpicklingError)  # fmt: skip


def download(dataset: str, folder: str, files: Sequence[str], root: Path) -> None:
    """Fetch a torchvision data set into `root`, showing its progress bar.

    The files appear one by one, each complete, because they are moved from a temporary folder on the same disk.

    Args:
        dataset: class in `torchvision.datasets`, such as `MNIST`.
        folder: where that class puts its files, below its root, such as `MNIST/raw`.
        files: names of the files to keep.
        root: the data folder; created if need be.

    Raises:
        UserError: no network, a damaged download, an archive that would write outside its folder, or a folder that
            cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as temporary, _timeout(), _confined_archives():
            import torchvision.datasets

            getattr(torchvision.datasets, dataset)(temporary, download=True)
            (root / folder).mkdir(parents=True, exist_ok=True)
            for file in files:
                os.replace(Path(temporary) / folder / file, root / folder / file)
    except _FAILURES as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].strip(" :")
        raise UserError(
            f"{dataset} is not in {root / folder} and could not be downloaded ({reason}); connect to the "
            "network, or set `data_root` (environment variable NNLAB_DATA) to a folder that has it"
        ) from error


@contextmanager
def _timeout() -> Iterator[None]:
    """Limit how long sockets wait; a global default is the only way into torchvision's own calls."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _confined_archives() -> Iterator[None]:
    """Let archives write plain files inside the folder that they are unpacked into, and nothing else.

    torchvision does not ask for that, and Python's own filters came with 3.11.4.
    """
    unpack = tarfile.TarFile.extractall

    def confined(archive: tarfile.TarFile, path: Any = ".", members: Any = None, **options: Any) -> None:
        folder = Path(path).resolve()
        for member in archive.getmembers() if members is None else members:
            target = (folder / member.name).resolve()
            if not target.is_relative_to(folder):
                raise tarfile.TarError(f"'{member.name}' would be extracted to '{target}', outside its folder")
            if not (member.isreg() or member.isdir()):
                raise tarfile.TarError(f"'{member.name}' in the archive is neither a file nor a folder")
        unpack(archive, path, members, **options)

    tarfile.TarFile.extractall = confined  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        tarfile.TarFile.extractall = unpack  # type: ignore[method-assign]
