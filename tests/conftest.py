"""What every test finds: the messages of nnlab printed, as the command line prints them."""

from __future__ import annotations

import getpass
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from nnlab import console
from nnlab.storage import cache

sys.path.insert(0, str(Path(__file__).parent))

OTHERS = 1234  # a seed that no module begins with, so that no test draws again what is there for all of them


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--like-windows`: see `like_windows.py`."""
    parser.addoption("--like-windows", action="store_true", help="no fcntl, and Windows' rules for names of files")


def pytest_configure(config: pytest.Config) -> None:
    """Ctrl-C as in a terminal: a shell's background jobs ignore it, and so would what tests start and interrupt.

    `--like-windows` lays Windows' rules over the folder in which tests write.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--like-windows"):
        import like_windows

        like_windows.install(f"{tempfile.gettempdir()}/pytest-of-{getpass.getuser()}")


@pytest.fixture(scope="session", autouse=True)
def kept_compositions() -> None:
    """All configs that are composed are kept, and not the last hundred: test files share their cases."""
    from nnlab.cli import remembered

    remembered.MOST = 10_000


@pytest.fixture(autouse=True)
def kept_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of data is not in the cache folder of whoever runs the tests."""
    folder: Path = tmp_path_factory.getbasetemp() / "kept-data"
    monkeypatch.setattr(cache, "data_folder", lambda: folder)


@pytest.fixture(autouse=True)
def own_numbers(request: pytest.FixtureRequest) -> None:
    """A module's generators begin anew in each test, so that its numbers do not depend on the tests before it."""
    import numpy as np
    import torch  # here, so that the process that only hands out tests does not wait for it

    for value in vars(getattr(request, "module", None) or object).values():
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = np.random.default_rng(OTHERS).bit_generator.state
        elif isinstance(value, torch.Generator):
            value.manual_seed(OTHERS)


@pytest.fixture(autouse=True)
def messages() -> None:
    """Each test sees messages on the standard streams, whatever was tested before it."""
    console.show(always=True)
