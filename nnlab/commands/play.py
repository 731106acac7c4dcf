"""`nnlab play [RUN, FILE or overrides]`: a page on which a network trains while its settings are turned."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

from nnlab.cli.arguments import Grammar, Key, truth, whole
from nnlab.console import silenced
from nnlab.errors import UserError

GRAMMAR = Grammar(
    "play",
    "Train a network on a page, and turn its settings meanwhile; it begins as RUN, or with the overrides; FILE "
    "target=NAME is data of your own.",
    "[RUN, FILE or KEY=VALUE ...]",
    [
        Key("port", "by default any free port", whole),
        Key("browser", "whether to open a browser; else the address is printed", truth, bare="true", default=True),
    ],
    overrides=True,
)


def main(arguments: Sequence[str]) -> int:
    """Serve the page until it is interrupted.

    Raises:
        UserError: an override is wrong, there is no such data or target, the port is taken, or packages are missing.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    overrides = _overrides(given.words)
    from nnlab.cli import compose
    from nnlab.play.playground import Playground
    from nnlab.play.server import serve

    with silenced():  # what a page says when it begins
        Playground(compose, overrides)  # a page would only show what is wrong, and the server stay up

    def announce(address: str) -> None:
        print(f"nnlab play: {address}\nCtrl-C ends it", flush=True)
        if given.browser:
            webbrowser.open(address)

    serve(compose, overrides, given.port, announce)
    return 0


def _overrides(words: Sequence[str]) -> dict[str, str]:
    """Values by key: those of a run, where a word names one's folder, and what the others say; the last one counts.

    Raises:
        UserError: a word is no override, no run's folder and no file of data.
    """
    from nnlab.cli.short_form import expanded
    from nnlab.storage.directories import run_at
    from nnlab.storage.folder import read_overrides

    folders = [word for word in words if Path(word).is_dir()]
    lines = [line for folder in folders for line in read_overrides(run_at(folder)) or ()]
    overrides = {}
    for line in (*lines, *expanded([word for word in words if word not in folders])):
        key, separator, value = line.partition("=")
        if not separator:
            raise UserError(f"`{line}` is neither a run's folder, nor a file of data, nor KEY=VALUE")
        overrides[key.lstrip("+")] = value
    return overrides
