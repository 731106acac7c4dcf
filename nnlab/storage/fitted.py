"""What a run has fitted to its training split besides the weights, as JSON and arrays beside its config.

pipeline.json   fingerprint of the data, what was fitted     pipeline.npz   the arrays that belong to it

Nothing in them is executed when they are read: JSON, and arrays without Python objects.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnlab.errors import UserError
from nnlab.storage.files import write_whole
from nnlab.storage.json_text import indented

FITTED, ARRAYS = "pipeline.json", "pipeline.npz"
VERSION = 1

Array = npt.NDArray[Any]


def write_fitted(directory: Path, content: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write what was fitted: plain values, and arrays by name."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_whole(directory / ARRAYS, buffer.getvalue())
    write_whole(directory / FITTED, indented({"version": VERSION, **content}, 1) + "\n")


def read_fitted(directory: Path) -> tuple[dict[str, Any], dict[str, Array]] | None:
    """What `write_fitted` wrote; None where a run has stored nothing.

    Raises:
        UserError: it is damaged, or was written by a newer nnlab.
    """
    path = directory / FITTED
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not isinstance(content.get("version"), int):
            raise ValueError("it holds no version")
        if content["version"] > VERSION:
            raise UserError(f"`{path}` was written by a newer nnlab, which can read it")
        with np.load(io.BytesIO((directory / ARRAYS).read_bytes()), allow_pickle=False) as file:
            return content, {name: file[name] for name in file.files}
    except (FileNotFoundError, NotADirectoryError) as error:
        if not path.exists():
            return None
        raise UserError(f"`{directory}` lacks the file {ARRAYS} that belongs to {FITTED}") from error
    except OSError as error:
        raise UserError(f"cannot read `{error.filename or path}`: {error.strerror}") from error
    except (ValueError, EOFError, RecursionError, zipfile.BadZipFile) as error:
        raise UserError(f"`{path}` or its arrays are damaged: {error}") from error
