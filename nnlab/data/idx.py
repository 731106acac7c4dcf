"""The idx format of MNIST: two zero bytes, a type code, the number of axes, their sizes (big-endian), the values.

Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", the section on file formats.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nnlab.errors import UserError

_UNSIGNED_BYTE = 8


def find_idx(folder: Path, name: str) -> Path | None:
    """The file `name` in `folder`, plain or compressed (.gz), or None."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read_idx(path: Path, axes: int, checksums: Mapping[str, str]) -> Tensor:
    """The array of bytes in a file, uint8 with `axes` axes.

    Args:
        path: the file; a name that ends in .gz is decompressed.
        axes: how many axes it must have (3 for images, 1 for labels).
        checksums: MD5 sums of the published files, by name; of a compressed one, that of its content is enough.

    Raises:
        UserError: the file cannot be read, is no complete idx file of bytes with so many axes, or is not the published
            one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}); delete it to download it again") from error
    try:
        data = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, content, checksums, f"cannot be decompressed ({error})") from error
    start = 4 + 4 * axes
    if len(data) < start or data[:4] != bytes([0, 0, _UNSIGNED_BYTE, axes]):
        raise _damaged(path, content, checksums, f"does not begin like an idx file of bytes with {axes} axes")
    shape = struct.unpack(f">{axes}I", data[4:start])
    if len(data) - start != math.prod(shape):
        sizes = " x ".join(map(str, shape))
        raise _damaged(
            path, content, checksums, f"holds {len(data) - start} bytes of data where its header says {sizes}"
        )
    if not _published(path, content, data, checksums):
        raise _damaged(path, content, checksums, "is not the published file")
    values = np.frombuffer(bytearray(data), dtype=np.uint8, offset=start)  # a copy, because tensors are writable
    return torch.from_numpy(values.reshape(shape))


def _published(path: Path, content: bytes, data: bytes, checksums: Mapping[str, str]) -> bool:
    """Whether a file, or what it holds compressed, has its known checksum; true where none is known."""
    known = ((checksums.get(path.name), content), (checksums.get(path.name.removesuffix(".gz")), data))
    sums = [_md5(each) == expected for expected, each in known if expected]
    return any(sums) or not sums


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _damaged(path: Path, content: bytes, checksums: Mapping[str, str], what: str) -> UserError:
    """The error about a file that is not what it should be."""
    expected = checksums.get(path.name)
    known = f" (MD5 {_md5(content)}, expected {expected})" if expected else ""
    return UserError(f"{path} is damaged: it {what}{known}; delete it to download it again")
