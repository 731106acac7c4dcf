"""`nnlab play [overrides]`: a page on which a network trains while its settings are turned."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from nnlab.errors import UserError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; `nnlab play --help` shows what there is")


def main(arguments: Sequence[str]) -> int:
    """Serve the page until it is interrupted.

    Raises:
        UserError: an override is wrong, the port is taken, or packages are missing.
    """
    parser = _Parser(prog="nnlab play", description="Train a network on a page, and turn its settings meanwhile.")
    parser.add_argument("settings", nargs="*", metavar="RUN or KEY=VALUE", help="a run's folder, or overrides")
    parser.add_argument("--port", type=int, help="by default any free port")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open nothing")
    given = parser.parse_intermixed_args(arguments)
    overrides = dict(pair for word in given.settings for pair in _overrides(word))
    from nnlab.cli import compose
    from nnlab.play.playground import START
    from nnlab.play.server import serve

    compose(*(f"{key}={value}" for key, value in {**START, **overrides}.items()))

    def announce(address: str) -> None:
        print(f"nnlab play: {address}\nCtrl-C ends it", flush=True)
        if not given.no_browser:
            webbrowser.open(address)

    serve(compose, overrides, given.port, announce)
    return 0


def _overrides(word: str) -> list[tuple[str, str]]:
    """The overrides of a run, where the word names one's folder; else the word itself as key and value."""
    if Path(word).is_dir():
        from nnlab.storage.folder import read_overrides

        return [pair for line in read_overrides(Path(word)) or () for pair in _overrides(line)]
    key, separator, value = word.partition("=")
    if not separator:
        raise UserError(f"`{word}` is neither a run's folder nor KEY=VALUE")
    return [(key.lstrip("+"), value)]
