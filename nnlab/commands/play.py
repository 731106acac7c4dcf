"""`nnlab play [overrides]`: a page on which a network trains while its settings are turned."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

from nnlab.cli.arguments import Grammar, Key, truth, whole
from nnlab.errors import UserError

GRAMMAR = Grammar(
    "play",
    "Train a network on a page, and turn its settings meanwhile; it begins as RUN, or with the overrides.",
    "[RUN or KEY=VALUE ...]",
    [
        Key("port", "by default any free port", whole),
        Key("browser", "whether to open a browser; else the address is printed", truth, bare="true", default=True),
    ],
    overrides=True,
)


def main(arguments: Sequence[str]) -> int:
    """Serve the page until it is interrupted.

    Raises:
        UserError: an override is wrong, the port is taken, or packages are missing.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    overrides = dict(pair for word in given.words for pair in _overrides(word))
    from nnlab.cli import compose
    from nnlab.play.playground import START
    from nnlab.play.server import serve

    compose(*(f"{key}={value}" for key, value in {**START, **overrides}.items()))

    def announce(address: str) -> None:
        print(f"nnlab play: {address}\nCtrl-C ends it", flush=True)
        if given.browser:
            webbrowser.open(address)

    serve(compose, overrides, given.port, announce)
    return 0


def _overrides(word: str) -> list[tuple[str, str]]:
    """The overrides of a run, where the word names one's folder; else the word itself as key and value."""
    if Path(word).is_dir():
        from nnlab.storage.directories import run_at
        from nnlab.storage.folder import read_overrides

        return [pair for line in read_overrides(run_at(word)) or () for pair in _overrides(line)]
    key, separator, value = word.partition("=")
    if not separator:
        raise UserError(f"`{word}` is neither a run's folder nor KEY=VALUE")
    return [(key.lstrip("+"), value)]
