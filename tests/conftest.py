"""What every test finds: the messages of nnlab printed, as the command line prints them."""

from __future__ import annotations

import pytest

from nnlab import console


@pytest.fixture(autouse=True)
def messages() -> None:
    """Each test sees messages on the standard streams, whatever was tested before it."""
    console.show(always=True)
