"""What every test finds: the messages of nnlab printed, as the command line prints them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnlab import console
from nnlab.storage import cache


@pytest.fixture(autouse=True)
def kept_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of data is not in the cache folder of whoever runs the tests."""
    folder: Path = tmp_path_factory.getbasetemp() / "kept-data"
    monkeypatch.setattr(cache, "data_folder", lambda: folder)


@pytest.fixture(autouse=True)
def messages() -> None:
    """Each test sees messages on the standard streams, whatever was tested before it."""
    console.show(always=True)
