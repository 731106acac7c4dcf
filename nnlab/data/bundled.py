"""The small data sets that scikit-learn carries as text files, read without importing scikit-learn (0.5 s)."""

from __future__ import annotations

import functools
import gzip
import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnlab.errors import UserError


@functools.cache
def bundled_file(name: str) -> Path:
    """Where scikit-learn's bundled file `name` is.

    Raises:
        UserError: scikit-learn is not installed.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"the data are bundled with scikit-learn ({name}): pip install scikit-learn")
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data" / name


def read_bundled(name: str, delimiter: str | None = ",", skip_rows: int = 0) -> npt.NDArray[np.float64]:
    """The numbers in scikit-learn's bundled file `name`, (rows, columns) float64.

    Raises:
        UserError: scikit-learn is not installed, or the file is missing or damaged.
    """
    path = bundled_file(name)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = content.decode().splitlines()[skip_rows:]
        return np.loadtxt(lines, delimiter=delimiter, ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"cannot read {path} ({error}); reinstall scikit-learn") from error
