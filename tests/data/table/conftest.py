"""Small tables as people have them, each written into a folder of its own."""

import numpy as np
import pytest


@pytest.fixture
def write(tmp_path):
    """A file from its text, lines or bytes; its path as text."""

    def write(content, name="table.csv", encoding="utf-8"):
        path = tmp_path / name
        content = "\n".join(content) + "\n" if isinstance(content, list) else content
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(path)

    return write


@pytest.fixture
def noise():
    """Draws of N(0, 1), the same in every test."""
    return np.random.default_rng(0).standard_normal((400, 6)).round(4)
